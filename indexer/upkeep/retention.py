"""What is thrown away, and when: what is superseded, what a killed process left, mirrored files that nobody uses, the
bytes of removed private files after their retention. Never a file that is offered, never what a running process may
still name.

Asked for and carried out in one: a `Sweep` counts what goes, and deletes it unless it only looks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby

from indexer.derive.snapshot import Snapshot
from indexer.keys import (
    BESIDE_SUFFIXES,
    CACHE,
    CHECK_SUFFIX,
    INCOMING,
    INDEX,
    LISTS,
    METADATA,
    MIRRORED_PAGES,
    PAGES,
    PART_SUFFIX,
    TRANSIENT,
    USES,
    file_key,
    project_of,
    provenance_key,
    use_key,
)
from indexer.log.project import File
from indexer.names import ProjectName
from indexer.store.base import AT_ONCE, ObjectStore, Stat, side_by_side
from indexer.upkeep.adopt import is_publishable
from indexer.upkeep.inventory import NOTHING, Amount
from indexer.upkeep.survey import Folder
from indexer.value import value

# What a snapshot no longer names may still be read by a container that loaded the one before, for as long as one lives.
KEEP_SUPERSEDED = timedelta(hours=6)
# A container names the pages of the snapshot it started from, and starts from a newer one after 64 events.
KEEP_PAGES = timedelta(days=7)
KEEP_TRANSIENT = timedelta(days=1)
KEEP_PARTS = timedelta(days=7)  # of an upload that was not gone on with
KEEP_ORPHANS = timedelta(days=30)
# A process notes a mirrored file's use once a day, and a mirrored page counts as fresh for a day at most: what was used
# just now may look a day old. And a removed file is restored up to its last day by a clock that may be slow.
MARGIN = timedelta(days=1)

SUPERSEDED, LEFT_BEHIND, REMOVED, ORPHANED = "superseded", "transient", "removed", "orphans"
MIRRORED_FILES, UNUSED_PAGES = "mirroredFiles", "mirroredPages"
REASONS = (SUPERSEDED, LEFT_BEHIND, MIRRORED_FILES, UNUSED_PAGES, REMOVED, ORPHANED)


@value
class Retention:
    """For how long what could be deleted is kept.

    Attributes:
        mirror_days: mirrored files and pages after their last use; 0 for ever.
        removed_days: the bytes of removed private files; 0 for ever.
    """

    mirror_days: int = 0
    removed_days: int = 30


DEFAULT = Retention()


def is_kept(removed_at: str, removed_days: int, now: datetime) -> bool:
    """Tell whether the bytes of a private file that was removed at a moment are kept yet: whether it can be restored.

    Args:
        removed_at: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
        removed_days: for how long they are; 0 for ever.
    """
    return not removed_days or now < datetime.fromisoformat(removed_at) + timedelta(days=removed_days)


class Sweep:
    """Deletes, and counts by reason.

    Args:
        dry_run: count only.
        on_object: called with the reason and each object that goes.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        dry_run: bool = False,
        on_object: Callable[[str, Stat], None] = lambda reason, stat: None,
    ) -> None:
        self._store = store
        self._dry_run = dry_run
        self._on_object = on_object
        self._pending: list[str] = []
        self._amounts: dict[str, Amount] = {}

    @property
    def amounts(self) -> Mapping[str, Amount]:
        """What went, for each of `REASONS`."""
        return {reason: self._amounts.get(reason, NOTHING) for reason in REASONS}

    def take(self, reason: str, stats: Iterable[Stat]) -> None:
        """Delete these objects, before the next call of `flush` ends."""
        for stat in stats:
            self._amounts[reason] = self._amounts.get(reason, NOTHING).plus(stat)
            self._on_object(reason, stat)
            self._pending.append(stat.key)
            if len(self._pending) >= AT_ONCE:
                self.flush()

    def flush(self) -> None:
        """Have everything deleted that was taken."""
        if not self._dry_run:
            list(side_by_side(self._store, self._store.delete, self._pending))
        self._pending.clear()


def sweep_superseded(store: ObjectStore, sweep: Sweep, snapshot: Snapshot, now: datetime) -> None:
    """Take the lists of upstream names, root listings and pages that nothing names any more, and what killed processes
    left.

    Args:
        snapshot: as it is stored, or later.
    """
    current = "" if snapshot.upstream is None else snapshot.upstream.names_sha256
    sweep.take(SUPERSEDED, (stat for stat in _old_lists(store, now) if not (current and current in stat.key)))
    old = (stat for stat in store.list(INDEX) if stat.modified < now - KEEP_SUPERSEDED)
    sweep.take(SUPERSEDED, (stat for stat in old if not (current and current in stat.key)))
    for _, pages in groupby(store.list(PAGES), key=lambda stat: project_of(PAGES, stat.key)):
        sweep.take(SUPERSEDED, _replaced(pages, now - KEEP_PAGES))
    for prefix in TRANSIENT:
        sweep.take(LEFT_BEHIND, (stat for stat in store.list(prefix) if stat.modified < now - KEEP_TRANSIENT))
    parts = (stat for stat in store.list(INCOMING) if stat.key.endswith(PART_SUFFIX))
    sweep.take(LEFT_BEHIND, (stat for stat in parts if stat.modified < now - KEEP_PARTS))
    sweep.flush()


