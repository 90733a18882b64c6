"""Publishing a file: the order of steps that survives a crash between any two of them.

    check all → file (put-if-absent) → `.metadata` → event: this is the commit → answer → ask for a rebuild

Before the commit there is at most an unpublished object, which a retry with the same bytes takes over. The same file
again, at any time, is a success; other content under a published name is a conflict.

Legacy upload API as its clients use it: docs/facts.md.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import IO

from indexer.adopt import put_metadata, stored_sha256
from indexer.distribution import Distribution, check_distribution
from indexer.errors import AlreadyExists, Changed, Missing
from indexer.events import Event, FileAdded, find_publication, timestamp
from indexer.log import Head, Log
from indexer.names import Filename, ProjectName, file_key
from indexer.project import File
from indexer.store import CHUNK_BYTES, ObjectStore, Stat
from indexer.value import value
from pypi_lambda.auth import User
from pypi_lambda.forms import UploadForm, check_digests, read_upload
from pypi_lambda.http import Conflict, Request
from pypi_lambda.index import Index

MAX_FILE_BYTES = 5_368_709_120  # 5 GiB: what S3 copies in one request
# An unpublished object this old belongs to no upload that is still under way: an invocation lives at most 15 minutes,
# and no client of the local server waits an hour.
ORPHAN_AGE = timedelta(hours=1)
MAX_REPLACED_BYTES = 268_435_456  # 256 MiB: replacing an orphan holds the file in memory; no larger one is replaced

logger = logging.getLogger(__name__)


@value
class Candidate:
    """A file that was checked and is to be published.

    Attributes:
        found: what the check found.
        size: in bytes.
        chunks: begins to read the content, from its start, each time it is called.
    """

    filename: Filename
    found: Distribution
    size: int
    sha256: str
    chunks: Callable[[], Iterator[bytes]]

    @property
    def project(self) -> ProjectName:
        """The project whose file it is."""
        return self.found.project


class _Published(Exception):
    """The file turned out to be published already, with these bytes: the wish is fulfilled."""


class Publisher:
    """Publishes uploaded files.

    Args:
        now: the current time.
        new_id: 128 random bits as hex.
        request_rebuild: called with the event's number after each commit; may fail without harm.
    """

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        request_rebuild: Callable[[int], None],
    ) -> None:
        self._store = store
        self._index = index
        self._log = Log(store)
        self._now = now
        self._new_id = new_id
        self._request_rebuild = request_rebuild

    def receive(self, request: Request, user: User) -> str:
        """Publish the file that the request's form brings and return a sentence that says so.

        Raises:
            RequestError, InvalidValue: the form, or the file in it, is wrong, or its name is taken.
        """
        form = read_upload(
            request.body,
            content_type=request.headers.get("content-type", ""),
            content_length=request.content_length,
            max_bytes=MAX_FILE_BYTES,
        )
        try:
            return self.publish(form, user)
        finally:
            form.close()

    def publish(self, form: UploadForm, user: User) -> str:
        """Publish the form's file and return a sentence that says so; it says the same for a file that was there
        before.

        Raises:
            BadRequest, InvalidValue: the form, or the archive in it, is wrong.
            Conflict: other content was published under this name, or may be at this moment.
        """
        check_digests(form)
        found = check_distribution(form.content, form.filename, name=form.project, version=form.version)
        candidate = Candidate(
            filename=form.filename,
            found=found,
            size=form.size,
            sha256=form.sha256_digest,
            chunks=lambda: _chunks(form.content),
        )
        return self.publish_checked(candidate, by=user.username)

    def publish_checked(self, candidate: Candidate, *, by: str) -> str:
        """Publish a file that was checked; see `publish`.

        Args:
            by: who brought it, for the log.
        """
        try:
            seen = self._check_unpublished(candidate)
            self._put_file(candidate)
            metadata_sha256 = put_metadata(self._store, candidate.project, candidate.filename, candidate.found)
            event = self._commit(candidate, metadata_sha256, by, seen)
        except _Published:
            logger.info("%s was published before, with the same content", candidate.filename)
            return f"{candidate.filename} is published"
        logger.info("%s published %s of %s", by, candidate.filename, candidate.project)
        try:
            self._request_rebuild(event.seq)
        except Exception:  # whatever it is, the file is published
            logger.exception("no rebuild could be asked for; nothing depends on it")
        return f"{candidate.filename} is published"

    def _check_unpublished(self, candidate: Candidate) -> Head:
        """Return the end of the log up to which nothing was published under this file name."""
        view = self._index.refresh()
        if view.current.projects.find(candidate.project) is not None:
            file = self._index.project(view, candidate.project).files.get(candidate.filename)
            if file is not None:
                _refuse_or_accept(candidate, file)
        return view.current.head

    def _put_file(self, candidate: Candidate) -> None:
        key = file_key(candidate.project, candidate.filename)
        try:
            self._store.write(key, candidate.chunks(), new=True)
        except AlreadyExists:
            self._take_over(key, candidate)

    def _take_over(self, key: str, candidate: Candidate) -> None:
        """Go on with an object that nobody published: the same bytes as they are, others only once it is an orphan."""
        stat = self._store.stat(key)
        if stat is None:
            raise Conflict(f"another upload of {candidate.filename!r} is under way; try again")
        age = self._now() - stat.modified
        is_replaceable = max(stat.size, candidate.size) <= MAX_REPLACED_BYTES
        if self._is_same(key, candidate, stat):
            if is_replaceable and age > ORPHAN_AGE / 2:
                # Made young again, so that nobody replaces it before this upload is committed.
                self._replace(key, candidate, stat)
            return
        if not is_replaceable or age < ORPHAN_AGE:
            raise Conflict(
                f"another upload of {candidate.filename!r} with other content is under way or was interrupted; "
                f"upload the same content, or try again after {timestamp(stat.modified + ORPHAN_AGE)}"
            )
        logger.warning("replacing the orphan %s of %s", key, timestamp(stat.modified))
        self._replace(key, candidate, stat)

    def _is_same(self, key: str, candidate: Candidate, stat: Stat) -> bool:
        try:
            return stat.size == candidate.size and stored_sha256(self._store, key) == candidate.sha256
        except Missing:
            raise Conflict(f"another upload of {candidate.filename!r} is under way; try again") from None

    def _replace(self, key: str, candidate: Candidate, stat: Stat) -> None:
        try:
            self._store.replace(key, b"".join(candidate.chunks()), etag=stat.etag)
        except Changed:
            raise Conflict(f"another upload of {candidate.filename!r} is under way; try again") from None

    def _commit(self, candidate: Candidate, metadata_sha256: str | None, by: str, seen: Head) -> Event:
        at = timestamp(self._now())
        change = FileAdded(
            project=candidate.project,
            filename=candidate.filename,
            version=candidate.found.version,
            size=candidate.size,
            sha256=candidate.sha256,
            upload_time=at,
            requires_python=candidate.found.requires_python,
            metadata_sha256=metadata_sha256,
        )

        def step(event: Event) -> None:
            published = find_publication(event, change)
            if published is not None:
                _refuse_or_accept(candidate, published)

        return self._log.append(seen, change, by=by, at=at, id=self._new_id(), step=step)


def _refuse_or_accept(candidate: Candidate, published: File | FileAdded) -> None:
    if published.sha256 != candidate.sha256:
        # "File already exists" is what uv looks for before it compares digests itself.
        raise Conflict(
            f"File already exists: {candidate.filename!r} was published with sha256 {published.sha256}, "
            f"and this one has {candidate.sha256}; a published file never changes, use another version"
        )
    if isinstance(published, File) and published.removed:
        raise Conflict(f"File already exists: {candidate.filename!r} was published and removed; its name stays taken")
    raise _Published


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    content.seek(0)
    while chunk := content.read(CHUNK_BYTES):
        yield chunk
