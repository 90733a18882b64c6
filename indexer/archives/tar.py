"""Reading the members of a gzipped tar archive that may be hostile, to its end and in bounded memory and time.

The standard library's `tarfile` is for unpacking: it takes a broken header for the end of the archive, follows sizes as
they are, and parses extended headers in time that only their sender bounds. What is read here is what it and the other
readers agree on: ustar, pax and GNU's long names. What they read differently is refused.

POSIX.1-2001 "pax Interchange Format", the GNU tar manual, PEP 721 for what an installer accepts.
"""

import gzip
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import IO, Protocol

from indexer.archives.archive import (
    MAX_MEMBERS,
    MAX_RATIO,
    MAX_TEXT_BYTES,
    RATIO_FREE_BYTES,
    Contents,
    Excess,
    check_folders,
    check_paths,
    clean_path,
    file_size,
    refusal,
    translated,
)
from indexer.value import value

MAX_UNPACKED_BYTES = 1_073_741_824  # 1 GiB: it has to be inflated to its end to be known complete: up to 4 s of CPU
# All that describes members, but for the plain header of 512 bytes: 80 bytes for each of 100,000, or 2,000 headers of
# macOS' extended attributes.
MAX_EXTENDED_BYTES = 8_388_608
MAX_RECORDS = 200_000  # of extended headers, in all: two for each of 100,000 members
LEAST_MEMBER_BYTES = 16  # of the packed archive: a header with a name of its own takes more
FREE_MEMBERS = 20_000  # to be had in an archive of any size
BLOCK = 512
CHUNK_BYTES = 262_144  # 256 KiB

_REGULAR = frozenset(b"0\x007")
_LINKS = frozenset(b"12")
_FOLDER = ord("5")
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = (ord(letter) for letter in "xgLK")
_OCTAL = re.compile(rb" *([0-7]*) *")
_RECORD = re.compile(rb"([0-9]{1,10}) ")

_FAULTS = (OSError, EOFError, ValueError)  # zlib.error is no OSError; see below


@value
class _Header:
    """A member's header, extended ones taken into account; `link` is where a link goes."""

    name: str
    kind: int
    size: int
    link: str


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        ...


