"""The upstream's files as we serve them: taken in once, and checked before anyone can see them.

Where a file comes from, and whether there is one, is what `pypi_lambda.mirrored_pages` knows.
"""

import logging
from typing import TYPE_CHECKING

from indexer.digests import verified
from indexer.names import Filename, ProjectName
from indexer.store import ObjectStore
from pypi_lambda.http import NotFound
from pypi_lambda.index import ReadAhead
from pypi_lambda.ingestion import Ingestions
from pypi_lambda.mirrored_pages import MirroredPages

if TYPE_CHECKING:
    from indexer.sources import Source

MAX_FILE_BYTES = 21_474_836_480  # 20 GiB: the largest public wheels have 5
MAX_METADATA_BYTES = 4_194_304  # 4 MiB: METADATA with its description is rarely over 1

logger = logging.getLogger(__name__)


def cache_key(project: ProjectName, filename: Filename) -> str:
    """Return the key of a mirrored file."""
    return f"cache/{project}/{filename}"


class Mirror:
    """Pages and files of one upstream.

    Attributes:
        pages: what the upstream lists.

    Args:
        ingestions: takes files in.
    """

    def __init__(self, store: ObjectStore, pages: MirroredPages, *, ingestions: Ingestions) -> None:
        self.pages = pages
        self._store = store
        self._ingestions = ingestions

    def ingest(self, name: ProjectName, filename: Filename) -> None:
        """Have a file in the store, from the upstream and checked; several requests for one file share one download.

        Raises:
            NotFound: the upstream has no such project or file.
            DigestMismatch: what the upstream sent is not what it lists.
            UpstreamUnavailable: the upstream failed, or the file takes longer than a client waits; it goes on arriving.
        """
        source = self._get_source(name, filename)
        key = cache_key(name, filename)
        self._ingestions.run(key, lambda: self._take_file(name, filename, source), size=source.size)

    def take_in(self, name: ProjectName, filename: Filename) -> None:
        """Have a file in the store, however long that takes.

        Raises:
            NotFound, DigestMismatch, UpstreamUnavailable: as for `ingest`.
        """
        self._take_file(name, filename, self._get_source(name, filename))

    def _take_file(self, name: ProjectName, filename: Filename, source: "Source") -> None:
        if self._store.stat(cache_key(name, filename)) is not None:
            return  # it arrived after whoever asks for it had looked
        logger.info("taking in %s of %s", filename, name)
        with self.pages.upstream().open_file(source.url, limit=MAX_FILE_BYTES) as download:
            if download is None:
                raise NotFound(f"the upstream lists {filename!r} but does not have it")
            chunks = verified(filename, download.chunks, hashes=source.hashes, size=source.size)
            self._store.write(cache_key(name, filename), chunks)

    def get_metadata(self, name: ProjectName, filename: Filename, ahead: ReadAhead | None) -> bytes:
        """Return the `.metadata` of a mirrored file.

        Args:
            filename: ends in `.metadata`.
            ahead: what lies under its `cache_key`, if it was read.

        Raises:
            NotFound: the upstream has no such file, or announces no metadata for it.
            DigestMismatch, UpstreamUnavailable: as for `ingest`.
        """
        key = cache_key(name, filename)
        stored = ahead.stored if ahead is not None and ahead.key == key else self._store.find(key)
        if stored is not None:
            return stored.body
        source = self._get_source(name, Filename(filename.removesuffix(".metadata")))
        if source.metadata is False:
            raise NotFound(f"the upstream has no metadata for {filename!r}")
        hashes = {} if source.metadata is True else source.metadata
        with self.pages.upstream().open_file(source.metadata_url, limit=MAX_METADATA_BYTES) as download:
            if download is None:
                raise NotFound(f"the upstream announces {filename!r} but does not have it")
            body = b"".join(verified(filename, download.chunks, hashes=hashes, size=None))
        self._store.put(key, body)
        return body

    def _get_source(self, name: ProjectName, filename: Filename) -> "Source":
        sources = self.pages.find_sources(name)
        if sources is None:
            raise NotFound(f"there is no project {name!r}")
        if filename not in sources:
            raise NotFound(f"project {name!r} has no file {filename!r}")
        return sources[filename]
