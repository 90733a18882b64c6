"""METADATA out of a mirrored wheel, found where pip finds it: whoever asks for it gets the wheel as well.

Publishing reads archives strictly (`indexer.archives.archive`); here what an installer passes over does no harm, and
refusing it would keep a client from a wheel that it can install. What stays are the bounds: on the directory, on what
is read of a member, and on what it unpacks to. Nothing is unpacked by `zipfile`, which inflates bzip2 and LZMA without
a limit.

pip: exactly one `.dist-info` folder at the top, whose name begins with the project's; the last of members that are
called the same counts. PKWARE's APPNOTE: 4.3.7 (local headers), 4.4.5 (methods), 5.8.8 (LZMA).
"""

import io
import lzma
import struct
import zipfile
import zlib
from bz2 import BZ2Decompressor
from collections.abc import Callable, Mapping
from typing import IO, Any

from indexer.archives.archive import ZIP_FAULTS, Excess, Metered
from indexer.distributions.metadata_identity import find_version
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, normalize_spelling

MAX_DIRECTORY_BYTES = 16_777_216  # 16 MiB: that of tensorflow has 2.9 MB
MAX_MEMBER_BYTES = 4_194_304  # 4 MiB, packed and unpacked: METADATA with its description is rarely over 1 MiB
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # the signature, and the lengths of name and extra field
_LZMA_HEADER = struct.Struct("<2xHBI")  # the length of the properties, lc/lp/pb, the dictionary's size
_LZMA_PROPERTIES_BYTES = 5
_MIN_DICTIONARY_BYTES = 4_096
_ENCRYPTED = 0x1
_FAULTS = (*ZIP_FAULTS, lzma.LZMAError, LookupError)


def read_metadata(file: IO[bytes], filename: Filename, project: ProjectName) -> bytes:
    """Return a wheel's METADATA, to the byte; it names the project, and some version.

    Args:
        file: seekable; only the archive's directory and this member are read.
        filename: what errors call the wheel.

    Raises:
        InvalidValue: field `content`: no installer would find it, or it is beyond bounds.
    """
    try:
        metered = Metered(file, MAX_DIRECTORY_BYTES)
        with zipfile.ZipFile(metered) as archive:
            member = _find_member(archive.infolist(), project)
        metered.allow(MAX_MEMBER_BYTES + 2 * 65_536)  # with a local header's name and extra field
        body = _read_member(metered, member)
    except Excess:
        raise _unreadable(filename, "its headers are longer than any real wheel's") from None
    except _FAULTS as fault:
        raise _unreadable(filename, fault) from None
    if find_version(body, project) is None:
        raise InvalidValue("content", filename, "its METADATA names this project and a version")
    return body


def _unreadable(filename: Filename, why: object) -> InvalidValue:
    return InvalidValue("content", filename, f"a wheel that an installer can read has METADATA: {why}")


def _find_member(members: list[zipfile.ZipInfo], project: ProjectName) -> zipfile.ZipInfo:
    # On Windows, and there alone, `zipfile` takes a backslash for a slash.
    for paths in ([member.filename for member in members], [member.filename.replace("\\", "/") for member in members]):
        folders = {top for path in paths if (top := path.partition("/")[0]).endswith(".dist-info")}
        if folders:
            return _last_metadata(members, paths, _only(folders, project))
    raise LookupError("it has no .dist-info folder")


def _only(folders: set[str], project: ProjectName) -> str:
    if len(folders) > 1:
        raise LookupError(f"it has several .dist-info folders: {', '.join(sorted(folders)[:5])}")
    (folder,) = folders
    if not normalize_spelling(folder).startswith(project):
        raise LookupError(f"its .dist-info folder {folder!r} is not that of {project!r}")
    return folder


def _last_metadata(members: list[zipfile.ZipInfo], paths: list[str], folder: str) -> zipfile.ZipInfo:
    last: Mapping[str, zipfile.ZipInfo] = dict(zip(paths, members, strict=True))
    found = [last[path] for path in paths if path.startswith(folder + "/") and _is_metadata(path[len(folder) + 1 :])]
    if not found:
        raise LookupError(f"it has no file {folder}/METADATA")
    return found[-1]


def _is_metadata(path: str) -> bool:
    """Tell whether a path below the folder is METADATA once it is read as a path: `./METADATA` is, `/METADATA` not."""
    return not path.startswith("/") and [part for part in path.split("/") if part not in ("", ".")] == ["METADATA"]


def _read_member(file: Metered, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        raise ValueError("its METADATA is encrypted")
    if max(member.compress_size, member.file_size) > MAX_MEMBER_BYTES:
        raise ValueError(f"its METADATA has more than {MAX_MEMBER_BYTES:,} bytes")
    file.seek(member.header_offset)
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise ValueError("its directory points to no member")
    file.seek(name_length + extra_length, io.SEEK_CUR)
    unpack = _METHODS.get(member.compress_type)
    if unpack is None:
        raise ValueError(f"its METADATA is packed by method {member.compress_type}")
    body = unpack(file.read(member.compress_size), member.file_size)
    if len(body) != member.file_size or zlib.crc32(body) != member.CRC:
        raise ValueError("its METADATA is damaged")
    return body


def _stored(packed: bytes, _size: int) -> bytes:
    return packed


def _inflated(packed: bytes, size: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)


def _bunzipped(packed: bytes, size: int) -> bytes:
    return _drained(BZ2Decompressor(), packed, size)


def _unlzmaed(packed: bytes, size: int) -> bytes:
    length, properties, dictionary = _LZMA_HEADER.unpack_from(packed)
    if length != _LZMA_PROPERTIES_BYTES:
        raise ValueError("its METADATA has an LZMA header of another kind")
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    # The header may ask for 4 GiB; nothing refers further back than what is unpacked is long.
    dict_size = max(_MIN_DICTIONARY_BYTES, min(dictionary, size))
    chain = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": dict_size}]
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
    return _drained(unpacker, packed[_LZMA_HEADER.size :], size)


def _drained(unpacker: Any, packed: bytes, size: int) -> bytes:
    """Return what comes out, up to a byte more than should."""
    body = unpacker.decompress(packed, size + 1)
    while len(body) <= size and not unpacker.eof and not unpacker.needs_input:
        more = unpacker.decompress(b"", size + 1 - len(body))
        if not more:
            break
        body += more
    return bytes(body)


_METHODS: Mapping[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_STORED: _stored,
    zipfile.ZIP_DEFLATED: _inflated,
    zipfile.ZIP_BZIP2: _bunzipped,
    zipfile.ZIP_LZMA: _unlzmaed,
}
