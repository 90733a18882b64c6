"""Sending what the store has: files as they are, pages under a weak tag, compressed or not.

A file goes by a redirect to a signed URL where the store signs, else through the app, with ranges. HEAD is always
answered here: a signed URL is good for one method, and pip's lazy wheels fail on a redirected HEAD. What is said, and
who may see it, is decided by then.

RFC 9110 (8.8.3 entity tags, 12.5.5 Vary, 13 conditional requests, 14 ranges), RFC 1952 (gzip), RFC 8246 (immutable).
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from indexer.derive.snapshot import Snapshot
from indexer.errors import Missing
from indexer.keys import PROVENANCE
from indexer.names import ProjectName
from indexer.simple.page import compress, decompress
from indexer.store.base import CACHE_FOREVER, ObjectStore, Stat
from indexer.value import replace
from pypi_lambda.http.address import find_root
from pypi_lambda.http.faults import NotFound
from pypi_lambda.http.headers import Format, accepts_gzip, not_modified, parse_range
from pypi_lambda.http.model import NO_SNIFFING, Request, Response
from pypi_lambda.shared import Cache
from pypi_lambda.view.index import Page

if TYPE_CHECKING:
    from indexer.simple.page import Renderer
    from pypi_lambda.app.copies import Copies
    from pypi_lambda.app.root_listing import RootListings
    from pypi_lambda.view.policy import Policy

SIGNED_SECONDS = 900  # a slow client starts late; the download itself may take longer than that
# The same URL for a while, so that pip, which caches by final URL, finds what it has; two thirds leave 5 minutes at
# least.
REUSED_SECONDS = 600
MAX_SIGNED = 4_096  # URLs of about 500 bytes kept per process
MAX_REMEMBERED = 4_096  # pages without provenance
# In JSON an unescaped quotation mark ends a text, and in HTML's attributes there is none.
_RELATIVE = re.compile(rb'(?:,"provenance":"| data-provenance=")(?!https?:)')
IMMUTABLE = ("Cache-Control", CACHE_FOREVER)


class Delivery:
    """Sends files that never change.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._signed: Cache[str, tuple[str, float]] = Cache(MAX_SIGNED)

    def send(self, request: Request, key: str, stat: Stat | None = None) -> Response:
        """Return the response with the object's content, or that leads to it.

        Args:
            stat: what is known of the object, if it was asked.

        Raises:
            NotFound: there is no such object.
            RangeNotSatisfiable: it is shorter than the range asked for.
        """
        if request.method == "GET" and (url := self._signed_url(key)) is not None:
            return Response(status=302, headers=(("Location", url), ("Cache-Control", "private, max-age=0")))
        stat = stat or self._store.stat(key)
        if stat is None:
            raise NotFound("the file is listed but not stored; tell the administrator")
        etag = f'"{stat.etag.strip(chr(34))}"'
        validators = (("ETag", etag), IMMUTABLE, ("Accept-Ranges", "bytes"))
        if not_modified(request.headers.get("if-none-match"), etag):
            return Response(status=304, headers=validators)
        headers = (*validators, ("Content-Type", "application/octet-stream"), NO_SNIFFING)
        if request.method == "HEAD":
            return Response(status=200, headers=(*headers, ("Content-Length", str(stat.size))))
        return self._send_bytes(request, stat, etag, headers)

    def announce(self, size: int) -> Response:
        """Return the answer to HEAD for a file that is not here yet, but will be for whoever asks for its bytes."""
        headers = (IMMUTABLE, ("Accept-Ranges", "bytes"), ("Content-Type", "application/octet-stream"), NO_SNIFFING)
        return Response(status=200, headers=(*headers, ("Content-Length", str(size))))

    def _send_bytes(self, request: Request, stat: Stat, etag: str, headers: tuple[tuple[str, str], ...]) -> Response:
        # "If-Range: the recipient MUST ignore the Range header field if the validator does not match"
        wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        part = parse_range(wanted, stat.size)
        start, end = part or (0, stat.size)
        try:
            body = self._store.read(stat.key, start=start, end=end)
        except Missing:
            raise NotFound("the file is gone") from None
        length = ("Content-Length", str(end - start))
        if part is None:
            return Response(status=200, headers=(*headers, length), body=body)
        content_range = ("Content-Range", f"bytes {start}-{end - 1}/{stat.size}")
        return Response(status=206, headers=(*headers, length, content_range), body=body)

    def _signed_url(self, key: str) -> str | None:
        now = self._clock()
        kept = self._signed.find(key)
        if kept is not None and now < kept[1]:
            return kept[0]
        url = self._store.signed_url(key, seconds=SIGNED_SECONDS)
        if url is not None:
            self._signed.put(key, (url, now + REUSED_SECONDS), cost=1)
        return url


