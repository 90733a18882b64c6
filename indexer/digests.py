"""Digests: which algorithms there are, which of them prove anything, and bytes compared with what was announced. Pure.

Knows neither where bytes come from nor where they go. How pages spell digests is `indexer.upstream.hashes`'.
"""

import hashlib
from collections.abc import Iterator, Mapping

from indexer.errors import DigestMismatch

Hashes = Mapping[str, str]
"""Hexadecimal digests by hashlib's name of the algorithm."""

# Hexadecimal digits of every algorithm that can be computed. `blake2b_256` is what the public index calls blake2b with
# 32 bytes; hashlib has no name for it, so no client compares it.
LENGTHS: Mapping[str, int] = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "sha3_224": 56,
    "sha3_256": 64,
    "sha3_384": 96,
    "sha3_512": 128,
    "blake2s": 64,
    "blake2b": 128,
    "blake2b_256": 64,
}
NAMELESS = "blake2b_256"
WEAK = frozenset({"md5", "sha1"})  # two files of one digest can be made: it shows damage, and proves no content


def find_strongest(hashes: Hashes) -> str | None:
    """Return the algorithm to compare: sha256 as every index has it, else the longest that can be computed."""
    known = LENGTHS.keys() & hashes.keys()
    return "sha256" if "sha256" in known else max(sorted(known), key=lambda name: len(hashes[name]), default=None)


def proves(hashes: Hashes) -> bool:
    """Tell whether a file that has these digests is the one that was announced."""
    return any(name in LENGTHS and name not in WEAK for name in hashes)


def verified(what: str, chunks: Iterator[bytes], *, hashes: Hashes, size: int | None) -> Iterator[bytes]:
    """Yield the chunks, and raise after the last one unless all of them together are what was announced.

    Args:
        what: whose content it is, for the error.
        hashes: the announced digests; the strongest that can be computed is compared, none when there is none.
        size: in bytes, where it was announced. A digest that agrees outweighs it: clients compare nothing else.

    Raises:
        DigestMismatch: they are something else, or without a digest more or less than was announced.
    """
    algorithm = find_strongest(hashes)
    if algorithm is None:
        return _of_size(what, chunks, size)
    return _of_digest(what, chunks, algorithm, hashes[algorithm])


def _of_digest(what: str, chunks: Iterator[bytes], algorithm: str, announced: str) -> Iterator[bytes]:
    digest = hashlib.blake2b(digest_size=32) if algorithm == NAMELESS else hashlib.new(algorithm, usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != announced:
        raise DigestMismatch(what, expected=f"{algorithm} {announced}", actual=f"{algorithm} {digest.hexdigest()}")


def _of_size(what: str, chunks: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if size is not None and done > size:
            raise DigestMismatch(what, expected=f"{size:,} bytes", actual="more")
        yield chunk
    if size is not None and done != size:
        raise DigestMismatch(what, expected=f"{size:,} bytes", actual=f"{done:,} bytes")


class Counted:
    """Chunks as they come.

    Attributes:
        size: of those that were taken so far, in bytes.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.size += len(chunk)
        return chunk


def digest_of(chunks: Iterator[bytes]) -> str:
    """Return the sha256 of all chunks, hex."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
