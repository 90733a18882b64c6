"""What the name of a distribution file says: project, version and kind.

PEP 427 and the "Binary distribution format" specification, PEP 625 for sdists, PEP 440. Not on the hot path:
`packaging` is imported where it is first needed.
"""

import re
from typing import Literal

from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, is_project, normalize_name
from indexer.value import value
from indexer.version import is_version, parse_version

Kind = Literal["wheel", "sdist", "legacy"]

SDIST_ENDINGS = (".tar.gz", ".zip")
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


def parse_filename(filename: Filename, *, project: ProjectName | None = None) -> DistributionName:
    """Return what a file's name says.

    Args:
        project: whose file it is, where that is known: `demo-1.0-1.tar.gz` is demo's 1.0.post1, or demo-1-0's 1.

    Raises:
        InvalidValue: field `filename`: it is no distribution's name.
    """
    if filename.endswith(SDIST_ENDINGS):
        for said in sdist_names(filename):
            if said.project == project:
                return said
    return _parse_alone(filename)


def sdist_names(filename: Filename) -> tuple[DistributionName, ...]:
    """Return all that an sdist's name can say, what the specification has first: a version without a dash."""
    stem = next((filename.removesuffix(ending) for ending in SDIST_ENDINGS if filename.endswith(ending)), "")
    found = []
    for match in reversed(list(re.finditer("-", stem))):
        version = parse_version(stem[match.end() :])
        try:
            name = normalize_name(stem[: match.start()])
        except InvalidValue:
            continue
        if version is not None:
            found.append(DistributionName(project=name, version=str(version), kind="sdist"))
    return tuple(found)


def _parse_alone(filename: Filename) -> DistributionName:
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    try:
        if filename.endswith(".whl"):
            wheel_name, version, _, _ = parse_wheel_filename(filename)
            return DistributionName(project=_project(filename, wheel_name), version=str(version), kind="wheel")
        if filename.endswith(SDIST_ENDINGS):
            sdist_name, version = parse_sdist_filename(filename)
            return DistributionName(project=_project(filename, sdist_name), version=str(version), kind="sdist")
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        for said in sdist_names(filename):  # `demo-1.0-rc1.tar.gz`: nothing is a version behind the last dash
            return said
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
    parsed = parse_version(version)
    return DistributionName(
        project=_project(filename, name), version=version if parsed is None else str(parsed), kind="legacy"
    )


def _project(filename: Filename, name: str) -> ProjectName:
    try:
        return normalize_name(name)
    except InvalidValue as error:
        raise InvalidValue("filename", filename, f"it begins with a project's name: {error.accepted}") from None


def is_named(stem: str, said: DistributionName) -> bool:
    """Tell whether `{name}-{version}`, a folder's name, is of this project and version in whatever spelling."""
    return any(
        is_project(stem[: match.start()], said.project) and is_version(stem[match.end() :], said.version)
        for match in re.finditer("-", stem)
    )
