"""The mirror: the upstream's pages and files, kept here."""
