"""A command: its arguments, and what it works with."""
