"""The routes, and the one place where errors become responses.

Every request but `GET /health` is authenticated. What a request needs of the store is read side by side with the user's
record and the log's next event; only when all of it is there is anything decided.

Simple repository API (PEP 503, 691, 700, 714); legacy upload API: docs/facts.md.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from indexer.errors import (
    CorruptObject,
    DigestMismatch,
    InvalidValue,
    Missing,
    StoreUnavailable,
    TooLarge,
    UpstreamUnavailable,
)
from indexer.names import Filename, ProjectName, check_filename, file_key, normalize_name
from indexer.store import ObjectStore
from pypi_lambda.auth import MAX_RECORD_BYTES, Authenticator, User, user_key
from pypi_lambda.copies import Copies
from pypi_lambda.delivery import IMMUTABLE, Delivery
from pypi_lambda.http import (
    NO_SNIFFING,
    PLAIN_TEXT,
    BadGateway,
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Request,
    RequestError,
    Response,
    Unauthorized,
    Unavailable,
    negotiate,
    parse_basic,
    without_body,
)
from pypi_lambda.index import Index, Page, ReadAhead, Standing, View
from pypi_lambda.mirror import Mirror, cache_key
from pypi_lambda.page_delivery import PageDelivery, exceeds_limit
from pypi_lambda.percent import quote_path, quote_query

if TYPE_CHECKING:
    from pypi_lambda.upload import Publisher

METADATA = ".metadata"
RETRY_SECONDS = 5  # when the store failed; clients give up after some 15 s of retries

logger = logging.getLogger(__name__)


class App:
    """Answers requests.

    Args:
        index: this process's view.
        authenticator: checks credentials.
        mirror: the upstream's projects.
        make_publisher: called when there is an upload: reading archives is slow to import.
        delivery: sends files.
        copies: sends pages that are too long for their front door.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        index: Index,
        authenticator: Authenticator,
        mirror: Mirror,
        make_publisher: "Callable[[], Publisher]",
        delivery: Delivery,
        copies: Copies,
    ) -> None:
        self._store = store
        self._index = index
        self._authenticator = authenticator
        self._mirror = mirror
        self._make_publisher = make_publisher
        self._delivery = delivery
        self._page_delivery = PageDelivery(store, copies)
        read = {"GET": self._root, "HEAD": self._root}
        # method by method for each shape of a path; `simple` stands for its aliases, `*` for one segment
        self._routes: dict[tuple[str, ...], dict[str, Callable[..., Response]]] = {
            ("health",): {"GET": self._health, "HEAD": self._health},
            (): {"GET": self._home, "HEAD": self._home, "POST": self._upload},
            ("legacy",): {"POST": self._upload},
            ("simple",): {**read, "POST": self._upload},
            ("simple", "*"): {"GET": self._project, "HEAD": self._project},
            ("simple", "*", "*"): {"GET": self._file, "HEAD": self._file},
        }

    def __call__(self, request: Request) -> Response:
        """Return the response to a request; only a bug raises."""
        try:
            response = self._respond(request)
        except RequestError as error:
            response = error.response()
        except InvalidValue as error:
            response = BadRequest(str(error)).response()
        except UpstreamUnavailable as error:
            logger.warning("%s %s: %s", request.method, request.path, error)
            response = Unavailable(str(error), retry_after_seconds=error.retry_after_seconds).response()
        except DigestMismatch as error:
            logger.error("%s %s: %s", request.method, request.path, error)
            response = BadGateway(str(error)).response()
        except (StoreUnavailable, CorruptObject, Missing, TooLarge) as error:
            logger.error("%s %s: %s", request.method, request.path, error)
            message = "the index's store failed or holds damaged data; the log output says more"
            response = Unavailable(message, retry_after_seconds=RETRY_SECONDS).response()
        return without_body(response) if request.method == "HEAD" else response

    def _respond(self, request: Request) -> Response:
        segments = tuple(segment for segment in request.path.split("/") if segment)
        if segments and segments[0] == "+simple":  # hatch reads {upload URL}/+simple/{name}/ before it uploads
            segments = ("simple", *segments[1:])
        shape = segments[:1] + ("*",) * (len(segments) - 1)
        methods = self._routes.get(shape)
        if shape == ("health",) and methods is not None and request.method in methods:
            return self._health(request)
        if methods is None:
            self._authenticate(request)
            raise NotFound(f"there is nothing at {request.path[:200]!r}")
        if request.method not in methods:
            self._authenticate(request)
            raise MethodNotAllowed(request.method, allowed=tuple(methods))
        return methods[request.method](request, *segments[1:])

    def _authenticate(self, request: Request) -> User:
        return self._read(request)[0]

    def _understood(self, request: Request, *parsers: Callable[[], Any]) -> Sequence[Any]:
        """Return what a request means; one that means nothing is refused only to those who may ask."""
        try:
            return [parse() for parse in parsers]
        except RequestError:
            self._authenticate(request)
            raise

    def _read(self, request: Request, *calls: Callable[[], Any]) -> tuple[User, View, Sequence[Any]]:
        """Authenticate, bring the view up to date, and make the calls, all in one round trip.

        Raises:
            Unauthorized: the credentials are missing or wrong.
        """
        credentials = parse_basic(request.headers.get("authorization"))
        if credentials is None:
            raise Unauthorized()
        username, password = credentials
        view = self._index.view
        event, record, *results = self._store.gather(
            lambda: self._index.next_event(view),
            lambda: self._index.find_recent(user_key(username), limit=MAX_RECORD_BYTES),
            *calls,
        )
        user = self._authenticator.check(username, password, record)
        return user, self._index.follow(view, event), results

    def _health(self, request: Request) -> Response:
        return _send_text("ok")

    def _home(self, request: Request) -> Response:
        self._authenticate(request)
        return _redirect(request, "/simple/")

    def _upload(self, request: Request) -> Response:
        user = self._authenticate(request)
        if not user.upload:
            raise Forbidden(f"{user.username!r} may read but not upload; ask the administrator for the upload role")
        return _send_text(self._make_publisher().receive(request, user))

    def _root(self, request: Request) -> Response:
        (page_format,) = self._understood(request, lambda: negotiate(request.headers.get("accept")))
        _, view, _ = self._read(request)
        if not request.path.endswith("/"):
            return _redirect(request, "/simple/")
        return self._page_delivery.send_root(request, view.current, page_format)

    def _project(self, request: Request, raw: str) -> Response:
        name, page_format = self._understood(
            request, lambda: _project_name(raw), lambda: negotiate(request.headers.get("accept"))
        )
        if name != raw or not request.path.endswith("/"):
            self._authenticate(request)
            return _redirect(request, f"/simple/{name}/")
        extension = "html" if page_format.is_html else "json"
        wanted = self._keys_to_read(name, extension)
        _, view, read = self._read(request, *(self._finder(key) for key in wanted))
        ahead = {key: ReadAhead(key=key, stored=stored) for key, stored in zip(wanted, read, strict=True)}
        page = self._page(view, name, extension, ahead)
        get_json = partial(self._page, view, name, "json", ahead)
        return self._page_delivery.send_project(request, name, page, page_format, get_json)

    def _keys_to_read(self, name: ProjectName, extension: str) -> Sequence[str]:
        """Return the keys that will probably be needed for a project's page."""
        view = self._index.view
        standing = view.standing(name)
        if standing is Standing.PRIVATE:
            key = self._index.find_page_key(view, name, extension)
            return () if key is None else (key,)
        return self._mirror.pages.keys_to_read(name) if standing is Standing.UPSTREAM else ()

    def _finder(self, key: str) -> Callable[[], Any]:
        return lambda: self._store.find(key)

    def _page(self, view: View, name: ProjectName, extension: str, ahead: dict[str, ReadAhead]) -> Page:
        standing = view.standing(name)
        if standing is Standing.PRIVATE:
            return self._index.page(view, name, extension, next(iter(ahead.values()), None))
        page = self._mirror.pages.find_page(name, extension, ahead) if standing is Standing.UPSTREAM else None
        if page is None:
            raise NotFound(f"there is no project {name!r}")
        return page

    def _file(self, request: Request, raw: str, raw_filename: str) -> Response:
        if request.path.endswith("/"):
            self._authenticate(request)
            raise NotFound(f"a file's address has no slash at its end: {request.path[:200]!r}")
        name, filename = self._understood(request, lambda: _project_name(raw), lambda: _filename(raw_filename))
        if name != raw:
            self._authenticate(request)
            return _redirect(request, f"/simple/{name}/{filename}")
        private = self._index.view.standing(name) is Standing.PRIVATE
        key = file_key(name, filename) if private else cache_key(name, filename)
        is_metadata = filename.endswith(METADATA)
        call = self._finder(key) if is_metadata else lambda: None if private else self._store.stat(key)
        _, view, (found,) = self._read(request, call)
        standing = view.standing(name)
        if standing is Standing.ABSENT:
            raise NotFound(f"there is no project {name!r}")
        ahead = ReadAhead(key=key, stored=found) if is_metadata else None
        if standing is Standing.PRIVATE:
            return self._private_file(request, view, name, filename, ahead)
        if is_metadata:
            metadata = self._mirror.get_metadata(name, filename, ahead)
            return self._send_metadata(request, cache_key(name, filename), metadata)
        stat = found if not private else None
        if stat is None:
            self._mirror.ingest(name, filename)
        return self._delivery.send(request, cache_key(name, filename), stat)

    def _private_file(
        self, request: Request, view: View, name: ProjectName, filename: Filename, ahead: ReadAhead | None
    ) -> Response:
        files = self._index.project(view, name).files
        file = files.get(filename)
        if file is not None and not file.removed:
            return self._delivery.send(request, file_key(name, filename))
        file = files.get(Filename(filename.removesuffix(METADATA)))
        if ahead is None or file is None or file.removed or file.metadata_sha256 is None:
            raise NotFound(f"project {name!r} has no file {filename!r}")
        key = file_key(name, filename)
        stored = ahead.stored if ahead.key == key else self._store.find(key)
        metadata = _checked_metadata(key, stored.body if stored else None, file.metadata_sha256)
        return self._send_metadata(request, key, metadata)

    def _send_metadata(self, request: Request, key: str, body: bytes) -> Response:
        if exceeds_limit(request, len(body)):
            return self._delivery.send(request, key)
        headers = (PLAIN_TEXT, IMMUTABLE, NO_SNIFFING)
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)


def _send_text(text: str) -> Response:
    return Response(status=200, headers=(PLAIN_TEXT, NO_SNIFFING), body=f"{text}\n".encode())


def _checked_metadata(key: str, body: bytes | None, expected: str) -> bytes:
    from hashlib import sha256

    if body is None:
        raise CorruptObject(key, "the metadata of a published file is missing")
    if sha256(body).hexdigest() != expected:
        raise CorruptObject(key, "the metadata of a published file has another digest")
    return body


def _project_name(raw: str) -> ProjectName:
    try:
        return normalize_name(raw)
    except InvalidValue as error:
        raise NotFound(str(error)) from None


def _filename(raw: str) -> Filename:
    try:
        return check_filename(raw)
    except InvalidValue as error:
        raise NotFound(str(error)) from None


def _redirect(request: Request, path: str) -> Response:
    # Encoded whatever the front door did: no header begins in what a client sent.
    query = f"?{quote_query(request.query)}" if request.query else ""
    return Response(status=301, headers=(("Location", f"{quote_path(request.base_path + path)}{query}"),))
