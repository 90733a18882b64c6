"""Bytes compared with what was announced for them. Pure.

Knows neither where they come from nor where they go.
"""

import hashlib
from collections.abc import Iterator, Mapping

from indexer.errors import DigestMismatch

Hashes = Mapping[str, str]
"""Hexadecimal digests by hashlib's name of the algorithm."""

# shake_128 and its like have no length of their own; the rest is what every Python can compute.
_KNOWN = frozenset(name for name in hashlib.algorithms_guaranteed if not name.startswith("shake"))


def verified(what: str, chunks: Iterator[bytes], *, hashes: Hashes, size: int | None) -> Iterator[bytes]:
    """Yield the chunks, and raise after the last one unless all of them together are what was announced.

    Args:
        what: whose content it is, for the error.
        hashes: the announced digests; the strongest that can be computed is compared, none when there is none.
        size: in bytes, where it was announced.

    Raises:
        DigestMismatch: they are something else, or more than was announced.
    """
    algorithm = _find_strongest(hashes)
    digest = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if size is not None and done > size:
            raise DigestMismatch(what, expected=f"{size:,} bytes", actual="more")
        if digest is not None:
            digest.update(chunk)
        yield chunk
    if size is not None and done != size:
        raise DigestMismatch(what, expected=f"{size:,} bytes", actual=f"{done:,} bytes")
    if algorithm is not None and digest is not None and digest.hexdigest() != hashes[algorithm]:
        raise DigestMismatch(
            what, expected=f"{algorithm} {hashes[algorithm]}", actual=f"{algorithm} {digest.hexdigest()}"
        )


def digest_of(chunks: Iterator[bytes]) -> str:
    """Return the sha256 of all chunks, hex."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _find_strongest(hashes: Hashes) -> str | None:
    """Return the algorithm to check: sha256 as every index has it, else the longest that can be computed."""
    known = _KNOWN & hashes.keys()
    return "sha256" if "sha256" in known else max(sorted(known), key=lambda name: len(hashes[name]), default=None)
