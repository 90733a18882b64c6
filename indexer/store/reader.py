"""A stored object as a seekable file, for readers of archives, and a file as chunks: little is copied to memory."""

import io
from collections.abc import Iterator
from errno import EINVAL
from typing import IO, Protocol

from indexer.errors import Missing
from indexer.store.base import CHUNK_BYTES

BUFFER_BYTES = 1_048_576  # 1 MiB: a wheel's directory and its metadata are two or three reads
WHOLE_BYTES = 8_388_608  # 8 MiB: of what is read to its end; a wheel of a gigabyte is 130 requests


class Readable(Protocol):
    """What objects are read from: a store."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to, not including, `end`; Missing when there is no such object."""


class Seekable(io.RawIOBase):
    """A file of a known size that is read at a position: what a subclass reads there is all that it has to say.

    Attributes:
        size: in bytes.
        position: of the next byte.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which may be past the end, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(EINVAL, "negative seek position")  # as of a file: zipfile counts on it
        self.position = base + offset
        return self.position


class _RawObject(Seekable):
    def __init__(self, store: Readable, key: str, size: int) -> None:
        super().__init__(size)
        self._store = store
        self._key = key

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # typeshed wants any Buffer
        end = min(self.position + len(buffer), self.size)
        if end <= self.position:
            return 0
        try:
            data = b"".join(self._store.read(self._key, start=self.position, end=end))
        except Missing as error:
            raise OSError(str(error)) from None  # what readers of files expect of one that is gone
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def open_object(store: Readable, key: str, size: int, *, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
    """Return a stored object of this size as a file open for reading.

    Args:
        buffer_bytes: how much is read at once.
    """
    return io.BufferedReader(_RawObject(store, key, size), buffer_bytes)


def open_whole(store: Readable, key: str, size: int) -> io.BufferedReader:
    """Return a stored object as a file of which all is going to be read, from its start to its end."""
    return open_object(store, key, size, buffer_bytes=min(WHOLE_BYTES, max(size, BUFFER_BYTES)))


def chunks_of(content: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's content from its start, whatever its position."""
    content.seek(0)
    while chunk := content.read(CHUNK_BYTES):
        yield chunk
