"""Whether a mirrored file that no digest proves is what its name says: an archive of its project. Pure.

Nothing tells that it is the file that was meant; but a login page, half a file and another project's wheel are none.
What no installer's archive is of is refused. Who wants more has `UPSTREAM_REQUIRE_DIGEST`.
"""

from collections.abc import Callable
from typing import IO, Any

from indexer.archives.archive import Contents, read_zip
from indexer.archives.tar import read_tar, read_tar_gz
from indexer.distributions.metadata_identity import find_version
from indexer.distributions.wheel_metadata import read_metadata
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, normalize_spelling

_ZIPS = (".zip", ".egg")
_GZIPS = (".tar.gz", ".tgz")
_BZIPS = (".tar.bz2", ".tbz", ".tbz2")
_LZMAS = (".tar.xz", ".txz", ".tar.lzma", ".tlz")
_MAX_UNPACKED_BYTES = 268_435_456  # 256 MiB of what unpacks at 20 to 100 MB/s, and of which current sdists are none
_MAX_DICTIONARY_BYTES = 134_217_728  # 128 MiB: `xz -9` takes 65 to unpack
_CHUNK_BYTES = 65_536


def check_unproved(file: IO[bytes], filename: Filename, project: ProjectName) -> None:
    """Make sure that a file opens as an archive and names the project.

    Args:
        file: seekable.

    Raises:
        InvalidValue: it does not.
    """
    if filename.endswith(".whl"):
        read_metadata(file, filename, project)
        return
    contents = _read(file, filename)
    said = [text for _, text in contents.texts]
    # The oldest archives say nothing of themselves.
    if not normalize_spelling(filename).startswith(f"{project}-") or (
        said and all(find_version(text, project) is None for text in said)
    ):
        raise InvalidValue("content", filename, f"it names the project {project!r}")


def _read(file: IO[bytes], filename: Filename) -> Contents:
    lower = filename.lower()
    if lower.endswith(_ZIPS):
        return read_zip(file, filename, wanted=_is_information)
    if lower.endswith(_GZIPS):
        return read_tar_gz(file, filename, wanted=_is_information)
    if not lower.endswith((*_BZIPS, *_LZMAS)):
        raise InvalidValue("content", filename, "without a digest, wheels, sdists and eggs alone are looked into")
    import bz2
    import lzma

    def unlzma() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY_BYTES)

    make = bz2.BZ2Decompressor if lower.endswith(_BZIPS) else unlzma
    return read_tar(
        file,
        filename,
        wanted=_is_information,
        unpack=lambda packed: _Unpacking(packed, make),
        what="a complete tar archive packed by bzip2 or xz",
        faults=(lzma.LZMAError,),
        max_bytes=_MAX_UNPACKED_BYTES,
    )


class _Unpacking:
    """The content of one packed stream behind the other, as parallel packers write them."""

    def __init__(self, packed: IO[bytes], make: Callable[[], Any]) -> None:
        self._packed = packed
        self._make = make
        self._unpacker = make()

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        while True:
            more = b""
            if self._unpacker.eof:
                more = self._unpacker.unused_data or self._packed.read(_CHUNK_BYTES)
                if not more:
                    return b""
                self._unpacker = self._make()
            elif self._unpacker.needs_input:
                more = self._packed.read(_CHUNK_BYTES)
                if not more:
                    raise EOFError("a packed stream is cut short")
            if data := self._unpacker.decompress(more, size):
                return bytes(data)


def _is_information(path: str) -> bool:
    return path.endswith("/PKG-INFO") and path.count("/") == 1
