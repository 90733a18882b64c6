"""The app as a WSGI application, for a laptop or a server.

PEP 3333.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from indexer.errors import InvalidValue
from pypi_lambda.http import (
    REASONS,
    BadRequest,
    InternalError,
    Request,
    RequestError,
    Response,
    decode_path,
    without_body,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)


def create() -> "WSGIApplication":
    """Return the application that the environment variables describe: what a WSGI server is pointed at."""
    from pypi_lambda.service import configure_logging, make_service
    from pypi_lambda.settings import read_settings

    try:
        settings = read_settings(os.environ)
        configure_logging(settings)
        service = make_service(settings)
    except InvalidValue as error:
        sys.exit(str(error))
    return wsgi_application(service.app, base_path=settings.api_gateway_base_path)


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


def _start(response: Response, start_response: "StartResponse") -> Iterable[bytes]:
    headers = list(response.headers)
    body = response.body
    if isinstance(body, bytes):
        if response.status != 304 and not any(name.lower() == "content-length" for name, _ in headers):
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
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    if content_type := environ.get("CONTENT_TYPE"):
        headers["content-type"] = content_type
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path if path.startswith("/") else f"/{path}",
        query=quote(environ.get("QUERY_STRING", ""), safe="!$&'()*+,/:;=?@%-._~", encoding="latin-1", errors="replace"),
        headers=headers,
        body=environ["wsgi.input"],
        content_length=_content_length(environ.get("CONTENT_LENGTH", "")),
        base_path=script_name + base_path,
        client=environ.get("REMOTE_ADDR", ""),
    )


def _content_length(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"invalid Content-Length {text[:40]!r}: a number of bytes")
    return int(text)
