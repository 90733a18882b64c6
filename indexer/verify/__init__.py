"""Verification: all that is stored, compared with the log."""
