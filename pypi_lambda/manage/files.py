"""Commands on published files: yank, unyank, remove, restore. A version stands for all its files.

Each says which files it changed; given again it changes none. What they read is one project's page, however large the
index is.

PEP 592 (yanked), PEP 440 (which versions are the same).
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated

from indexer.digests import digest_of
from indexer.errors import InvalidValue, Missing
from indexer.keys import METADATA, file_key
from indexer.log.events import FileChange, FileRemoved, FileRestored, FileUnyanked, FileYanked
from indexer.log.project import File, Project
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.upkeep.retention import is_kept
from indexer.value import value
from indexer.version import is_same_version
from pypi_lambda.command.context import Context, Result
from pypi_lambda.manage.projects import get_private, parse_reason

MAX_NAMED = 10  # files or versions in an error


@value
class Yank:
    """Have installers pass a version, or a file, over, unless it is asked for by `==`.

    Attributes:
        version, filename: one of the two.
        reason: for those who ask for it all the same; None leaves the one that it has.
    """

    project: ProjectName
    version: str | None = None
    filename: Filename | None = None
    reason: Annotated[str | None, parse_reason] = None

    def run(self, context: Context) -> Result:
        """Carry it out."""
        project = get_private(context, self.project, field="yank.project")
        files = _offered("yank", project, self.version, self.filename)

        def change(file: File) -> FileChange | None:
            reason = (file.yanked or "") if self.reason is None else self.reason
            same = reason == file.yanked
            return None if same else FileYanked(project=project.name, filename=file.filename, reason=reason)

        return _change_all(context, project, files, change)


@value
class Unyank:
    """Take a yank back.

    Attributes:
        version, filename: one of the two.
    """

    project: ProjectName
    version: str | None = None
    filename: Filename | None = None

    def run(self, context: Context) -> Result:
        """Carry it out."""
        project = get_private(context, self.project, field="unyank.project")
        files = _offered("unyank", project, self.version, self.filename)

        def change(file: File) -> FileChange | None:
            return None if file.yanked is None else FileUnyanked(project=project.name, filename=file.filename)

        return _change_all(context, project, files, change)


@value
class Remove:
    """Offer a project, a version or a file no longer; its names stay taken.

    Attributes:
        version, filename: one of the two, or neither for the whole project.
        yes: whether it is meant.
    """

    project: ProjectName
    version: str | None = None
    filename: Filename | None = None
    reason: Annotated[str | None, parse_reason] = None
    yes: bool = False

    def run(self, context: Context) -> Result:
        """Carry it out."""
        project = get_private(context, self.project, field="remove.project")
        if self.version is None and self.filename is None:
            files = tuple(project.files.values())
        else:
            files = _find_files("remove", project, self.version, self.filename)
        if not self.yes:
            wanted = [file.filename for file in files if not file.removed]
            count = "1 file" if len(wanted) == 1 else f"{len(wanted):,} files"
            what = f"{count} of {project.name!r}: {_named(wanted)}" if wanted else "nothing"
            raise InvalidValue("remove.yes", False, f"nothing is removed without it (--yes); it would remove {what}")

        def change(file: File) -> FileChange | None:
            if file.removed:
                return None
            return FileRemoved(project=project.name, filename=file.filename, reason=self.reason or "")

        return _change_all(context, project, files, change)


@value
class Restore:
    """Offer a removed version, or file, again.

    Attributes:
        version, filename: one of the two.
    """

    project: ProjectName
    version: str | None = None
    filename: Filename | None = None

    def run(self, context: Context) -> Result:
        """Carry it out."""
        project = get_private(context, self.project, field="restore.project")
        files = _find_files("restore", project, self.version, self.filename)
        for file in files:
            if file.removed_at is not None:
                _check_kept(file, file.removed_at, context.settings.removed_retention_days, context.now())
                _check_stored(context.service.store, project.name, file)

        def change(file: File) -> FileChange | None:
            return FileRestored(project=project.name, filename=file.filename) if file.removed else None

        return _change_all(context, project, files, change)


def _change_all(
    context: Context, project: Project, files: tuple[File, ...], change: Callable[[File], FileChange | None]
) -> Result:
    changes = tuple(made for made in map(change, files) if made is not None)
    context.append_all(changes)
    changed = {made.filename for made in changes}
    return {
        "project": project.name,
        "changed": bool(changes),
        "files": [file.filename for file in files if file.filename in changed],
        "unchanged": [file.filename for file in files if file.filename not in changed],
    }


def _offered(command: str, project: Project, version: str | None, filename: Filename | None) -> tuple[File, ...]:
    found = _find_files(command, project, version, filename)
    offered = tuple(file for file in found if not file.removed)
    if not offered:
        field, given = ("filename", filename) if version is None else ("version", version)
        raise InvalidValue(f"{command}.{field}", given, "it was removed; restore it first")
    return offered


def _find_files(command: str, project: Project, version: str | None, filename: Filename | None) -> tuple[File, ...]:
    """Return the files that are meant, removed ones included.

    Raises:
        InvalidValue: there are none, or it was not said which.
    """
    if (version is None) == (filename is None):
        given = None if version is None else f"{version} and {filename}"
        raise InvalidValue(command, given, "either a version or a filename is needed")
    if version is not None:
        return _files_of_version(f"{command}.version", project, version)
    file = project.files.get(filename)  # type: ignore[arg-type]  # it is not None: one of the two is
    if file is None:
        raise InvalidValue(f"{command}.filename", filename, f"a file of {project.name!r}: {_named([*project.files])}")
    return (file,)


def _files_of_version(field: str, project: Project, version: str) -> tuple[File, ...]:
    versions = list(dict.fromkeys(file.version for file in project.files.values()))
    meant = {known for known in versions if is_same_version(known, version)}
    if not meant:
        raise InvalidValue(field, version, f"a version of {project.name!r}: {_named(versions)}")
    return tuple(file for file in project.files.values() if file.version in meant)


def _named(names: list[Filename] | list[str]) -> str:
    """Return the names for a sentence, the newest ones where there are many."""
    more = len(names) - MAX_NAMED
    return ", ".join(names[-MAX_NAMED:]) + (f" and {more:,} more" if more > 0 else "")


def _check_kept(file: File, removed_at: str, days: int, now: datetime) -> None:
    # Also while the content is still there: it may be thrown away at this moment.
    if not is_kept(removed_at, days, now):
        raise InvalidValue(
            "restore.filename",
            file.filename,
            f"it cannot be restored: it was removed on {removed_at[:10]}, and what is removed is kept for {days} days",
        )


def _check_stored(store: ObjectStore, project: ProjectName, file: File) -> None:
    """Make sure that a file's objects are what was published.

    Raises:
        InvalidValue: they are gone, or others.
    """
    key = file_key(project, file.filename)
    stat = store.stat(key)
    try:
        found = None if stat is None else (stat.size, digest_of(store.read(key)))
    except Missing:
        found = None
    if found is None:
        raise InvalidValue("restore.filename", file.filename, "it cannot be restored: its content is no longer stored")
    if found != (file.size, file.sha256):
        raise InvalidValue("restore.filename", file.filename, "it cannot be restored: its stored content was altered")
    if file.metadata_sha256 is not None:
        metadata = store.find(key + METADATA)
        if metadata is None or sha256(metadata.body).hexdigest() != file.metadata_sha256:
            reason = "it cannot be restored: its stored metadata is missing or was altered"
            raise InvalidValue("restore.filename", file.filename, reason)
