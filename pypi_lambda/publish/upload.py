"""Uploads: who may publish what, and a form's file on its way into the index. The rules and the steps are
`indexer.publication`'s; here they are a request's, with its status.

Legacy upload API as its clients use it: docs/facts.md.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from indexer.distributions.distribution import DistributionName, check_distribution
from indexer.errors import Closed, Taken
from indexer.log.journal import Journal
from indexer.log.project import Project, empty_project
from indexer.names import Filename, ProjectName
from indexer.publication.candidate import Candidate
from indexer.publication.rules import Published, is_published
from indexer.publication.steps import publish
from indexer.store.base import ObjectStore
from indexer.store.reader import chunks_of
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import Conflict, Forbidden
from pypi_lambda.http.model import Request
from pypi_lambda.publish.forms import UploadForm, check_digests, read_upload
from pypi_lambda.view.index import Index
from pypi_lambda.view.view import View

MAX_FILE_BYTES = 5_368_709_120  # 5 GiB: what S3 copies in one request

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
        view = self._index.refresh()
        now, new_id, head = self._now, self._new_id, view.current.head
        journal = Journal(self._store, by=by, client=client, now=now, new_id=new_id, head=head)
        try:
            with _answered():
                event = publish(self._store, candidate, self.project(view, candidate.project), journal)
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
            Forbidden: the user may not upload to this project, or nobody may.
            Conflict: other content was published under this name or another spelling, or the version was removed.
        """
        check_permitted(user, said.project)
        known = self.project(self._index.refresh(), said.project)
        with _answered():
            return is_published(known, filename, said.version, sha256)

    def project(self, view: View, name: ProjectName) -> Project:
        """Return a project as a view has it, without files where it is not private there."""
        return empty_project(name) if view.current.projects.find(name) is None else self._index.project(view, name)


def check_permitted(user: User, project: ProjectName) -> None:
    """Make sure that the user may upload to the project.

    Raises:
        Forbidden: it may not.
    """
    if not user.may_publish(project):
        patterns = " and ".join(", ".join(limit) for limit in (user.projects, user.token_projects) if limit)
        raise Forbidden(f"{user.username!r} may not upload {project!r}; it may upload {patterns or 'nothing'}")


@contextmanager
def _answered() -> Iterator[None]:
    """Give what the rules refuse the status of its answer."""
    try:
        yield
    except Taken as fault:
        raise Conflict(str(fault)) from None
    except Closed as fault:
        raise Forbidden(str(fault)) from None


def _find_provenance(form: UploadForm) -> bytes | None:
    attestations = form.find("attestations")
    if attestations is None:
        return None
    from indexer.distributions.provenance import make_provenance

    return make_provenance(attestations, form.filename, form.sha256_digest)
