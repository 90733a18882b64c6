"""Clocks that tests read."""


class Ticks:
    """A clock that goes on by a quarter of a second with every look."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        self._seconds += 0.25
        return self._seconds
