"""The command that says how large the index is, and how it grows: from one listing of the store, and the snapshot."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from indexer.derive.snapshot import Snapshot
from indexer.keys import (
    BESIDE_SUFFIXES,
    CACHE,
    CHECK_SUFFIX,
    INDEX,
    LISTS,
    LOG,
    MIRRORED_PAGES,
    PAGES,
    PROJECTS,
    SNAPSHOT_KEY,
    TOKENS,
    UNKNOWN,
    USERS,
    project_of,
)
from indexer.names import ProjectName
from indexer.store.base import Stat
from indexer.upkeep.inventory import NOTHING, Amount, list_by_area
from indexer.value import value
from pypi_lambda.command.context import Context, Result

PERIODS: Mapping[str, timedelta] = {
    "eventsLastDay": timedelta(days=1),
    "eventsLastWeek": timedelta(days=7),
    "eventsLastMonth": timedelta(days=30),
}
PROGRESS_EVERY = 1_000  # objects: as many as S3 lists at once


@value
class Stats:
    """Count projects, files, bytes and events. Files are those that are stored, removed ones included."""

    def run(self, context: Context) -> Result:
        """Carry it out."""
        now, view = context.now(), context.service.index.refresh()
        count = _Count(view.base, now)
        for number, (area, stat) in enumerate(list_by_area(context.service.store), 1):
            count.take(area, stat)
            if number % PROGRESS_EVERY == 0:
                context.on_progress(number, None)
        upstream = view.current.upstream if view.has_upstream else None
        return {
            "projects": sum(1 for _ in view.current.projects.items()),
            "files": count.files[PROJECTS],
            "fileBytes": count.of(PROJECTS).size,
            "mirroredProjects": count.mirrored_projects,
            "mirroredFiles": count.files[CACHE],
            "mirroredBytes": count.of(CACHE).size,
            "mirroredPageBytes": count.of(MIRRORED_PAGES).size,
            "events": view.current.head.seq,
            "logBytes": count.of(LOG).size,
            **{period: count.events[period] for period in PERIODS},
            "snapshotBytes": count.of(SNAPSHOT_KEY).size,
            "snapshotSeq": view.base.head.seq,
            "tail": view.tail_length,
            "pageBytes": count.of(PAGES).size,
            "supersededObjects": count.superseded.objects,
            "supersededBytes": count.superseded.size,
            "users": count.of(USERS).objects,
            "tokens": count.of(TOKENS).objects,
            "upstreamNames": None if upstream is None else upstream.count,
            "upstreamChanged": None if upstream is None else upstream.at,
            "upstreamAgeSeconds": None if upstream is None else _age_seconds(upstream.at, now),
            "unknownObjects": count.of(UNKNOWN).objects,
            "objects": count.total.objects,
            "bytes": count.total.size,
        }


def _age_seconds(at: str, now: datetime) -> int:
    return round((now - datetime.fromisoformat(at)).total_seconds())


class _Count:
    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self._snapshot = snapshot
        self._since = {period: now - length for period, length in PERIODS.items()}
        self._amounts: dict[str, Amount] = {}
        self.files: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.mirrored_projects = 0
        self.superseded = self.total = NOTHING

    def of(self, area: str) -> Amount:
        """Return what lies in an area."""
        return self._amounts.get(area, NOTHING)

    def take(self, area: str, stat: Stat) -> None:
        """Count an object."""
        self.total = self.total.plus(stat)
        self._amounts[area] = self.of(area).plus(stat)
        self.files[area] += not stat.key.endswith(BESIDE_SUFFIXES)
        if area == LOG:
            self.events.update(period for period, since in self._since.items() if stat.modified >= since)
        self.mirrored_projects += area == MIRRORED_PAGES and stat.key.endswith(CHECK_SUFFIX)
        if self._is_superseded(area, stat.key):
            self.superseded = self.superseded.plus(stat)

    def _is_superseded(self, area: str, key: str) -> bool:
        seq = key.rpartition("/")[2].partition("-")[0]
        if area == PAGES:
            current = self._snapshot.projects.find(ProjectName(project_of(PAGES, key)))
            return current is None or seq < f"{current:020}"
        upstream = self._snapshot.upstream
        return area in (LISTS, INDEX) and upstream is not None and upstream.names_sha256 not in key
