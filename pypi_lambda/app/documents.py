"""The legacy JSON API: `/pypi/{project}/json`, `/pypi/{project}/{version}/json` and `/{project}/json`.

Made of the project's page as it is offered to this request, so that what is held back, removed, quarantined or of a
later moment is in neither. What `info` says is in the metadata of one file of the release, which is read where it is
stored, and asked of the upstream where it lies beside the file; never taken out of a file of the upstream.

The clients: docs/facts.md.
"""

import logging
from hashlib import blake2b
from typing import Any

from indexer.errors import CorruptObject, DigestMismatch, InvalidValue, Missing, StoreUnavailable, UpstreamUnavailable
from indexer.json_bytes import decode_json, encode_json
from indexer.keys import METADATA, file_key
from indexer.names import Filename, ProjectName
from indexer.simple.legacy import Release, find_release, releases_of, render_document
from indexer.simple.page import compress, decompress
from indexer.store.base import ObjectStore
from indexer.value import value
from pypi_lambda.app.copies import Copies
from pypi_lambda.app.delivery import exceeds_limit
from pypi_lambda.http.address import find_root
from pypi_lambda.http.faults import NotFound
from pypi_lambda.http.headers import accepts_gzip, not_modified
from pypi_lambda.http.model import NO_SNIFFING, Request, Response
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.shared import Cache, SharedWork, TakesLonger
from pypi_lambda.view.index import Index, Page
from pypi_lambda.view.view import Standing, View

CONTENT_TYPE = "application/json"
SERIAL = "X-PyPI-Last-Serial"  # without it, or with a smaller number than the listing has, bandersnatch takes nothing
KEPT_BYTES = 16_777_216  # 16 MiB of compressed documents: the longest have 1 MB, most 10 KB
MAX_SDIST_BYTES = 33_554_432  # 32 MiB: PKG-INFO is found by reading the whole archive, 0.3 s of that size
WAIT_SECONDS = 5.0  # for metadata of the upstream; clients give up after 10 to 15 s, and can do without

logger = logging.getLogger(__name__)


@value
class _Made:
    body: bytes
    etag: str


class Documents:
    """The documents of an index."""

    def __init__(self, store: ObjectStore, *, index: Index, mirror: Mirror) -> None:
        self._store = store
        self._index = index
        self._mirror = mirror
        self._copies = Copies(store)
        self._made: Cache[tuple[object, ...], _Made] = Cache(KEPT_BYTES)
        self._questions: SharedWork[bytes | None] = SharedWork()

    def answer(
        self, request: Request, view: View, name: ProjectName, page: Page, version: str | None, files: str
    ) -> Response:
        """Return the document of a project, or of one of its versions.

        Args:
            view: at the end of the log.
            page: as it is offered to this request, as JSON.
            files: below which segment the document has the addresses of files.

        Raises:
            NotFound: there is no file that the document could tell of.
        """
        root = find_root(request) or request.base_path
        serial = _serial(view, name)
        key = (name, page.etag, serial, root, version, files)
        made = self._made.find(key)
        if made is None:
            content = decode_json(decompress("a page", page.body))
            made, is_whole = self._make(view, name, content, root, version, files, serial)
            if is_whole:
                self._made.put(key, made, cost=len(made.body))
        return self._send(request, name, made, page, serial)

    def _make(
        self,
        view: View,
        name: ProjectName,
        page: dict[str, Any],
        root: str,
        version: str | None,
        files: str,
        serial: int,
    ) -> tuple[_Made, bool]:
        """Return the document, and whether nothing more could be known."""
        releases = releases_of(page)
        release = find_release(releases, version)
        if release is None:
            raise NotFound(f"project {name!r} offers no file{f' of version {version[:80]!r}' if version else ''}")
        find_metadata = self._private if view.standing(name) is Standing.PRIVATE else self._mirrored
        metadata, is_whole = find_metadata(name, release)
        document = render_document(
            name,
            release,
            metadata,
            releases=releases.values() if version is None else (),
            files_url=f"{root}/{files}/{name}/",
            project_url=f"{root}/simple/{name}/",
            serial=serial,
        )
        body = compress(encode_json(document))
        return _Made(body=body, etag=f'W/"{blake2b(body, digest_size=16).hexdigest()}"'), is_whole

    def _private(self, name: ProjectName, release: Release) -> tuple[bytes | None, bool]:
        file = release.described()
        filename = Filename(file["filename"])
        key = file_key(name, filename)
        if file.get("core-metadata"):
            stored = self._store.find(key + METADATA)
            return (None, False) if stored is None else (stored.body, True)
        if file["size"] > MAX_SDIST_BYTES:
            return None, True
        from indexer.distributions.distribution import read_sdist_metadata
        from indexer.store.reader import open_object

        try:
            with open_object(self._store, key, file["size"]) as content:
                return read_sdist_metadata(content, filename), True
        except InvalidValue as fault:  # adopted by an older version, or no sdist at all
            logger.info("%s says nothing of itself: %s", filename, fault)
            return None, True
        except (Missing, StoreUnavailable) as fault:
            logger.warning("%s; going on without its metadata", fault)
            return None, False

    def _mirrored(self, name: ProjectName, release: Release) -> tuple[bytes | None, bool]:
        filename = Filename(release.described()["filename"])
        try:
            found = self._questions.run(
                (name, filename), lambda: self._mirror.find_metadata(name, filename), wait_seconds=WAIT_SECONDS
            )
        except (UpstreamUnavailable, DigestMismatch, NotFound, CorruptObject, StoreUnavailable, TakesLonger) as fault:
            logger.warning("the document of %s goes without the metadata of %s: %s", name, filename, fault)
            return None, False
        return found, True

    def _send(self, request: Request, name: ProjectName, made: _Made, page: Page, serial: int) -> Response:
        warning = () if page.warning is None else (("Warning", page.warning),)
        validators = (
            ("ETag", made.etag),
            ("Vary", "Accept-Encoding"),
            ("Cache-Control", "private, max-age=0"),
            (SERIAL, str(serial)),
            *warning,
        )
        if not_modified(request.headers.get("if-none-match"), made.etag):
            return Response(status=304, headers=validators)
        gzip = accepts_gzip(request.headers.get("accept-encoding"))
        body = made.body if gzip else decompress("a document", made.body)
        if request.method == "GET" and exceeds_limit(request, len(body)):
            return self._copies.redirect_to_document(name, decompress("a document", made.body), CONTENT_TYPE)
        encoding = (("Content-Encoding", "gzip"),) if gzip else ()
        headers = (("Content-Type", CONTENT_TYPE), *validators, NO_SNIFFING, *encoding)
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)


def _serial(view: View, name: ProjectName) -> int:
    """Return the number of the last event that concerned a project; of a mirrored one, the set of names it is in."""
    return view.current.projects.find(name) or max(1, view.current.index_seq)
