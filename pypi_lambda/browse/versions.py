"""Versions in the order that installers have them, as far as they are versions."""

from collections.abc import Iterable

from indexer.project import File


def sorted_versions(files: Iterable[File]) -> list[str]:
    """Return the versions of the files, the newest first; what is no version comes last."""
    return sorted({file.version for file in files}, key=_key, reverse=True)


def latest_version(files: Iterable[File]) -> str | None:
    """Return the version that an installer would choose: the newest that is final and not yanked, if there is one."""
    found = list(files)
    chosen = [file for file in found if file.yanked is None and not _is_prerelease(file.version)]
    return next(iter(sorted_versions(chosen or found)), None)


def _key(version: str) -> tuple[bool, object, str]:
    from packaging.version import InvalidVersion, Version

    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, 0, version


def _is_prerelease(version: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version).is_prerelease
    except InvalidVersion:
        return True
