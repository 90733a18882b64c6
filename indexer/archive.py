"""Reading a few members of an archive that may be hostile: complete, plainly named, no bomb.

Memory stays bounded whatever the archive says of itself: it is never read whole, and never unpacked to disk. Knows zip
and tar, not wheels, sdists or metadata (`indexer.distribution`).

PKWARE's APPNOTE for zip, POSIX.1-2001 "pax" for tar, PEP 721 for what an installer accepts of a tar, Fifield's "A
better zip bomb" for why declared sizes and ratios are looked at before anything is inflated.
"""

import gzip
import io
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from indexer.errors import InvalidValue
from indexer.value import value

MAX_MEMBERS = 100_000  # several times the largest wheels known; each costs memory here and an inode at the installer
MAX_LISTING_BYTES = 16_777_216  # 16 MiB of member names and headers: 100,000 members of 160 bytes
MAX_TEXT_BYTES = 4_194_304  # 4 MiB in all of what is read: metadata with its description, rarely over 1 MiB
MAX_HEADER_BYTES = 1_048_576  # 1 MiB of tar headers per member: a long path takes 2 KiB, macOS' attributes some more
MAX_PAX_GLOBALS = 100  # git archive writes one; every one stays in memory
MAX_UNPACKED_BYTES = (
    2_147_483_648  # 2 GiB: a tar.gz has to be inflated to its end to be known complete, some 5 s of CPU
)
RATIO_FREE_BYTES = 67_108_864  # 64 MiB: what unpacks to less harms nobody, however well it was compressed
MAX_RATIO = 100  # deflate reaches 1,032 on zeros; source, data and machine code stay under 20
SKIP_BYTES = 65_536  # 64 KiB per read of what is only inflated to see that it is whole

# Both libraries answer damage with more than their own errors: the codec's, struct's, negative seeks, deep recursion.
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, OverflowError, RuntimeError, ValueError)
_TAR_FAULTS = (tarfile.TarError, zlib.error, struct.error, OSError, EOFError, OverflowError, RuntimeError, ValueError)
_BLOCK_BYTES = 512  # of a tar header
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


def read_zip(file: IO[bytes], filename: str, *, wanted: Callable[[str], bool], from_its_end: bool = False) -> Contents:
    """Return the paths in a zip archive and the bytes of the wanted members.

    The members' CRCs are checked for what is read only: inflating all of a wheel costs seconds of Lambda time, its
    length is proven by the directory at its end, and clients send digests against damage on the way.

    Args:
        file: seekable; its position does not matter.
        filename: what errors call the archive.
        from_its_end: whether to leave out the look at its first bytes, which are far away where it is read over HTTP.

    Raises:
        InvalidValue: field `content`.
    """
    with _translated(_ZIP_FAULTS, filename, "a complete zip archive"):
        metered = _Metered(file, MAX_LISTING_BYTES)
        with zipfile.ZipFile(metered) as archive:
            members = archive.infolist()
            _check_frame(file, archive, filename, from_its_end=from_its_end)
            _check_zip_members(members)
            _check_ratio(sum(member.file_size for member in members), _size(file), filename)
            paths = _check_paths(member.orig_filename for member in members)
            if len(set(paths)) != len(paths):
                raise _refusal(filename, "a zip archive has each member once")
            chosen = [member for member in members if wanted(_plain(member.filename)) and not member.is_dir()]
            if sum(member.file_size for member in chosen) > MAX_TEXT_BYTES:
                raise _refusal(filename, f"metadata has at most {MAX_TEXT_BYTES:,} bytes")
            metered.allow(_size(file))
            texts = tuple((_plain(member.filename), _read_zip_member(archive, member)) for member in chosen)
            return Contents(paths=frozenset(paths), texts=texts)


def _read_zip_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        # never `archive.read()`: without a length zipfile inflates all there is before it looks at the declared size
        data = stream.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise EOFError("a member is cut short")
    return data