class _Unpacked:
    """The inflated bytes, which may only be so many."""

    def __init__(self, file: Readable, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._buffer = b""
        self._start = 0
        self._left = limit

    def is_empty(self) -> bool:
        """Tell whether there is nothing."""
        return self._left == self._limit

    def take(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        end = self._start + size
        if end > len(self._buffer):
            self._fill(size)
            end = size
        data = self._buffer[self._start : end]
        self._start += len(data)
        return data

    def _fill(self, size: int) -> None:
        """Have so many bytes at the start of the buffer, or all that is left."""
        parts = [self._buffer[self._start :]]
        missing = size - len(parts[0])
        while missing > 0 and (chunk := self._file.read(max(CHUNK_BYTES, missing))):
            self._left -= len(chunk)
            if self._left < 0:
                raise Excess(f"unpacks to more than {self._limit:,} bytes")
            parts.append(chunk)
            missing -= len(chunk)
        self._buffer, self._start = b"".join(parts), 0

    def skip(self, size: int) -> None:
        """Pass bytes by."""
        while size > 0:
            passed = len(self.take(min(size, CHUNK_BYTES)))
            if not passed:
                raise EOFError("a member is cut short")
            size -= passed


def read_tar_gz(file: IO[bytes], filename: str, *, wanted: Callable[[str], bool]) -> Contents:
    """Return the paths in a gzipped tar archive and the bytes of the wanted members.

    It is inflated to its end: only there gzip's checksum tells a whole archive from a truncated one.

    Args:
        file: seekable; its position does not matter.
        filename: what errors call the archive.

    Raises:
        InvalidValue: field `content`.
    """
    import zlib

    return read_tar(
        file,
        filename,
        wanted=wanted,
        unpack=lambda packed: gzip.GzipFile(fileobj=packed, mode="rb"),
        what="a complete gzipped tar archive",
        faults=(zlib.error,),
    )


def read_tar(
    file: IO[bytes],
    filename: str,
    *,
    wanted: Callable[[str], bool],
    unpack: Callable[[IO[bytes]], Readable],
    what: str,
    faults: tuple[type[Exception], ...] = (),
    max_bytes: int = MAX_UNPACKED_BYTES,
) -> Contents:
    """Return the paths in a tar archive, however it is packed, and the bytes of the wanted members.

    Args:
        unpack: makes of the packed file one that gives its content, at most as much at once as is asked for.
        what: what is accepted, for errors.
        faults: what `unpack` may raise, besides the usual.
        max_bytes: it may unpack to.

    Raises:
        InvalidValue: field `content`.
    """
    packed = file_size(file)
    limit = min(max_bytes, max(RATIO_FREE_BYTES, MAX_RATIO * packed))
    max_members = min(MAX_MEMBERS, FREE_MEMBERS + packed // LEAST_MEMBER_BYTES)
    file.seek(0)
    with translated((*_FAULTS, *faults), filename, what):
        reader = _Reader(_Unpacked(unpack(file), limit), filename, wanted)
        paths = check_paths(reader.names(), max_members=max_members, clean=True)
        check_folders(set(paths), reader.folders)
        return Contents(paths=frozenset(paths), texts=tuple(reader.texts))


class _Reader:
    """Goes through the members once.

    Attributes:
        texts: path and content of each wanted member that was passed.
        folders: the paths of those that are folders or links.
    """

    def __init__(self, data: _Unpacked, filename: str, wanted: Callable[[str], bool]) -> None:
        self.texts: list[tuple[str, bytes]] = []
        self.folders: set[str] = set()
        self._data = data
        self._filename = filename
        self._wanted = wanted
        self._text_room = MAX_TEXT_BYTES
        self._extended_room = MAX_EXTENDED_BYTES
        self._record_room = MAX_RECORDS

    def names(self) -> Iterator[str]:
        """Yield the members' names as they are written, having checked the rest of each header."""
        while (header := self._next()) is not None:
            self._check(header)
            yield header.name
            path = clean_path(header.name)
            if header.kind not in _REGULAR:
                self.folders.add(path)
            if self._wanted(path):
                self.texts.append((path, self._text(header)))
            else:
                self._data.skip(_padded(header.size))

    def _text(self, header: _Header) -> bytes:
        if header.kind not in _REGULAR or header.size > self._text_room:
            raise refusal(header.name, f"metadata is a regular file, and at most {MAX_TEXT_BYTES:,} bytes in all")
        self._text_room -= header.size
        return self._take(header.size)

    def _take(self, size: int) -> bytes:
        data = self._data.take(_padded(size))
        if len(data) != _padded(size):
            raise EOFError("a member is cut short")
        return data[:size]

    def _next(self) -> _Header | None:
        """Return the next member's header, or None at the end of the archive."""
        extended: dict[str, str] = {}
        while block := self._data.take(BLOCK):
            if not block.strip(b"\0"):
                self._end(extended)
                return None
            size, kind = _check_block(block), block[156]
            if kind in (_EXTENDED, _GLOBAL):
                records = self._records(size)
                if kind == _GLOBAL and not records.keys().isdisjoint({"path", "linkpath", "size"}):
                    raise refusal(self._filename, "a tar archive's global headers name no member")
                if kind == _EXTENDED:
                    self._extend(extended, records)
            elif kind in (_LONG_NAME, _LONG_LINK):
                text = _text_of(self._charged(size).partition(b"\0")[0])
                self._extend(extended, {"path" if kind == _LONG_NAME else "linkpath": text})
            else:
                return _member(block, kind, size, extended)
        self._end(extended)
        return None

    def _extend(self, extended: dict[str, str], more: dict[str, str]) -> None:
        if not extended.keys().isdisjoint(more):
            raise refusal(self._filename, "a member's name, link and size are told once")
        extended.update(more)

    def _end(self, extended: dict[str, str]) -> None:
        if extended or self._data.is_empty():
            raise EOFError("a header without its member, or nothing at all")
        while rest := self._data.take(CHUNK_BYTES):
            if rest.strip(b"\0"):
                raise refusal(self._filename, "nothing lies behind the end of a tar archive")

    def _charged(self, size: int) -> bytes:
        self._extended_room -= size
        if self._extended_room < 0:
            raise Excess(f"has more than {MAX_EXTENDED_BYTES:,} bytes of extended headers")
        return self._take(size)

    def _records(self, size: int) -> dict[str, str]:
        """Return an extended header's records: `"%d %s=%s\\n", <length>, <keyword>, <value>`."""
        data, position, found = self._charged(size), 0, {}
        while position < len(data):
            self._record_room -= 1
            if self._record_room < 0:
                raise Excess(f"has more than {MAX_RECORDS:,} records in extended headers")
            match = _RECORD.match(data, position)
            end = position + int(match[1]) if match else 0
            keyword, equals, text = data[match.end() : end - 1].partition(b"=") if match else (b"", b"", b"")
            if not equals or end > len(data) or data[end - 1 : end] != b"\n":
                raise ValueError("an extended header has a record of another form")
            if keyword.startswith(b"GNU.sparse"):
                raise refusal(self._filename, "an archive has no sparse files: readers differ in what is in them")
            if keyword in (b"path", b"linkpath", b"size"):
                found[keyword.decode()] = _text_of(text)
            position = end
        return found

    def _check(self, header: _Header) -> None:
        # PEP 721: the filter that installers use refuses devices, pipes, and links that leave the folder.
        if header.kind not in _LINKS:
            return
        target = header.link
        if header.kind == ord("2"):
            target = posixpath.join(posixpath.dirname(clean_path(header.name)), target)
        if "\\" in target or posixpath.normpath(target).startswith(("/", "..")):
            raise refusal(header.link, "an archive's links stay inside it")


def _check_block(block: bytes) -> int:
    """Return the size that a header names, once its checksum is right and its form is one that all read alike."""
    if len(block) < BLOCK:
        raise EOFError("a header is cut short")
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 32:
        raise ValueError("a header's checksum is wrong")
    return _number(block[124:136])


def _member(block: bytes, kind: int, size: int, extended: dict[str, str]) -> _Header:
    if "size" in extended:
        size = _decimal(extended["size"])
    name = extended.get("path")
    if name is None:
        name = _text_of(block[:100].partition(b"\0")[0])
        prefix = _text_of(block[345:500].partition(b"\0")[0])
        if prefix and block[257:262] == b"ustar":
            if block[262:263] == b" ":  # GNU's own format has times there, which tarfile takes for a path
                raise refusal(name, "a header of GNU's format has no times of access and change")
            name = f"{prefix}/{name}"
    if kind in _REGULAR and name.endswith("/"):  # "Old V7 tar format represents a directory" so
        kind = _FOLDER
    if kind not in _REGULAR and kind not in _LINKS and kind != _FOLDER:
        raise refusal(name, "an archive has files, folders and links: no devices, no pipes, nothing sparse")
    if kind not in _REGULAR and size:
        raise refusal(name, "a folder or a link has no content: readers differ in whether it is there")
    link = extended.get("linkpath")
    return _Header(
        name=name, kind=kind, size=size, link=_text_of(block[157:257].partition(b"\0")[0]) if link is None else link
    )


def _number(field: bytes) -> int:
    """Return a header's number: octal, or with its first bit set and then binary, as GNU has it."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    match = _OCTAL.fullmatch(field.partition(b"\0")[0])
    if match is None:
        raise ValueError("a header has no number where one must be, and none is negative")
    return int(match[1] or b"0", 8)


def _decimal(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError("an extended header's size is no number")
    return int(text)


def _text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
