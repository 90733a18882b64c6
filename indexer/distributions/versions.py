"""Versions: what a file's name says of its own, how one is written, and which comes first. Pure.

`packaging` is imported where it is needed: most versions are numbers alone, and these are read without it.

PEP 440 (versions), PEP 592 (yanked).
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from indexer.names import ProjectName
from indexer.version import PLAIN, parse_version

KEPT_SPELLINGS = 8_192  # versions and their normal forms, some 200 bytes each


def version_finder(project: ProjectName) -> Callable[[str], str | None]:
    """Return what reads the version in the name of one of the project's files, or None where there is none."""
    name = "[-_.]+".join(project.split("-"))
    plain = re.compile(f"{name}-({PLAIN.pattern})(?:-[^-].*[.]whl|[.]tar[.]gz)", re.IGNORECASE)

    def find(filename: str) -> str | None:
        if match := plain.fullmatch(filename):
            return match[1]
        return find_version(project, filename)

    return find


def find_version(project: ProjectName, filename: str) -> str | None:
    """Return the version in a file's name, in its normal form where it has one, or None when there is none."""
    from packaging.utils import canonicalize_version
    from pypi_simple import UnparsableFilenameError, parse_filename

    try:
        _, version, _ = parse_filename(filename, project)
    except UnparsableFilenameError:
        return None
    return canonicalize_version(version, strip_trailing_zero=False)


@lru_cache(maxsize=KEPT_SPELLINGS)
def normal_version(version: str) -> str:
    """Return the version as PEP 440 writes it; what is no version stays as it is."""
    parsed = parse_version(version)
    return version if parsed is None else str(parsed)


def newest_first(versions: Iterable[str]) -> list[str]:
    """Return the versions, each once, as installers prefer them; what is no version comes last."""
    return sorted(set(versions), key=_key, reverse=True)


def latest(releases: Iterable[tuple[str, bool]]) -> str | None:
    """Return the version that an installer would choose: the newest that is final and not yanked, if there is one.

    Args:
        releases: the version of each file, and whether the file is yanked.
    """
    found = list(releases)
    chosen = [version for version, is_yanked in found if not is_yanked and not _is_prerelease(version)]
    return next(iter(newest_first(chosen or [version for version, _ in found])), None)


def _key(version: str) -> tuple[bool, object, str]:
    parsed = parse_version(version)
    return parsed is not None, 0 if parsed is None else parsed, version


@lru_cache(maxsize=KEPT_SPELLINGS)
def _is_prerelease(version: str) -> bool:
    parsed = parse_version(version)
    return parsed is None or parsed.is_prerelease
