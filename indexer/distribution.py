"""What a distribution file is: what its name says, and whether its content agrees.

The metadata inside the archive is the truth; a form only repeats it. Knows no HTTP and no store. Reading hostile
archives is `indexer.archive`'s. Not on the hot path: `packaging` is imported where it is first needed.

PEP 427 and the "Binary distribution format" specification, PEP 625 and 643 for sdists, PEP 440, PEP 658 and 714.
"""

import re
from typing import IO, TYPE_CHECKING, Literal

from indexer.archive import Contents, read_tar_gz, read_zip
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, normalize_name
from indexer.value import value

if TYPE_CHECKING:
    from packaging.version import Version

Kind = Literal["wheel", "sdist", "legacy"]

MAX_VERSION_LENGTH = 200  # a file name has 240; and int() of thousands of digits is refused by Python itself
MAX_SPECIFIER_LENGTH = 1_000  # the longest in public use exclude a dozen patch releases: about 200
_SDIST_ENDINGS = (".tar.gz", ".zip")
_LEGACY_SDIST_ENDINGS = (".tar.bz2", ".tar.xz", ".tar.z", ".tgz", ".tar")  # PEP 527 ended them
# bdist_egg and bdist_wininst: `name-1.0-py2.7.egg`, `name-1.0-py2.7-win32.egg`, `name-1.0.win-amd64-py2.7.exe`
_LEGACY_BUILT = re.compile(
    r"(?P<stem>.+?)(?:-py\d[\d.]*(?:-[A-Za-z0-9_.-]+)?\.egg|\.(?:win32|win-amd64)(?:-py\d[\d.]*)?\.(?:exe|msi))",
    re.IGNORECASE,
)


@value
class DistributionName:
    """What a file name says.

    Attributes:
        version: in PEP 440's normal form; as written where a legacy file has one that is none.
        kind: `legacy` is for what public indexes hold but take no more: listed where it is found, never uploaded.
    """

    project: ProjectName
    version: str
    kind: Kind


@value
class Distribution:
    """What a checked file is.

    Attributes:
        version: in PEP 440's normal form.
        requires_python: the archive's own words, on one line.
        metadata: a wheel's METADATA to the byte; None for an sdist: some of its fields may be dynamic, and then what an
            installer takes for the built wheel's metadata would be wrong.
    """

    project: ProjectName
    version: str
    requires_python: str | None
    metadata: bytes | None


def parse_filename(filename: Filename) -> DistributionName:
    """Return what a file's name says.

    Raises:
        InvalidValue: field `filename`: it is no distribution's name.
    """
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    try:
        if filename.endswith(".whl"):
            wheel_name, version, _, _ = parse_wheel_filename(filename)
            return DistributionName(project=_project(filename, wheel_name), version=str(version), kind="wheel")
        if filename.endswith(_SDIST_ENDINGS):
            sdist_name, version = parse_sdist_filename(filename)
            return DistributionName(project=_project(filename, sdist_name), version=str(version), kind="sdist")
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise InvalidValue("filename", filename, f"a wheel's or an sdist's name is accepted: {error}") from error
    return _parse_legacy(filename)


def _parse_legacy(filename: Filename) -> DistributionName:
    lower = filename.lower()
    ending = next((ending for ending in _LEGACY_SDIST_ENDINGS if lower.endswith(ending)), None)
    match = _LEGACY_BUILT.fullmatch(filename)
    stem = filename[: -len(ending)] if ending else match["stem"] if match else ""
    name, dash, version = stem.rpartition("-")
    if not (name and dash and version):
        raise InvalidValue("filename", filename, "the name of a wheel (.whl) or an sdist (.tar.gz, .zip) is accepted")
    parsed = _find_version(version)
    return DistributionName(
        project=_project(filename, name), version=version if parsed is None else str(parsed), kind="legacy"
    )


def _project(filename: Filename, name: str) -> ProjectName:
    try:
        return normalize_name(name)
    except InvalidValue as error:
        raise InvalidValue("filename", filename, f"it begins with a project's name: {error.accepted}") from None


def check_distribution(
    file: IO[bytes], filename: Filename, *, name: ProjectName | None = None, version: str | None = None
) -> Distribution:
    """Return what a file is, once its name, its content and what was said of it agree.

    Args:
        file: seekable; left where it was last read.
        name: the project it was announced for, if it was.
        version: the version it was announced as, if it was.

    Raises:
        InvalidValue: the field is `filename`, `content`, `name`, `version` or `requires_python`.
    """
    said = parse_filename(filename)
    if said.kind == "legacy":
        raise InvalidValue("filename", filename, "wheels (.whl) and sdists (.tar.gz, .zip) are accepted")
    _check_announced(said, name, version)
    metadata = _read_wheel(file, filename, said) if said.kind == "wheel" else _read_sdist(file, filename, said)
    requires_python = _check_metadata(metadata, said)
    return Distribution(
        project=said.project,
        version=said.version,
        requires_python=requires_python,
        metadata=metadata if said.kind == "wheel" else None,
    )


def read_wheel_metadata(file: IO[bytes], filename: Filename, *, from_its_end: bool = False) -> bytes:
    """Return a wheel's METADATA, to the byte, whatever it says.

    Args:
        file: seekable; only the archive's directory and this member are read.
        from_its_end: as `indexer.archive.read_zip` has it.

    Raises:
        InvalidValue: it is no wheel, or none with METADATA that an installer would find.
    """
    return _read_wheel(file, filename, parse_filename(filename), from_its_end=from_its_end)


