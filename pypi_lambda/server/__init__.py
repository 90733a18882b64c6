"""The server: the same app on a laptop or a machine of one's own."""
