"""A process's view of the index: the snapshot it loaded and the log's tail behind it, brought up to date on every
request (`pypi_lambda.view.view`). The first one is no exception: to start, a process reads the snapshot alone.
"""

import logging
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from indexer.derive.rebuild import get_project, load_snapshot, with_filter
from indexer.errors import CorruptObject, Missing
from indexer.keys import PAGES
from indexer.log.events import Event
from indexer.log.log import ORIGIN, Log, head_of
from indexer.log.project import Project, empty_project, fold
from indexer.names import ProjectName
from indexer.quick_hashes import blake2b
from indexer.simple.page import Renderer, compress, decompress
from indexer.store.base import ObjectStore, Stat, Stored
from indexer.store.reads import Reads
from indexer.value import replace, value
from pypi_lambda.shared import Cache
from pypi_lambda.view.view import View

if TYPE_CHECKING:
    from pypi_lambda.view.policy import Policy

PAGE_CACHE_BYTES = 67_108_864  # 64 MiB of compressed pages: the largest that we know has 5 MB, most have 5 KB
PROJECT_CACHE_FILES = 50_000  # decoded projects, some 600 bytes a file: 30 MB
RECENT_BYTES = 8_388_608  # 8 MiB of users' records, metadata, and what is known of files; where staleness is permitted
RECENT_BYTES_EACH = 1_024  # what one takes beside its content
RELOAD_EVENTS = 64  # a tail this long is worth a look for a newer snapshot, again after as many more events

logger = logging.getLogger(__name__)

T = TypeVar("T")


@value
class Page:
    """A page ready to be sent: gzip, with its entity tag.

    Attributes:
        warning: the header that says so, where the page is older than it should be.
    """

    body: bytes
    etag: str
    warning: str | None = None


def page_of(body: bytes) -> Page:
    """Return the page with these compressed bytes.

    The tag is weak: the same page may be sent with or without compression.
    """
    return Page(body=body, etag=f'W/"{blake2b(body, digest_size=16).hexdigest()}"')


@value
class Wanted:
    """What a request will probably need of the store.

    Attributes:
        records: keys of users' and tokens' records: as they are, or were no longer ago than the permitted staleness.
        record_limit: how many bytes these may have.
        pages: keys of pages, as they are.
        files: keys of files' metadata, which never changes.
        stats: keys of files of which it will be asked whether they are there.
    """

    records: tuple[str, ...] = ()
    record_limit: int = 0
    pages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    stats: tuple[str, ...] = ()


NOTHING = Wanted()


