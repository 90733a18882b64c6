"""What was read of an object in pieces, compared with the whole that is read after it: the object may be replaced
between the two, and then what a check found is true of other bytes.

By digests of what was read, not by entity tags: those are MD5, of which anybody can make two files that have the same.
"""

from collections.abc import Iterator
from hashlib import blake2b

from indexer.errors import DigestMismatch
from indexer.store.reader import Readable
from indexer.value import value


@value
class _Piece:
    start: int
    end: int
    digest: bytes


class Witness:
    """Reads objects for a check, and remembers what it saw."""

    def __init__(self, store: Readable) -> None:
        self._store = store
        self._pieces: list[_Piece] = []

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`."""
        digest, position = blake2b(), start
        for chunk in self._store.read(key, start=start, end=end):
            digest.update(chunk)
            position += len(chunk)
            yield chunk
        if position > start:
            self._pieces.append(_Piece(start=start, end=position, digest=digest.digest()))

    def compared(self, what: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks of the whole object, and raise DigestMismatch unless all that was seen is part of it."""
        waiting = sorted(self._pieces, key=lambda piece: piece.start, reverse=True)
        begun: list[tuple[_Piece, blake2b]] = []
        position = 0
        for chunk in chunks:
            after, view = position + len(chunk), memoryview(chunk)
            while waiting and waiting[-1].start < after:
                begun.append((waiting.pop(), blake2b()))
            for piece, digest in begun:
                digest.update(view[max(piece.start - position, 0) : min(piece.end, after) - position])
            if any(piece.end <= after and digest.digest() != piece.digest for piece, digest in begun):
                raise _replaced(what)
            begun = [(piece, digest) for piece, digest in begun if piece.end > after]
            position = after
            yield chunk
        if waiting or begun:
            raise _replaced(what)


def _replaced(what: str) -> DigestMismatch:
    return DigestMismatch(what, expected="content that was checked", actual="other content now")
