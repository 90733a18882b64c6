"""Frames come back, whichever library made them, and nothing else does."""

from base64 import b64decode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.frame import BadFrame, pack, unpack
from indexer.zstd import read_size

MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
CHECKSUM = 0b0000_0100  # of the byte behind it, 3.1.1.1.1
SAMPLE = b"".join(b"name-%d\n" % number for number in range(0, 200, 7))
# By zstandard 0.25.0, and by compression.zstd of Python 3.14.10 and 3.15.2, with libzstd 1.5.7 all of them.
STORED = (
    "KLUv/ST0vQIAhANuYW1lLTAKNzE0MjE4MzU0Mjk1NjYzNzA3ODQ5MTgxMDExMjkyNjMzNDA3NTQ2MTg3NTgyOTk2Ch"
    "yoEFDdHMCTaxASTB/Kur27ky2Kexu/+w5zXKClXNldOg=="
)


@given(st.binary(max_size=2_000))
def test_round_trip(content: bytes) -> None:
    """What was packed is what is unpacked, and the same content gives the same bytes."""
    assert unpack(pack(content), limit=len(content)) == content
    assert pack(content) == pack(content)


@given(st.binary(max_size=2_000))
def test_a_frame_says_its_size_and_has_a_checksum(content: bytes) -> None:
    """Whoever reads a frame knows first how much it is, and afterwards that it was not altered."""
    body = pack(content)
    assert body[:4] == MAGIC
    assert body[4] & CHECKSUM
    assert read_size(body) == len(content)


@pytest.mark.parametrize("size", [0, 1, 131_071, 131_072, 131_073, 1_000_000])
def test_blocks(size: int) -> None:
    """A content of exactly one block, and of many, comes back whole; zstd's blocks have 128 KiB."""
    content = bytes(number * number % 251 for number in range(size))
    assert unpack(pack(content), limit=size) == content


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(200))])
def test_every_truncation_is_refused(content: bytes) -> None:
    """No beginning of a frame is one, that of an empty content neither, and nothing may follow it."""
    body = pack(content)
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
@example(b"0\0")  # a header that says that nothing follows
def test_noise_is_refused(body: bytes) -> None:
    """What is no frame is refused as that, with a magic number in front, too."""
    for noise in (body, MAGIC + body):
        with pytest.raises(BadFrame):
            unpack(noise, limit=1_000)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_a_frame_to_be_skipped_is_none(content: bytes) -> None:
    """What decoders pass over holds nothing: RFC 8878 has such frames for what users put between others."""
    skippable = b"\x50\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
    for body in (skippable, skippable + pack(b"content")):
        with pytest.raises(BadFrame, match="no frame"):
            unpack(body, limit=1_000)


def test_limit() -> None:
    """A frame that announces more than the limit is not unpacked, nor one that announces nothing."""
    body = pack(bytes(1_001))
    with pytest.raises(BadFrame, match="a frame of 1,001 bytes, more than the limit of 1,000"):
        unpack(body, limit=1_000)
    assert unpack(body, limit=1_001) == bytes(1_001)
    silent = MAGIC + b"\0\x58\x39\0\0content"  # a window, then one raw block that is the last
    with pytest.raises(BadFrame, match="does not say its size"):
        unpack(silent, limit=1_000)


def test_a_header_that_lies() -> None:
    """A frame that announces less or more than it holds is refused."""
    body = bytearray(pack(bytes(10_000)))
    position = bytes(body).index((10_000 - 256).to_bytes(2, "little"))
    for told in (300, 9_999, 10_001, 20_000):
        body[position : position + 2] = (told - 256).to_bytes(2, "little")
        assert read_size(bytes(body)) == told
        with pytest.raises(BadFrame):
            unpack(bytes(body), limit=100_000)


def test_a_stored_frame_is_read() -> None:
    """A store that one Python wrote is read by every other."""
    assert unpack(b64decode(STORED), limit=len(SAMPLE)) == SAMPLE


@pytest.mark.parametrize("level", [3, 9])
def test_where_both_libraries_are_each_reads_the_other(level: int) -> None:
    """What the standard library makes is read here, and what is made here is read by it, alike in every byte."""
    zstd = pytest.importorskip("compression.zstd", reason="new in Python 3.14")
    parameter = zstd.CompressionParameter
    theirs = zstd.compress(SAMPLE, options={parameter.compression_level: level, parameter.checksum_flag: 1})
    assert unpack(theirs, limit=len(SAMPLE)) == SAMPLE
    assert zstd.decompress(pack(SAMPLE, level)) == SAMPLE