def read_sdist_metadata(file: IO[bytes], filename: Filename) -> bytes:
    """Return an sdist's PKG-INFO, to the byte, whatever it says; the whole archive is read.

    Raises:
        InvalidValue: it is no sdist, or none with PKG-INFO.
    """
    return _read_sdist(file, filename, parse_filename(filename))


def _check_announced(said: DistributionName, name: ProjectName | None, version: str | None) -> None:
    if name is not None and name != said.project:
        raise InvalidValue("name", name, f"the file's name says {said.project!r}")
    if version is not None and not _is_version(version, said.version):
        raise InvalidValue("version", version, f"the file's name says {said.version!r}")


def _read_wheel(file: IO[bytes], filename: Filename, said: DistributionName, *, from_its_end: bool = False) -> bytes:
    """Return a wheel's METADATA."""
    contents = read_zip(
        file,
        filename,
        wanted=lambda path: path.endswith(".dist-info/METADATA") and path.count("/") == 1,
        from_its_end=from_its_end,
    )
    folders = sorted({top for path in contents.paths if (top := path.partition("/")[0]).endswith(".dist-info")})
    if len(folders) != 1:
        found = ", ".join(folders[:5]) or "none"
        raise InvalidValue("content", filename, f"a wheel has exactly one .dist-info folder, and this one has {found}")
    project, _, version = folders[0].removesuffix(".dist-info").rpartition("-")
    if not (_is_project(project, said.project) and _is_version(version, said.version)):
        raise InvalidValue("content", folders[0], f"the .dist-info folder is named as the file, {filename!r}")
    for member in ("METADATA", "WHEEL", "RECORD"):
        if f"{folders[0]}/{member}" not in contents.paths:
            raise InvalidValue("content", filename, f"a wheel has a file {folders[0]}/{member}")
    return _only_text(contents, filename, f"{folders[0]}/METADATA")


def _read_sdist(file: IO[bytes], filename: Filename, said: DistributionName) -> bytes:
    """Return an sdist's PKG-INFO."""
    read = read_zip if filename.endswith(".zip") else read_tar_gz
    contents = read(file, filename, wanted=lambda path: path.endswith("/PKG-INFO") and path.count("/") == 1)
    # "a single top-level directory called {name}-{version}"; those made before PEP 625 write the name as they like
    folders = sorted({path.partition("/")[0] for path in contents.paths})
    project, _, version = folders[0].rpartition("-") if len(folders) == 1 else ("", "", "")
    if not (_is_project(project, said.project) and _is_version(version, said.version)):
        found = ", ".join(folders[:5])[:200] or "nothing"
        raise InvalidValue(
            "content",
            filename,
            f"an sdist has one folder, {said.project}-{said.version}, and nothing beside it: {found}",
        )
    return _only_text(contents, filename, f"{folders[0]}/PKG-INFO")


def _only_text(contents: Contents, filename: Filename, path: str) -> bytes:
    texts = [text for found, text in contents.texts if found == path]
    if len(texts) != 1:
        raise InvalidValue("content", filename, f"it has one file {path}, not {len(texts)}")
    return texts[0]


def _check_metadata(metadata: bytes, said: DistributionName) -> str | None:
    """Return Requires-Python, once the metadata agrees with the file's name."""
    headers = _parse_headers(metadata, ("Metadata-Version", "Name", "Version", "Requires-Python"))
    name, version = headers["Name"], headers["Version"]
    if headers["Metadata-Version"] is None:
        raise InvalidValue("content", metadata[:40], "metadata has a header Metadata-Version")
    if name is None or not _is_project(name, said.project):
        raise InvalidValue(
            "name", name, f"the archive's metadata names the project of the file's name, {said.project!r}"
        )
    if version is None or not _is_version(version, said.version):
        raise InvalidValue(
            "version", version, f"the archive's metadata has the version of the file's name, {said.version!r}"
        )
    return _check_requires_python(headers["Requires-Python"])


def _parse_headers(metadata: bytes, names: tuple[str, ...]) -> dict[str, str | None]:
    """Return single-valued headers by name, None where one is missing or empty.

    Not by `packaging.metadata.parse_email`: it also reads the description and looks all names up once for each, which
    takes hours for a few MiB of different names.
    """
    from email.parser import BytesHeaderParser
    from email.policy import compat32

    message = BytesHeaderParser(policy=compat32).parsebytes(metadata)
    found: dict[str, str | None] = {}
    for name in names:
        values = message.get_all(name) or [""]
        if len(values) != 1 or not isinstance(values[0], str):  # the email package gives an object for other than ASCII
            shown = " ".join(map(str, values))
            raise InvalidValue("content", shown, f"metadata has one header {name}, in ASCII")
        found[name] = " ".join(values[0].split()) or None
    return found


def _check_requires_python(text: str | None) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if text is None:
        return None
    if len(text) > MAX_SPECIFIER_LENGTH:
        raise InvalidValue(
            "requires_python", text, f"a version specifier has at most {MAX_SPECIFIER_LENGTH:,} characters"
        )
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise InvalidValue("requires_python", text, "a version specifier such as '>=3.11' is accepted") from error
    return text


def _is_project(raw: str, project: ProjectName) -> bool:
    try:
        return normalize_name(raw) == project
    except InvalidValue:
        return False


def _is_version(raw: str, version: str) -> bool:
    """Tell whether two texts are the same PEP 440 version: 1.0 and 1.0.0 are."""
    parsed = _find_version(raw)
    return parsed is not None and parsed == _find_version(version)


def _find_version(raw: str) -> "Version | None":
    from packaging.version import InvalidVersion, Version

    try:
        return Version(raw) if len(raw) <= MAX_VERSION_LENGTH else None
    except InvalidVersion:
        return None
