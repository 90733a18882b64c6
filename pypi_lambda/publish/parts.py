"""Files of any size, sent in parts straight into the store, then checked and published as any upload is.

    POST /uploads/        {"filename", "size", "sha256"} → where each part goes, and which are there already
    PUT  each part        to its signed URL; to /uploads/{id}/{number} where the store signs none
    POST /uploads/{id}/   the same JSON → published, refused, or still being checked

An upload's id is made of the user's name and of what was announced, so whoever begins again finds the parts that
arrived. Nothing of it is visible before it is published. Not on the hot path.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from indexer.distributions.distribution import parse_filename
from indexer.errors import DigestMismatch, InvalidValue, Missing
from indexer.json_bytes import encode_json
from indexer.keys import part_key, parts_prefix, rejection_key
from indexer.publication.candidate import check_stored
from indexer.store.base import CHUNK_BYTES, ObjectStore
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import BadRequest, Conflict, Forbidden, NotFound, PayloadTooLarge, RequestError
from pypi_lambda.http.model import NO_SNIFFING, Request, Response
from pypi_lambda.publish.announced import MAX_PARTS, PART_BYTES, Announced, owner, read_announcement, upload_id
from pypi_lambda.publish.upload import Publisher
from pypi_lambda.shared import SharedWork, TakesLonger

SIGNED_SECONDS = 3_600  # the first parts' URLs must last until the last ones are sent; whoever is late asks anew
RETRY_SECONDS = 3
WAIT_SECONDS = 10.0  # below the 29 s of API Gateway and the 15 s for which some clients wait

logger = logging.getLogger(__name__)


class Commits(Protocol):
    """Where parts are put together and checked, which may take longer than a request."""

    def run(self, announced: Announced, username: str, work: Callable[[], str], *, client: str) -> str:
        """Do the work, or have it done, and return its sentence.

        Args:
            client: from where the request came, for the log of events.

        Raises:
            TakesLonger: it is not done yet; asking again is the way to wait on.
        """


class LocalCommits:
    """In this process, in the background."""

    def __init__(self) -> None:
        self._shared: SharedWork[str] = SharedWork()

    def run(self, announced: Announced, username: str, work: Callable[[], str], *, client: str) -> str:
        """Do the work, or join whoever does it already."""
        return self._shared.run(upload_id(username, announced), work, wait_seconds=WAIT_SECONDS)


class Parts:
    """The uploads in parts of one store.

    Args:
        part_bytes: how large a part is, but for the last.
    """

    def __init__(
        self, store: ObjectStore, publisher: Publisher, commits: Commits, *, part_bytes: int = PART_BYTES
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._commits = commits
        self._part_bytes = part_bytes

    def begin(self, request: Request, user: User) -> Response:
        """Tell where the parts of a file go.

        Raises:
            RequestError, InvalidValue: it cannot be sent, or is published with other content.
        """
        announced = read_announcement(request)
        if self._is_published(announced, user):
            return _answer(200, {"state": "published", "parts": []})
        id_ = upload_id(user.username, announced)
        self._store.delete(rejection_key(id_))
        sizes = self._arrived(id_)
        parts = [
            {
                "number": number,
                "offset": (number - 1) * self._part_bytes,
                "size": size,
                "url": self._store.signed_put_url(part_key(id_, number), seconds=SIGNED_SECONDS)
                or f"{request.base_path}/uploads/{id_}/{number}",
                "arrived": sizes.get(part_key(id_, number)) == size,
            }
            for number, size in enumerate(announced.part_sizes(self._part_bytes), 1)
        ]
        return _answer(200, {"state": "sending", "upload": id_, "parts": parts})

    def put_part(self, request: Request, user: User, id_: str, number: str) -> Response:
        """Store a part, where the store signs no URL for that.

        Raises:
            RequestError: it is too long, or no part of an upload of this user.
        """
        if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= MAX_PARTS):
            raise NotFound(f"there is no part {number[:20]!r}")
        if not id_.startswith(owner(user.username)) or not set(id_) <= set("0123456789abcdef"):
            raise Forbidden("this upload is another user's")
        self._store.write(part_key(id_, int(number)), _limited(request, self._part_bytes))
        return _answer(200, {"arrived": int(number)})

    def commit(self, request: Request, user: User, id_: str) -> Response:
        """Check and publish a file whose parts were sent.

        Raises:
            RequestError, InvalidValue: it is refused.
        """
        announced = read_announcement(request)
        if id_ != upload_id(user.username, announced):
            raise BadRequest("this is not what the upload was begun with")
        if self._is_published(announced, user):
            self._clear(id_, announced)
            return _answer(200, {"state": "published", "message": f"{announced.filename} is published"})
        rejection = self._store.find(rejection_key(id_))
        if rejection is not None:
            self._store.delete(rejection_key(id_))
            raise BadRequest(rejection.body.decode("utf-8", "replace").strip())
        self._check_arrived(id_, announced)
        try:
            work = partial(self._publish_or_tell, announced, user.username, request.client)
            message = self._commits.run(announced, user.username, work, client=request.client)
        except TakesLonger:
            return _answer(202, {"state": "checking"}, ("Retry-After", str(RETRY_SECONDS)))
        except (RequestError, InvalidValue):
            self._store.delete(rejection_key(id_))
            raise
        return _answer(200, {"state": "published", "message": message})

    def _publish_or_tell(self, announced: Announced, username: str, client: str) -> str:
        try:
            return self.publish(announced, username, client=client)
        except (RequestError, InvalidValue) as refusal:  # perhaps nobody waits for it any longer
            self.reject(announced, username, str(refusal))
            raise

    def publish(self, announced: Announced, username: str, *, client: str = "") -> str:
        """Put the parts together, check and publish them; return a sentence that says so.

        Args:
            client: from where they came, for the log of events.

        Raises:
            RequestError, InvalidValue: the file is refused; its parts are gone then.
        """
        id_ = upload_id(username, announced)
        filename, size, hashes = announced.filename, announced.size, {"sha256": announced.sha256}
        joined = _Joined(self._store, id_, announced.part_sizes(self._part_bytes))
        try:
            # Whoever has the signed URLs can replace the parts at any moment.
            candidate = check_stored(joined, parts_prefix(id_), filename, size, hashes=hashes)
            message = self._publisher.publish_checked(candidate, by=username, client=client)
        except DigestMismatch as fault:
            self._clear(id_, announced)
            raise BadRequest(f"what arrived is not what was announced: {fault}") from None
        except (InvalidValue, BadRequest):
            self._clear(id_, announced)
            raise
        except Missing:
            raise Conflict(f"a part of {announced.filename!r} is missing; send it again") from None
        self._clear(id_, announced)
        return message

    def reject(self, announced: Announced, username: str, reason: str) -> None:
        """Leave word for the client, which asks until it knows, that its file was refused."""
        key = rejection_key(upload_id(username, announced))
        self._store.put(key, f"{reason}\n".encode(), content_type="text/plain; charset=utf-8")

    def _is_published(self, announced: Announced, user: User) -> bool:
        said = parse_filename(announced.filename)
        return self._publisher.is_published(user, said, announced.filename, announced.sha256)

    def _arrived(self, id_: str) -> dict[str, int]:
        """Return the sizes of the parts that are there, by key."""
        return {stat.key: stat.size for stat in self._store.list(parts_prefix(id_))}

    def _check_arrived(self, id_: str, announced: Announced) -> None:
        sizes = self._arrived(id_)
        for number, size in enumerate(announced.part_sizes(self._part_bytes), 1):
            if sizes.get(part_key(id_, number)) != size:
                raise Conflict(f"part {number} of {announced.filename!r} has not arrived whole; send it again")

    def _clear(self, id_: str, announced: Announced) -> None:
        for number in range(1, len(announced.part_sizes(self._part_bytes)) + 1):
            self._store.delete(part_key(id_, number))


class _Joined:
    """The parts as one object."""

    def __init__(self, store: ObjectStore, id_: str, sizes: tuple[int, ...]) -> None:
        self._store = store
        self._id = id_
        self._sizes = sizes

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`."""
        end = sum(self._sizes) if end is None else end
        offset = 0
        for number, size in enumerate(self._sizes, 1):
            first, last = max(start - offset, 0), min(end - offset, size)
            if first < last:
                yield from self._store.read(part_key(self._id, number), start=first, end=last)
            offset += size


def _limited(request: Request, part_bytes: int) -> Iterator[bytes]:
    done = 0
    while chunk := request.body.read(CHUNK_BYTES):
        done += len(chunk)
        if done > part_bytes:
            raise PayloadTooLarge(f"a part has at most {part_bytes:,} bytes")
        yield chunk


def _answer(status: int, document: dict[str, Any], *headers: tuple[str, str]) -> Response:
    content_type = (("Content-Type", "application/json"), NO_SNIFFING)
    return Response(status=status, headers=(*content_type, *headers), body=encode_json(document))
