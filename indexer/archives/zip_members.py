"""That all of a zip archive is what its directory says: each member's own header, its content, and nothing between.

Readers differ in whom they believe. pip and zipfile go by the directory, whoever unpacks while a file arrives goes by
the members' headers; uv refuses much of what is at odds, and the public index all of it. So here both must agree.

PKWARE's APPNOTE, 4.3.7 local file header, 4.3.9 data descriptor, 4.3.16 end of central directory record.
"""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from indexer.archives.archive import refusal
from indexer.errors import InvalidValue
from indexer.value import value

# What is inflated to compare it, smallest members first: 2.5 to 4 s of CPU. The rest of a larger wheel, which is a few
# shared objects of some hundred megabytes, is known by its headers.
MAX_VERIFIED_BYTES = 805_306_368  # 768 MiB
MAX_VERIFIED_PACKED_BYTES = 268_435_456  # 256 MiB: what deflates badly takes as long packed as unpacked
CHUNK_BYTES = 262_144  # 256 KiB

_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIBED_LATER = 0x08  # "crc-32, compressed size and uncompressed size are set to zero in the local header"
_UTF8 = 0x800
_COMPARED_FLAGS = 0x01 | _UTF8  # the others say how well it was deflated, or where sizes are
_ZIP64 = 0xFFFFFFFF
_EXTRA_ZIP64 = 1
_EXTRA_NAME = 0x7075  # "Info-ZIP Unicode Path Extra Field": a name that some readers prefer to the header's
MAX_VERSION_NEEDED = 63  # 6.3, the newest that there is


class Damage(InvalidValue):
    """A member's content is not what was packed: no reader can use it."""


@value
class Verified:
    """A member's content; `sha256` is None where it was beyond what is inflated."""

    size: int
    sha256: bytes | None


@value
class _Local:
    """A member's own header: what it says, and where the content begins."""

    flags: int
    method: int
    crc: int
    packed: int
    size: int
    name: bytes
    start: int


def verify_members(file: IO[bytes], archive: zipfile.ZipFile, filename: str) -> dict[str, Verified]:
    """Return the content of each member by name, folders left out, once headers, sizes and checksums agree.

    Raises:
        InvalidValue: field `content`.
    """
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    _check_count(file, archive, filename, len(members))
    inflated = _affordable(members)
    found: dict[str, Verified] = {}
    position = 0
    for member in members:
        if member.header_offset != position:
            raise refusal(
                filename, f"its directory names all that is in a zip archive, before {member.filename!r}, too"
            )
        local = _read_local(file, member)
        _compare(member, local)
        digest = _digest(file, member, local.start) if member.header_offset in inflated else None
        position = _end_of(file, member, local)
        if not member.is_dir():
            found[member.filename] = Verified(size=member.file_size, sha256=digest)
        elif member.file_size:
            raise refusal(member.filename, "a folder has no content")
    if position != archive.start_dir:
        raise refusal(filename, "its directory names all that is in a zip archive, at its end, too")
    return found


def _check_count(file: IO[bytes], archive: zipfile.ZipFile, filename: str, count: int) -> None:
    file.seek(-22 - len(archive.comment), 2)
    end = file.tell()
    told = struct.unpack("<H", file.read(22)[10:12])[0]
    if told == 0xFFFF and count != told and end >= 76:  # the zip64 record stands before its locator, of 20 bytes
        file.seek(end - 76)
        told = struct.unpack("<Q", file.read(56)[32:40])[0]
    if told != count:
        raise refusal(filename, f"a zip archive's end tells how many members there are: {told:,}, and it has {count:,}")
    if b"PK\x05\x06" in archive.comment:
        raise refusal(filename, "a zip archive has one end, and none in its comment")


def _affordable(members: list[zipfile.ZipInfo]) -> set[int]:
    """Return where the members are that are inflated."""
    room, packed_room, chosen = MAX_VERIFIED_BYTES, MAX_VERIFIED_PACKED_BYTES, set()
    for member in sorted(members, key=lambda member: (member.file_size, member.compress_size)):
        room -= member.file_size
        packed_room -= member.compress_size
        if room < 0 or packed_room < 0:
            break
        chosen.add(member.header_offset)
    return chosen