def _replaced(stats: Iterable[Stat], moment: datetime) -> Iterator[Stat]:
    """Yield what was replaced before this moment: what has a newer one of its kind that was there by then.

    Args:
        stats: of one folder, named `{number}-{kind}`.
    """
    kinds: dict[str, list[Stat]] = {}
    for stat in stats:
        if stat.modified < moment:
            kinds.setdefault(stat.key.rpartition("/")[2].partition("-")[2], []).append(stat)
    for settled in kinds.values():
        yield from sorted(settled, key=lambda stat: stat.key)[:-1]


def _old_lists(store: ObjectStore, now: datetime) -> Iterator[Stat]:
    """Yield the lists of upstream names, and their filters, that were replaced long ago: as `_replaced`, but by age."""
    lists: dict[str, list[Stat]] = {}
    for stat in store.list(LISTS):
        lists.setdefault(stat.key.partition(".")[0], []).append(stat)
    by_age = sorted(lists.values(), key=lambda stats: max(stat.modified for stat in stats))
    settled = [stats for stats in by_age if all(stat.modified < now - KEEP_SUPERSEDED for stat in stats)]
    for stats in settled[:-1]:
        yield from stats


def sweep_mirror(store: ObjectStore, sweep: Sweep, days: int, now: datetime) -> None:
    """Take the pages of the upstream that are out of use, and the mirrored files and pages that nobody used for long.

    Args:
        days: after their last use; 0 keeps them for ever.
    """
    last_day = now - timedelta(days=days) - MARGIN if days else None
    _sweep_mirrored_pages(store, sweep, last_day, now)
    if last_day is not None:
        _sweep_mirrored_files(store, sweep, last_day)
    sweep.flush()


def _sweep_mirrored_pages(store: ObjectStore, sweep: Sweep, last_day: datetime | None, now: datetime) -> None:
    unused: list[Stat] = []
    for _, group in groupby(store.list(MIRRORED_PAGES), key=lambda stat: project_of(MIRRORED_PAGES, stat.key)):
        stats = list(group)
        newest = max(stat.modified for stat in stats)
        # The check is renewed whenever somebody asks for the page and it is not fresh any more.
        checks = [stat for stat in stats if stat.key.endswith(CHECK_SUFFIX)]
        if not checks and newest < now - KEEP_TRANSIENT:
            sweep.take(SUPERSEDED, stats)
        elif last_day is not None and newest < last_day:
            sweep.take(UNUSED_PAGES, checks)  # first, for without it the page is out of use
            unused += [stat for stat in stats if stat not in checks]
    sweep.flush()
    sweep.take(UNUSED_PAGES, unused)


def _sweep_mirrored_files(store: ObjectStore, sweep: Sweep, last_day: datetime) -> None:
    uses = {stat.key: stat for stat in store.list(USES)}
    for _, group in groupby(store.list(CACHE), key=lambda stat: project_of(CACHE, stat.key)):
        stats = {stat.key: stat for stat in group}
        for key, stat in stats.items():
            file = key.removesuffix(METADATA)  # what describes a file goes with it
            use = uses.get(use_key(file))
            if max(seen.modified for seen in (stat, stats.get(file), use) if seen is not None) >= last_day:
                continue
            again = store.stat(use_key(file))  # it may have been used since that was listed
            if again is None or again.modified < last_day:
                sweep.take(MIRRORED_FILES, [stat])
    sweep.take(MIRRORED_FILES, (stat for stat in uses.values() if stat.modified < last_day))


@value
class Expired:
    """The stored bytes of a removed file whose retention is over, and the last event that concerned its project."""

    project: ProjectName
    seq: int
    stat: Stat


def find_removed(folder: Folder, days: int, now: datetime) -> Iterator[Expired]:
    """Yield what is stored of a project's removed files whose retention is over.

    Args:
        days: for how long removed files are kept; 0 for ever.
    """
    project = folder.project
    files = [file for file in project.files.values() if _has_ended(file, days, now)]
    ended = {file_key(project.name, file.filename) for file in files}
    ended |= {provenance_key(project.name, file.provenance_sha256) for file in files if file.provenance_sha256}
    for stat in folder.stats:
        if stat.key.removesuffix(METADATA) in ended:
            yield Expired(project=project.name, seq=project.seq, stat=stat)


def _has_ended(file: File, days: int, now: datetime) -> bool:
    return file.removed_at is not None and not is_kept(file.removed_at, days, now - MARGIN)


def sweep_removed(sweep: Sweep, expired: Iterable[Expired], snapshot: Snapshot) -> None:
    """Take those of whose projects nothing is known since they were found.

    Args:
        snapshot: as of the log's end.
    """
    for found in expired:
        if snapshot.projects.find(found.project) == found.seq:
            sweep.take(REMOVED, [found.stat])
    sweep.flush()


def find_unpublishable(store: ObjectStore, folder: Folder, now: datetime) -> Iterator[Stat]:
    """Yield what has lain in a project's folder for long, that no event names, and that cannot be published either.

    Raises:
        Missing: it went away while it was looked at.
    """
    project = folder.project
    published = {file_key(project.name, filename) for filename in project.files}
    there = {stat.key for stat in folder.stats}
    for stat in folder.stats:
        file = stat.key.removesuffix(METADATA)
        if stat.modified >= now - KEEP_ORPHANS or file in published:
            continue
        if file != stat.key:
            if file not in there:
                yield stat
        elif not stat.key.endswith(BESIDE_SUFFIXES) and not is_publishable(store, stat):
            yield stat
