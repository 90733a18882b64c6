"""The app as a WSGI application, for a laptop or a server.

PEP 3333.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from indexer.errors import InvalidValue
from pypi_lambda.http.faults import BadRequest, InternalError, RequestError
from pypi_lambda.http.model import REASONS, Request, Response, without_body
from pypi_lambda.http.percent import decode_path

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_LOGGED_PATH = 500
REQUEST_ID_TEXT = re.compile(r"[A-Za-z0-9._:=/+-]{1,128}")  # what proxies send: hex, UUIDs, trace ids

logger = logging.getLogger(__name__)


def create() -> "WSGIApplication":
    """Return the application that the environment variables describe: what a WSGI server is pointed at."""
    from pypi_lambda.app.app import make_app
    from pypi_lambda.app.service import make_service
    from pypi_lambda.server.logs import configure_logging
    from pypi_lambda.settings import read_settings

    try:
        settings = read_settings(os.environ)
        configure_logging(settings)
        service = make_service(settings)
    except InvalidValue as error:
        sys.exit(str(error))
    application = wsgi_application(make_app(service), base_path=settings.api_gateway_base_path)
    return with_access_log(application) if settings.logging_format == "json" else application


def wsgi_application(app: Callable[[Request], Response], *, base_path: str = "") -> "WSGIApplication":
    """Return the app as a WSGI application.

    Args:
        base_path: what stands before every path, `""` or `/path`.
    """

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            response = app(read_environ(environ, base_path))
        except RequestError as error:
            response = error.response()
        except Exception:
            logger.exception("%s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            response = InternalError().response()
        return _start(without_body(response) if environ["REQUEST_METHOD"] == "HEAD" else response, start_response)

    return application


def with_access_log(application: "WSGIApplication") -> "WSGIApplication":
    """Return the application with a log record for each request, and the request's id in all records it makes."""
    from time import perf_counter

    from pypi_lambda.clock import new_id
    from pypi_lambda.server.logs import ACCESS, REQUEST_ID

    def logged(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID_TEXT.fullmatch(given) else new_id()
        token, began = REQUEST_ID.set(request_id), perf_counter()
        status = "500"

        def start(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status
            status = line.partition(" ")[0]
            return start_response(line, [*headers, ("X-Request-Id", request_id)], *rest)

        try:
            return application(environ, start)
        finally:
            fields = {
                "method": environ["REQUEST_METHOD"],
                "path": environ.get("PATH_INFO", "")[:MAX_LOGGED_PATH],
                "status": int(status),
                "milliseconds": round((perf_counter() - began) * 1_000, 3),
                "client": environ.get("REMOTE_ADDR", ""),
            }
            ACCESS.info("%(method)s %(path)s: %(status)d", fields, extra={"fields": fields})
            REQUEST_ID.reset(token)

    return logged


def _start(response: Response, start_response: "StartResponse") -> Iterable[bytes]:
    headers = list(response.headers)
    body = response.body
    if isinstance(body, bytes):
        if response.status != 304 and "content-length" not in {name.lower() for name, _ in headers}:
            headers.append(("Content-Length", str(len(body))))
        body_chunks: Iterable[bytes] = [body] if body else []
    else:
        body_chunks = _Closing(body)
    start_response(f"{response.status} {REASONS.get(response.status, 'Status')}", headers)
    return body_chunks


class _Closing:
    """A streamed body that logs what breaks it: the status was sent by then."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except Exception:
            logger.exception("a response broke off")
            raise

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def read_environ(environ: Mapping[str, Any], base_path: str) -> Request:
    """Return the request that a WSGI environ describes.

    Raises:
        RequestError: its path or its length cannot be understood.
    """
    path = decode_path(environ.get("PATH_INFO", "") or "/")
    script_name = decode_path(environ.get("SCRIPT_NAME", "")).rstrip("/")
    if base_path and (path == base_path or path.startswith(f"{base_path}/")):
        path = path[len(base_path) :]
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path if path.startswith("/") else f"/{path}",
        query=quote(environ.get("QUERY_STRING", ""), safe="!$&'()*+,/:;=?@%-._~", encoding="latin-1", errors="replace"),
        headers=_Headers(environ),
        body=environ["wsgi.input"],
        content_length=_content_length(environ.get("CONTENT_LENGTH", "")),
        base_path=script_name + base_path,
        client=environ.get("REMOTE_ADDR", ""),
    )


class _Headers(Mapping[str, str]):
    """The headers of an environ, looked up where they are: of dozens of variables a request wants four."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ[_variable(name)]
        return value

    def __iter__(self) -> Iterator[str]:
        names = (_header(variable) for variable in self._environ)
        return (name for name in names if name is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@lru_cache(maxsize=64)  # the headers that this program asks for
def _variable(name: str) -> str:
    """Return what an environ calls a header."""
    return "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"


def _header(variable: str) -> str | None:
    if variable == "CONTENT_TYPE":
        return "content-type"
    return variable[5:].replace("_", "-").lower() if variable.startswith("HTTP_") else None


def _content_length(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"invalid Content-Length {text[:40]!r}: a number of bytes")
    return int(text)
