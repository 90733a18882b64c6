"""The upstream's project pages as we serve them: from the store while they are fresh, then revalidated.

When the upstream fails, a stale page is better than none. Owns who asks for a page again and when, and who waits for
it; what an answer makes of it is `pypi_lambda.mirror.revisions`', how it lies in the store is
`pypi_lambda.mirror.kept_pages`'.

RFC 9111 (freshness, validation).
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from indexer.errors import StoreUnavailable, UpstreamUnavailable
from indexer.json_bytes import decode_json
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress, decompress
from indexer.store.base import ObjectStore
from indexer.store.reads import Reads, read_ahead
from indexer.value import replace
from pypi_lambda.mirror.kept_pages import KeptPage, KeptPages, Revision, newer
from pypi_lambda.shared import Cache, SharedWork, TakesLonger
from pypi_lambda.view.index import PAGE_CACHE_BYTES, Page, page_of

if TYPE_CHECKING:
    from indexer.digests import Hashes
    from indexer.upstream.client import Upstream
    from indexer.upstream.sources import Source
    from pypi_lambda.mirror.failures import Failure

ABSENT_SECONDS = 60  # a name that the upstream does not have is not asked for again: somebody mistyped it in a build
# 64 KiB: the page of some 1,100 files, made anew in 8 ms and two writes; each time, clients' copies are outdated.
CHEAP_PAGE_BYTES = 65_536
MAX_REMEMBERED = 4_096  # names of which a failure or the absence is remembered, each
# pip and poetry stop reading after 15 s. Who has a page to fall back on should not wait that long for a newer one.
WAIT_SECONDS = 10.0
REVALIDATE_SECONDS = 5.0
STILL_ASKING_SECONDS = 5  # when to come back for what takes longer

logger = logging.getLogger(__name__)


class MirroredPages:
    """Pages of one upstream.

    Args:
        make_upstream: called when the upstream is first needed: its client is slow to import.
        now: the current time.
        wait_seconds: how long a request without a page to fall back on waits for the upstream.
        revalidate_seconds: how long one with a page waits.
    """

    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        *,
        make_upstream: "Callable[[], Upstream]",
        now: Callable[[], datetime],
        wait_seconds: float = WAIT_SECONDS,
        revalidate_seconds: float = REVALIDATE_SECONDS,
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._make_upstream = make_upstream
        self._now = now
        self._wait_seconds = wait_seconds
        self._revalidate_seconds = revalidate_seconds
        self._kept = KeptPages(store, renderer_tag=renderer.mirror_tag)
        self._pages: Cache[ProjectName, KeptPage] = Cache(PAGE_CACHE_BYTES)
        self._html: Cache[tuple[ProjectName, str], Page] = Cache(PAGE_CACHE_BYTES)
        self._failures: Cache[ProjectName, Failure] = Cache(MAX_REMEMBERED)
        self._absent: Cache[ProjectName, float] = Cache(MAX_REMEMBERED)
        self._questions: SharedWork[KeptPage | None] = SharedWork()
        self._upstream_lock = Lock()
        self._upstream: Upstream | None = None

    def upstream(self) -> "Upstream":
        """Return the upstream's client."""
        with self._upstream_lock:
            if self._upstream is None:
                self._upstream = self._make_upstream()
            return self._upstream

    def keys_to_read(self, name: ProjectName) -> tuple[str, ...]:
        """Return the keys that `find_page` will want; none when what it needs is at hand."""
        at, kept = self._time(), self._pages.find(name)
        is_known = self._is_absent(name, kept, at) or (kept is not None and kept.check.is_fresh(at))
        return () if is_known else self._kept.keys(name)

    def find_page(self, name: ProjectName, extension: str, reads: Reads) -> Page | None:
        """Return a project's page, or None when the upstream has no such project.

        Where it is older than it should be, because the upstream failed or says for the first time that there is no
        such project, it has a warning.

        Args:
            extension: `json` or `html`.
            reads: has what lies under `keys_to_read`, where that was read ahead.

        Raises:
            UpstreamUnavailable: the upstream failed, and nothing is stored that could be served in its place.
        """
        kept = self._current(name, reads)
        if kept is None:
            return None
        return kept.page if extension == "json" else self._html_page(name, kept.page)

    def find_sources(self, name: ProjectName) -> "Mapping[Filename, Source] | None":
        """Return where a project's files come from, by file name, or None when the upstream has no such project.

        Fails as `find_page` does.
        """
        kept = self._current(name, read_ahead(self._store, self.keys_to_read(name)))
        sources = None if kept is None else self._kept.find_sources(name, kept.check)
        if kept is None or sources is not None:
            return sources
        # They are lost, damaged, or of a newer page that another process wrote.
        kept = self._asked_anew(name)
        sources = None if kept is None else self._kept.find_sources(name, kept.check)
        if kept is not None and sources is None:
            raise UpstreamUnavailable(f"its page of {name} changes while it is read", retry_after_seconds=1)
        return sources

    def find_last(self, name: ProjectName) -> Page | None:
        """Return the last page of a project that is kept, without asking anybody."""
        return self._kept.find_last(name)

    def find_dropped(self, name: ProjectName, filename: Filename) -> str | None:
        """Return why a file is left out of a project's page that was found just now, or None where it is not."""
        kept = self._pages.find(name)
        if kept is None:
            return None
        from indexer.simple.marks import find_dropped

        return find_dropped(decode_json(decompress(self._kept.keys(name)[0], kept.page.body)), filename)

    def fill(
        self,
        name: ProjectName,
        filename: Filename,
        *,
        size: int | None = None,
        upload_time: str | None = None,
        metadata: "bool | Hashes | None" = None,
        is_needed: bool = True,
    ) -> None:
        """Say on a project's page what was learnt about a file, where the upstream does not say it.

        Args:
            size: bytes.
            upload_time: as `YYYY-MM-DDThh:mm:ss.ffffffZ`.
            metadata: what its metadata turned out to be: the digests, or False for none.
            is_needed: whether it must be said of a page that is costly to write, too.
        """
        from pypi_lambda.mirror.revisions import revise_file

        def revise(before: KeptPage | None) -> Revision | None:
            if not is_needed and before is not None and len(before.page.body) > CHEAP_PAGE_BYTES:
                return None
            # The sources have nothing else of what is filled in.
            is_known = size is None and upload_time is None
            sources = None if before is None or is_known else self._kept.find_sources(name, before.check)
            return revise_file(before, sources, filename, size=size, upload_time=upload_time, metadata=metadata)

        try:
            kept = self._kept.update(name, revise)
        except StoreUnavailable as fault:  # the file itself is there, and that is what the request is about
            logger.warning("%s; the page of %s does not say what was learnt about %s", fault, name, filename)
            return
        if kept is not None:
            self._remember(name, kept)

    def _time(self) -> float:
        return self._now().timestamp()

    def _html_page(self, name: ProjectName, page: Page) -> Page:
        rendered = self._html.find((name, page.etag))
        if rendered is None:
            content = decode_json(decompress(self._kept.keys(name)[0], page.body))
            rendered = page_of(compress(self._renderer.html(content)))
            self._html.put((name, page.etag), rendered, cost=len(rendered.body))
        return replace(rendered, warning=page.warning)

    def _current(self, name: ProjectName, reads: Reads) -> KeptPage | None:
        arrived_at = self._time()
        remembered = self._pages.find(name)
        is_known = remembered is not None or self._is_absent(name, None, arrived_at)
        is_at_hand = is_known and self._kept.keys(name)[0] not in reads
        kept = remembered if is_at_hand else newer(remembered, self._kept.find(name, reads))
        if self._is_absent(name, kept, arrived_at):
            return None
        if kept is not None and kept.check.is_fresh(arrived_at):
            if kept is not remembered:
                self._remember(name, kept)
            return _marked_if_doubtful(kept)
        failure = self._failures.find(name)
        if failure is not None and failure.is_recent(arrived_at, has_page=kept is not None):
            if kept is None:
                raise failure.fault(arrived_at)
            return _marked(kept)
        return self._asked(name, kept, arrived_at)

    def _asked(self, name: ProjectName, kept: KeptPage | None, arrived_at: float) -> KeptPage | None:
        seconds = self._wait_seconds if kept is None else self._revalidate_seconds
        try:
            return self._questions.run(name, partial(self._ask, name, kept, arrived_at), wait_seconds=seconds)
        except UpstreamUnavailable:
            if kept is None:
                raise
        except TakesLonger:
            fault = UpstreamUnavailable(
                f"it takes longer than {seconds:g} s to answer for {name}", retry_after_seconds=STILL_ASKING_SECONDS
            )
            self._note(name, kept, fault)
            if kept is None:
                raise fault from None
        return _marked(kept)

    def _asked_anew(self, name: ProjectName) -> KeptPage | None:
        ask = partial(self._fetched, name, None, anew=True)
        try:
            return self._questions.run((name, "anew"), ask, wait_seconds=self._wait_seconds)
        except TakesLonger:
            reason = f"it takes longer than {self._wait_seconds:g} s to answer for {name}"
            raise UpstreamUnavailable(reason, retry_after_seconds=STILL_ASKING_SECONDS) from None

    def _ask(self, name: ProjectName, kept: KeptPage | None, arrived_at: float) -> KeptPage | None:
        """Return the page that the upstream has, unless another request learnt that since this one arrived."""
        at, kept = self._time(), newer(kept, self._pages.find(name))
        if self._is_absent(name, kept, at):
            return None
        if kept is not None and (kept.check.is_fresh(at) or arrived_at < kept.check.said_at <= at):
            return _marked_if_doubtful(kept)
        failure = self._failures.find(name)
        if failure is not None and arrived_at < failure.at <= at:
            raise failure.fault(at)
        try:
            return self._fetched(name, kept, anew=False)
        except UpstreamUnavailable as fault:
            self._note(name, kept, fault)
            raise

    def _fetched(self, name: ProjectName, kept: KeptPage | None, *, anew: bool) -> KeptPage | None:
        at = self._time()
        revise = self._fetch(name, kept, at, anew=anew)
        before = kept
        kept = self._kept.update(name, revise)
        self._failures.forget(name)
        if kept is None:
            if before is not None:
                logger.warning("the upstream has no project %s any longer; its page is gone", name)
            self._pages.forget(name)
            self._absent.put(name, self._time(), cost=1)
            return None
        self._remember(name, kept)
        if kept.check.missing_since is not None:
            logger.warning("the upstream denies that it has %s; serving its page until that is confirmed", name)
        return _marked_if_doubtful(kept)

    def _fetch(
        self, name: ProjectName, kept: KeptPage | None, at: float, *, anew: bool
    ) -> Callable[[KeptPage | None], Revision | None]:
        """Ask the upstream, and return what its answer makes of the page that is kept."""
        from pypi_lambda.mirror.revisions import Asked, reviser_of

        etag, last_modified = (kept.check.etag, kept.check.last_modified) if kept else (None, None)
        answer = self.upstream().fetch_page(name, etag=etag, last_modified=last_modified)
        asked = Asked(at=at, answered_at=self._time())
        return reviser_of(name, answer, asked=asked, asked_about=kept, renderer=self._renderer, anew=anew)

    def _note(self, name: ProjectName, kept: KeptPage | None, fault: UpstreamUnavailable) -> None:
        at = self._time()
        from pypi_lambda.mirror.failures import failure_of

        self._failures.put(name, failure_of(fault, at), cost=1)
        if kept is not None:
            logger.warning("%s; serving the page of %s as of %s s ago", fault, name, round(at - kept.check.at))

    def _remember(self, name: ProjectName, kept: KeptPage) -> None:
        self._pages.put(name, kept, cost=len(kept.page.body))

    def _is_absent(self, name: ProjectName, kept: KeptPage | None, at: float) -> bool:
        since = self._absent.find(name)
        if since is None or (kept is not None and kept.check.said_at > since):
            return False
        return 0 <= at - since < ABSENT_SECONDS


def _marked_if_doubtful(kept: KeptPage) -> KeptPage:
    """Return the page, marked where the upstream has said once that there is no such project."""
    return kept if kept.check.missing_since is None else _marked(kept)


def _marked(kept: KeptPage) -> KeptPage:
    from pypi_lambda.mirror.failures import marked

    return marked(kept)
