"""The log: what can happen, what did, and what a project is after it."""
