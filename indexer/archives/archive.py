"""Reading a few members of an archive that may be hostile: complete, plainly named, no bomb.

Memory stays bounded whatever the archive says of itself: it is never read whole, and never unpacked to disk. Knows zip,
and what it has in common with tar (`indexer.archives.tar`); not wheels, sdists or metadata
(`indexer.distributions.distribution`). That all of a zip archive is as its directory says is
`indexer.archives.zip_members`'s to check.

PKWARE's APPNOTE for zip, Fifield's "A better zip bomb" for why declared sizes and ratios are looked at before anything
is inflated.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from itertools import pairwise
from typing import IO

from indexer.errors import InvalidValue
from indexer.value import value

MAX_MEMBERS = 100_000  # several times the largest wheels known; each costs memory here and an inode at the installer
MAX_NAME_BYTES = 255  # of a file or a folder, on every file system
MAX_PATH_BYTES = 1_024  # Linux has 4,096, of which where it is installed takes some
MAX_LISTING_BYTES = 16_777_216  # 16 MiB of member names and headers: 100,000 members of 160 bytes
MAX_TEXT_BYTES = 4_194_304  # 4 MiB in all of what is read: metadata with its description, rarely over 1 MiB
RATIO_FREE_BYTES = 67_108_864  # 64 MiB: what unpacks to less harms nobody, however well it was compressed
MAX_RATIO = 100  # deflate reaches 1,032 on zeros; source, data and machine code stay under 20

# zipfile answers damage with more than its own errors: the codec's, struct's, negative seeks, deep recursion.
ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, OverflowError, RuntimeError, ValueError)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_ODD = frozenset({"", ".", ".."})


@value
class Contents:
    """What was found in an archive.

    Attributes:
        paths: every member's path, folders too, without a trailing slash.
        texts: path and exact bytes of each member that was wanted.
    """

    paths: frozenset[str]
    texts: tuple[tuple[str, bytes], ...]


def read_zip(
    file: IO[bytes],
    filename: str,
    *,
    wanted: Callable[[str], bool],
    clean: bool = False,
    see: Callable[[zipfile.ZipFile], None] = lambda archive: None,
) -> Contents:
    """Return the paths in a zip archive and the bytes of the wanted members.

    Args:
        file: seekable; its position does not matter.
        filename: what errors call the archive.
        clean: as `check_paths` has it.
        see: called with the archive, once its directory is known to be sane.

    Raises:
        InvalidValue: field `content`.
    """
    with translated(ZIP_FAULTS, filename, "a complete zip archive"):
        metered = Metered(file, MAX_LISTING_BYTES)
        with zipfile.ZipFile(metered) as archive:
            members = archive.infolist()
            _check_frame(file, archive, filename)
            _check_zip_members(members)
            _check_ratio(sum(member.file_size for member in members), file_size(file), filename)
            paths = check_paths((member.orig_filename for member in members), clean=clean)
            if len(set(paths)) != len(paths):
                raise refusal(filename, "a zip archive has each member once")
            path_of = clean_path if clean else _plain
            check_folders(paths, {path_of(member.filename) for member in members if member.is_dir()})
            chosen = [(path_of(member.filename), member) for member in members if not member.is_dir()]
            chosen = [(path, member) for path, member in chosen if wanted(path)]
            if sum(member.file_size for _, member in chosen) > MAX_TEXT_BYTES:
                raise refusal(filename, f"metadata has at most {MAX_TEXT_BYTES:,} bytes")
            metered.allow(file_size(file))
            texts = tuple((path, _read_zip_member(archive, member)) for path, member in chosen)
            see(archive)
            return Contents(paths=frozenset(paths), texts=texts)


def _read_zip_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        # never `archive.read()`: without a length zipfile inflates all there is before it looks at the declared size
        data = stream.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise EOFError("a member is cut short")
    return data


def _check_zip_members(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise refusal(member.filename, "a zip archive has no links: installers would write them as files")
        if member.flag_bits & 0x1:
            raise refusal(member.filename, "an archive is not encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # zipfile inflates the other methods without a bound on what comes out
            raise refusal(member.filename, "a zip archive's members are stored or deflated")


def _check_frame(file: IO[bytes], archive: zipfile.ZipFile, filename: str) -> None:
    """Refuse bytes in front of or behind the archive.

    A truncated archive that holds another zip, stored, ends in the inner one's directory: zipfile would read that one.
    """
    file.seek(-22 - len(archive.comment), 2)
    ended = file.read(4) == b"PK\x05\x06"
    # zipfile adds to each offset what the directory says too little about the bytes in front of it.
    begun = min((member.header_offset for member in archive.infolist()), default=-1) == 0
    if begun:
        file.seek(0)
        begun = file.read(4) == b"PK\x03\x04"
    if not (begun and ended):
        raise refusal(filename, "a zip archive begins at the first byte of its file and ends at the last")


def _check_ratio(unpacked: int, packed: int, filename: str) -> None:
    if unpacked > max(RATIO_FREE_BYTES, MAX_RATIO * packed):
        raise refusal(filename, f"an archive of {packed:,} bytes does not unpack to {unpacked:,}")


def check_paths(names: Iterable[str], *, max_members: int = MAX_MEMBERS, clean: bool = False) -> list[str]:
    """Return the members' plain paths after refusing any that could be written outside of the installer's folder.

    Args:
        clean: take `a//b` and `a/./b` for `a/b`, as whatever unpacks an sdist does.
    """
    paths: list[str] = []
    room = MAX_LISTING_BYTES
    for count, name in enumerate(names, start=1):
        path = clean_path(name) if clean else _plain(name)
        room -= len(name)
        if room < 0 or count > max_members:
            raise refusal(
                path, f"an archive has at most {max_members:,} members and {MAX_LISTING_BYTES:,} bytes of names"
            )
        if name in (".", "./"):  # the root, as `tar c .` writes it
            continue
        if (
            _CONTROL.search(name)
            or "\\" in name
            or name.startswith("/")
            or _DRIVE.match(name)
            or not _ODD.isdisjoint(path.split("/"))
        ):
            raise refusal(name, "a member's path is relative, without '..', backslash or control character")
        if len(name) * 4 > MAX_NAME_BYTES:  # a character takes up to four
            _check_length(path)
        paths.append(path)
    return paths


def _check_length(path: str) -> None:
    raw = path.encode("utf-8", "surrogateescape")
    if len(raw) > MAX_PATH_BYTES or max(map(len, raw.split(b"/"))) > MAX_NAME_BYTES:
        raise refusal(path[:200], f"a path has at most {MAX_PATH_BYTES:,} bytes, and each name {MAX_NAME_BYTES}")


def check_folders(paths: Iterable[str], folders: Set[str]) -> None:
    """Refuse a file that is also the folder of another: nobody can unpack both.

    Args:
        folders: those of the paths that are said to be folders.
    """
    # NUL, which no path has, comes first: what is below a file comes right behind it.
    ordered = sorted(path.replace("/", "\0") for path in paths)
    for one, other in pairwise(ordered):
        if other.startswith(one + "\0") and (path := one.replace("\0", "/")) not in folders:
            raise refusal(path, f"a path is a file's or a folder's: {other.replace(chr(0), '/')[:200]!r} is below it")


def clean_path(name: str) -> str:
    """Return a path as it comes out of whatever unpacks it: without `.`, empty parts and a slash at the end."""
    if "./" not in name and "//" not in name and not name.endswith("/."):
        return name.removesuffix("/")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _plain(name: str) -> str:
    """Return a member's path without `./` in front, as `tar c ./x` writes it, and without a folder's trailing slash."""
    return name.removeprefix("./").removesuffix("/")


def file_size(file: IO[bytes]) -> int:
    """Return a file's size in bytes, at whose end it is left."""
    return file.seek(0, 2)


def refusal(value: str, accepted: str) -> InvalidValue:
    """Return the refusal of an archive's content."""
    return InvalidValue("content", value, accepted)


class Excess(Exception):
    """An archive made its reader ask for more than was allowed; says what it does."""


class Metered(io.BufferedIOBase):
    """A file that gives so many bytes and no more: zipfile reads lengths that the archive itself names."""

    def __init__(self, file: IO[bytes], allowance: int) -> None:
        self._file = file
        self._left = allowance

    def allow(self, size: int) -> None:
        """Give up to so many bytes from here on."""
        self._left = size

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size` where that is not negative."""
        bound = self._left + 1
        data = self._file.read(bound if size is None or size < 0 else min(size, bound))
        self._left -= len(data)
        if self._left < 0:
            raise Excess("its headers are larger than any real archive's")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Tell that it can be sought in."""
        return True


@contextmanager
def translated(faults: tuple[type[Exception], ...], filename: str, what: str) -> Iterator[None]:
    """Turn a library's faults, and what is in excess, into refusals."""
    try:
        yield
    except Excess as excess:
        raise refusal(filename, f"{what} within bounds is accepted: this one {excess}") from None
    except faults as fault:
        raise refusal(filename, f"{what} is accepted: {fault}") from fault
