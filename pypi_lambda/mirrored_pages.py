"""The upstream's project pages as we serve them: kept in the store with their validators, and revalidated.

A page is served from the store while it is fresh; when the upstream fails, a stale one is better than none. Knows how
long a page counts and what makes a stored one whole; what a page says is `indexer.listing`'s.

RFC 9111 (freshness, validation).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

import orjson

from indexer.errors import CorruptObject, UpstreamUnavailable
from indexer.names import Filename, ProjectName
from indexer.simple import Renderer, compress, decompress
from indexer.store import ObjectStore, Stored
from pypi_lambda.cache import Cache
from pypi_lambda.check import Check, decode_check, encode_check
from pypi_lambda.index import PAGE_CACHE_BYTES, Page, ReadAhead, page_of

if TYPE_CHECKING:
    from indexer.sources import Source
    from indexer.upstream import Fetched, Upstream

DEFAULT_FRESH_SECONDS = 600  # what the public index itself says; used where an upstream says nothing
MAX_FRESH_SECONDS = 86_400  # an upstream may not keep a new release from us for longer than a day
BACK_OFF_SECONDS = 10  # after a failure the project's stored page is served without asking again
MAX_FAILURES = 4_096  # projects whose last failure is known
# Requests for a stale page wait for the one that asks upstream, which may take its whole time-out: so two projects should
# not share a lock. A thousand are made in 50 µs.
LOCKS = 1_024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """An upstream project's JSON page with what was last said about it."""

    page: Page
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    at: float
    reason: str
    retry_after_seconds: int


