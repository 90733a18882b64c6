"""One private project's files and status, how events change them, and what they were at an earlier moment. Pure.

PEP 592 (yanked), PEP 792 (project status).
"""

from collections.abc import Iterable
from typing import assert_never

from indexer.log.events import (
    Event,
    FileAdded,
    FileChange,
    FileRemoved,
    FileRestored,
    FileUnyanked,
    FileYanked,
    ProjectChange,
    ProjectStatusSet,
)
from indexer.names import Filename, ProjectName
from indexer.value import replace, value

ACTIVE = "active"
STATUSES = (ACTIVE, "archived", "quarantined", "deprecated")
CLOSED_STATUSES = frozenset({"archived", "quarantined"})  # no uploads
WITHHELD_STATUS = "quarantined"  # no files are offered


@value
class FileTurn:
    """What became of a file after it was published.

    Attributes:
        at: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
        yanked: the reason, which may be empty, or None, from then on.
        removed: whether it was no longer offered from then on.
    """

    at: str
    yanked: str | None
    removed: bool


@value
class File:
    """A published file.

    Attributes:
        size: in bytes.
        sha256: lower-case hex.
        upload_time: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
        metadata_sha256: of the `.metadata` object beside it, or None where there is none.
        provenance_sha256: of what its upload attested, or None where it attested nothing.
        turns: what became of it, oldest first.
    """

    filename: Filename
    version: str
    size: int
    sha256: str
    upload_time: str
    requires_python: str | None = None
    metadata_sha256: str | None = None
    provenance_sha256: str | None = None
    turns: tuple[FileTurn, ...] = ()

    @property
    def yanked(self) -> str | None:
        """Why it is yanked, which may be empty, or None when it is not."""
        return self.turns[-1].yanked if self.turns else None

    @property
    def removed(self) -> bool:
        """Whether it is no longer offered; the name stays taken."""
        return bool(self.turns) and self.turns[-1].removed

    @property
    def removed_at(self) -> str | None:
        """Since when it is no longer offered, or None when it is."""
        since = None
        for turn in self.turns:
            since = (since or turn.at) if turn.removed else None
        return since


@value
class StatusTurn:
    """A project's status from a moment on; `reason` may be empty."""

    at: str
    status: str
    reason: str


@value
class Project:
    """A private project after the event `seq`, the last one that concerned it.

    Attributes:
        files: by file name, in the order in which they were published; removed ones included.
        statuses: every status it was given, oldest first.
    """

    name: ProjectName
    seq: int
    files: dict[Filename, File]
    statuses: tuple[StatusTurn, ...] = ()

    @property
    def status(self) -> str:
        """The project's status, one of `STATUSES`."""
        return self.statuses[-1].status if self.statuses else ACTIVE

    @property
    def status_reason(self) -> str:
        """Why it has that status; may be empty."""
        return self.statuses[-1].reason if self.statuses else ""


def empty_project(name: ProjectName) -> Project:
    """Return the project before its first event."""
    return Project(name=name, seq=0, files={})


def fold(project: Project, events: Iterable[Event]) -> Project:
    """Return the project after these events; those about other projects or already folded are passed over.

    Idempotent: the first `FileAdded` of a file name wins, and saying a thing twice changes nothing.
    """
    files = dict(project.files)
    seq, statuses = project.seq, project.statuses
    for event in events:
        change = event.change
        if not isinstance(change, ProjectChange) or change.project != project.name or event.seq <= seq:
            continue
        seq = event.seq
        if isinstance(change, ProjectStatusSet):
            if not files:  # a project begins with its first file, here as in the snapshot
                continue
            before = (statuses[-1].status, statuses[-1].reason) if statuses else (ACTIVE, "")
            if (change.status, change.reason) != before:
                statuses = (*statuses, StatusTurn(at=event.at, status=change.status, reason=change.reason))
        else:
            _apply(files, change, event.at)
    return Project(name=project.name, seq=seq, files=files, statuses=statuses)


def _apply(files: dict[Filename, File], change: FileChange, at: str) -> None:
    known = files.get(change.filename)
    if known is None:
        if isinstance(change, FileAdded):
            files[change.filename] = _file(change)
        return
    match change:
        case FileAdded():
            return
        case FileYanked():
            turn = FileTurn(at=at, yanked=change.reason, removed=known.removed)
        case FileUnyanked():
            turn = FileTurn(at=at, yanked=None, removed=known.removed)
        case FileRemoved():
            turn = FileTurn(at=at, yanked=known.yanked, removed=True)
        case FileRestored():
            turn = FileTurn(at=at, yanked=known.yanked, removed=False)
        case _:
            assert_never(change)
    if (turn.yanked, turn.removed) != (known.yanked, known.removed):
        files[change.filename] = replace(known, turns=(*known.turns, turn))


def _file(change: FileAdded) -> File:
    return File(
        filename=change.filename,
        version=change.version,
        size=change.size,
        sha256=change.sha256,
        upload_time=change.upload_time,
        requires_python=change.requires_python,
        metadata_sha256=change.metadata_sha256,
        provenance_sha256=change.provenance_sha256,
    )


def as_of(project: Project, moment: str) -> Project:
    """Return the project as it was at a moment: the files uploaded by then, as yanked, removed and marked as then.

    Args:
        moment: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
    """
    files = {
        name: replace(file, turns=tuple(turn for turn in file.turns if turn.at <= moment))
        for name, file in project.files.items()
        if file.upload_time <= moment
    }
    statuses = tuple(turn for turn in project.statuses if turn.at <= moment)
    return replace(project, files=files, statuses=statuses)
