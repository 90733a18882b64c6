"""Publishing: a file comes in and becomes part of the index."""
