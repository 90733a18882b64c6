"""Pages of the upstream as they lie in the store: the page, where its files come from, and what was last said about it.

The check is the commit of the three: it names the digests of the other two, so a reader that finds them at odds,
because two processes wrote at once, knows that it holds nothing it can use. Knows no upstream and no clock.
"""

import logging
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

from indexer.errors import CorruptObject
from indexer.json_bytes import decode_json, encode_json
from indexer.names import Filename, ProjectName
from indexer.simple import decompress
from indexer.store import ObjectStore, Stored
from indexer.value import value
from pypi_lambda.index import Page, page_of

if TYPE_CHECKING:
    from indexer.sources import Source

FORMAT_VERSION = 1

logger = logging.getLogger(__name__)


@value
class Check:
    """What the upstream last said about a page.

    Attributes:
        page_digest: of the stored, compressed page that this is about.
        sources_digest: of the stored addresses of its files.
        renderer: how that page was rendered.
        at: seconds since the epoch.
        fresh_seconds: for how long from then on it need not be asked.
    """

    page_digest: str
    sources_digest: str
    renderer: str
    at: float
    fresh_seconds: int
    etag: str | None
    last_modified: str | None


@value
class KeptPage:
    """An upstream project's JSON page with what was last said about it."""

    page: Page
    check: Check


class KeptPages:
    """The pages in one store.

    Args:
        renderer_tag: names how pages are rendered; one that was rendered otherwise is not used.
    """

    def __init__(self, store: ObjectStore, *, renderer_tag: str) -> None:
        self._store = store
        self._renderer_tag = renderer_tag

    def keys(self, name: ProjectName) -> tuple[str, str]:
        """Return the keys of a project's page and of its check."""
        return _key(name, "json.gz"), _key(name, "check")

    def find(self, name: ProjectName, read: Mapping[str, Stored | None]) -> KeptPage | None:
        """Return the page, if it and its check are whole and belong together.

        Args:
            read: what lies under `keys`.
        """
        page_key, check_key = self.keys(name)
        page, check = (read.get(key) for key in (page_key, check_key))
        if page is None or check is None:
            return None
        try:
            decoded = decode_check(check_key, check.body)
            decompress(page_key, page.body)
        except CorruptObject as fault:
            logger.warning("%s; asking the upstream again", fault)
            return None
        if decoded.page_digest != digest_of(page.body) or decoded.renderer != self._renderer_tag:
            return None
        return KeptPage(page=page_of(page.body), check=decoded)

    def find_sources(self, name: ProjectName, check: Check) -> "Mapping[Filename, Source] | None":
        """Return where the files of the page come from that this check is about, or None when that is not stored."""
        from indexer.sources import decode_sources

        key = _key(name, "sources")
        stored = self._store.find(key)
        if stored is None or digest_of(stored.body) != check.sources_digest:
            logger.warning("%s is missing, or not of the page beside it", key)
            return None
        try:
            return decode_sources(key, stored.body)
        except CorruptObject as fault:  # of another version of this program
            logger.warning("%s", fault)
            return None

    def put(self, name: ProjectName, kept: KeptPage, sources: bytes, before: KeptPage | None) -> None:
        """Store a page with its sources, leaving out what `before` says is there."""
        # The addresses may change while the page stays as it is.
        if before is None or before.check.sources_digest != kept.check.sources_digest:
            self._store.put(_key(name, "sources"), sources)
        if before is None or before.check.page_digest != kept.check.page_digest:
            self._store.put(_key(name, "json.gz"), kept.page.body)
        self.put_check(name, kept.check)

    def put_check(self, name: ProjectName, check: Check) -> None:
        """Store what was said about the page that is there."""
        self._store.put(_key(name, "check"), encode_check(check))

    def remove(self, name: ProjectName) -> None:
        """Take a page out of use."""
        self._store.delete(_key(name, "check"))


def digest_of(body: bytes) -> str:
    """Return the digest by which a check names what it is about."""
    return blake2b(body, digest_size=16).hexdigest()


def _key(project: ProjectName, extension: str) -> str:
    return f"upstream/pages/{project}.{extension}"


def encode_check(check: Check) -> bytes:
    """Return the check's bytes."""
    return encode_json(
        {
            "v": FORMAT_VERSION,
            "page": check.page_digest,
            "sources": check.sources_digest,
            "renderer": check.renderer,
            "at": check.at,
            "fresh": check.fresh_seconds,
            "etag": check.etag,
            "last_modified": check.last_modified,
        }
    )


def decode_check(key: str, body: bytes) -> Check:
    """Return the check.

    Args:
        key: where the bytes were stored, for the error.

    Raises:
        CorruptObject: they are none, or of another version.
    """
    try:
        document = decode_json(body)
        if document["v"] != FORMAT_VERSION:
            raise ValueError(f"unknown version {document['v']!r}")
        return Check(
            page_digest=document["page"],
            sources_digest=document["sources"],
            renderer=document["renderer"],
            at=float(document["at"]),
            fresh_seconds=int(document["fresh"]),
            etag=_text_or_none(document["etag"]),
            last_modified=_text_or_none(document["last_modified"]),
        )
    except (ValueError, TypeError, LookupError, OverflowError) as fault:
        raise CorruptObject(key, f"no readable check of a page: {fault}") from fault


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"a validator is text, not {value!r}")
