"""A file on the upstream's server as a seekable one: of a wheel of gigabytes only what its reader looks at travels.

Bounded in requests and bytes, whatever the archive makes its reader ask for. Knows nothing of archives.

RFC 9110 (14 range requests).
"""

import io
from typing import TYPE_CHECKING

from indexer.errors import IndexerError
from indexer.store.reader import Seekable
from indexer.value import value

if TYPE_CHECKING:
    from indexer.upstream.client import Part, Upstream

# "Archivers are encouraged to place the .dist-info files physically at the end of the archive" (PEP 427), where the
# directory is. That of pandas has 145 KB, of torch 1.1 MB, of tensorflow 2.9 MB; most wheels are shorter as a whole.
END_BYTES = 131_072  # 128 KiB: what a connection brings in one or two round trips
BLOCK_BYTES = 65_536  # 64 KiB: METADATA is rarely longer, packed
MAX_REQUESTS = 64  # a reader of wheels makes one to three
# 32 MiB: the longest directory that `indexer.archives.archive` reads, its metadata, and blocks around them.
MAX_BYTES = 33_554_432


class NoParts(IndexerError):
    """The server does not give parts of this file, or the file's reader wants too many of them."""


@value
class _Piece:
    start: int
    body: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.body)


class _RawRemoteFile(Seekable):
    def __init__(self, upstream: "Upstream", url: str, size: int | None) -> None:
        self._upstream = upstream
        self._url = url
        self._requests_left = MAX_REQUESTS
        self._bytes_left = MAX_BYTES
        # Where the size is known it is asked for by offset: some servers know no other kind of range.
        end = self._fetch(None if size is None else max(0, size - END_BYTES), END_BYTES)
        super().__init__(end.file_size)
        self._pieces = [_Piece(start=end.start, body=end.body)]
        if size not in (None, end.file_size):
            raise NoParts(f"{end.file_size:,} bytes where {size:,} were announced")

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # typeshed wants any Buffer
        if self.position >= self.size:
            return 0
        piece = self._find() or self._fetched(len(buffer))
        start = self.position - piece.start
        data = piece.body[start : start + len(buffer)]
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def _find(self) -> _Piece | None:
        return next((piece for piece in self._pieces if piece.start <= self.position < piece.end), None)

    def _fetched(self, length: int) -> _Piece:
        """Fetch from the position on, up to what is there already."""
        known = min((piece.start for piece in self._pieces if piece.start > self.position), default=self.size)
        part = self._fetch(self.position, min(length, known - self.position))
        if part.file_size != self.size:
            raise NoParts("it changed while it was read")
        piece = _Piece(start=part.start, body=part.body)
        self._pieces.append(piece)
        return piece

    def _fetch(self, start: int | None, length: int) -> "Part":
        self._requests_left -= 1
        self._bytes_left -= length
        if min(self._requests_left, self._bytes_left) < 0:
            raise NoParts("reading it would take too many requests or bytes")
        part = self._upstream.fetch_part(self._url, start=start, length=length)
        if part is None:
            raise NoParts("the server gives no parts of it")
        return part


def open_remote(upstream: "Upstream", url: str, *, size: int | None) -> io.BufferedReader:
    """Return a file of the upstream's server as one open for reading.

    Args:
        size: in bytes, where it is known.

    Raises:
        NoParts: here and while it is read: the whole file has to be fetched instead.
        UpstreamUnavailable: here and while it is read.
    """
    return io.BufferedReader(_RawRemoteFile(upstream, url, size), BLOCK_BYTES)
