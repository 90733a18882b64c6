"""The upstream's projects as we serve them: pages kept in the store with validators, files taken in once and checked.

A page is served from the store while it is fresh, then revalidated; when the upstream fails, a stale one is better than
none. A file becomes visible only after its bytes were compared with the listing.

The check object is the commit of a stored page: it names the page's digest, so a reader that finds the two at odds, because
two processes wrote at once, knows that it holds neither and asks the upstream again.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

import orjson

from indexer.errors import CorruptObject, DigestMismatch, UpstreamUnavailable
from indexer.names import Filename, ProjectName
from indexer.simple import Renderer, compress, decompress
from indexer.store import ObjectStore
from pypi_lambda.cache import Cache
from pypi_lambda.http import NotFound
from pypi_lambda.index import PAGE_CACHE_BYTES, Page, ReadAhead, page_of
from pypi_lambda.ingestion import Ingestions

if TYPE_CHECKING:
    from indexer.sources import Source
    from indexer.upstream import Fetched, Upstream

CHECK_VERSION = 1
DEFAULT_FRESH_SECONDS = 600  # what the public index itself says; used where an upstream says nothing
MAX_FRESH_SECONDS = 86_400  # an upstream may not keep a new release from us for longer than a day
BACK_OFF_SECONDS = 10  # after a failure the project's stored page is served without asking again
MAX_FILE_BYTES = 21_474_836_480  # 20 GiB: the largest public wheels have 5
MAX_METADATA_BYTES = 4_194_304  # 4 MiB: METADATA with its description is rarely over 1
LOCKS = 64  # requests for a stale page wait for the one that asks upstream; two projects rarely share a lock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the upstream last said about a page.

    Attributes:
        page_digest: of the stored, compressed page that this is about.
        renderer: how that page was rendered.
        at: seconds since the epoch.
        fresh_seconds: for how long from then on it need not be asked.
    """

    page_digest: str
    renderer: str
    at: float
    fresh_seconds: int
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """An upstream project's JSON page with what was last said about it."""

    page: Page
    check: Check


def cache_key(project: ProjectName, filename: Filename) -> str:
    """Return the key of a mirrored file."""
    return f"cache/{project}/{filename}"


def _key(project: ProjectName, extension: str) -> str:
    return f"upstream/pages/{project}.{extension}"


