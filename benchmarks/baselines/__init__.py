"""Handlers that the function is measured against; each file is copied into a code folder of its own."""
