"""The upstream: asking it, and reading what it says."""
