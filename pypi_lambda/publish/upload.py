"""Publishing a file: the order of steps that survives a crash between any two of them.

    check all → file (put-if-absent) → `.metadata` → event: this is the commit → answer → ask for a rebuild

Before the commit there is at most an unpublished object, which a retry with the same bytes takes over. The same file
again, at any time, is a success; other content under a published name is a conflict.

Legacy upload API as its clients use it: docs/facts.md.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from indexer.distributions.distribution import DistributionName, check_distribution
from indexer.errors import AlreadyExists, Changed, Missing
from indexer.keys import file_key, provenance_key
from indexer.log.events import Event, FileAdded, ProjectChange, timestamp
from indexer.log.journal import Journal
from indexer.log.log import Head
from indexer.log.project import Project, empty_project, fold
from indexer.names import Filename
from indexer.store.base import ObjectStore, Stat
from indexer.store.reader import chunks_of
from indexer.upkeep.adopt import put_metadata, stored_sha256
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import Conflict
from pypi_lambda.http.model import Request
from pypi_lambda.publish.forms import UploadForm, check_digests, read_upload
from pypi_lambda.publish.rules import (
    Candidate,
    Published,
    check_open,
    check_permitted,
    check_publishable,
    check_same,
    check_unlike,
)
from pypi_lambda.view.index import Index

MAX_FILE_BYTES = 5_368_709_120  # 5 GiB: what S3 copies in one request
# An unpublished object this old belongs to no upload that is still under way: an invocation lives at most 15 minutes,
# and no client of the local server waits an hour.
ORPHAN_AGE = timedelta(hours=1)
MAX_REPLACED_BYTES = 268_435_456  # 256 MiB: replacing an orphan holds the file in memory; no larger one is replaced

logger = logging.getLogger(__name__)


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
            return self.publish(form, user, client=request.client)
        finally:
            form.close()

    def publish(self, form: UploadForm, user: User, *, client: str = "") -> str:
        """Publish the form's file and return a sentence that says so; it says the same for a file that was there
        before.

        Args:
            client: from where it came, for the log.

        Raises:
            BadRequest, InvalidValue: the form, or the archive in it, is wrong.
            Forbidden: the user may not upload to this project, or nobody may.
            Conflict: other content was published under this name, or may be at this moment.
        """
        check_permitted(user, form.project)
        check_digests(form)
        found = check_distribution(form.content, form.filename, name=form.project, version=form.version)
        candidate = Candidate(
            filename=form.filename,
            found=found,
            size=form.size,
            sha256=form.sha256_digest,
            chunks=lambda: chunks_of(form.content),
            provenance=_find_provenance(form),
        )
        return self.publish_checked(candidate, by=user.username, client=client)

    def publish_checked(self, candidate: Candidate, *, by: str, client: str = "") -> str:
        """Publish a file that was checked; see `publish`.

        Args:
            by: who brought it, for the log.
        """
        try:
            seen, project = self._check_unpublished(candidate)
            self._put_file(candidate)
            metadata_sha256 = put_metadata(self._store, candidate.project, candidate.filename, candidate.found)
            self._put_provenance(candidate)
            event = self._commit(candidate, metadata_sha256, by, client, seen, project)
        except Published as published:
            logger.info("%s was published before, with the same content", candidate.filename)
            dropped = candidate.provenance_sha256 not in (None, published.file.provenance_sha256)
            more = "; its attestations are not kept, for it was published without them" if dropped else ""
            return f"{candidate.filename} is published{more}"
        logger.info("%s published %s of %s", by, candidate.filename, candidate.project)
        try:
            self._request_rebuild(event.seq)
        except Exception:  # whatever it is, the file is published
            logger.exception("no rebuild could be asked for; nothing depends on it")
        return f"{candidate.filename} is published"

    def is_published(self, user: User, said: DistributionName, filename: Filename, sha256: str) -> bool:
        """Tell whether a file is published already: before it is sent, and again when it was.

        Args:
            said: what its name says.

        Raises:
            Forbidden: the user may not upload to this project.
            Forbidden: nobody may upload to it.
            Conflict: other content was published under this name, or under another spelling of it.
        """
        check_permitted(user, said.project)
        view = self._index.refresh()
        if view.current.projects.find(said.project) is None:
            return False
        known = self._index.project(view, said.project)
        published = known.files.get(filename)
        if published is None:
            check_open(known)
            check_unlike(known, filename, said.version)
            return False
        check_same(filename, sha256, published)
        return True

    def _check_unpublished(self, candidate: Candidate) -> tuple[Head, Project]:
        """Return the end of the log up to which nothing speaks against the file, and the project as it is there."""
        view = self._index.refresh()
        project = empty_project(candidate.project)
        if view.current.projects.find(candidate.project) is not None:
            project = self._index.project(view, candidate.project)
        check_publishable(candidate, project)
        return view.current.head, project

    def _put_file(self, candidate: Candidate) -> None:
        key = file_key(candidate.project, candidate.filename)
        try:
            self._store.write(key, candidate.chunks(), new=True, immutable=True)
        except AlreadyExists:
            self._take_over(key, candidate)

    def _put_provenance(self, candidate: Candidate) -> None:
        if candidate.provenance is None or candidate.provenance_sha256 is None:
            return
        key = provenance_key(candidate.project, candidate.provenance_sha256)
        with suppress(AlreadyExists):  # its key is its digest
            self._store.put_new(key, candidate.provenance, content_type="application/json", immutable=True)

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
            self._store.replace(key, b"".join(candidate.chunks()), etag=stat.etag, immutable=True)
        except Changed:
            raise Conflict(f"another upload of {candidate.filename!r} is under way; try again") from None

    def _commit(
        self,
        candidate: Candidate,
        metadata_sha256: str | None,
        by: str,
        client: str,
        seen: Head,
        project: Project,
    ) -> Event:
        change = FileAdded(
            project=candidate.project,
            filename=candidate.filename,
            version=candidate.found.version,
            size=candidate.size,
            sha256=candidate.sha256,
            upload_time=candidate.upload_time or "",  # that of the event
            requires_python=candidate.found.requires_python,
            metadata_sha256=metadata_sha256,
            provenance_sha256=candidate.provenance_sha256,
        )

        def step(event: Event) -> None:
            nonlocal project
            if isinstance(event.change, ProjectChange) and event.change.project == project.name:
                project = fold(project, [event])
                check_publishable(candidate, project)

        journal = Journal(self._store, by=by, client=client, now=self._now, new_id=self._new_id, head=seen)
        return journal.append(change, step=step)


def _find_provenance(form: UploadForm) -> bytes | None:
    attestations = form.find("attestations")
    if attestations is None:
        return None
    from indexer.distributions.provenance import make_provenance

    return make_provenance(attestations, form.filename, form.sha256_digest)
