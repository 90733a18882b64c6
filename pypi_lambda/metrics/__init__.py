"""Metrics: what a process did, and how long it took."""
