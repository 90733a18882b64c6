"""Bytes that a check saw are bytes of what is published."""

from collections.abc import Iterator

import pytest

from indexer.errors import DigestMismatch
from indexer.store.witness import Witness

CONTENT = bytes(range(100))


class Content:
    """One object in chunks of seven bytes, which may be replaced."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, _key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`."""
        wanted = self.content[start:end]
        return (wanted[place : place + 7] for place in range(0, len(wanted), 7))


def look(witness: Witness, *ranges: tuple[int, int]) -> None:
    for start, end in ranges:
        for _ in witness.read("", start=start, end=end):
            pass


@pytest.mark.parametrize(
    "ranges",
    [(), ((0, 100),), ((90, 100), (3, 21), (14, 15), (3, 21)), ((0, 1), (99, 100)), ((80, 200),), ((100, 110),)],
)
def test_same_content(ranges: tuple[tuple[int, int], ...]) -> None:
    """Whatever was looked at, in any order, is found again in the same content."""
    witness = Witness(Content(CONTENT))
    look(witness, *ranges)
    assert b"".join(witness.compared("a file", Content(CONTENT).read(""))) == CONTENT


@pytest.mark.parametrize("ranges", [((0, 100),), ((0, 10), (50, 51), (90, 100)), ((48, 52), (0, 3))])
def test_replaced_content(ranges: tuple[tuple[int, int], ...]) -> None:
    """Content that was replaced where it had been looked at is refused."""
    content = Content(CONTENT)
    witness = Witness(content)
    look(witness, *ranges)
    content.content = CONTENT[:50] + b"!" + CONTENT[51:]
    with pytest.raises(DigestMismatch, match=r"^a file has other content now"):
        list(witness.compared("a file", content.read("")))


def test_shorter_content() -> None:
    """So is content that ends before what had been looked at."""
    witness = Witness(Content(CONTENT))
    look(witness, (95, 100))
    with pytest.raises(DigestMismatch):
        list(witness.compared("a file", Content(CONTENT[:97]).read("")))
