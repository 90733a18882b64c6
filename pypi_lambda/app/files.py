"""Requests for one file, private or mirrored, or for its `.metadata`: whether there is one, and the answer.

Whose a name is comes with the view; how bytes are sent is `pypi_lambda.app.delivery`'s; what may enter is
`pypi_lambda.cooldown.offered`'s.

PEP 658, 714 (metadata beside files), PEP 792 (quarantined projects).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from indexer.errors import CorruptObject
from indexer.keys import METADATA, PROVENANCE, cache_key, file_key, provenance_key
from indexer.log.project import WITHHELD_STATUS, Project
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.value import value
from pypi_lambda.app.delivery import IMMUTABLE, Delivery, exceeds_limit
from pypi_lambda.http.faults import Forbidden, NotFound
from pypi_lambda.http.model import NO_SNIFFING, PLAIN_TEXT, Request, Response
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.view.index import Index, Page, ReadAhead
from pypi_lambda.view.view import CLOSED_STANDINGS, Standing, View

if TYPE_CHECKING:
    from datetime import datetime

    from pypi_lambda.cooldown.offered import Offers
    from pypi_lambda.mirror.metadata import NoMetadata


PROVENANCE_TYPE = "application/vnd.pypi.integrity.v1+json"


@value
class Look:
    """A file that is asked for, and what to read for it at the same time as the log is asked.

    Attributes:
        moment: when it should have been there; None for now.
        is_private: whether it seemed to be a private project's, before the log was asked.
        call: reads what is under `key`, or nothing where that will not be needed.
    """

    name: ProjectName
    filename: Filename
    moment: "datetime | None"
    is_private: bool
    key: str
    call: Callable[[], Any]

    @property
    def is_metadata(self) -> bool:
        """Whether it is a file's `.metadata`."""
        return self.filename.endswith(METADATA)

    @property
    def whose(self) -> Filename:
        """The file itself where its metadata is asked for."""
        return Filename(self.filename.removesuffix(METADATA))