class Index:
    """The view of one process, shared by its threads.

    Args:
        max_staleness_seconds: how long a view counts as current after it was checked; 0 is strict.
        clock: monotonic seconds.
        request_repair: called when a derived object turned out to be missing or corrupt.
        policy: which of the upstream's names may enter; None for all that it lists.
        find_snapshot: returns the first stored snapshot, where somebody asked for it already.
    """

    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        *,
        max_staleness_seconds: float,
        clock: Callable[[], float],
        request_repair: Callable[[], None],
        policy: "Policy | None" = None,
        find_snapshot: Callable[[], Stored | None] | None = None,
    ) -> None:
        self._store = store
        self._log = Log(store)
        self._renderer = renderer
        self._max_staleness_seconds = max_staleness_seconds
        self._clock = clock
        self._request_repair = request_repair
        self._policy = policy
        self._lock = Lock()
        self._checked_at = float("-inf")  # when the present view, or one before it, was known to be at the log's end
        self._pages: Cache[tuple[ProjectName, int, str], Page] = Cache(PAGE_CACHE_BYTES)
        self._projects: Cache[tuple[ProjectName, int], Project] = Cache(PROJECT_CACHE_FILES)
        self._recent: Cache[tuple[str, str], tuple[Any, float]] = Cache(RECENT_BYTES)
        self._view = self._load(find_snapshot)

    @property
    def renderer(self) -> Renderer:
        """How its pages are rendered."""
        return self._renderer

    @property
    def view(self) -> View:
        """The view as it was when it was last brought up to date."""
        return self._view

    def reload(self) -> View:
        """Start afresh from the stored snapshot, as after a rebuild; return the view at the end of the log."""
        asked_at = self._clock()
        return self._adopt(self._with_tail(self._load()), asked_at)

    def _load(self, find_snapshot: Callable[[], Stored | None] | None = None) -> View:
        """Return the view of the stored snapshot; what happened since is left to whoever asks the log."""
        snapshot = load_snapshot(self._store, self._renderer, find=find_snapshot).snapshot
        return View(base=snapshot, current=snapshot, tail={}, policy=self._policy)

    def _with_tail(self, view: View, *events: Event) -> View:
        """Return the view at the end of the log, of whose tail these events are already read."""
        head = head_of(events[-1]) if events else view.current.head
        found = [*events, *self._log.read_after(head)]
        return self._with_filter(view, view.advanced(found)) if found else view

    def next_event(self, view: View) -> Event | None:
        """Return the event after the view, if any: the one question that makes an answer current.

        Without asking, when the view was checked no longer ago than the permitted staleness.
        """
        asked_at, checked_at = self._clock(), self._checked_at
        if view is self._view and asked_at - checked_at < self._max_staleness_seconds:
            return None
        event = self._log.find_next(view.current.head)
        if event is None:
            self._checked_at = asked_at
        return event

    def read(self, view: View, wanted: Wanted) -> tuple[Event | None, Reads]:
        """Return what `next_event` does, and what is wanted, in one round trip."""
        event, *found = self._store.gather(
            partial(self.next_event, view),
            *(partial(self.find_recent, key, limit=wanted.record_limit) for key in wanted.records),
            *(partial(self._store.find, key) for key in wanted.pages),
            *(partial(self.find_recent_file, key) for key in wanted.files),
            *(partial(self.stat_recent_file, key) for key in wanted.stats),
        )
        keys = (*wanted.records, *wanted.pages, *wanted.files)
        objects = dict(zip(keys, found[: len(keys)], strict=True))
        return event, Reads(
            store=self._store, objects=objects, stats=dict(zip(wanted.stats, found[len(keys) :], strict=True))
        )

    def find_recent(self, key: str, *, limit: int) -> Stored | None:
        """Return an object as it is, or as it was no longer ago than the permitted staleness; None for none."""
        return self._recall(("object", key), lambda: self._store.find(key, limit=limit), keeps_none=True)

    def find_recent_file(self, key: str) -> Stored | None:
        """Like `find_recent`, but what is not there is looked for each time: it may be on its way in."""
        return self._recall(("object", key), lambda: self._store.find(key), keeps_none=False)

    def stat_recent_file(self, key: str) -> Stat | None:
        """Return what is known of a file, as `find_recent_file` does."""
        return self._recall(("stat", key), lambda: self._store.stat(key), keeps_none=False)

    def _recall(self, key: tuple[str, str], read: Callable[[], T | None], *, keeps_none: bool) -> T | None:
        if not self._max_staleness_seconds:
            return read()
        asked_at = self._clock()
        kept = self._recent.find(key)
        if kept is not None and asked_at - kept[1] < self._max_staleness_seconds:
            recent: T | None = kept[0]
            return recent
        found = read()
        if found is not None or keeps_none:
            size = len(found.body) if isinstance(found, Stored) else 0
            self._recent.put(key, (found, asked_at), cost=RECENT_BYTES_EACH + size)
        return found

    def follow(self, view: View, event: Event | None) -> View:
        """Return the view at the end of the log, given what `next_event` found after it."""
        if event is None:
            return view
        asked_at = self._clock()
        advanced = self._with_tail(view, event)
        if view.tail_length // RELOAD_EVENTS < advanced.tail_length // RELOAD_EVENTS:
            newer = self._load()
            if newer.current.head.seq > view.base.head.seq:
                advanced = self._with_tail(newer)
        return self._adopt(advanced, asked_at)

    def refresh(self) -> View:
        """Return the view at the end of the log."""
        view = self._view
        return self.follow(view, self._log.find_next(view.current.head))

    def _adopt(self, view: View, checked_at: float) -> View:
        with self._lock:
            ahead = view.current.head.seq - self._view.current.head.seq
            if ahead > 0 or (ahead == 0 and view.tail_length < self._view.tail_length):
                self._view = view
            # After the view, and never before it: else a view from long ago would count as just checked.
            self._checked_at = max(self._checked_at, checked_at)
        return view

    def _with_filter(self, before: View, view: View) -> View:
        """Load the filter of a list of upstream names that the tail brought; keep the old one where that fails."""
        current = with_filter(self._store, view.current)
        upstream, old = current.upstream, before.current.upstream
        if upstream is not None and upstream.filter is None and old is not None:
            current = replace(current, upstream=replace(upstream, filter=old.filter))
        return replace(view, current=current)

    def find_page_key(self, view: View, name: ProjectName, extension: str) -> str | None:
        """Return the key under which the page is worth reading ahead; None when it is at hand, or must be rendered."""
        seq = view.current.projects.find(name)
        if seq is None or name in view.tail or view.base.renderer != self._renderer.tag:
            return None
        if self._pages.find((name, seq, extension)) is not None:
            return None
        return self._page_key(name, seq, extension)

    def _page_key(self, name: ProjectName, seq: int, extension: str) -> str:
        return self._renderer.json_key(name, seq) if extension == "json" else self._renderer.html_key(name, seq)

    def page(self, view: View, name: ProjectName, extension: str, reads: Reads | None = None) -> Page:
        """Return a private project's page.

        Args:
            extension: `json` or `html`.
            reads: has what lies under the key that `find_page_key` gave, if it was read ahead.
        """
        seq = view.current.projects.find(name)
        if seq is None:
            raise Missing(f"{PAGES}{name}/")
        page = self._pages.find((name, seq, extension))
        if page is None:
            page = self._stored_page(view, name, extension, reads) or self._rendered_page(view, name, extension)
            self._pages.put((name, seq, extension), page, cost=len(page.body))
        return page

    def _stored_page(self, view: View, name: ProjectName, extension: str, reads: Reads | None) -> Page | None:
        key = self.find_page_key(view, name, extension)
        if key is None:
            return None
        try:
            stored = self._store.find(key) if reads is None else reads.find(key)
            if stored is None:
                raise Missing(key)
            decompress(key, stored.body)
        except (Missing, CorruptObject) as fault:
            logger.warning("%s; the page is made anew", fault)
            self._request_repair()
            return None
        return page_of(stored.body)

    def _rendered_page(self, view: View, name: ProjectName, extension: str) -> Page:
        project = self.project(view, name)
        render = self._renderer.render_json if extension == "json" else self._renderer.render_html
        return page_of(compress(render(project)))

    def project(self, view: View, name: ProjectName) -> Project:
        """Return a private project as the view has it.

        Raises:
            Missing: the view has no such private project.
        """
        seq = view.current.projects.find(name)
        if seq is None:
            raise Missing(f"{PAGES}{name}/")
        project = self._projects.find((name, seq))
        if project is None:
            project = self._read_project(view, name)
            self._projects.put((name, seq), project, cost=1 + len(project.files))
        return project

    def _read_project(self, view: View, name: ProjectName) -> Project:
        try:
            return fold(get_project(self._store, view.base, name), view.tail.get(name, ()))
        except (Missing, CorruptObject) as fault:
            logger.warning("%s; %s is folded from the log's beginning", fault, name)
            self._request_repair()
            return fold(empty_project(name), self._log.read_after(ORIGIN))
