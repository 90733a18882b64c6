"""Pages that are too long for their front door: a copy in the store, which a signed URL leads to.

Its links are absolute, because relative ones would be taken as relative to the store. So there is one copy for each
address under which the index is known; they can be deleted at any time.
"""

from collections.abc import Iterator
from hashlib import blake2b

from indexer.errors import StoreUnavailable
from indexer.json_bytes import decode_json, encode_json
from indexer.keys import listing_copy_key, page_copy_key
from indexer.names import ProjectName
from indexer.simple.page import Renderer, decompress
from indexer.store.base import ObjectStore
from pypi_lambda.http.headers import Format
from pypi_lambda.http.model import Request, Response
from pypi_lambda.view.index import Page

# The two of HTML differ in the Content-Type that is stored with a copy, and in nothing else.
_EXTENSIONS = {Format.JSON: "json", Format.HTML: "v1.html", Format.LEGACY_HTML: "html"}
SIGNED_SECONDS = 300  # the client follows at once


class Copies:
    """Makes copies and redirects to them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def redirect_to_page(
        self, request: Request, name: ProjectName, json_page: Page, page_format: Format, renderer: Renderer
    ) -> Response:
        """Return a redirect to a project's page in this format.

        Args:
            json_page: the page as JSON, whatever the format.
        """
        page = decode_json(decompress("a page", json_page.body))
        for file in page["files"]:
            file["url"] = f"{request.root_url}/simple/{name}/{file['url']}"
            if "_provenance" in file:  # ours; an upstream's is absolute
                file["provenance"] = f"{request.root_url}/simple/{name}/{file['provenance']}"
        content = renderer.html(page) if page_format.is_html else encode_json(page)
        key = page_copy_key(name, blake2b(content, digest_size=16).hexdigest(), _EXTENSIONS[page_format])
        if self._store.stat(key) is None:
            self._store.put(key, content, content_type=page_format.content_type)
        return self._redirect(key)

    def redirect_to_document(self, name: ProjectName, content: bytes, content_type: str) -> Response:
        """Return a redirect to a document about a project, whose links are absolute."""
        key = page_copy_key(name, blake2b(content, digest_size=16).hexdigest(), "document.json")
        if self._store.stat(key) is None:
            self._store.put(key, content, content_type=content_type)
        return self._redirect(key)

    def redirect_to_root(self, request: Request, name: str, chunks: Iterator[bytes], page_format: Format) -> Response:
        """Return a redirect to the root listing.

        Args:
            name: tells this listing from every other.
            chunks: its content, not compressed.
        """
        base = f"{request.root_url}/simple/"
        address = blake2b(base.encode(), digest_size=8).hexdigest()
        key = listing_copy_key(name, address, _EXTENSIONS[page_format])
        if self._store.stat(key) is None:
            self._store.write(
                key, _with_base(chunks, base) if page_format.is_html else chunks, content_type=page_format.content_type
            )
        return self._redirect(key)

    def _redirect(self, key: str) -> Response:
        url = self._store.signed_url(key, seconds=SIGNED_SECONDS)
        if url is None:
            raise StoreUnavailable(key, "the page is too long for the front door, and this store signs no URLs")
        return Response(status=302, headers=(("Location", url), ("Cache-Control", "private, max-age=0")))


def _with_base(chunks: Iterator[bytes], base: str) -> Iterator[bytes]:
    """Yield an HTML page whose relative links are meant to be below `base`."""
    escaped = base.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").encode()
    first = next(chunks, b"")
    yield first.replace(b"<head>", b'<head><base href="' + escaped + b'">', 1)
    yield from chunks
