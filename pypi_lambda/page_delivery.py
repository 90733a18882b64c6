"""Sending pages: under a weak tag, compressed or not, and by way of a copy where the front door is too narrow.

Project pages are at hand; the root listing, which may have 40 MB, goes through as a stream. What a page says, and who
may see it, is decided by then.

RFC 9110 (8.8.3 entity tags, 12.5.5 Vary, 13 conditional requests), RFC 1952 (gzip).
"""

import logging
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from indexer.errors import CorruptObject, StoreUnavailable
from indexer.keys import PACKED_SUFFIX
from indexer.names import ProjectName
from indexer.simple import decompress
from indexer.snapshot import Snapshot
from indexer.store import ObjectStore, Stat
from pypi_lambda.copies import Copies
from pypi_lambda.http import NO_SNIFFING, Format, Request, Response, accepts_gzip, not_modified
from pypi_lambda.index import Page

if TYPE_CHECKING:
    from pypi_lambda.policy import Policy

GZIP_SIZE_BYTES = 4  # "ISIZE: the size of the original input data modulo 2^32", at the end of a member

logger = logging.getLogger(__name__)


class PageDelivery:
    """Sends pages.

    Args:
        copies: sends pages that are too long for their front door.
        policy: which of the upstream's names the root lists; None for all.
    """

    def __init__(self, store: ObjectStore, copies: Copies, policy: "Policy | None" = None) -> None:
        self._store = store
        self._copies = copies
        self._policy = policy
        self._root_lock = Lock()

    def send_project(
        self, request: Request, name: ProjectName, page: Page, page_format: Format, get_json: Callable[[], Page]
    ) -> Response:
        """Return the response with a project's page, or that leads to it.

        Args:
            page: in the format that is sent.
            get_json: gives the page as JSON.
        """
        gzip = accepts_gzip(request.headers.get("accept-encoding"))
        warning = () if page.warning is None else (("Warning", page.warning),)
        if not_modified(request.headers.get("if-none-match"), page.etag):
            return Response(status=304, headers=(*_validators(page.etag), *warning))
        body = page.body if gzip else decompress("a page", page.body)
        if request.method == "GET" and exceeds_limit(request, len(body)):
            return self._copies.redirect_to_page(request, name, get_json(), page_format)
        headers = (*_headers(page_format, page.etag, gzip=gzip), *warning)
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)

    def send_root(self, request: Request, snapshot: Snapshot, page_format: Format) -> Response:
        """Return the response with the listing of the snapshot's projects, or that leads to it."""
        extension = "html" if page_format.is_html else "json"
        from indexer.root import root_key

        key = root_key(snapshot, extension, self._policy)
        stat = self._store.stat(key) or self._made_root(key, snapshot, extension)
        gzip = accepts_gzip(request.headers.get("accept-encoding"))
        etag = 'W/"{}"'.format(stat.etag.strip('"'))
        if not_modified(request.headers.get("if-none-match"), etag):
            return Response(status=304, headers=_validators(etag))
        headers = _headers(page_format, etag, gzip=gzip)
        length = (("Content-Length", str(stat.size)),) if gzip else ()
        if request.method != "GET":
            return Response(status=200, headers=(*headers, *length), body=iter(()))
        chunks = self._store.read(key)
        if request.response_limit is not None and exceeds_limit(request, self._sent_size(stat, gzip=gzip)):
            listing = key.removesuffix(f".{extension}{PACKED_SUFFIX}")
            content = self._checked_root(key, chunks, inflate=True)
            return self._copies.redirect_to_root(request, listing, content, page_format)
        body = self._checked_root(key, chunks, inflate=not gzip)
        return Response(status=200, headers=(*headers, *length), body=body)

    def _made_root(self, key: str, snapshot: Snapshot, extension: str) -> Stat:
        from indexer.root import put_root

        with self._root_lock:  # it takes seconds and 100 MB with a million names: once is enough
            stat = self._store.stat(key) or self._store.stat(put_root(self._store, snapshot, extension, self._policy))
        if stat is None:
            raise StoreUnavailable(key, "the root listing is gone right after it was written")
        return stat

    def _sent_size(self, stat: Stat, *, gzip: bool) -> int:
        if gzip:
            return stat.size
        end = b"".join(self._store.read(stat.key, start=max(0, stat.size - GZIP_SIZE_BYTES)))
        return int.from_bytes(end, "little")

    def _checked_root(self, key: str, chunks: Iterator[bytes], *, inflate: bool) -> Iterator[bytes]:
        """Yield the listing as it is stored or as text; one that is damaged ends with an error and is made anew."""
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            for chunk in chunks:
                content = unpacker.decompress(chunk)
                yield content if inflate else chunk
            if not unpacker.eof or unpacker.unused_data:
                raise CorruptObject(key, "no single gzip member")
        except (zlib.error, CorruptObject) as fault:
            self._store.delete(key)
            raise CorruptObject(key, f"no readable listing: {fault}") from fault


def exceeds_limit(request: Request, size: int) -> bool:
    """Tell whether a body is too long for the front door."""
    return request.response_limit is not None and size > request.response_limit


def _validators(etag: str) -> tuple[tuple[str, str], ...]:
    return (("ETag", etag), ("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "private, max-age=0"))


@lru_cache(maxsize=512)
def _headers(page_format: Format, etag: str, *, gzip: bool) -> tuple[tuple[str, str], ...]:
    encoding = (("Content-Encoding", "gzip"),) if gzip else ()
    return (("Content-Type", page_format.content_type), *_validators(etag), NO_SNIFFING, *encoding)