class Mirror:
    """Pages and files of one upstream.

    Args:
        make_upstream: called when the upstream is first needed: its client is slow to import.
        now: the current time.
        ingestions: takes files in.
    """

    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        *,
        make_upstream: "Callable[[], Upstream]",
        now: Callable[[], datetime],
        ingestions: Ingestions,
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._make_upstream = make_upstream
        self._now = now
        self._ingestions = ingestions
        self._pages: Cache[ProjectName, Mirrored] = Cache(PAGE_CACHE_BYTES)
        self._html: Cache[tuple[ProjectName, str], Page] = Cache(PAGE_CACHE_BYTES)
        self._failed_at: Cache[ProjectName, float] = Cache(4_096)
        self._locks = tuple(Lock() for _ in range(LOCKS))
        self._upstream_lock = Lock()
        self._upstream: Upstream | None = None

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

    def _html_page(self, name: ProjectName, page: Page) -> Page:
        rendered = self._html.find((name, page.etag))
        if rendered is None:
            from indexer.html import render_project_html

            content = orjson.loads(decompress(_key(name, "json.gz"), page.body))
            rendered = page_of(compress(render_project_html(content)))
            self._html.put((name, page.etag), rendered, cost=len(rendered.body))
        return rendered

    def _current(self, name: ProjectName, ahead: Mapping[str, ReadAhead]) -> Mirrored | None:
        kept = self._newer(self._pages.find(name), self._stored(name, ahead))
        if kept is not None and self._is_fresh(kept.check):
            return kept
        with self._locks[hash(name) % LOCKS]:
            kept = self._newer(kept, self._pages.find(name))  # another request may have asked meanwhile
            if kept is not None and self._is_fresh(kept.check):
                return kept
            return self._refresh(name, kept)

    def _refresh(self, name: ProjectName, kept: Mirrored | None) -> Mirrored | None:
        now = self._now().timestamp()
        failed_at = self._failed_at.find(name)
        if kept is not None and failed_at is not None and now - failed_at < BACK_OFF_SECONDS:
            return kept
        try:
            mirrored = self._ask(name, kept)
        except UpstreamUnavailable as fault:
            if kept is None:
                raise
            self._failed_at.put(name, now, cost=1)
            logger.warning("%s; serving the page of %s as of %s s ago", fault, name, round(now - kept.check.at))
            return kept
        self._failed_at.forget(name)
        if mirrored is None:
            self._pages.forget(name)
        else:
            self._pages.put(name, mirrored, cost=len(mirrored.page.body))
        return mirrored

    def _ask(self, name: ProjectName, kept: Mirrored | None) -> Mirrored | None:
        from indexer.upstream import NotModified

        etag, last_modified = (kept.check.etag, kept.check.last_modified) if kept else (None, None)
        answer = self._client().fetch_page(name, etag=etag, last_modified=last_modified)
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
        if kept is None or kept.page.etag != page.etag:
            self._store.put(_key(name, "sources"), encode_sources(listing.sources))
            self._store.put(_key(name, "json.gz"), page.body)
        check = Check(
            page_digest=_digest(page.body),
            renderer=self._renderer.tag,
            at=self._now().timestamp(),
            fresh_seconds=_fresh_seconds(answer.max_age_seconds),
            etag=answer.etag,
            last_modified=answer.last_modified,
        )
        return self._put_check(name, Mirrored(page=page, check=check))

    def _put_check(self, name: ProjectName, mirrored: Mirrored) -> Mirrored:
        self._store.put(_key(name, "check"), encode_check(mirrored.check))
        return mirrored

    def _stored(self, name: ProjectName, ahead: Mapping[str, ReadAhead]) -> Mirrored | None:
        """Return the stored page, if it and its check are whole and belong together."""
        page_key, check_key = _key(name, "json.gz"), _key(name, "check")
        body, check_body = (self._read(key, ahead) for key in (page_key, check_key))
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

    def _read(self, key: str, ahead: Mapping[str, ReadAhead]) -> bytes | None:
        stored = ahead[key].stored if key in ahead else None
        return None if stored is None else stored.body

    def _newer(self, one: Mirrored | None, other: Mirrored | None) -> Mirrored | None:
        if one is None or other is None:
            return one or other
        return one if one.check.at >= other.check.at else other

    def _is_fresh(self, check: Check) -> bool:
        return 0 <= self._now().timestamp() - check.at < check.fresh_seconds

    def ingest(self, name: ProjectName, filename: Filename) -> None:
        """Have a file in the store, taken from the upstream and checked; several requests for one file share one download.

        Raises:
            NotFound: the upstream has no such project or file.
            DigestMismatch: what the upstream sent is not what it lists.
            UpstreamUnavailable: the upstream failed, or the file takes longer than a client waits; it goes on arriving.
        """
        source = self._get_source(name, filename)
        self._ingestions.run(cache_key(name, filename), lambda: self._take_file(name, filename, source))

    def _take_file(self, name: ProjectName, filename: Filename, source: "Source") -> None:
        logger.info("taking in %s of %s", filename, name)
        with self._client().open_file(source.url, limit=MAX_FILE_BYTES) as download:
            if download is None:
                raise NotFound(f"the upstream lists {filename!r} but does not have it")
            self._store.write(cache_key(name, filename), _verified(filename, source, download.chunks))

    def get_metadata(self, name: ProjectName, filename: Filename, ahead: ReadAhead | None) -> bytes:
        """Return the `.metadata` of a mirrored file.

        Args:
            filename: ends in `.metadata`.
            ahead: what lies under its `cache_key`, if it was read.

        Raises:
            NotFound: the upstream has no such file, or announces no metadata for it.
        """
        key = cache_key(name, filename)
        stored = ahead.stored if ahead is not None and ahead.key == key else self._store.find(key)
        if stored is not None:
            return stored.body
        source = self._get_source(name, Filename(filename.removesuffix(".metadata")))
        if source.metadata is False:
            raise NotFound(f"the upstream has no metadata for {filename!r}")
        with self._client().open_file(f"{source.url}.metadata", limit=MAX_METADATA_BYTES) as download:
            if download is None:
                raise NotFound(f"the upstream announces {filename!r} but does not have it")
            body = b"".join(download.chunks)
        _check_metadata(filename, source, body)
        self._store.put(key, body)
        return body

    def _get_source(self, name: ProjectName, filename: Filename) -> "Source":
        sources = self._stored_sources(name)
        if filename not in sources:
            # The page may never have been asked for here, or it was before this file was released.
            keys = self.keys_to_read(name)
            read = self._store.gather(*(self._finder(key) for key in keys))
            ahead = {key: ReadAhead(key=key, stored=stored) for key, stored in zip(keys, read, strict=True)}
            if self._current(name, ahead) is None:
                raise NotFound(f"there is no project {name!r}")
            sources = self._stored_sources(name)
        if filename not in sources:
            raise NotFound(f"project {name!r} has no file {filename!r}")
        return sources[filename]

    def _finder(self, key: str) -> Callable[[], object]:
        return lambda: self._store.find(key)

    def _stored_sources(self, name: ProjectName) -> "Mapping[Filename, Source]":
        from indexer.sources import decode_sources

        key = _key(name, "sources")
        stored = self._store.find(key)
        if stored is None:
            return {}
        try:
            return decode_sources(key, stored.body)
        except CorruptObject as fault:
            logger.warning("%s; asking the upstream again", fault)
            self._pages.forget(name)
            self._store.delete(_key(name, "check"))
            return {}

    def _client(self) -> "Upstream":
        with self._upstream_lock:
            if self._upstream is None:
                self._upstream = self._make_upstream()
            return self._upstream


