"""One private project's files, and how events change them. Pure."""

from collections.abc import Iterable
from typing import assert_never

from indexer.events import Event, FileAdded, FileChange, FileRemoved, FileUnyanked, FileYanked
from indexer.names import Filename, ProjectName
from indexer.value import replace, value


@value
class File:
    """A published file.

    Attributes:
        size: in bytes.
        sha256: lower-case hex.
        upload_time: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
        metadata_sha256: of the `.metadata` object beside it, or None where there is none.
        yanked: the reason, which may be empty, or None.
        removed: no longer offered; the name stays taken.
    """

    filename: Filename
    version: str
    size: int
    sha256: str
    upload_time: str
    requires_python: str | None = None
    metadata_sha256: str | None = None
    yanked: str | None = None
    removed: bool = False


@value
class Project:
    """A private project after the event `seq`, the last one that concerned it.

    Attributes:
        files: by file name, in the order in which they were published; removed ones included.
    """

    name: ProjectName
    seq: int
    files: dict[Filename, File]


def empty_project(name: ProjectName) -> Project:
    """Return the project before its first event."""
    return Project(name=name, seq=0, files={})


def fold(project: Project, events: Iterable[Event]) -> Project:
    """Return the project after these events; those about other projects or already folded are passed over.

    Idempotent: the first `FileAdded` of a file name wins, and saying a thing twice changes nothing.
    """
    files = dict(project.files)
    seq = project.seq
    for event in events:
        change = event.change
        if isinstance(change, FileChange) and change.project == project.name and event.seq > seq:
            _apply(files, change)
            seq = event.seq
    return Project(name=project.name, seq=seq, files=files)


def _apply(files: dict[Filename, File], change: FileChange) -> None:
    known = files.get(change.filename)
    match change:
        case FileAdded():
            if known is None:
                files[change.filename] = _file(change)
        case FileYanked():
            if known is not None:
                files[change.filename] = replace(known, yanked=change.reason)
        case FileUnyanked():
            if known is not None:
                files[change.filename] = replace(known, yanked=None)
        case FileRemoved():
            if known is not None:
                files[change.filename] = replace(known, removed=True)
        case _:
            assert_never(change)


def _file(change: FileAdded) -> File:
    return File(
        filename=change.filename,
        version=change.version,
        size=change.size,
        sha256=change.sha256,
        upload_time=change.upload_time,
        requires_python=change.requires_python,
        metadata_sha256=change.metadata_sha256,
    )
