"""The whole program against the real public upstream."""
