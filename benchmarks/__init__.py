"""Measurements: scripts that are run by hand and print a table."""
