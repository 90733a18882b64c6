"""The metadata of the upstream's files: what it sends beside them where that is theirs, else what is in the wheel.

Kept is only what names the project and version of its file, so that no login page or mix-up stays for good. Where a
wheel comes from, and that it is whole, is `pypi_lambda.mirror.files`'s to see to.

PEP 658, 714.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.digests import verified
from indexer.errors import DigestMismatch, InvalidValue, StoreUnavailable, UpstreamUnavailable
from indexer.keys import METADATA, cache_key
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from pypi_lambda.http.faults import NotFound
from pypi_lambda.mirror.pages import MirroredPages

if TYPE_CHECKING:
    from indexer.store.base import Stored
    from indexer.upstream.sources import Source

MAX_METADATA_BYTES = 4_194_304  # 4 MiB: METADATA with its description is rarely over 1

WHEEL = ".whl"

logger = logging.getLogger(__name__)


class NoMetadata(NotFound):
    """A wheel in which no installer finds METADATA."""

    def __init__(self, wheel: Filename, reason: str) -> None:
        super().__init__(f"{wheel!r} has no metadata: {reason}")
        self.wheel = wheel


class MirroredMetadata:
    """The metadata of one upstream's files."""

    def __init__(self, store: ObjectStore, pages: MirroredPages) -> None:
        self._store = store
        self._pages = pages

    def find(self, name: ProjectName, file: Filename) -> bytes | None:
        """Return the metadata of a file that is stored."""
        return self.checked(name, file, self._store.find(_key(name, file)))

    def checked(self, name: ProjectName, file: Filename, stored: "Stored | None") -> bytes | None:
        """Return what lies in the store as the metadata of a file, if it is that: up to 0.0.7 anything was kept."""
        return None if stored is None or not _is_metadata_of(stored.body, name, file) else stored.body

    def find_beside(self, name: ProjectName, file: Filename, source: "Source") -> bytes | None:
        """Have what the upstream has beside a file in the store, and return it; None where it is not its metadata.

        Raises:
            DigestMismatch, UpstreamUnavailable: of a file that is no wheel, whose metadata is nowhere else.
        """
        body = self._fetch(name, file, source)
        return None if body is None else self._kept(name, file, source, body)

    def take(self, name: ProjectName, file: Filename, source: "Source", take_wheel: Callable[[], object]) -> bytes:
        """Return a file's metadata, and have it in the store if it is that of this project and version.

        Args:
            take_wheel: called where the whole file is needed for that.

        Raises:
            NotFound: there is none beside the file, and it is no wheel; from then on none is announced.
            NoMetadata: there is none in the wheel; likewise.
            DigestMismatch, UpstreamUnavailable, StoreUnavailable: it cannot be had now.
        """
        stored = self._store.find(_key(name, file))
        body = self.checked(name, file, stored)
        if body is not None:
            return body
        if stored is not None:
            logger.warning("%s is not the metadata of that file: it was kept by an earlier version, and goes", file)
            self._store.delete(_key(name, file))
        body = self._fetch(name, file, source) if source.metadata else None
        if body is None:
            body = self._read_wheel(name, file, source, take_wheel)
        return self._kept(name, file, source, body)

    def _kept(self, name: ProjectName, file: Filename, source: "Source", body: bytes) -> bytes:
        from hashlib import sha256

        if _is_metadata_of(body, name, file):
            self._store.put(_key(name, file), body, immutable=True)
        digest = sha256(body).hexdigest()
        if source.metadata_sha256 != digest:
            # A digest that is wrong must go; without one, other mirrors read the wheel.
            self._pages.fill(name, file, metadata={"sha256": digest}, is_needed=bool(source.metadata_hashes))
        return body

    def _fetch(self, name: ProjectName, file: Filename, source: "Source") -> bytes | None:
        upstream, limit = self._pages.upstream(), MAX_METADATA_BYTES
        reason = "what is there is something else"
        try:
            with upstream.open_file(source.metadata_url, limit=limit, decompress=True) as download:
                if download is None:
                    reason = "it is not there"
                else:
                    chunks = verified(file + METADATA, download.chunks, hashes=source.metadata_hashes, size=None)
                    body = b"".join(chunks)
                    if _is_metadata_of(body, name, file):
                        return body
        except (UpstreamUnavailable, DigestMismatch) as fault:
            if not file.endswith(WHEEL):
                raise
            reason = str(fault)
        logger.warning("the upstream announces the metadata of %s but does not give it: %s", file, reason)
        return None

    def _read_wheel(
        self, name: ProjectName, file: Filename, source: "Source", take_wheel: Callable[[], object]
    ) -> bytes:
        """Return the METADATA in a wheel: from the store, from parts of the upstream's file, or else from all of it."""
        from indexer.distributions.wheel_metadata import read_metadata
        from indexer.distributions.wheel_names import is_wheel_of
        from indexer.store.reader import open_object

        if not is_wheel_of(name, file):
            self._pages.fill(name, file, metadata=False)
            raise NotFound(f"there is no metadata of {file!r}, which no installer takes for a wheel of {name!r}")
        key = cache_key(name, file)
        stat = self._store.stat(key)
        if stat is None:
            body = self._read_parts(name, file, source)
            if body is not None:
                return body
            take_wheel()
            stat = self._store.stat(key)
        if stat is None:
            raise StoreUnavailable(key, "it is gone right after it was written")
        try:
            with open_object(self._store, key, stat.size) as content:
                return read_metadata(content, file, name)
        except InvalidValue as fault:
            self._pages.fill(name, file, metadata=False)
            raise NoMetadata(file, fault.accepted) from None

    def _read_parts(self, name: ProjectName, file: Filename, source: "Source") -> bytes | None:
        """Return the METADATA in the upstream's wheel, or None where only the whole of it gives certainty.

        Parts prove nothing by themselves: they must have what was announced, and be of this project and version.
        """
        from indexer.distributions.wheel_metadata import read_metadata
        from indexer.upstream.remote_file import NoParts, open_remote

        try:
            with open_remote(self._pages.upstream(), source.url, size=source.size) as remote:
                body = read_metadata(remote, file, name)
            for _ in verified(f"the metadata in {file}", iter((body,)), hashes=source.metadata_hashes, size=None):
                pass
        except (NoParts, InvalidValue, DigestMismatch) as reason:
            logger.info("taking in %s for its metadata: %s", file, reason)
            return None
        return body if _is_metadata_of(body, name, file) else None


def _key(name: ProjectName, file: Filename) -> str:
    return cache_key(name, Filename(file + METADATA))


def _is_metadata_of(body: bytes, name: ProjectName, file: Filename) -> bool:
    from indexer.distributions.metadata_identity import is_metadata_of, version_in

    return is_metadata_of(body, name, version_in(file))
