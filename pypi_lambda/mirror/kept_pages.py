"""Pages of the upstream as they lie in the store: the page, where its files come from, and what was last said about it.

The check is the commit of the three: it names the digests of the other two. A reader that finds them at odds, because
two processes write at once or one died, asks the upstream; should that fail, the page is still one that it gave once. A
page without a check was taken out of use. Knows no upstream and no clock.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from indexer.errors import AlreadyExists, Changed, CorruptObject, StoreUnavailable
from indexer.json_bytes import decode_json, encode_json
from indexer.keys import mirrored_check_key, mirrored_page_key, mirrored_sources_key
from indexer.names import Filename, ProjectName
from indexer.simple.page import compress, decompress
from indexer.store.base import ObjectStore, Stored
from indexer.store.reads import Reads, read_ahead
from indexer.value import replace, value
from pypi_lambda.mirror.check import Check, decode_check, digest_of, encode_check
from pypi_lambda.shared import Cache
from pypi_lambda.view.index import Page, page_of

if TYPE_CHECKING:
    from indexer.upstream.sources import Source

MAX_DECODED = 20_000  # sources of the projects whose files were asked for last: 16 MB; of one that has more, none
MAX_TRIES = 20  # each one lost means that another process has just done its part

logger = logging.getLogger(__name__)


@value
class KeptPage:
    """An upstream project's JSON page with what was last said about it."""

    page: Page
    check: Check


@value
class Listed:
    """Where a project's files come from, and the bytes that say so in the store."""

    sources: "Mapping[Filename, Source]"
    body: bytes


@value
class Revision:
    """What is to lie in the store from now on.

    Attributes:
        kept: the page and its check; None to take the page out of use.
        sources: where its files come from; None for those that are there.
    """

    kept: KeptPage | None
    sources: Listed | None = None


