"""Bytes pass only when they are what was announced."""

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.digests import verified
from indexer.errors import DigestMismatch

CONTENT = b"the file's content"


def digests(content: bytes = CONTENT, *algorithms: str) -> dict[str, str]:
    return {algorithm: hashlib.new(algorithm, content).hexdigest() for algorithm in algorithms}


def read(content: bytes = CONTENT, *, hashes: Mapping[str, str], size: int | None = None) -> bytes:
    return b"".join(verified("demo.whl", iter([content[:5], b"", content[5:]]), hashes=hashes, size=size))


@pytest.mark.parametrize(
    "hashes",
    [
        digests(CONTENT, "sha256"),
        digests(CONTENT, "sha512"),
        digests(CONTENT, "md5"),
        digests(CONTENT, "blake2b", "sha3_384"),
        digests(CONTENT, "sha256") | {"sha512": "00"},  # sha256 decides where it is there
        digests(CONTENT, "sha512") | {"md5": "00"},  # else the longest
        digests(CONTENT, "sha1") | {"made-up": "ff" * 100, "shake_128": "ff" * 100},
        {},
        {"made-up": "00"},
    ],
)
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_what_was_announced_passes(hashes: Mapping[str, str], size: int | None) -> None:
    """Content whose strongest known digest and size agree passes; one of which none is known passes unchecked."""
    assert read(hashes=hashes, size=size) == CONTENT


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5", "sha1", "blake2b"])
def test_another_digest(algorithm: str) -> None:
    """Other content is refused, with both digests."""
    hashes = digests(CONTENT, algorithm)
    other = digests(b"other", algorithm)[algorithm]
    with pytest.raises(DigestMismatch) as caught:
        read(b"other", hashes=hashes)
    assert str(caught.value) == f"demo.whl has {algorithm} {other}, not the announced {algorithm} {hashes[algorithm]}"


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (len(CONTENT) + 1, "demo.whl has 18 bytes, not the announced 19 bytes"),
        (len(CONTENT) - 1, "demo.whl has more, not the announced 17 bytes"),
        (0, "demo.whl has more, not the announced 0 bytes"),
    ],
)
def test_another_size(size: int, message: str) -> None:
    """Content of another size is refused, and no more of it than was announced is read."""
    with pytest.raises(DigestMismatch) as caught:
        read(hashes={}, size=size)
    assert str(caught.value) == message


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_only_the_content_passes(announced: bytes, sent: bytes) -> None:
    """Content passes exactly when it is the announced one."""
    try:
        passed = read(sent, hashes=digests(announced, "sha256")) == sent
    except DigestMismatch:
        passed = False
    assert passed == (announced == sent)
