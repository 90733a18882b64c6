"""The upstream's files as we serve them: taken in once, and checked before anyone can see them.

Where a file comes from, and whether there is one, is what `pypi_lambda.mirror.pages` knows.
"""

import logging
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.keys import METADATA, cache_key, unproved_key
from indexer.log.events import timestamp
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.reads import Reads, read_ahead
from pypi_lambda.http.faults import NotFound
from pypi_lambda.mirror.ingestion import Ingestions, StillArriving
from pypi_lambda.mirror.pages import MirroredPages

if TYPE_CHECKING:
    from datetime import datetime

    from indexer.store.base import Stat
    from indexer.upstream.sources import Source
    from pypi_lambda.mirror.metadata import MirroredMetadata
    from pypi_lambda.mirror.offer import FileQuery
    from pypi_lambda.view.index import Page

MAX_FILE_BYTES = 21_474_836_480  # 20 GiB: the largest public wheels have 5

logger = logging.getLogger(__name__)


class Mirror:
    """Pages and files of one upstream.

    Attributes:
        pages: what the upstream lists.

        note_use: called with each file that is delivered from the store.

    Args:
        ingestions: takes files in.
    """

    def __init__(
        self,
        store: ObjectStore,
        pages: MirroredPages,
        *,
        ingestions: Ingestions,
        note_use: "Callable[[Stat], None]" = lambda stat: None,
    ) -> None:
        self.pages = pages
        self.note_use = note_use
        self._store = store
        self._ingestions = ingestions

    @cached_property
    def _metadata(self) -> "MirroredMetadata":
        from pypi_lambda.mirror.metadata import MirroredMetadata  # a page and a file are asked for without it

        return MirroredMetadata(self._store, self.pages)

    def find_page(
        self, name: ProjectName, extension: str, reads: Reads, *, moment: "datetime | None" = None
    ) -> "Page | None":
        """Return a project's page with all that the upstream lists; see `pypi_lambda.mirror.offer.Offer`."""
        return self.pages.find_page(name, extension, reads)

    def find_listing(self, name: ProjectName, *, is_asked: bool) -> "Page | None":
        """Return a project's page as JSON: what the upstream says, or without asking it what it said last."""
        if not is_asked:
            return self.pages.find_last(name)
        return self.pages.find_page(name, "json", read_ahead(self._store, self.pages.keys_to_read(name)))

    def check_file(self, file: "FileQuery") -> None:
        """Deliver every file that the upstream lists."""

    def ingest(
        self, name: ProjectName, filename: Filename, *, seconds: float | None = None, may_send_away: bool = False
    ) -> str | None:
        """Have a file in the store, from the upstream and checked; several requests for one file share one download.

        Args:
            seconds: how long the request may take, where a front door limits that.
            may_send_away: whether the client could go to another address.

        Returns:
            None when the file is there; or the upstream's URL, where the client finds it while it goes on arriving.

        Raises:
            NotFound: the upstream has no such project or file.
            DigestMismatch: what the upstream sent is not what it lists.
            UpstreamUnavailable: the upstream failed, or the file takes longer than a client waits; it goes on arriving.
        """
        source = self._get_source(name, filename)
        key = cache_key(name, filename)
        try:
            self._ingestions.run(
                key, lambda: self._take_file(name, filename, source), size=source.size, seconds=seconds
            )
        except StillArriving:
            if may_send_away and self._ingestions.sends_away and self._is_for_anybody(source):
                return source.url
            raise
        return None

    def find_size(self, name: ProjectName, filename: Filename) -> int | None:
        """Return how many bytes a file has by the upstream's word, or None where it does not say.

        Raises:
            NotFound, UpstreamUnavailable: as for `ingest`.
        """
        return self._get_source(name, filename).size

    def _is_for_anybody(self, source: "Source") -> bool:
        """Tell whether a client can take a file from the upstream itself, and check it, as we have not."""
        return source.sha256 is not None and self.pages.upstream().is_for_anybody(source.url)

    def take_in(self, name: ProjectName, filename: Filename) -> None:
        """Have a file, or the `.metadata` of one, in the store, however long that takes.

        Raises:
            NotFound, DigestMismatch, UpstreamUnavailable: as for `ingest`.
        """
        wheel = Filename(filename.removesuffix(METADATA))
        source = self._get_source(name, wheel)
        if wheel == filename:
            self._take_file(name, filename, source)
        else:
            self._metadata.take(name, wheel, source, lambda: self._take_file(name, wheel, source))

    def _take_file(self, name: ProjectName, filename: Filename, source: "Source") -> None:
        from indexer.digests import Counted, verified

        key = cache_key(name, filename)
        if self._store.stat(key) is not None:
            return  # it arrived after whoever asks for it had looked
        logger.info("taking in %s of %s", filename, name)
        with self.pages.upstream().open_file(source.url, limit=MAX_FILE_BYTES) as download:
            if download is None:
                raise NotFound(f"the upstream lists {filename!r} but does not have it")
            counted = Counted(download.chunks)
            chunks = verified(filename, counted, hashes=source.hashes, size=source.size)
            if source.is_proved:
                self._store.write(key, chunks, immutable=True)
            else:
                self._take_unproved(name, filename, chunks)
        stat = None if source.size == counted.size and source.upload_time else self._store.stat(key)
        if stat is not None:
            self.pages.fill(name, filename, size=stat.size, upload_time=_upload_time(download.last_modified, stat))

    def _take_unproved(self, name: ProjectName, filename: Filename, chunks: Iterator[bytes]) -> None:
        """Have a file in the store that no digest proves, once it turned out to be an archive of its project."""
        from indexer.digests import Counted
        from indexer.distributions.unproved import check_unproved
        from indexer.errors import InvalidValue, UpstreamNonsense
        from indexer.store.reader import open_object
        from pypi_lambda.clock import new_id

        logger.warning("%s of %s is unverified: the upstream announces no digest that proves it", filename, name)
        counted, staged = Counted(chunks), unproved_key(new_id())
        try:
            self._store.write(staged, counted)
            with open_object(self._store, staged, counted.size) as file:
                check_unproved(file, filename, name)
            self._store.write(cache_key(name, filename), self._store.read(staged), immutable=True)
        except InvalidValue as fault:
            raise UpstreamNonsense(f"no digest proves {filename}, and it is no archive of {name}: {fault}") from None
        finally:
            self._store.delete(staged)

    def get_metadata(
        self, name: ProjectName, filename: Filename, reads: Reads | None, *, seconds: float | None = None
    ) -> bytes:
        """Return the `.metadata` of a mirrored file: the upstream's, or for a wheel the one that is inside.

        Args:
            filename: ends in `.metadata`.
            reads: has what lies under its `cache_key`, where that was read ahead.
            seconds: how long the request may take, where a front door limits that.

        Raises:
            NotFound: the upstream has no such file, or says of no metadata.
            NoMetadata: it is a wheel without any.
            DigestMismatch, UpstreamUnavailable: as for `ingest`.
        """
        from pypi_lambda.mirror.metadata import WHEEL

        key = cache_key(name, filename)
        file = Filename(filename.removesuffix(METADATA))
        stored = self._store.find(key) if reads is None else reads.find(key)
        body = self._metadata.checked(name, file, stored)
        if body is not None:
            return body
        source = self._get_source(name, file)
        if source.metadata is False and not file.endswith(WHEEL):
            raise NotFound(f"the upstream has no metadata for {filename!r}")

        def take() -> bytes:
            return self._metadata.take(name, file, source, lambda: self.ingest(name, file, seconds=seconds))

        return self._ingestions.run(key, take, seconds=seconds)

    def find_metadata(self, name: ProjectName, filename: Filename) -> bytes | None:
        """Return a file's metadata where it is stored, or the upstream has it beside the file: nothing more is fetched.

        Raises:
            NotFound, DigestMismatch, UpstreamUnavailable: as for `ingest`.
        """
        body = self._metadata.find(name, filename)
        if body is not None:
            return body
        source = self._get_source(name, filename)
        if source.metadata is False:
            return None
        body = self._metadata.find_beside(name, filename, source)
        if body is None:
            raise NotFound(f"the upstream announces the metadata of {filename!r} but does not give it")
        return body

    def _get_source(self, name: ProjectName, filename: Filename) -> "Source":
        sources = self.pages.find_sources(name)
        if sources is None:
            raise NotFound(f"there is no project {name!r}")
        if filename not in sources:
            reason = self.pages.find_dropped(name, filename)
            if reason is not None:
                from pypi_lambda.mirror.failures import left_out

                raise left_out(name, filename, reason)
            raise NotFound(f"project {name!r} has no file {filename!r}")
        return sources[filename]


def _upload_time(last_modified: str | None, stat: "Stat") -> str:
    """Return since when a file is at the upstream: since its Last-Modified, or else since we saw it."""
    from email.utils import parsedate_to_datetime

    seen = stat.modified
    try:
        told = parsedate_to_datetime(last_modified or "")
    except ValueError:
        told = seen
    return timestamp(min(told, seen) if told.tzinfo else seen)
