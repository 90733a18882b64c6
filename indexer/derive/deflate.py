"""Compressed texts that are put together without being compressed again. Pure.

A part ends at a byte and looks back at nothing before it (`Z_FULL_FLUSH`), so parts one after the other are one deflate
stream. A gzip member ends with the checksum of all of the text: that is reckoned from the parts' own.

RFC 1951 (deflate), RFC 1952 (gzip).
"""

import zlib
from collections.abc import Iterable, Iterator
from functools import cache

from indexer.value import value

LEVEL = 4  # 6 takes half as long again for 1 % less
_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))  # deflate, no name, no time, an unknown system
_END = b"\x03\x00"  # a last block without content
_POLYNOMIAL = 0xEDB88320  # of CRC-32, bits in the reflected order: the highest bit is that of x^0
_SLICE_BYTES = 262_144  # 256 KiB of a part give some 1.3 MB of text at a time


@value
class Part:
    """A compressed text.

    Attributes:
        body: raw deflate.
        size: of the text, in bytes.
        crc: of the text.
    """

    body: bytes
    size: int
    crc: int


EMPTY = Part(body=b"", size=0, crc=0)


def pack_part(text: bytes) -> Part:
    """Return the text as a part; the same text gives the same bytes."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Part(body=packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH), size=len(text), crc=zlib.crc32(text))


def text_of(body: bytes | memoryview) -> Iterator[bytes]:
    """Yield the text of a part piece by piece; zlib.error where it is damaged."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    view = memoryview(body)
    for start in range(0, len(view), _SLICE_BYTES):
        yield unpacker.decompress(view[start : start + _SLICE_BYTES])


def join_parts(parts: Iterable[Part]) -> Part:
    """Return the parts as one."""
    found = list(parts)
    body = b"".join([part.body for part in found])
    return Part(body=body, size=sum(part.size for part in found), crc=_crc_of(found))


def gzip_member(parts: Iterable[Part]) -> tuple[bytes, ...]:
    """Return one gzip member with these parts, in pieces: the parts' bytes are not copied."""
    found = list(parts)
    crc = _crc_of(found).to_bytes(4, "little")
    size = sum(part.size for part in found) & 0xFFFFFFFF  # "modulo 2^32"
    return (_HEADER, *(part.body for part in found), _END + crc + size.to_bytes(4, "little"))


def _crc_of(parts: Iterable[Part]) -> int:
    crc = 0
    for part in parts:
        crc = shift_crc(crc, part.size) ^ part.crc
    return crc


def shift_crc(crc: int, size: int) -> int:
    """Return what a checksum becomes when so many zero bytes' worth of text follow: the CRC times x^(8·size).

    CRC-32 is linear: the checksum of two texts is that of the first, shifted by the length of the second, XOR that of
    the second.
    """
    bit = 3
    while size and crc:
        if size & 1:
            crc = _times(crc, _power(bit))
        size, bit = size >> 1, bit + 1
    return crc


@cache
def _power(exponent: int) -> int:
    """Return x^(2^exponent) modulo the polynomial."""
    if exponent == 0:
        return 0x40000000  # x
    half = _power(exponent - 1)
    return _times(half, half)


def _times(one: int, other: int) -> int:
    product = 0
    while one:
        if one & 0x80000000:
            product ^= other
        one = (one << 1) & 0xFFFFFFFF
        other = (other >> 1) ^ (_POLYNOMIAL if other & 1 else 0)
    return product
