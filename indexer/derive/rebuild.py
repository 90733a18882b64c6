"""From log and snapshot to the next snapshot and its pages. Everything it writes is derived and may be deleted.

The cost follows what changed: one page for each project that the new events concern, and the snapshot. The pages are
written first, so a snapshot never names a page that is not there.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from indexer.derive.master import get_filter
from indexer.derive.snapshot import Snapshot, advance, decode_snapshot, empty_snapshot, encode_snapshot
from indexer.errors import AlreadyExists, Changed, CorruptObject, Missing, UnknownVersion
from indexer.keys import SNAPSHOT_KEY, page_key
from indexer.log.events import Event, ProjectChange
from indexer.log.log import Log
from indexer.log.project import Project, empty_project, fold
from indexer.names import ProjectName
from indexer.simple.page import Renderer, compress, decode_page, decompress
from indexer.store.base import ObjectStore, Stored, side_by_side
from indexer.value import replace, value

logger = logging.getLogger(__name__)


@value
class Rebuilt:
    """What a rebuild did.

    Attributes:
        changed: whether it wrote a new snapshot; not, when there was nothing new or another process was faster.
        pages: how many projects' pages it wrote.
    """

    snapshot: Snapshot
    changed: bool
    pages: int


@value
class LoadedSnapshot:
    """The stored snapshot, or an empty one where none is readable.

    Attributes:
        etag: what to replace, None for nothing.
        newer: why nothing may be replaced: the snapshot is of a newer version of this program.
    """

    snapshot: Snapshot
    etag: str | None
    newer: UnknownVersion | None = None


def load_snapshot(
    store: ObjectStore, renderer: Renderer, *, find: Callable[[], Stored | None] | None = None
) -> LoadedSnapshot:
    """Return the stored snapshot; a missing or corrupt one counts as empty, and the log output says so.

    Args:
        find: returns what lies under `SNAPSHOT_KEY`, where somebody asked for it already.
    """
    stored = store.find(SNAPSHOT_KEY) if find is None else find()
    if stored is None:
        logger.info("no snapshot; the log is folded from its beginning")
        return LoadedSnapshot(snapshot=empty_snapshot(renderer.tag), etag=None)
    try:
        return LoadedSnapshot(snapshot=decode_snapshot(SNAPSHOT_KEY, stored.body), etag=stored.etag)
    except UnknownVersion as newer:
        logger.warning("%s; until then the log is folded from its beginning", newer)
        return LoadedSnapshot(snapshot=empty_snapshot(renderer.tag), etag=stored.etag, newer=newer)
    except CorruptObject as fault:
        logger.warning("%s; the log is folded from its beginning", fault)
        return LoadedSnapshot(snapshot=empty_snapshot(renderer.tag), etag=stored.etag)


def rebuild(store: ObjectStore, renderer: Renderer, *, from_zero: bool = False) -> Rebuilt:
    """Bring the snapshot and the pages up to the end of the log.

    Args:
        from_zero: fold the whole log and write every page again, whatever is stored: the repair.

    Raises:
        CorruptObject: an event is unreadable; nothing past it can be trusted.
        UnknownVersion: the snapshot is of a newer version of this program, and stays.
    """
    log = Log(store)
    while True:
        loaded = load_snapshot(store, renderer)
        if loaded.newer is not None:
            raise loaded.newer
        base = loaded.snapshot
        if from_zero or base.renderer != renderer.tag:
            base = empty_snapshot(renderer.tag)
        events = list(log.read_after(base.head))
        if not events and loaded.etag is not None and base is loaded.snapshot:
            return Rebuilt(snapshot=base, changed=False, pages=0)
        try:
            pages = _write_pages(store, renderer, _changed_projects(store, base, events))
        except (Missing, CorruptObject) as fault:
            logger.warning("%s; the log is folded from its beginning", fault)
            from_zero = True
            continue
        current = with_filter(store, advance(base, events))
        if _write_snapshot(store, current, loaded):
            return Rebuilt(snapshot=current, changed=True, pages=pages)
        logger.info("another process wrote a snapshot meanwhile; looking again")


def events_by_project(events: Iterable[Event]) -> dict[ProjectName, list[Event]]:
    """Return the events about projects, by project, in their order."""
    grouped: dict[ProjectName, list[Event]] = {}
    for event in events:
        if isinstance(event.change, ProjectChange):
            grouped.setdefault(event.change.project, []).append(event)
    return grouped


def get_project(store: ObjectStore, base: Snapshot, name: ProjectName) -> Project:
    """Return a project as it was at the snapshot, read from its page; empty when it is not private there.

    Raises:
        Missing, CorruptObject: the page is gone or unreadable; only the log can tell.
    """
    seq = base.projects.find(name)
    if seq is None:
        return empty_project(name)
    key = page_key(name, seq, base.renderer, "json")
    project = decode_page(key, decompress(key, store.get(key).body))
    if (project.name, project.seq) != (name, seq):
        raise CorruptObject(key, f"the page is of {project.name!r} after event {project.seq}")
    return project


def with_filter(store: ObjectStore, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with its upstream filter loaded; without, where the list itself is lost.

    Without a filter every unknown name is asked upstream: slower, never wrong.
    """
    upstream = snapshot.upstream
    if upstream is None or upstream.filter is not None:
        return snapshot
    try:
        return replace(snapshot, upstream=replace(upstream, filter=get_filter(store, upstream)))
    except (Missing, CorruptObject) as fault:
        logger.warning("%s; unknown names are asked upstream until the next reindex", fault)
        return snapshot


def _changed_projects(store: ObjectStore, base: Snapshot, events: list[Event]) -> Iterator[Project]:
    for name, changes in events_by_project(events).items():
        before = get_project(store, base, name)
        project = fold(before, changes)
        if project.files:
            yield project


def _write_pages(store: ObjectStore, renderer: Renderer, projects: Iterator[Project]) -> int:
    pages = (page for project in projects for page in _render(renderer, project))
    return sum(1 for _ in side_by_side(store, partial(_write_page, store), pages)) // 2  # JSON and HTML of each


def _render(renderer: Renderer, project: Project) -> Iterator[tuple[str, bytes]]:
    yield renderer.json_key(project.name, project.seq), compress(renderer.render_json(project))
    yield renderer.html_key(project.name, project.seq), compress(renderer.render_html(project))


def _write_page(store: ObjectStore, page: tuple[str, bytes]) -> None:
    key, body = page
    try:
        store.put_new(key, body)
    except AlreadyExists:  # written by another rebuild, with these bytes, or damaged, and then this repairs it
        store.put(key, body)


def _write_snapshot(store: ObjectStore, snapshot: Snapshot, loaded: LoadedSnapshot) -> bool:
    body = encode_snapshot(snapshot)
    try:
        if loaded.etag is None:
            store.put_new(SNAPSHOT_KEY, body)
        else:
            store.replace(SNAPSHOT_KEY, body, etag=loaded.etag)
    except (AlreadyExists, Changed):
        return False
    return True
