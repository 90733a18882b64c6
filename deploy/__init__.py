"""Packaging and deployment: run on a developer's machine, never shipped in the function."""