def read_tar_gz(file: IO[bytes], filename: str, *, wanted: Callable[[str], bool]) -> Contents:
    """Return the paths in a gzipped tar archive and the bytes of the wanted members.

    It is inflated to its end: only there gzip's checksum tells a whole archive from a truncated one.

    Args:
        file: seekable; its position does not matter.
        filename: what errors call the archive.

    Raises:
        InvalidValue: field `content`.
    """
    limit = min(MAX_UNPACKED_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * _size(file)))
    file.seek(0)
    with (
        _translated(_TAR_FAULTS, filename, "a complete gzipped tar archive"),
        gzip.GzipFile(fileobj=file, mode="rb") as unpacked,
    ):
        metered = _Metered(unpacked, MAX_HEADER_BYTES, end=limit)
        with tarfile.open(fileobj=metered, mode="r:") as archive:
            contents = _read_tar(archive, metered, filename, wanted)
        while unpacked.read(SKIP_BYTES):
            if unpacked.tell() > limit:
                raise _Excess(f"unpacks to more than {limit:,} bytes")
        return contents


def _read_tar(archive: tarfile.TarFile, metered: "_Metered", filename: str, wanted: Callable[[str], bool]) -> Contents:
    texts: list[tuple[str, bytes]] = []

    def names() -> Iterator[str]:
        room = MAX_TEXT_BYTES
        while (member := _next_member(archive, metered, filename)) is not None:
            yield member.name
            if wanted(path := _plain(member.name)):
                texts.append((path, _read_tar_member(archive, metered, member, room)))
                room -= member.size

    return Contents(paths=frozenset(_check_paths(names())), texts=tuple(texts))


def _next_member(archive: tarfile.TarFile, metered: "_Metered", filename: str) -> tarfile.TarInfo | None:
    metered.allow(MAX_HEADER_BYTES)
    member = archive.next()
    archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header it has seen, up to a MiB each
    if len(archive.pax_headers) > MAX_PAX_GLOBALS:
        raise _refusal(filename, f"a tar archive has at most {MAX_PAX_GLOBALS} global headers")
    if member is not None:
        _check_tar_member(member)
    elif any(metered.last_read):
        # tarfile ends at a header that it cannot read as it does at a block of zeros.
        raise _refusal(filename, "a tar archive ends with its last member: this one has a header that cannot be read")
    return member


def _read_tar_member(archive: tarfile.TarFile, metered: "_Metered", member: tarfile.TarInfo, room: int) -> bytes:
    if not member.isreg() or member.issparse() or member.size > room:
        raise _refusal(member.name, f"metadata is a regular file, and at most {MAX_TEXT_BYTES:,} bytes in all")
    metered.allow(member.size)
    stream = archive.extractfile(member)
    data = b"" if stream is None else stream.read(member.size)
    if len(data) != member.size:
        raise EOFError("a member is cut short")
    return data


def _check_tar_member(member: tarfile.TarInfo) -> None:
    # PEP 721: the filter that installers use refuses devices, pipes, and links that leave the folder.
    if member.isdev() or member.size < 0:
        raise _refusal(member.name, "an archive has no devices, no pipes and no negative sizes")
    if member.issym():
        target = posixpath.join(posixpath.dirname(_plain(member.name)), member.linkname)
    elif member.islnk():
        target = member.linkname
    else:
        return
    if "\\" in target or posixpath.normpath(target).startswith(("/", "..")):
        raise _refusal(member.linkname, "an archive's links stay inside it")