class Files:
    """The files of an index.

    Args:
        chooses_files: whether not every file of the upstream may enter.
        make_offers: called when they must, or when an earlier moment is asked for.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        index: Index,
        mirror: Mirror,
        delivery: Delivery,
        chooses_files: bool,
        make_offers: "Callable[[], Offers]",
    ) -> None:
        self._store = store
        self._index = index
        self._mirror = mirror
        self._delivery = delivery
        self._chooses_files = chooses_files
        self._make_offers = make_offers

    def look(self, name: ProjectName, filename: Filename, moment: "datetime | None") -> Look:
        """Return what to read ahead for a file."""
        private = self._index.view.standing(name) is Standing.PRIVATE
        key = file_key(name, filename) if private else cache_key(name, filename)
        if filename.endswith(METADATA):
            call = _bound(self._index.find_recent_file, key)
        else:
            call = _nothing if private else _bound(self._index.stat_recent_file, key)
        return Look(name=name, filename=filename, moment=moment, is_private=private, key=key, call=call)

    def answer(self, request: Request, view: View, look: Look, found: Any) -> Response:
        """Return the answer.

        Args:
            view: at the end of the log.
            found: what the look's call returned.

        Raises:
            NotFound, Forbidden: there is no such file, or it is not to be had.
            UpstreamUnavailable, DigestMismatch, CorruptObject: it cannot be had whole.
        """
        standing = view.standing(look.name)
        # A file that was taken in stays, for lock files name it, when the upstream has lost its project.
        is_left = found is not None and not look.is_private
        if standing in CLOSED_STANDINGS or (standing is Standing.UNKNOWN and not is_left):
            raise NotFound(f"there is no project {look.name!r}")
        if standing is Standing.PRIVATE:
            return self._private(request, view, look, found)
        if self._chooses_files or look.moment is not None:
            self._check_offered(standing, look, None if look.is_private else found)
        if look.is_metadata:
            from pypi_lambda.mirror.metadata import NoMetadata

            ahead = ReadAhead(key=look.key, stored=found)
            try:
                metadata = self._mirror.get_metadata(look.name, look.filename, ahead, seconds=request.seconds)
            except NoMetadata as fault:
                return _no_metadata(fault)
            return self._send_metadata(request, cache_key(look.name, look.filename), metadata)
        return self._mirrored(request, look, None if look.is_private else found)

    def _mirrored(self, request: Request, look: Look, stat: Any) -> Response:
        name, filename = look.name, look.filename
        is_get = request.method == "GET"
        if stat is None and not is_get and (size := self._mirror.find_size(name, filename)) is not None:
            return self._delivery.announce(size)
        if stat is None:
            meanwhile = self._mirror.ingest(name, filename, seconds=request.seconds, may_send_away=is_get)
            if meanwhile is not None:
                return Response(status=302, headers=(("Location", meanwhile), ("Cache-Control", "private, max-age=0")))
        else:
            self._mirror.note_use(stat)
        return self._delivery.send(request, cache_key(name, filename), stat)

    def _check_offered(self, standing: Standing, look: Look, found: Any) -> None:
        """Make sure that a mirrored file is old enough, and was there at that moment."""
        offers = self._make_offers()

        def find_page() -> Page | None:
            if standing is Standing.UNKNOWN:
                return offers.find_kept_page(look.name)
            keys = self._mirror.pages.keys_to_read(look.name)
            read = self._store.gather(*(_bound(self._store.find, key) for key in keys))
            ahead = {key: ReadAhead(key=key, stored=stored) for key, stored in zip(keys, read, strict=True)}
            return self._mirror.pages.find_page(look.name, "json", ahead)

        offers.check_file(
            look.name,
            look.whose,
            moment=look.moment,
            is_stored=found is not None,
            stored_at=getattr(found, "modified", None),
            find_page=find_page,
        )

    def _private(self, request: Request, view: View, look: Look, found: Any) -> Response:
        project = self._index.project(view, look.name)
        if project.status == WITHHELD_STATUS:
            reason = f": {project.status_reason}" if project.status_reason else ""
            raise Forbidden(f"project {look.name!r} is quarantined{reason}")
        if look.moment is not None:
            project = self._make_offers().offered_then(project, look.moment)
        key = file_key(look.name, look.filename)
        file = project.files.get(look.filename)
        if file is not None and not file.removed:
            return self._delivery.send(request, key)
        if look.filename.endswith(PROVENANCE):
            return self._provenance(project, look)
        file = project.files.get(look.whose)
        if not look.is_metadata or file is None or file.removed or file.metadata_sha256 is None:
            raise NotFound(f"project {look.name!r} has no file {look.filename!r}")
        stored = found if look.key == key else self._store.find(key)
        metadata = _checked_metadata(key, stored.body if stored else None, file.metadata_sha256)
        return self._send_metadata(request, key, metadata)

    def _provenance(self, project: Project, look: Look) -> Response:
        file = project.files.get(Filename(look.filename.removesuffix(PROVENANCE)))
        if file is None or file.removed or file.provenance_sha256 is None:
            raise NotFound(f"project {look.name!r} has no file {look.filename!r}")
        key = provenance_key(look.name, file.provenance_sha256)
        stored = self._store.find(key)
        body = _checked_metadata(key, stored.body if stored else None, file.provenance_sha256)
        length = ("Content-Length", str(len(body)))
        headers = (("Content-Type", PROVENANCE_TYPE), IMMUTABLE, NO_SNIFFING, length)
        return Response(status=200, headers=headers, body=body)

    def _send_metadata(self, request: Request, key: str, body: bytes) -> Response:
        if exceeds_limit(request, len(body)):
            return self._delivery.send(request, key)
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


def _bound(call: Callable[[str], Any], key: str) -> Callable[[], Any]:
    return lambda: call(key)


def _nothing() -> None:
    """Read nothing."""


def _checked_metadata(key: str, body: bytes | None, expected: str) -> bytes:
    from hashlib import sha256

    if body is None:
        raise CorruptObject(key, "the metadata of a published file is missing")
    if sha256(body).hexdigest() != expected:
        raise CorruptObject(key, "the metadata of a published file has another digest")
    return body
