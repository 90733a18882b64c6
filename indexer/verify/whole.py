"""Proving that nothing rotted: the log's chain, and everything else in the store against a fold of it from zero.

One listing of the store, one reading of the log, then project by project; what was read waits in temporary files
meanwhile, so memory does not grow with the number of files. What lies in the store for the face of the index alone
(users, tokens, mirrored pages) is looked at by examiners that the caller brings.

While it runs, others write: what seems to be missing is looked up again before it is reported, and what no event names
counts as an orphan only when it is older than any upload can be under way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from indexer.derive.root import Selection
from indexer.derive.snapshot import Snapshot, advance, decode_snapshot, empty_snapshot
from indexer.errors import CorruptObject
from indexer.keys import (
    CACHE,
    LOG,
    MIRRORED_PAGES,
    PAGES,
    PROJECTS,
    SNAPSHOT_KEY,
    UNKNOWN,
    find_seq,
    log_key,
    project_of,
)
from indexer.log.events import KINDS, Event, ProjectChange
from indexer.log.log import Head, head_of
from indexer.names import ProjectName, is_normalized
from indexer.simple.page import Renderer
from indexer.store.base import AT_ONCE, ObjectStore, Stat, Stored, batches
from indexer.upkeep.inventory import list_by_area
from indexer.value import value, values_of
from indexer.verify.chain import find_end, walk
from indexer.verify.derived import check_derived
from indexer.verify.findings import Findings, Remedy, Severity
from indexer.verify.project import Group, Held, ProjectCheck
from indexer.verify.spool import Spool, place

BY_PROJECT = (PROJECTS, PAGES, CACHE, MIRRORED_PAGES)


class Examiner(Protocol):
    """Looks at what this package does not know."""

    def see_event(self, event: Event) -> None:
        """Take notice of an event."""

    def see_object(self, area: str, stat: Stat) -> None:
        """Take notice of an object, of an area that is not ordered by projects."""

    def examine(self, group: Group, *, deep: bool) -> None:
        """Look at what lies in the store of a project."""

    def finish(self) -> None:
        """Look at what was taken notice of; every event and object was shown by now."""


@value
class Verified:
    """What was looked at.

    Attributes:
        head: the log's end; noted elsewhere, it can prove later that nothing before it was taken away.
        projects: private ones.
        bytes_hashed: of private files.
        next: the project after which reading files goes on, "" when all were read or none was to be.
    """

    head: Head
    projects: int
    files: int
    bytes_hashed: int
    next: str


def verify(
    store: ObjectStore,
    renderer: Renderer,
    findings: Findings,
    *,
    now: datetime,
    removed_days: int,
    selection: Selection | None = None,
    noted: Head | None = None,
    deep: bool = False,
    after: str = "",
    stop: Callable[[], bool] = lambda: False,
    examiners: Sequence[Examiner] = (),
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Verified:
    """Look at everything, and report what is wrong.

    Args:
        removed_days: for how long removed files are kept; 0 for ever.
        selection: which of the upstream's names the root lists; None for all.
        noted: a head that was noted earlier, which must still be in the log.
        deep: read every file and compare its digest, too.
        after: the `next` of a verification that was stopped; files of projects before are not read again.
        stop: tells whether to read no more files.
        on_progress: called with what is done, and of how much.

    Raises:
        UnknownVersion: the snapshot is of a newer version of this program.
    """
    with Spool() as spool:
        work = _Work(store, renderer, findings, spool, examiners, on_progress)
        stored, snapshot = work.read_snapshot()
        last = work.list_objects()
        folded = work.read_log(last, snapshot, noted)
        comparable = not findings.log_is_damaged and (snapshot is None or snapshot.renderer == renderer.tag)
        up_to = folded.head.seq if comparable else None
        check = ProjectCheck(store, renderer, findings, now=now, removed_days=removed_days, up_to=up_to)
        next_ = work.check_projects(check, deep=deep, after=after, stop=stop)
        if comparable:
            check_derived(store, findings, stored, snapshot, folded, selection)
        for examiner in examiners:
            examiner.finish()
        return Verified(
            head=work.head, projects=check.projects, files=check.files, bytes_hashed=check.bytes_hashed, next=next_
        )


class _Work:
    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        findings: Findings,
        spool: Spool,
        examiners: Sequence[Examiner],
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._findings = findings
        self._spool = spool
        self._examiners = examiners
        self._on_progress = on_progress
        self._done = self._total = 0
        self.head = Head(seq=0, digest="")

    def read_snapshot(self) -> tuple[Stored | None, Snapshot | None]:
        """Return the snapshot as it is stored, and as far as it can be read."""
        stored = self._store.find(SNAPSHOT_KEY)
        if stored is None:
            return None, None
        try:
            snapshot = decode_snapshot(SNAPSHOT_KEY, stored.body)
        except CorruptObject as fault:
            self._findings.stale(SNAPSHOT_KEY, fault.reason)
            return stored, None
        if snapshot.renderer != self._renderer.tag:
            problem = "it was made by another version of this program, or under other settings; a rebuild is due"
            self._findings.add(SNAPSHOT_KEY, problem, Severity.NOTE, Remedy.REBUILD)
        return stored, snapshot

    def list_objects(self) -> int:
        """Take in the listing; return the number of the log's last event."""
        last = 0
        for area, stat in list_by_area(self._store):
            if area in BY_PROJECT:
                row = ("object", stat.key, stat.size, stat.modified.timestamp())
                self._spool.add(project_of(area, stat.key), *row)
                self._total += 1
            elif area == LOG:
                last = max(last, self._seq(stat))
            elif area == UNKNOWN:
                self._findings.unneeded(stat.key, "it lies outside of everything that this version knows")
            else:
                for examiner in self._examiners:
                    examiner.see_object(area, stat)
        last = find_end(self._store, last)  # the files were listed since: their events are older than this
        self._total += last
        return last

    def _seq(self, stat: Stat) -> int:
        seq = find_seq(stat.key)
        if not seq:
            self._findings.unneeded(stat.key, "it is no event's key")
        return seq or 0

    def read_log(self, last: int, snapshot: Snapshot | None, noted: Head | None) -> Snapshot:
        """Check the chain; return the fold of it as far as the snapshot goes, or of all of it where there is none."""
        up_to = last if snapshot is None else snapshot.head.seq
        witnesses = [] if noted is None else [(noted, "the head that was noted")]
        if snapshot is not None:
            witnesses.append((snapshot.head, "the snapshot"))
        by_seq: dict[int, list[tuple[Head, str]]] = {}
        for head, witness in witnesses:
            by_seq.setdefault(head.seq, []).append((head, witness))
            if head.seq > last:
                problem = f"the log ends before it, and {witness} says that it was there: the log's end was cut off"
                self._findings.lost(log_key(last + 1), problem)
        return advance(empty_snapshot(self._renderer.tag), self._events(last, up_to, by_seq))

    def _events(self, last: int, up_to: int, witnesses: Mapping[int, Sequence[tuple[Head, str]]]) -> Iterator[Event]:
        for event in walk(self._store, last, self._findings):
            self._take(event)
            for head, witness in witnesses.get(event.seq, ()):
                if head.digest != event.digest:
                    problem = f"{witness} knows it with another digest, {head.digest}: one of the two was altered"
                    self._findings.lost(log_key(event.seq), problem)
            if event.seq <= up_to:
                yield event

    def _take(self, event: Event) -> None:
        change = event.change
        if isinstance(change, ProjectChange):
            row = ("event", event.seq, event.at, type(change).__name__, dict(values_of(change)))
            self._spool.add(change.project, *row)
        for examiner in self._examiners:
            examiner.see_event(event)
        self.head = head_of(event)
        self._advance(1)

    def check_projects(self, check: ProjectCheck, *, deep: bool, after: str, stop: Callable[[], bool]) -> str:
        """Check all projects; return the last one whose files were read when it was stopped before all were."""
        groups = map(_group, self._spool.groups())
        begin = place(after) if after else (-1, "")
        reached, stopped = after, False  # one project is read whatever the time: so each try gets further
        for batch in batches(groups, AT_ONCE // 2):  # each has two pages
            private = [group for group in batch if is_normalized(group.name)]
            check.check(private)
            for group in batch:
                stopped = stopped or (reached != after and stop())
                reading = deep and not stopped and place(group.name) > begin
                if reading:
                    check.check_content(group)
                    reached = group.name
                for examiner in self._examiners:
                    examiner.examine(group, deep=reading)
                self._advance(len(group.objects))
        return reached if stopped else ""

    def _advance(self, count: int) -> None:
        self._done += count
        self._on_progress(self._done, self._total)


def _group(spooled: tuple[str, list[list[Any]]]) -> Group:
    name, rows = spooled
    objects = {row[1]: Held(size=row[2], modified=row[3]) for row in rows if row[0] == "object"}
    events = [_event(*row[1:]) for row in rows if row[0] == "event"]
    return Group(name=ProjectName(name), events=events, objects=objects)


def _event(seq: int, at: str, kind: str, values: dict[str, Any]) -> Event:
    """Return an event as far as folding needs it."""
    return Event(seq=seq, id="", prev="", at=at, by="", client="", change=KINDS[kind](**values), digest="")