class KeptPages:
    """The pages in one store.

    Args:
        renderer_tag: names how pages are rendered; one that was rendered otherwise is only good for want of another.
    """

    def __init__(self, store: ObjectStore, *, renderer_tag: str) -> None:
        self._store = store
        self._renderer_tag = renderer_tag
        self._decoded: Cache[str, Mapping[Filename, Source]] = Cache(MAX_DECODED)  # by digest

    def keys(self, name: ProjectName) -> tuple[str, str]:
        """Return the keys of a project's page and of its check."""
        return mirrored_page_key(name), mirrored_check_key(name)

    def find(self, name: ProjectName, reads: Reads) -> KeptPage | None:
        """Return the page, or None when there is none that could be used.

        Where its check is of another page, or cannot be read, nothing is known of the page but what it says.

        Args:
            reads: has what lies under `keys`, where that was read ahead.
        """
        page_key, check_key = self.keys(name)
        page, check = reads.find(page_key), reads.find(check_key)
        if page is None or check is None:
            return None
        try:
            content = decompress(page_key, page.body)
            decoded = decode_check(check_key, check.body)
            if decoded.page_digest == digest_of(page.body) and decoded.renderer == self._renderer_tag:
                return KeptPage(page=page_of(page.body), check=decoded)
        except CorruptObject as fault:
            logger.warning("%s; asking the upstream again", fault)
            if fault.key == page_key:
                return None
        try:
            return _of_unknown_age(page_of(renewed_body(content, page.body)))
        except (ValueError, TypeError, LookupError, AttributeError) as fault:
            logger.warning("%s is no page: %s; asking the upstream again", page_key, fault)
            return None

    def find_last(self, name: ProjectName) -> Page | None:
        """Return the last page of a project, whatever was said about it, or None where none is stored that is whole."""
        key = mirrored_page_key(name)
        stored = self._store.find(key)
        if stored is None:
            return None
        try:
            decompress(key, stored.body)
        except CorruptObject:
            return None
        return page_of(stored.body)

    def find_sources(self, name: ProjectName, check: Check) -> "Mapping[Filename, Source] | None":
        """Return where the files of the page come from that this check is about, or None when that is not stored."""
        from indexer.upstream.sources import decode_sources

        decoded = self._decoded.find(check.sources_digest)
        if decoded is not None:
            return decoded
        key = mirrored_sources_key(name)
        stored = self._store.find(key)
        if stored is None or digest_of(stored.body) != check.sources_digest:
            logger.warning("%s is missing, or not of the page beside it", key)
            return None
        try:
            decoded = decode_sources(key, stored.body)
        except CorruptObject as fault:  # of another version of this program
            logger.warning("%s", fault)
            return None
        self._decoded.put(check.sources_digest, decoded, cost=len(decoded))
        return decoded

    def update(self, name: ProjectName, revise: Callable[[KeptPage | None], Revision | None]) -> KeptPage | None:
        """Change what is stored of a project, with nothing lost that another process changes meanwhile.

        Args:
            revise: returns what is to be stored in the place of what there is; None to leave that. Is called again when
                another process was faster.

        Returns:
            What is stored then.
        """
        keys = self.keys(name)
        put: KeptPage | None = None
        replaced: Stored | None = None
        for _ in range(MAX_TRIES):
            reads = read_ahead(self._store, keys)
            before = self.find(name, reads)
            earlier = self._find_replaced(name, reads, put, replaced)
            # The page that was put in vain must not stay beside a check which is about the one before.
            revision = revise(before) if earlier is None else revise(earlier) or Revision(kept=earlier)
            if revision is None:
                return before
            try:
                self._write(name, reads, before, revision)
            except (AlreadyExists, Changed):
                put, replaced = revision.kept, replaced if earlier is not None else reads.find(keys[0])
                continue
            return revision.kept
        raise StoreUnavailable(keys[1], "it changes whenever it is about to be written")

    def _find_replaced(
        self,
        name: ProjectName,
        reads: Reads,
        put: KeptPage | None,
        replaced: Stored | None,
    ) -> KeptPage | None:
        """Return the page in whose place a try of ours put another one, if that is there and the check still about it.

        Args:
            reads: what is there now.
            put: what the try put, if there was one.
        """
        page_key, _ = self.keys(name)
        now = reads.find(page_key)
        if put is None or now is None or now.body != put.page.body:
            return None
        found = self.find(name, replace(reads, objects={**reads.objects, page_key: replaced}))
        return found if found is not None and found.check.renderer == self._renderer_tag else None

    def _write(self, name: ProjectName, reads: Reads, before: KeptPage | None, revision: Revision) -> None:
        page_key, check_key = self.keys(name)
        if revision.kept is None:
            self._store.delete(check_key)
            return
        # The page first, and only in the place of the one that was read: so whoever changes it has seen all that was
        # filled in before. The check last: until it is there, a reader asks the upstream.
        self._replace(page_key, reads.find(page_key), revision.kept.page.body)
        if revision.sources is not None:
            self._store.put(mirrored_sources_key(name), revision.sources.body)
            sources = revision.sources.sources
            self._decoded.put(revision.kept.check.sources_digest, sources, cost=len(sources))
        if before is None or before.check != revision.kept.check:
            self._replace(check_key, reads.find(check_key), encode_check(revision.kept.check))

    def _replace(self, key: str, found: Stored | None, body: bytes) -> None:
        if found is None:
            self._store.put_new(key, body)
        elif found.body != body:
            self._store.replace(key, body, etag=found.etag)


def _of_unknown_age(page: Page) -> KeptPage:
    check = Check(
        page_digest=digest_of(page.body),
        sources_digest="",
        renderer="",
        at=0.0,
        fresh_seconds=0,
        etag=None,
        last_modified=None,
        missing_since=None,
    )
    return KeptPage(page=page, check=check)


def renewed_body(content: bytes, body: bytes) -> bytes:
    """Return a stored page that another version made, in today's form: without what clients cannot read.

    Args:
        content: the page, not compressed.
        body: the page as it is stored; returned where it has that form already.
    """
    from indexer.upstream.renewal import renewed

    page = decode_json(content)
    now = renewed(page)
    return body if now is page else compress(encode_json(now))


def newer(one: KeptPage | None, other: KeptPage | None) -> KeptPage | None:
    """Return the page of which more was said last; of two that are alike the other, which may have been filled in."""
    if one is None or other is None:
        return one or other
    return one if one.check.said_at > other.check.said_at else other
