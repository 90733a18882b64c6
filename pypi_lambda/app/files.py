"""Requests for one file, private or mirrored, or for its `.metadata`: whether there is one, and the answer.

Whose a name is comes with the view; how bytes are sent is `pypi_lambda.app.delivery`'s; what may enter is
`pypi_lambda.cooldown.offered`'s.

PEP 658, 714 (metadata beside files), PEP 792 (quarantined projects).
"""

from typing import TYPE_CHECKING

from indexer.errors import CorruptObject
from indexer.keys import METADATA, PROVENANCE, cache_key, file_key, provenance_key
from indexer.log.project import WITHHELD_STATUS, Project
from indexer.names import Filename, ProjectName
from indexer.store.base import Stat, Stored
from indexer.store.reads import Reads
from indexer.value import value
from pypi_lambda.app.delivery import IMMUTABLE, exceeds_limit
from pypi_lambda.app.service import Service
from pypi_lambda.http.faults import Forbidden, NotFound
from pypi_lambda.http.model import NO_SNIFFING, PLAIN_TEXT, Request, Response
from pypi_lambda.view.index import NOTHING, Wanted
from pypi_lambda.view.view import CLOSED_STANDINGS, Standing, View

if TYPE_CHECKING:
    from datetime import datetime

    from pypi_lambda.mirror.metadata import NoMetadata


PROVENANCE_TYPE = "application/vnd.pypi.integrity.v1+json"


@value
class Asked:
    """A file that is asked for.

    Attributes:
        moment: when it should have been there; None for now.
    """

    name: ProjectName
    filename: Filename
    moment: "datetime | None"

    @property
    def is_metadata(self) -> bool:
        """Whether it is a file's `.metadata`."""
        return self.filename.endswith(METADATA)

    @property
    def whose(self) -> Filename:
        """The file itself where its metadata is asked for."""
        return Filename(self.filename.removesuffix(METADATA))

    @property
    def cache_key(self) -> str:
        """The key of what is asked for, where it is the upstream's."""
        return cache_key(self.name, self.filename)


