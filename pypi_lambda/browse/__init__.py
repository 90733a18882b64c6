"""The index as people see it in a browser. Not on the hot path."""
