"""The upstream's project pages as we serve them: from the store while they are fresh, then revalidated.

When the upstream fails, a stale page is better than none. Owns for how long a page counts and who asks for it again;
how it lies in the store is `pypi_lambda.kept_pages`', what it says is `indexer.listing`'s.

RFC 9111 (freshness, validation).
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

from indexer.errors import UpstreamUnavailable
from indexer.json_bytes import decode_json, encode_json
from indexer.names import Filename, ProjectName
from indexer.simple import Renderer, compress, decompress
from indexer.store import ObjectStore, Stored
from indexer.value import replace, value
from pypi_lambda.cache import Cache
from pypi_lambda.index import PAGE_CACHE_BYTES, Page, ReadAhead, page_of
from pypi_lambda.kept_pages import Check, KeptPage, KeptPages, digest_of

if TYPE_CHECKING:
    from indexer.sources import Source
    from indexer.upstream import Fetched, Upstream

DEFAULT_FRESH_SECONDS = 600  # what the public index itself says; used where an upstream says nothing
MAX_FRESH_SECONDS = 86_400  # an upstream may not keep a new release from us for longer than a day
BACK_OFF_SECONDS = 10  # after a failure the project's stored page is served without asking again
MAX_FAILURES = 4_096  # projects whose last failure is known
# Requests for a stale page wait for the one that asks upstream, which may take its whole time-out: so two projects
# should not share a lock.
LOCKS = 1_024

logger = logging.getLogger(__name__)


@value
class _Failure:
    at: float
    reason: str
    retry_after_seconds: int


class MirroredPages:
    """Pages of one upstream.

    Args:
        make_upstream: called when the upstream is first needed: its client is slow to import.
        now: the current time.
    """

    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        *,
        make_upstream: "Callable[[], Upstream]",
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._make_upstream = make_upstream
        self._now = now
        self._kept = KeptPages(store, renderer_tag=renderer.tag)
        self._pages: Cache[ProjectName, KeptPage] = Cache(PAGE_CACHE_BYTES)
        self._html: Cache[tuple[ProjectName, str], Page] = Cache(PAGE_CACHE_BYTES)
        self._failures: Cache[ProjectName, _Failure] = Cache(MAX_FAILURES)
        self._locks = tuple(Lock() for _ in range(LOCKS))
        self._upstream_lock = Lock()
        self._upstream: Upstream | None = None

    def upstream(self) -> "Upstream":
        """Return the upstream's client."""
        with self._upstream_lock:
            if self._upstream is None:
                self._upstream = self._make_upstream()
            return self._upstream

    def keys_to_read(self, name: ProjectName) -> tuple[str, ...]:
        """Return the keys that `find_page` will want; none when a fresh page is at hand."""
        kept = self._pages.find(name)
        return () if kept is not None and self._is_fresh(kept.check) else self._kept.keys(name)

    def find_page(self, name: ProjectName, extension: str, ahead: Mapping[str, ReadAhead]) -> Page | None:
        """Return a project's page, or None when the upstream has no such project.

        Args:
            extension: `json` or `html`.
            ahead: what was read under `keys_to_read`, by key.

        Raises:
            UpstreamUnavailable: the upstream failed, and nothing is stored that could be served in its place.
        """
        kept = self._current(name, {key: found.stored for key, found in ahead.items()})
        if kept is None:
            return None
        return kept.page if extension == "json" else self._html_page(name, kept.page)

    def find_sources(self, name: ProjectName) -> "Mapping[Filename, Source] | None":
        """Return where a project's files come from, by file name, or None when the upstream has no such project.

        Raises:
            UpstreamUnavailable: as for `find_page`.
        """
        keys = self.keys_to_read(name)
        read = self._store.gather(*(self._finder(key) for key in keys))
        kept = self._current(name, dict(zip(keys, read, strict=True)))
        sources = None if kept is None else self._kept.find_sources(name, kept.check)
        if kept is None or sources is not None:
            return sources
        # They are lost, damaged, or of a newer page that another process wrote.
        kept = self._asked_anew(name)
        sources = None if kept is None else self._kept.find_sources(name, kept.check)
        if kept is not None and sources is None:
            raise UpstreamUnavailable(f"its page of {name} changes while it is read", retry_after_seconds=1)
        return sources

    def _finder(self, key: str) -> Callable[[], Stored | None]:
        return lambda: self._store.find(key)

    def _html_page(self, name: ProjectName, page: Page) -> Page:
        rendered = self._html.find((name, page.etag))
        if rendered is None:
            from indexer.html import render_project_html

            content = decode_json(decompress(self._kept.keys(name)[0], page.body))
            rendered = page_of(compress(render_project_html(content)))
            self._html.put((name, page.etag), rendered, cost=len(rendered.body))
        return rendered

    def _current(self, name: ProjectName, read: Mapping[str, Stored | None]) -> KeptPage | None:
        arrived_at = self._now().timestamp()
        kept = _newer(self._pages.find(name), self._kept.find(name, read))
        if kept is not None and self._is_fresh(kept.check):
            self._remember(name, kept)
            return kept
        with self._lock(name):
            kept = _newer(kept, self._pages.find(name))
            # Another request may have asked while this one waited; then its answer is new enough for both.
            answered = kept is not None and arrived_at < kept.check.at <= self._now().timestamp()
            if kept is not None and (answered or self._is_fresh(kept.check)):
                return kept
            return self._refreshed(name, kept, arrived_at)

    def _asked_anew(self, name: ProjectName) -> KeptPage | None:
        with self._lock(name):
            return self._refreshed(name, None, self._now().timestamp())

    def _lock(self, name: ProjectName) -> Lock:
        return self._locks[hash(name) % LOCKS]

    def _refreshed(self, name: ProjectName, kept: KeptPage | None, arrived_at: float) -> KeptPage | None:
        now = self._now().timestamp()
        failure = self._failures.find(name)
        # Without a page to fall back on, only a failure that this request waited for is its own, too.
        since = arrived_at if kept is None else now - BACK_OFF_SECONDS
        if failure is not None and since < failure.at <= now:
            if kept is None:
                raise UpstreamUnavailable(failure.reason, retry_after_seconds=failure.retry_after_seconds)
            return kept
        try:
            answered = self._ask(name, kept)
        except UpstreamUnavailable as fault:
            at, seconds = self._now().timestamp(), fault.retry_after_seconds
            self._failures.put(name, _Failure(at=at, reason=fault.reason, retry_after_seconds=seconds), cost=1)
            if kept is None:
                raise
            logger.warning("%s; serving the page of %s as of %s s ago", fault, name, round(now - kept.check.at))
            return kept
        if answered is not None:
            self._remember(name, answered)
        elif kept is not None:
            # What was taken down must not come back with the next failure of the upstream.
            self._kept.remove(name)
            self._pages.forget(name)
        return answered

    def _remember(self, name: ProjectName, kept: KeptPage) -> None:
        self._pages.put(name, kept, cost=len(kept.page.body))

    def _ask(self, name: ProjectName, kept: KeptPage | None) -> KeptPage | None:
        from indexer.upstream import NotModified

        etag, last_modified = (kept.check.etag, kept.check.last_modified) if kept else (None, None)
        answer = self.upstream().fetch_page(name, etag=etag, last_modified=last_modified)
        if answer is None:
            return None
        if not isinstance(answer, NotModified):
            return self._take(name, answer, kept)
        if kept is None:
            raise UpstreamUnavailable(f"it answered 304 for {name}, and nothing was asked conditionally")
        fresh_seconds = _fresh_seconds(answer.max_age_seconds)
        check = replace(kept.check, at=self._now().timestamp(), fresh_seconds=fresh_seconds)
        self._kept.put_check(name, check)
        return KeptPage(page=kept.page, check=check)

    def _take(self, name: ProjectName, answer: "Fetched", before: KeptPage | None) -> KeptPage:
        from indexer.listing import parse_listing
        from indexer.sources import encode_sources

        listing = parse_listing(
            name,
            answer.content,
            content_type=answer.content_type,
            url=answer.url,
            hash_dist_info_metadata=self._renderer.hash_dist_info_metadata,
        )
        if listing.dropped:
            logger.warning("the upstream's page of %s has %d files that cannot be served", name, listing.dropped)
        page = page_of(compress(encode_json(listing.page)))
        sources = encode_sources(listing.sources)
        check = Check(
            page_digest=digest_of(page.body),
            sources_digest=digest_of(sources),
            renderer=self._renderer.tag,
            at=self._now().timestamp(),
            fresh_seconds=_fresh_seconds(answer.max_age_seconds),
            etag=answer.etag,
            last_modified=answer.last_modified,
        )
        kept = KeptPage(page=page, check=check)
        self._kept.put(name, kept, sources, before)
        return kept

    def _is_fresh(self, check: Check) -> bool:
        return 0 <= self._now().timestamp() - check.at < check.fresh_seconds


def _newer(one: KeptPage | None, other: KeptPage | None) -> KeptPage | None:
    if one is None or other is None:
        return one or other
    return one if one.check.at >= other.check.at else other


def _fresh_seconds(max_age_seconds: int | None) -> int:
    return DEFAULT_FRESH_SECONDS if max_age_seconds is None else min(max_age_seconds, MAX_FRESH_SECONDS)