class PageDelivery:
    """Sends pages.

    Args:
        policy: which of the upstream's names the root lists; None for all.
    """

    def __init__(self, store: ObjectStore, renderer: "Renderer", policy: "Policy | None" = None) -> None:
        self._store = store
        self._renderer = renderer
        self._policy = policy
        self._get_listings = cache(self._make_listings)
        self._without_provenance: Cache[tuple[ProjectName, str], bool] = Cache(MAX_REMEMBERED)

    def send_project(self, request: Request, page: Page, page_format: Format) -> Response | None:
        """Return the response with a project's page, or None where the front door is too narrow for it.

        Args:
            page: in the format that is sent.
        """
        gzip = accepts_gzip(request.headers.get("accept-encoding"))
        warning = () if page.warning is None else (("Warning", page.warning),)
        if not_modified(request.headers.get("if-none-match"), page.etag):
            return Response(status=304, headers=(*_validators(page.etag), *warning))
        body = page.body if gzip else decompress("a page", page.body)
        if request.method == "GET" and exceeds_limit(request, len(body)):
            return None
        headers = (*_headers(page_format, page.etag, gzip=gzip), *warning)
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)

    def send_copy(self, request: Request, name: ProjectName, page: Page, page_format: Format) -> Response:
        """Return the response that leads to a copy of a project's page.

        Args:
            page: as JSON.
            page_format: what the copy is in.
        """
        return self._copies().redirect_to_page(request, name, page, page_format, self._renderer)

    def with_addresses(self, request: Request, name: ProjectName, page: Page) -> Page:
        """Return a private page with absolute addresses of provenance, where the index's own address is known.

        PEP 740: "The value … MUST be a fully qualified URL". pypi_simple refuses a whole page that has another.
        """
        if self._without_provenance.find((name, page.etag)):
            return page
        content = decompress("a page", page.body)
        if PROVENANCE.encode() not in content:
            self._without_provenance.put((name, page.etag), value=True, cost=1)
            return page
        root = find_root(request)
        if root is None:
            return page
        address = f"{root}/simple/{name}/".encode()
        return replace(page, body=compress(_RELATIVE.sub(lambda found: found[0] + address, content)))

    def send_root(self, request: Request, snapshot: Snapshot, page_format: Format) -> Response:
        """Return the response with the listing of the snapshot's projects, or that leads to it."""
        listing = self._get_listings().get(snapshot, "html" if page_format.is_html else "json")
        etag = f'W/"{listing.digest}"'
        if not_modified(request.headers.get("if-none-match"), etag):
            return Response(status=304, headers=_validators(etag))
        gzip = accepts_gzip(request.headers.get("accept-encoding"))
        size = listing.packed_size if gzip else listing.size
        if request.method == "GET" and exceeds_limit(request, size):
            return self._copies().redirect_to_root(request, listing.digest, listing.text(), page_format)
        headers = (*_headers(page_format, etag, gzip=gzip), ("Content-Length", str(size)))
        return Response(status=200, headers=headers, body=iter(listing.packed) if gzip else listing.text())

    def _make_listings(self) -> "RootListings":
        from pypi_lambda.app.root_listing import RootListings  # few clients ask for it

        return RootListings(self._store, self._policy)

    def _copies(self) -> "Copies":
        from pypi_lambda.app.copies import Copies  # few front doors are too narrow for a page

        return Copies(self._store)


def exceeds_limit(request: Request, size: int) -> bool:
    """Tell whether a body is too long for the front door."""
    return request.response_limit is not None and size > request.response_limit


def _validators(etag: str) -> tuple[tuple[str, str], ...]:
    return (("ETag", etag), ("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "private, max-age=0"))


@lru_cache(maxsize=512)
def _headers(page_format: Format, etag: str, *, gzip: bool) -> tuple[tuple[str, str], ...]:
    encoding = (("Content-Encoding", "gzip"),) if gzip else ()
    return (("Content-Type", page_format.content_type), *_validators(etag), NO_SNIFFING, *encoding)
