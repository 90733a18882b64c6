"""ELF: dropping what a shared object carries for debuggers and linkers, and which glibc it needs.

The dynamic loader reads program headers only: they describe the segments, which are all that a program needs to run
(`man 5 elf`). Section headers, symbol tables and debug information lie outside the segments. So cutting off what no
segment covers is safe for any architecture, needs no binutils for it, and gives the same bytes everywhere. Pure.
"""

import re
import struct

MAGIC = b"\x7fELF\x02\x01"  # 64-bit, little-endian: both of Lambda's architectures

_E_PHOFF = 32  # u64, followed by e_shoff
_E_PHENTSIZE = 54  # u16, followed by e_phnum, e_shentsize, e_shnum, e_shstrndx
_HEADER_BYTES = 64

# The versions of the symbols that an object takes from glibc stand in its string table, each ended by a zero byte.
_GLIBC = re.compile(rb"\0GLIBC_2\.(\d{1,3})(?:\.\d+)?(?=\0)")


def strip(body: bytes) -> bytes:
    """Return a shared object without what lies behind its last segment; anything else is returned as it is."""
    if not body.startswith(MAGIC) or len(body) < _HEADER_BYTES:
        return body
    headers_offset, _ = struct.unpack_from("<QQ", body, _E_PHOFF)
    header_bytes, headers, section_bytes, _, _ = struct.unpack_from("<5H", body, _E_PHENTSIZE)
    end = headers_offset + header_bytes * headers
    for offset in range(headers_offset, end, header_bytes):
        segment_offset, _, _, segment_bytes = struct.unpack_from("<4Q", body, offset + 8)
        end = max(end, segment_offset + segment_bytes)
    stripped = bytearray(body[:end])
    struct.pack_into("<Q", stripped, _E_PHOFF + 8, 0)
    struct.pack_into("<5H", stripped, _E_PHENTSIZE, header_bytes, headers, section_bytes, 0, 0)
    return bytes(stripped)


def needed_glibc(body: bytes) -> int:
    """Return the minor version of glibc 2 that a shared object needs, or more; 0 when it needs none."""
    return max((int(minor) for minor in _GLIBC.findall(body)), default=0) if body.startswith(MAGIC) else 0
