"""The routes, and the one place where errors become responses.

Every request but `GET /health` is authenticated. What a request needs of the store is read side by side with the user's
record and the log's next event; only when all of it is there is anything decided.

Simple repository API (PEP 503, 691, 700, 714); legacy upload API: docs/facts.md.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from indexer.errors import CorruptObject, DigestMismatch, InvalidValue, Missing, StoreUnavailable, UpstreamUnavailable
from indexer.names import Filename, ProjectName, check_filename, file_key, normalize_name
from indexer.root import put_root, root_key
from indexer.simple import decompress
from indexer.store import ObjectStore
from pypi_lambda.auth import MAX_RECORD_BYTES, Authenticator, User, user_key
from pypi_lambda.copies import Copies
from pypi_lambda.delivery import IMMUTABLE, Delivery
from pypi_lambda.http import (
    BadGateway,
    BadRequest,
    Forbidden,
    Format,
    MethodNotAllowed,
    NotFound,
    Request,
    RequestError,
    Response,
    Unauthorized,
    Unavailable,
    accepts_gzip,
    negotiate,
    not_modified,
    parse_basic,
)
from pypi_lambda.index import Index, Page, ReadAhead, Standing, View
from pypi_lambda.mirror import Mirror, cache_key

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
        self._copies = copies
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
        except (StoreUnavailable, CorruptObject, Missing) as error:
            logger.error("%s %s: %s", request.method, request.path, error)
            message = "the index's store failed or holds damaged data; the log output says more"
            response = Unavailable(message, retry_after_seconds=RETRY_SECONDS).response()
        return _without_body(response) if request.method == "HEAD" else response

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

    def _read(self, request: Request, *calls: Callable[[], Any]) -> tuple[User, View, Sequence[Any]]:
        """Authenticate, bring the view up to date, and make the calls, all in one round trip.

        Raises:
            Unauthorized: whatever else went wrong.
        """
        credentials = parse_basic(request.headers.get("authorization"))
        if credentials is None:
            raise Unauthorized()
        username, password = credentials
        view = self._index.view
        event, record, *results = self._store.gather(
            lambda: self._index.next_event(view),
            lambda: self._store.find(user_key(username), limit=MAX_RECORD_BYTES),
            *calls,
        )
        user = self._authenticator.check(username, password, record)
        return user, self._index.follow(view, event), results

    def _health(self, request: Request) -> Response:
        return Response(status=200, headers=(("Content-Type", "text/plain; charset=utf-8"),), body=b"ok\n")

    def _home(self, request: Request) -> Response:
        self._authenticate(request)
        return _redirect(request, "/simple/")

    def _upload(self, request: Request) -> Response:
        user = self._authenticate(request)
        if not user.upload:
            raise Forbidden(f"{user.username!r} may read but not upload; ask the administrator for the upload role")
        message = self._make_publisher().receive(request, user)
        return Response(
            status=200, headers=(("Content-Type", "text/plain; charset=utf-8"),), body=f"{message}\n".encode()
        )

    def _root(self, request: Request) -> Response:
        page_format = negotiate(request.headers.get("accept"))
        _, view, _ = self._read(request)
        if not request.path.endswith("/"):
            return _redirect(request, "/simple/")
        extension = "html" if page_format.is_html else "json"
        key = root_key(view.current, extension)
        stat = self._store.stat(key) or self._store.stat(put_root(self._store, view.current, extension))
        if stat is None:
            raise StoreUnavailable(key, "the root listing is gone right after it was written")
        etag = 'W/"{}"'.format(stat.etag.strip('"'))
        headers = _page_headers(page_format, etag)
        if not_modified(request.headers.get("if-none-match"), etag):
            return Response(status=304, headers=headers)
        chunks = self._store.read(stat.key)
        if _exceeds_limit(request, stat.size):
            return self._copies.redirect_to_root(
                request, key.removesuffix(f".{extension}.gz"), _inflated(chunks), page_format
            )
        if accepts_gzip(request.headers.get("accept-encoding")):
            length = ("Content-Length", str(stat.size))
            return Response(status=200, headers=(*headers, ("Content-Encoding", "gzip"), length), body=chunks)
        return Response(status=200, headers=headers, body=_inflated(chunks))

    def _project(self, request: Request, raw: str) -> Response:
        page_format = negotiate(request.headers.get("accept"))
        name = _project_name(raw)
        if name != raw or not request.path.endswith("/"):
            self._authenticate(request)
            return _redirect(request, f"/simple/{name}/")
        extension = "html" if page_format.is_html else "json"
        before = self._index.view
        private = before.standing(name) is Standing.PRIVATE
        keys = [self._index.find_page_key(before, name, extension)] if private else self._mirror.keys_to_read(name)
        wanted = [key for key in keys if key is not None]
        _, view, read = self._read(request, *(self._finder(key) for key in wanted))
        ahead = {key: ReadAhead(key=key, stored=stored) for key, stored in zip(wanted, read, strict=True)}
        page = self._page(view, name, extension, ahead)
        if request.method == "GET" and _exceeds_limit(request, self._sent_size(request, page)):
            return self._copies.redirect_to_page(request, name, self._page(view, name, "json", ahead), page_format)
        return self._send_page(request, page, page_format)

    def _finder(self, key: str) -> Callable[[], Any]:
        return lambda: self._store.find(key)

    def _page(self, view: View, name: ProjectName, extension: str, ahead: dict[str, ReadAhead]) -> Page:
        standing = view.standing(name)
        if standing is Standing.PRIVATE:
            return self._index.page(view, name, extension, next(iter(ahead.values()), None))
        page = self._mirror.find_page(name, extension, ahead) if standing is Standing.UPSTREAM else None
        if page is None:
            raise NotFound(f"there is no project {name!r}")
        return page

    def _sent_size(self, request: Request, page: Page) -> int:
        if request.response_limit is None or accepts_gzip(request.headers.get("accept-encoding")):
            return len(page.body)
        return len(decompress("a page", page.body))

    def _send_page(self, request: Request, page: Page, page_format: Format) -> Response:
        headers = _page_headers(page_format, page.etag)
        if not_modified(request.headers.get("if-none-match"), page.etag):
            return Response(status=304, headers=headers)
        body = page.body
        if accepts_gzip(request.headers.get("accept-encoding")):
            headers = (*headers, ("Content-Encoding", "gzip"))
        else:
            body = decompress("a page", body)
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)

    def _file(self, request: Request, raw: str, raw_filename: str) -> Response:
        if request.path.endswith("/"):
            self._authenticate(request)
            raise NotFound(f"a file's address has no slash at its end: {request.path[:200]!r}")
        name = _project_name(raw)
        filename = _filename(raw_filename)
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
        if _exceeds_limit(request, len(body)):
            return self._delivery.send(request, key)
        headers = (("Content-Type", "text/plain; charset=utf-8"), IMMUTABLE, ("X-Content-Type-Options", "nosniff"))
        return Response(status=200, headers=(*headers, ("Content-Length", str(len(body)))), body=body)


def _exceeds_limit(request: Request, size: int) -> bool:
    return request.response_limit is not None and size > request.response_limit


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


def _page_headers(page_format: Format, etag: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Content-Type", page_format.content_type),
        ("ETag", etag),
        ("Vary", "Accept, Accept-Encoding"),
        ("Cache-Control", "private, max-age=0"),
        ("X-Content-Type-Options", "nosniff"),
    )


def _redirect(request: Request, path: str) -> Response:
    query = f"?{request.query}" if request.query else ""
    return Response(status=301, headers=(("Location", f"{_quoted(request.base_path + path)}{query}"),))


def _quoted(path: str) -> str:
    """Percent-encode what may not stand in a Location; names and file names bring only `+` and `!` worth it."""
    safe = "-._~/"
    return "".join(
        char if char.isascii() and (char.isalnum() or char in safe) else "".join(f"%{b:02X}" for b in char.encode())
        for char in path
    )


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks:
        yield unpacker.decompress(chunk)
    yield unpacker.flush()


def _without_body(response: Response) -> Response:
    body = response.body
    close = getattr(body, "close", None)
    if close is not None:
        close()
    names = {name.lower() for name, _ in response.headers}
    length = () if "content-length" in names or not isinstance(body, bytes) else (("Content-Length", str(len(body))),)
    return Response(status=response.status, headers=(*response.headers, *length))