class Files:
    """The files of an index."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def wanted(self, asked: Asked) -> Wanted:
        """Return what will probably be needed for a file."""
        is_private = self._service.index.view.standing(asked.name) is Standing.PRIVATE
        if asked.is_metadata:
            return Wanted(files=(file_key(asked.name, asked.filename) if is_private else asked.cache_key,))
        return NOTHING if is_private else Wanted(stats=(asked.cache_key,))

    def answer(self, request: Request, view: View, asked: Asked, reads: Reads) -> Response:
        """Return the answer.

        Args:
            view: at the end of the log.
            reads: has what is wanted.

        Raises:
            NotFound, Forbidden: there is no such file, or it is not to be had.
            UpstreamUnavailable, DigestMismatch, CorruptObject: it cannot be had whole.
        """
        standing = view.standing(asked.name)
        if standing is Standing.PRIVATE:
            return self._private(request, view, asked, reads)
        # A file that was taken in stays, for lock files name it, when the upstream has lost its project.
        if standing in CLOSED_STANDINGS or (standing is Standing.UNKNOWN and _find_taken(asked, reads) is None):
            raise NotFound(f"there is no project {asked.name!r}")
        self._check_offered(standing, asked, reads)
        return self._metadata(request, asked, reads) if asked.is_metadata else self._mirrored(request, asked, reads)

    def _metadata(self, request: Request, asked: Asked, reads: Reads) -> Response:
        from pypi_lambda.mirror.metadata import NoMetadata

        try:
            metadata = self._service.mirror.get_metadata(asked.name, asked.filename, reads, seconds=request.seconds)
        except NoMetadata as fault:
            return _no_metadata(fault)
        return self._send_metadata(request, asked.cache_key, metadata)

    def _mirrored(self, request: Request, asked: Asked, reads: Reads) -> Response:
        name, filename, stat = asked.name, asked.filename, reads.stat(asked.cache_key)
        is_get = request.method == "GET"
        if stat is None and not is_get and (size := self._service.mirror.find_size(name, filename)) is not None:
            return self._service.delivery.announce(size)
        if stat is None:
            meanwhile = self._service.mirror.ingest(name, filename, seconds=request.seconds, may_send_away=is_get)
            if meanwhile is not None:
                return Response(status=302, headers=(("Location", meanwhile), ("Cache-Control", "private, max-age=0")))
        else:
            self._service.mirror.note_use(stat)
        return self._service.delivery.send(request, asked.cache_key, stat)

    def _check_offered(self, standing: Standing, asked: Asked, reads: Reads) -> None:
        from pypi_lambda.mirror.offer import FileQuery  # a page is asked for without it

        taken = _find_taken(asked, reads)
        file = FileQuery(
            name=asked.name,
            filename=asked.whose,
            moment=asked.moment,
            is_asked=standing is not Standing.UNKNOWN,
            is_stored=taken is not None,
            stored_at=taken.modified if isinstance(taken, Stat) else None,
        )
        self._service.offer(asked.moment).check_file(file)

    def _private(self, request: Request, view: View, asked: Asked, reads: Reads) -> Response:
        project = self._service.index.project(view, asked.name)
        if project.status == WITHHELD_STATUS:
            reason = f": {project.status_reason}" if project.status_reason else ""
            raise Forbidden(f"project {asked.name!r} is quarantined{reason}")
        if asked.moment is not None:
            project = self._service.past.offered_then(project, asked.moment)
        key = file_key(asked.name, asked.filename)
        file = project.files.get(asked.filename)
        if file is not None and not file.removed:
            return self._service.delivery.send(request, key)
        if asked.filename.endswith(PROVENANCE):
            return self._provenance(project, asked)
        file = project.files.get(asked.whose)
        if not asked.is_metadata or file is None or file.removed or file.metadata_sha256 is None:
            raise NotFound(f"project {asked.name!r} has no file {asked.filename!r}")
        stored = reads.find(key)
        metadata = _checked_metadata(key, stored.body if stored else None, file.metadata_sha256)
        return self._send_metadata(request, key, metadata)

    def _provenance(self, project: Project, asked: Asked) -> Response:
        file = project.files.get(Filename(asked.filename.removesuffix(PROVENANCE)))
        if file is None or file.removed or file.provenance_sha256 is None:
            raise NotFound(f"project {asked.name!r} has no file {asked.filename!r}")
        key = provenance_key(asked.name, file.provenance_sha256)
        stored = self._service.store.find(key)
        body = _checked_metadata(key, stored.body if stored else None, file.provenance_sha256)
        length = ("Content-Length", str(len(body)))
        headers = (("Content-Type", PROVENANCE_TYPE), IMMUTABLE, NO_SNIFFING, length)
        return Response(status=200, headers=headers, body=body)

    def _send_metadata(self, request: Request, key: str, body: bytes) -> Response:
        if exceeds_limit(request, len(body)):
            return self._service.delivery.send(request, key)
        headers = (PLAIN_TEXT, IMMUTABLE, NO_SNIFFING)
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)


def _no_metadata(fault: "NoMetadata") -> Response:
    """Return what makes a client that was told of metadata pass over the wheel, as uv does when it has read it itself.

    A page that the client has read already says that there is some, and pip 26.3 and uv 0.13.9 end at any status but
    2xx. From metadata of no project both go on to an older version; an empty answer ends pip with a traceback.
    """
    from indexer.distributions.metadata_identity import version_in

    headers = f"Metadata-Version: 2.1\nName: -\nVersion: {version_in(fault.wheel)}\nSummary: {fault}\n"
    body = headers.encode("ascii", "replace")
    kept = ("Cache-Control", "no-store")
    return Response(status=200, headers=(PLAIN_TEXT, kept, NO_SNIFFING, ("Content-Length", str(len(body)))), body=body)


def _find_taken(asked: Asked, reads: Reads) -> Stored | Stat | None:
    """Return what is known of an upstream's file, or of its metadata, that was taken in."""
    return reads.find(asked.cache_key) if asked.is_metadata else reads.stat(asked.cache_key)


def _checked_metadata(key: str, body: bytes | None, expected: str) -> bytes:
    from hashlib import sha256

    if body is None:
        raise CorruptObject(key, "the metadata of a published file is missing")
    if sha256(body).hexdigest() != expected:
        raise CorruptObject(key, "the metadata of a published file has another digest")
    return body
