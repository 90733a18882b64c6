"""Frames come back, and nothing else does."""

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from indexer.frame import BadFrame, pack, unpack


@given(st.binary(max_size=2_000))
def test_round_trip(content: bytes) -> None:
    """What was packed is what is unpacked, and the same content gives the same bytes."""
    assert unpack(pack(content), limit=len(content)) == content
    assert pack(content) == pack(content)


def test_every_truncation_is_refused() -> None:
    """No beginning of a frame is one, and nothing may follow it."""
    body = pack(bytes(range(200)))
    for altered in [body[:length] for length in range(len(body))] + [body + b"\0", body + body]:
        with pytest.raises(BadFrame):
            unpack(altered, limit=1_000)


def test_every_altered_byte_is_noticed() -> None:
    """No byte of a frame can change so that other content comes out."""
    content = bytes(range(200)) * 3
    body = pack(content)
    for position in range(len(body)):
        for change in (0x01, 0x55, 0xFF):
            altered = bytearray(body)
            altered[position] ^= change
            try:
                assert unpack(bytes(altered), limit=1_000) == content
            except BadFrame:
                continue


@given(st.binary(max_size=200))
def test_noise_is_refused(body: bytes) -> None:
    """What is no frame is refused as that, with a magic number in front, too."""
    for noise in (body, zstandard.FRAME_HEADER + body):
        with pytest.raises(BadFrame):
            unpack(noise, limit=1_000)


def test_limit() -> None:
    """A frame that announces more than the limit is not unpacked, nor one that announces nothing."""
    body = pack(bytes(1_001))
    with pytest.raises(BadFrame, match="a frame of 1,001 bytes, more than the limit of 1,000"):
        unpack(body, limit=1_000)
    assert unpack(body, limit=1_001) == bytes(1_001)
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(b"content")
    with pytest.raises(BadFrame, match="does not say its size"):
        unpack(silent, limit=1_000)


def test_a_header_that_lies() -> None:
    """A frame that announces little and holds much is refused."""
    body = bytearray(pack(bytes(10_000)))
    honest = zstandard.frame_content_size(bytes(body))
    position = bytes(body).index((honest - 256).to_bytes(2, "little"))
    body[position : position + 2] = (300 - 256).to_bytes(2, "little")
    assert zstandard.frame_content_size(bytes(body)) == 300
    with pytest.raises(BadFrame):
        unpack(bytes(body), limit=1_000)
