"""What a distribution file is: whether its name and its content agree, and whether installers can use it.

The metadata inside the archive is the truth; a form only repeats it. Knows no HTTP and no store. Names are
`indexer.distributions.filenames`'s, hostile archives `indexer.archives.archive`'s and `indexer.archives.tar`'s, what
metadata says `indexer.distributions.core_metadata`'s.

PEP 427 and the "Binary distribution format" specification, PEP 625 and 643 for sdists, PEP 440, PEP 658 and 714.
"""

import zipfile
from collections.abc import Iterable
from functools import partial
from typing import IO

from indexer.archives.archive import Contents, read_zip
from indexer.archives.tar import read_tar_gz
from indexer.archives.zip_members import Damage, Verified, verify_members
from indexer.distributions.core_metadata import check_metadata
from indexer.distributions.entry_points import check_entry_points
from indexer.distributions.filenames import DistributionName, Kind, is_named, parse_filename
from indexer.distributions.record import check_record
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName
from indexer.value import value
from indexer.version import is_version

__all__ = ["Distribution", "DistributionName", "Kind", "check_distribution", "parse_filename"]

_WHEEL_FILES = ("METADATA", "WHEEL", "RECORD")
# "each subdirectory of distribution-1.0.data/ is a key into a dict of destination directories"
_SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})
_WHEEL_TEXTS = frozenset({*_WHEEL_FILES, "entry_points.txt"})


@value
class Distribution:
    """What a checked file is.

    Attributes:
        version: in PEP 440's normal form.
        requires_python: the archive's own words, on one line.
        metadata: a wheel's METADATA to the byte; None for an sdist: some of its fields may be dynamic, and then what an
            installer takes for the built wheel's metadata would be wrong.
        left_out: what was found wrong and passed over, as sentences; nothing unless that was asked for.
    """

    project: ProjectName
    version: str
    requires_python: str | None
    metadata: bytes | None
    left_out: tuple[str, ...] = ()


def check_distribution(
    file: IO[bytes],
    filename: Filename,
    *,
    name: ProjectName | None = None,
    version: str | None = None,
    lenient: bool = False,
) -> Distribution:
    """Return what a file is, once its name, its content and what was said of it agree.

    Args:
        file: seekable; left where it was last read.
        name: the project it was announced for, if it was.
        version: the version it was announced as, if it was.
        lenient: take what pip installs, and tell what is wrong with it instead of refusing it.

    Raises:
        InvalidValue: the field is `filename`, `content`, `name`, `version`, `requires_python`, `RECORD`,
            `entry_points.txt`, or a header of the metadata.
    """
    said = parse_filename(filename, project=name)
    if said.kind == "legacy":
        raise InvalidValue("filename", filename, "wheels (.whl) and sdists (.tar.gz, .zip) are accepted")
    _check_announced(said, name, version)
    passed = _Passed(lenient=lenient)
    metadata = (_read_wheel if said.kind == "wheel" else _read_sdist)(file, filename, said, passed)
    described = None if metadata is None else check_metadata(metadata, said, lenient=lenient)
    left_out = (*passed.sentences, *(described.left_out if described else ()))
    return Distribution(
        project=said.project,
        version=said.version,
        requires_python=described.requires_python if described else None,
        metadata=metadata if said.kind == "wheel" else None,
        left_out=left_out,
    )


def read_sdist_metadata(file: IO[bytes], filename: Filename) -> bytes:
    """Return an sdist's PKG-INFO, to the byte, whatever it says; the whole archive is read.

    Raises:
        InvalidValue: it is no sdist, or none with PKG-INFO.
    """
    metadata = _read_sdist(file, filename, parse_filename(filename), _Passed(lenient=True))
    if metadata is None:
        raise InvalidValue("content", filename, "it has a file PKG-INFO")
    return metadata


class _Passed:
    """Where what is wrong goes: it is raised, or kept as a sentence."""

    def __init__(self, *, lenient: bool) -> None:
        self.sentences: list[str] = []
        self._lenient = lenient

    def take(self, fault: InvalidValue) -> None:
        """Raise a refusal, or remember it."""
        if not self._lenient or isinstance(fault, Damage):
            raise fault
        self.sentences.append(str(fault))


def _check_announced(said: DistributionName, name: ProjectName | None, version: str | None) -> None:
    if name is not None and name != said.project:
        raise InvalidValue("name", name, f"the file's name says {said.project!r}")
    if version is not None and not is_version(version, said.version):
        raise InvalidValue("version", version, f"the file's name says {said.version!r}")


