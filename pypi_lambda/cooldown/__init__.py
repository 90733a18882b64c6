"""The cooldown: which releases of the upstream are old enough to be offered, now or at an earlier moment."""