def _check_zip_members(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refusal(member.filename, "a zip archive has no links: installers would write them as files")
        if member.flag_bits & 0x1:
            raise _refusal(member.filename, "an archive is not encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # zipfile inflates the other methods without a bound on what comes out
            raise _refusal(member.filename, "a zip archive's members are stored or deflated")


def _check_frame(file: IO[bytes], archive: zipfile.ZipFile, filename: str, *, from_its_end: bool) -> None:
    """Refuse bytes in front of or behind the archive.

    A truncated archive that holds another zip, stored, ends in the inner one's directory: zipfile would read that one.
    """
    file.seek(-22 - len(archive.comment), 2)
    ended = file.read(4) == b"PK\x05\x06"
    # zipfile adds to each offset what the directory says too little about the bytes in front of it.
    begun = min((member.header_offset for member in archive.infolist()), default=-1) == 0
    if begun and not from_its_end:
        file.seek(0)
        begun = file.read(4) == b"PK\x03\x04"
    if not (begun and ended):
        raise _refusal(filename, "a zip archive begins at the first byte of its file and ends at the last")


def _check_ratio(unpacked: int, packed: int, filename: str) -> None:
    if unpacked > max(RATIO_FREE_BYTES, MAX_RATIO * packed):
        raise _refusal(filename, f"an archive of {packed:,} bytes does not unpack to {unpacked:,}")


def _check_paths(names: Iterable[str]) -> list[str]:
    """Return the members' plain paths after refusing any that could be written outside of the installer's folder."""
    paths: list[str] = []
    room = MAX_LISTING_BYTES
    for count, name in enumerate(names, start=1):
        path = _plain(name)
        room -= len(path)
        if room < 0 or count > MAX_MEMBERS:
            raise _refusal(
                path, f"an archive has at most {MAX_MEMBERS:,} members and {MAX_LISTING_BYTES:,} bytes of names"
            )
        if name in (".", "./"):  # the root, as `tar c .` writes it
            continue
        if _CONTROL.search(name) or "\\" in name or _DRIVE.match(name) or not _ODD.isdisjoint(path.split("/")):
            raise _refusal(name, "a member's path is relative, without '..', backslash or control character")
        paths.append(path)
    return paths


def _plain(name: str) -> str:
    """Return a member's path without `./` in front, as `tar c ./x` writes it, and without a folder's trailing slash."""
    return name.removeprefix("./").removesuffix("/")


def _size(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _refusal(value: str, accepted: str) -> InvalidValue:
    return InvalidValue("content", value, accepted)


class _Excess(Exception):
    """An archive made its reader ask for more than was allowed."""


class _Metered(io.BufferedIOBase):
    """A file that gives so many bytes and no more: zipfile and tarfile read lengths that the archive itself names.

    Attributes:
        last_read: what the last call of `read` returned.
    """

    def __init__(self, file: IO[bytes] | gzip.GzipFile, allowance: int, *, end: int | None = None) -> None:
        self._file = file
        self._left = allowance
        self._end = end
        self.last_read = b""

    def allow(self, size: int) -> None:
        """Give up to so many bytes from here on."""
        self._left = size

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size` where that is not negative."""
        bound = self._left + 1
        data = self._file.read(bound if size is None or size < 0 else min(size, bound))
        self._left -= len(data)
        if self._left < 0:
            raise _Excess("its headers are larger than any real archive's")
        if self._end is not None and _is_negative(data):
            raise _Excess("has a member of negative size")
        self.last_read = data
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position; where an end was set, only forwards and only so far.

        Older tarfiles follow negative sizes backwards, for ever (CVE-2025-8194, fixed in 3.11.14, 3.12.12 and 3.13.6).
        """
        if self._end is not None:
            if offset > self._end:
                raise _Excess(f"unpacks to more than {self._end:,} bytes")
            if offset < self.tell():
                raise _Excess("has a member of negative size")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Tell that it can be sought in."""
        return True


def _is_negative(block: bytes) -> bool:
    """Whether this is a tar header with a negative size: base-256, which GNU tar made up, in two's complement."""
    return len(block) == _BLOCK_BYTES and block[124] == 0xFF and block[257:262] == b"ustar"


@contextmanager
def _translated(faults: tuple[type[Exception], ...], filename: str, what: str) -> Iterator[None]:
    try:
        yield
    except _Excess as excess:
        raise _refusal(filename, f"{what} within bounds is accepted: this one {excess}") from None
    except faults as fault:
        raise _refusal(filename, f"{what} is accepted: {fault}") from fault