def _read_wheel(file: IO[bytes], filename: Filename, said: DistributionName, passed: _Passed) -> bytes:
    """Return a wheel's METADATA, once the rest of the wheel is as it should be."""
    members: dict[str, Verified] = {}
    contents = read_zip(
        file,
        filename,
        wanted=partial(_is_wheel_text, _WHEEL_TEXTS),
        see=lambda archive: _verify(file, archive, filename, members, passed),
    )
    folder = _find_dist_info(contents, filename, said)
    texts = {name: _only_text(contents, filename, f"{folder}/{name}") for name in _WHEEL_FILES}
    try:
        _check_wheel_version(texts["WHEEL"], filename)
        _check_schemes(members)
        if members:
            check_record(texts["RECORD"], f"{folder}/RECORD", members)
        if f"{folder}/entry_points.txt" in contents.paths:
            check_entry_points(_only_text(contents, filename, f"{folder}/entry_points.txt"))
    except InvalidValue as fault:
        passed.take(fault)
    return texts["METADATA"]


def _is_wheel_text(names: tuple[str, ...] | frozenset[str], path: str) -> bool:
    folder, _, name = path.partition("/")
    return name in names and folder.endswith(".dist-info")


def _verify(
    file: IO[bytes], archive: zipfile.ZipFile, filename: str, members: dict[str, Verified], passed: _Passed
) -> None:
    try:
        members.update(verify_members(file, archive, filename))
    except InvalidValue as fault:
        passed.take(fault)


def _find_dist_info(contents: Contents, filename: Filename, said: DistributionName) -> str:
    """Return the name of a wheel's .dist-info folder."""
    folders = sorted({top for path in contents.paths if (top := path.partition("/")[0]).endswith(".dist-info")})
    if len(folders) != 1:
        found = ", ".join(folders[:5]) or "none"
        raise InvalidValue("content", filename, f"a wheel has exactly one .dist-info folder, and this one has {found}")
    if not is_named(folders[0].removesuffix(".dist-info"), said):
        raise InvalidValue("content", folders[0], f"the .dist-info folder is named as the file, {filename!r}")
    for member in _WHEEL_FILES:
        if f"{folders[0]}/{member}" not in contents.paths:
            raise InvalidValue("content", filename, f"a wheel has a file {folders[0]}/{member}")
    return folders[0]


def _check_wheel_version(text: bytes, filename: Filename) -> None:
    # "A wheel installer should … fail if the major version is greater"; pip and uv fail where there is none, too.
    lines = (line.partition(b":") for line in text.splitlines())
    versions = [rest.strip() for name, _, rest in lines if name.strip().lower() == b"wheel-version"]
    if len(versions) != 1 or versions[0].partition(b".")[0] != b"1":
        shown = b", ".join(versions).decode("utf-8", "replace") or filename
        raise InvalidValue("Wheel-Version", shown, "WHEEL has one header Wheel-Version, 1.0")


def _check_schemes(members: Iterable[str]) -> None:
    """Make sure that installers know where each file below a .data folder goes."""
    for path in members:
        top, _, rest = path.partition("/")
        scheme, slash, _ = rest.partition("/")
        if top.endswith(".data") and rest and not (slash and scheme in _SCHEMES):
            raise InvalidValue("content", path, f"below .data are folders {', '.join(sorted(_SCHEMES))} with files")


def _read_sdist(file: IO[bytes], filename: Filename, said: DistributionName, passed: _Passed) -> bytes | None:
    """Return an sdist's PKG-INFO, or None where it may be missing and is."""
    contents = _read_sdist_archive(file, filename, passed)
    # "a single top-level directory called {name}-{version}"; those made before PEP 625 write the name as they like
    folders = sorted({path.partition("/")[0] for path in contents.paths})
    try:
        if len(folders) != 1 or not is_named(folders[0], said):
            found = ", ".join(folders[:5])[:200] or "nothing"
            raise InvalidValue(
                "content",
                filename,
                f"an sdist has one folder, {said.project}-{said.version}, and nothing beside it: {found}",
            )
        return _only_text(contents, filename, f"{folders[0]}/PKG-INFO")
    except InvalidValue as fault:
        passed.take(fault)
    if len(folders) != 1:
        raise InvalidValue("content", filename, "an sdist has one folder")
    return dict(contents.texts).get(f"{folders[0]}/PKG-INFO")  # the last one, as unpacking leaves it


def _read_sdist_archive(file: IO[bytes], filename: Filename, passed: _Passed) -> Contents:
    def wanted(path: str) -> bool:
        return path.endswith("/PKG-INFO") and path.count("/") == 1

    if not filename.endswith(".zip"):
        return read_tar_gz(file, filename, wanted=wanted)
    return read_zip(
        file, filename, wanted=wanted, clean=True, see=lambda archive: _verify(file, archive, filename, {}, passed)
    )


def _only_text(contents: Contents, filename: Filename, path: str) -> bytes:
    texts = [text for found, text in contents.texts if found == path]
    if len(texts) != 1:
        raise InvalidValue("content", filename, f"it has one file {path}, not {len(texts)}")
    return texts[0]