def _key(project: ProjectName, extension: str) -> str:
    return f"upstream/pages/{project}.{extension}"


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
        self._pages: Cache[ProjectName, Mirrored] = Cache(PAGE_CACHE_BYTES)
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
        if kept is not None and self._is_fresh(kept.check):
            return ()
        return (_key(name, "json.gz"), _key(name, "check"))

    def find_page(self, name: ProjectName, extension: str, ahead: Mapping[str, ReadAhead]) -> Page | None:
        """Return a project's page, or None when the upstream has no such project.

        Args:
            extension: `json` or `html`.
            ahead: what was read under `keys_to_read`, by key.

        Raises:
            UpstreamUnavailable: the upstream failed, and nothing is stored that could be served in its place.
        """
        mirrored = self._current(name, ahead)
        if mirrored is None:
            return None
        return mirrored.page if extension == "json" else self._html_page(name, mirrored.page)

    def find_sources(self, name: ProjectName) -> "Mapping[Filename, Source] | None":
        """Return where a project's files come from, by file name, or None when the upstream has no such project.

        Raises:
            UpstreamUnavailable: as for `find_page`.
        """
        keys = self.keys_to_read(name)
        read = self._store.gather(*(self._finder(key) for key in keys))
        ahead = {key: ReadAhead(key=key, stored=stored) for key, stored in zip(keys, read, strict=True)}
        mirrored = self._current(name, ahead)
        sources = None if mirrored is None else self._stored_sources(name, mirrored.check)
        if mirrored is None or sources is not None:
            return sources
        # They are lost, damaged, or of a newer page that another process wrote.
        mirrored = self._asked_anew(name)
        sources = None if mirrored is None else self._stored_sources(name, mirrored.check)
        if mirrored is not None and sources is None:
            raise UpstreamUnavailable(f"its page of {name} changes as it is read", retry_after_seconds=1)
        return sources

    def _finder(self, key: str) -> Callable[[], Stored | None]:
        return lambda: self._store.find(key)

    def _stored_sources(self, name: ProjectName, check: Check) -> "Mapping[Filename, Source] | None":
        from indexer.sources import decode_sources

        key = _key(name, "sources")
        stored = self._store.find(key)
        if stored is None or _digest(stored.body) != check.sources_digest:
            logger.warning("%s is missing or not of the page beside it; asking the upstream again", key)
            return None
        return decode_sources(key, stored.body)

    def _html_page(self, name: ProjectName, page: Page) -> Page:
        rendered = self._html.find((name, page.etag))
        if rendered is None:
            from indexer.html import render_project_html

            content = orjson.loads(decompress(_key(name, "json.gz"), page.body))
            rendered = page_of(compress(render_project_html(content)))
            self._html.put((name, page.etag), rendered, cost=len(rendered.body))
        return rendered

    def _current(self, name: ProjectName, ahead: Mapping[str, ReadAhead]) -> Mirrored | None:
        arrived_at = self._now().timestamp()
        kept = self._newer(self._pages.find(name), self._stored(name, ahead))
        if kept is not None and self._is_fresh(kept.check):
            self._keep(name, kept)
            return kept
        with self._locks[hash(name) % LOCKS]:
            kept = self._newer(kept, self._pages.find(name))
            # Another request may have asked while this one waited; then its answer is new enough for both.
            if kept is not None and (self._is_fresh(kept.check) or kept.check.at > arrived_at):
                return kept
            return self._refreshed(name, kept, arrived_at)

    def _asked_anew(self, name: ProjectName) -> Mirrored | None:
        with self._locks[hash(name) % LOCKS]:
            return self._refreshed(name, None, self._now().timestamp())

    def _refreshed(self, name: ProjectName, kept: Mirrored | None, arrived_at: float) -> Mirrored | None:
        now = self._now().timestamp()
        failure = self._failures.find(name)
        # Without a page to fall back on, only a failure that this request waited for is its own, too.
        if failure is not None and failure.at > (arrived_at if kept is None else now - BACK_OFF_SECONDS):
            if kept is None:
                raise UpstreamUnavailable(failure.reason, retry_after_seconds=failure.retry_after_seconds)
            return kept
        try:
            mirrored = self._ask(name, kept)
        except UpstreamUnavailable as fault:
            self._remember_failure(name, fault)
            if kept is None:
                raise
            logger.warning("%s; serving the page of %s as of %s s ago", fault, name, round(now - kept.check.at))
            return kept
        self._failures.forget(name)
        if mirrored is not None:
            self._keep(name, mirrored)
        elif kept is not None:
            # What was taken down must not come back with the next failure of the upstream.
            self._store.delete(_key(name, "check"))
            self._pages.forget(name)
        return mirrored

    def _keep(self, name: ProjectName, mirrored: Mirrored) -> None:
        self._pages.put(name, mirrored, cost=len(mirrored.page.body))

    def _remember_failure(self, name: ProjectName, fault: UpstreamUnavailable) -> None:
        failure = _Failure(
            at=self._now().timestamp(), reason=fault.reason, retry_after_seconds=fault.retry_after_seconds
        )
        self._failures.put(name, failure, cost=1)

    def _ask(self, name: ProjectName, kept: Mirrored | None) -> Mirrored | None:
        from indexer.upstream import NotModified

        etag, last_modified = (kept.check.etag, kept.check.last_modified) if kept else (None, None)
        answer = self.upstream().fetch_page(name, etag=etag, last_modified=last_modified)
        if answer is None:
            return None
        if isinstance(answer, NotModified):
            if kept is None:
                raise UpstreamUnavailable(f"it answered 304 for {name}, and nothing was asked conditionally")
            fresh_seconds = _fresh_seconds(answer.max_age_seconds)
            check = replace(kept.check, at=self._now().timestamp(), fresh_seconds=fresh_seconds)
            return self._put_check(name, Mirrored(page=kept.page, check=check))
        return self._take_page(name, answer, kept)

    def _take_page(self, name: ProjectName, answer: "Fetched", kept: Mirrored | None) -> Mirrored:
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
        page = page_of(compress(orjson.dumps(listing.page)))
        sources = encode_sources(listing.sources)
        check = Check(
            page_digest=_digest(page.body),
            sources_digest=_digest(sources),
            renderer=self._renderer.tag,
            at=self._now().timestamp(),
            fresh_seconds=_fresh_seconds(answer.max_age_seconds),
            etag=answer.etag,
            last_modified=answer.last_modified,
        )
        # The addresses may change while the page stays as it is.
        if kept is None or kept.check.sources_digest != check.sources_digest:
            self._store.put(_key(name, "sources"), sources)
        if kept is None or kept.check.page_digest != check.page_digest:
            self._store.put(_key(name, "json.gz"), page.body)
        return self._put_check(name, Mirrored(page=page, check=check))

    def _put_check(self, name: ProjectName, mirrored: Mirrored) -> Mirrored:
        self._store.put(_key(name, "check"), encode_check(mirrored.check))
        return mirrored

    def _stored(self, name: ProjectName, ahead: Mapping[str, ReadAhead]) -> Mirrored | None:
        """Return the stored page, if it and its check are whole and belong together."""
        page_key, check_key = _key(name, "json.gz"), _key(name, "check")
        body, check_body = (_body(ahead.get(key)) for key in (page_key, check_key))
        if body is None or check_body is None:
            return None
        try:
            check = decode_check(check_key, check_body)
            decompress(page_key, body)
        except CorruptObject as fault:
            logger.warning("%s; asking the upstream again", fault)
            return None
        if check.page_digest != _digest(body) or check.renderer != self._renderer.tag:
            return None
        return Mirrored(page=page_of(body), check=check)

    def _newer(self, one: Mirrored | None, other: Mirrored | None) -> Mirrored | None:
        if one is None or other is None:
            return one or other
        return one if one.check.at >= other.check.at else other

    def _is_fresh(self, check: Check) -> bool:
        return 0 <= self._now().timestamp() - check.at < check.fresh_seconds


def _body(ahead: ReadAhead | None) -> bytes | None:
    return None if ahead is None or ahead.stored is None else ahead.stored.body


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _fresh_seconds(max_age_seconds: int | None) -> int:
    return DEFAULT_FRESH_SECONDS if max_age_seconds is None else min(max_age_seconds, MAX_FRESH_SECONDS)