def encode_check(check: Check) -> bytes:
    """Return the check's bytes."""
    return orjson.dumps(
        {
            "v": CHECK_VERSION,
            "page": check.page_digest,
            "renderer": check.renderer,
            "at": check.at,
            "fresh": check.fresh_seconds,
            "etag": check.etag,
            "last_modified": check.last_modified,
        }
    )


def decode_check(key: str, body: bytes) -> Check:
    """Return the check; CorruptObject when the bytes are none."""
    try:
        document = orjson.loads(body)
        if document["v"] != CHECK_VERSION:
            raise ValueError(f"unknown version {document['v']!r}")
        return Check(
            page_digest=document["page"],
            renderer=document["renderer"],
            at=float(document["at"]),
            fresh_seconds=int(document["fresh"]),
            etag=document["etag"],
            last_modified=document["last_modified"],
        )
    except (ValueError, TypeError, LookupError) as fault:
        raise CorruptObject(key, f"no readable check of a page: {fault}") from fault


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _fresh_seconds(max_age_seconds: int | None) -> int:
    return DEFAULT_FRESH_SECONDS if max_age_seconds is None else min(max_age_seconds, MAX_FRESH_SECONDS)


def _strongest(hashes: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the announced digest to check: sha256 as every index has it, else the longest that can be computed."""
    import hashlib

    known = {name: digest for name, digest in hashes.items() if name in hashlib.algorithms_guaranteed}
    fixed = {name: digest for name, digest in known.items() if not name.startswith("shake")}  # no length of their own
    name = "sha256" if "sha256" in fixed else max(fixed, key=lambda name: len(fixed[name]), default=None)
    return None if name is None else (name, fixed[name])


def _verified(filename: Filename, source: "Source", chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks, and raise after the last one unless all of them together are what was announced."""
    import hashlib

    announced = _strongest(source.hashes)
    digest = hashlib.new(announced[0], usedforsecurity=False) if announced else None
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if source.size is not None and size > source.size:
            raise DigestMismatch(filename, expected=f"size {source.size}", actual="size of more")
        if digest is not None:
            digest.update(chunk)
        yield chunk
    if source.size is not None and size != source.size:
        raise DigestMismatch(filename, expected=f"size {source.size}", actual=f"size {size}")
    if announced is not None and digest is not None and digest.hexdigest() != announced[1]:
        raise DigestMismatch(
            filename, expected=f"{announced[0]} {announced[1]}", actual=f"{announced[0]} {digest.hexdigest()}"
        )


def _check_metadata(filename: Filename, source: "Source", body: bytes) -> None:
    import hashlib

    announced = None if isinstance(source.metadata, bool) else _strongest(source.metadata)
    if announced is not None:
        actual = hashlib.new(announced[0], body, usedforsecurity=False).hexdigest()
        if actual != announced[1]:
            raise DigestMismatch(filename, expected=announced[1], actual=actual)
