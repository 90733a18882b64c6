"""Compressed texts put together are what the texts would be, to every reader of gzip."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.derive.deflate import EMPTY, gzip_member, join_parts, pack_part, shift_crc, text_of

texts = st.lists(st.binary(max_size=300) | st.binary(max_size=5).map(lambda piece: piece * 2_000), max_size=6)


@given(texts)
def test_one_gzip_member(given_texts: list[bytes]) -> None:
    """Parts are one member, with the right checksum and size: a reader that stops after the first has all."""
    body = b"".join(gzip_member(map(pack_part, given_texts)))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert (reader.decompress(body), reader.eof, reader.unused_data) == (b"".join(given_texts), True, b"")
    assert gzip.decompress(body) == b"".join(given_texts)


@given(texts)
def test_parts_are_joined(given_texts: list[bytes]) -> None:
    """Several parts are one part of all their text."""
    text = b"".join(given_texts)
    joined = join_parts(map(pack_part, given_texts))
    assert (joined.size, joined.crc, b"".join(text_of(joined.body))) == (len(text), zlib.crc32(text), text)


@given(st.binary(max_size=50), st.binary(max_size=2_000))
def test_checksums_are_linear(first: bytes, second: bytes) -> None:
    """The checksum of two texts is that of the first, shifted, XOR that of the second."""
    assert shift_crc(zlib.crc32(first), len(second)) ^ zlib.crc32(second) == zlib.crc32(first + second)


def test_a_long_shift() -> None:
    """Checksums are shifted by more than 4 GiB of text in no time: as often as that is long is never counted."""
    block = bytes(1_048_576)
    crc = once = zlib.crc32(b"text")
    for _ in range(64):
        crc = shift_crc(crc, len(block))
    assert crc == shift_crc(once, 64 * len(block))
    assert shift_crc(once, 2**40) != once


def test_nothing() -> None:
    """No text is a part, too, and damage is noticed."""
    assert join_parts([]) == EMPTY
    assert list(text_of(b"")) == []
    with pytest.raises(zlib.error):
        list(text_of(b"\xff" * 20))
