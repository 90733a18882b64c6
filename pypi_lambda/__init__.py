"""The face of the index: HTTP in, HTTP out, on Lambda and on a laptop."""

__version__ = "0.1.0"
