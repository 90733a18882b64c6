"""The error of packaging and deployment: a sentence for whoever ran the command."""


class Unbuildable(Exception):
    """The zip cannot be built or deployed; the text says what is missing."""
