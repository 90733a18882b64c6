"""Requests and responses as values, whatever server or front door they come through.

Only the standard library, and of that nothing that is slow to import: `http`, `email` and `urllib` together cost more
than the rest of a cold start's own work.

RFC 9110, PEP 3333.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from indexer.value import replace, value

PLAIN_TEXT = ("Content-Type", "text/plain; charset=utf-8")
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")  # whatever a browser makes of the bytes

REASONS: Mapping[int, str] = {
    200: "OK",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Readable(Protocol):
    """A request's body as servers hand it over."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none only at the end."""


@value
class Request:
    """A request, whatever front door it came through.

    Attributes:
        path: percent-decoded, below `base_path`, begins with `/`.
        query: as sent, without the `?`.
        headers: by lower-case name.
        content_length: None when the client did not say.
        base_path: `""`, or `/` and a path without a slash at its end.
        client: the address that the front door vouches for, for the log and the throttle; "" when unknown.
        root_url: scheme, host and base path as the client knows them, without a slash at the end; "" when unknown.
        response_limit: bytes of body that the front door lets through; None for any number.
        seconds: until whoever waits for the answer gives up; None for as long as clients wait.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Readable
    content_length: int | None
    base_path: str
    client: str
    root_url: str = ""
    response_limit: int | None = None
    seconds: float | None = None


@value
class Response:
    """A response; a body that is an iterator is sent as it comes, and closed by the server if it has `close`."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterator[bytes] = b""


def without_body(response: Response) -> Response:
    """Return the response as HEAD has it: the headers, the length among them where it is known, and no body."""
    body = response.body
    close = getattr(body, "close", None)
    if close is not None:
        close()
    if not isinstance(body, bytes):
        return replace(response, body=iter(()))  # of a length that is not known: no bytes would be one of 0
    names = {name.lower() for name, _ in response.headers}
    known = response.status == 304 or "content-length" in names
    length = () if known else (("Content-Length", str(len(body))),)
    return replace(response, headers=(*response.headers, *length), body=b"")