def _read_local(file: IO[bytes], member: zipfile.ZipInfo) -> _Local:
    file.seek(member.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) != _LOCAL.size or head[:4] != b"PK\x03\x04":
        raise refusal(member.filename, "a member has a header of its own where the directory says")
    _, needed, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(head)
    name, extra = file.read(name_length), file.read(extra_length)
    if needed & 0xFF > MAX_VERSION_NEEDED:
        raise refusal(member.filename, f"a member needs at most version 6.3 of zip, and not {(needed & 0xFF) / 10}")
    _check_other_name(member, name, extra + member.extra)
    if _ZIP64 in (packed, size):
        size, packed = _zip64_sizes(extra, size, packed)
    start = member.header_offset + _LOCAL.size + name_length + extra_length
    return _Local(flags=flags, method=method, crc=crc, packed=packed, size=size, name=name, start=start)


def _zip64_sizes(extra: bytes, size: int, packed: int) -> tuple[int, int]:
    for kind, content in _fields(extra):
        if kind == _EXTRA_ZIP64 and len(content) >= 16:
            return struct.unpack("<QQ", content[:16])
    return size, packed


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        yield kind, extra[position + 4 : position + 4 + length]
        position += 4 + length


def _check_other_name(member: zipfile.ZipInfo, name: bytes, extra: bytes) -> None:
    """Refuse a second name: Python reads it from 3.13 on, uv always, and what it is for is a name in UTF-8."""
    for kind, content in _fields(extra):
        if kind == _EXTRA_NAME and (content[5:] != name or not (name.isascii() or member.flag_bits & _UTF8)):
            raise refusal(member.orig_filename, f"a member has one name, and not {content[5:105]!r} as well")


def _compare(member: zipfile.ZipInfo, local: _Local) -> None:
    name = member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437")
    if local.name != name or member.filename != member.orig_filename:
        raise refusal(member.filename, f"a member's own header has its name, and not {local.name[:100]!r}")
    if local.method != member.compress_type or (local.flags ^ member.flag_bits) & _COMPARED_FLAGS:
        raise refusal(member.filename, "a member's own header has the method and the flags that the directory has")
    told = (local.crc, local.packed, local.size)
    if told != (member.CRC, member.compress_size, member.file_size) and not (
        local.flags & _DESCRIBED_LATER and all(number in (0, _ZIP64) for number in told[1:]) and not local.crc
    ):
        raise refusal(member.filename, "a member's own header has the checksum and the sizes that the directory has")


def _digest(file: IO[bytes], member: zipfile.ZipInfo, start: int) -> bytes:
    """Return the sha256 of a member's content, once it is as long as it should be and has its checksum."""
    digest, crc, size = hashlib.sha256(), 0, 0
    for chunk in _inflate(file, member, start):
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
    if (crc, size) != (member.CRC, member.file_size):
        raise Damage(
            "content", member.filename, "a member has the length and the checksum (CRC-32) that its header tells"
        )
    return digest.digest()


def _inflate(file: IO[bytes], member: zipfile.ZipInfo, start: int) -> Iterator[bytes]:
    """Yield a member's content, at most a byte more than it should have."""
    file.seek(start)
    read = _packed_chunks(file, member.compress_size)
    if member.compress_type == zipfile.ZIP_STORED:
        yield from read
        return
    inflater, room = zlib.decompressobj(-zlib.MAX_WBITS), member.file_size + 1
    for packed in read:
        while packed and room > 0:
            chunk = inflater.decompress(packed, min(room, CHUNK_BYTES))
            room -= len(chunk)
            yield chunk
            packed = inflater.unconsumed_tail
        if inflater.unused_data or room <= 0:
            break
    if not inflater.eof or inflater.unused_data:
        raise Damage("content", member.filename, "a member is one deflated stream, and ends with it")


def _packed_chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
        size -= len(chunk)
        yield chunk


def _end_of(file: IO[bytes], member: zipfile.ZipInfo, local: _Local) -> int:
    """Return where the next member begins: behind the data descriptor, if there is one."""
    end = local.start + member.compress_size
    if not local.flags & _DESCRIBED_LATER:
        return end
    file.seek(end)
    descriptor = file.read(24)
    sizes = (member.CRC, member.compress_size, member.file_size)
    for form in ("<4sLLL", "<4sLQQ", "<LLL", "<LQQ"):  # "the signature … may or may not be there"
        length = struct.calcsize(form)
        found = struct.unpack(form, descriptor[:length]) if len(descriptor) >= length else ()
        if found in (sizes, (b"PK\x07\x08", *sizes)):
            return end + length
    raise refusal(member.filename, "a member's data descriptor has the checksum and the sizes that the directory has")
