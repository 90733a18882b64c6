"""Requests, responses, request errors, and what request headers mean.

Pure: values in, values out. Knows no server, no route and no store. Only the standard library, and of that nothing that
is slow to import: `http`, `email` and `urllib` together cost more than the rest of a cold start's own work.

RFC 9110 (Accept 12.5.1, Accept-Encoding 12.5.3, If-None-Match 13.1.2, Range 14.2), RFC 7617 (Basic), PEP 691, PEP 3333.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import ClassVar, Protocol

from indexer.errors import IndexerError
from indexer.value import replace, value

MAX_HEADER_LENGTH = 8_192  # of one value; API Gateway passes 10,240 bytes of headers in all, and the longest tokens in
# use as passwords are about 2.5 KB
MAX_PATH_LENGTH = 2_048  # a base path and two names of at most 240 characters, with room

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


class RequestError(IndexerError):
    """A request that gets an error for an answer.

    Attributes:
        message: a sentence for the client.
        headers: those the status asks for.
    """

    status: ClassVar[int]

    def __init__(self, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers

    def response(self) -> Response:
        """Return the answer: the message as plain text that no browser takes for markup."""
        body = self.message.encode("utf-8", "replace") + b"\n"
        return Response(
            status=self.status,
            headers=(
                PLAIN_TEXT,
                NO_SNIFFING,
                *self.headers,
            ),
            body=body,
        )


class BadRequest(RequestError):
    """Something in the request is not what it must be."""

    status = 400


class Unauthorized(RequestError):
    """No credentials came, or wrong ones; which of the two is not said."""

    status = 401

    def __init__(self, message: str = "a username and password are needed") -> None:
        challenge = 'Basic realm="serverless-pypi", charset="UTF-8"'
        super().__init__(message, headers=(("WWW-Authenticate", challenge),))


class Forbidden(RequestError):
    """The user is known and may not do this."""

    status = 403


class NotFound(RequestError):
    """There is nothing at this path."""

    status = 404


class MethodNotAllowed(RequestError):
    """There is something at this path, for other methods."""

    status = 405

    def __init__(self, method: str, *, allowed: tuple[str, ...]) -> None:
        names = ", ".join(allowed)
        super().__init__(f"{method[:40]!r} is not possible here, only {names}", headers=(("Allow", names),))


class NotAcceptable(RequestError):
    """The client takes none of the formats there are."""

    status = 406


class Conflict(RequestError):
    """What is published already stands against it."""

    status = 409


class PayloadTooLarge(RequestError):
    """The body is longer than can be taken."""

    status = 413


class UriTooLong(RequestError):
    """The path is longer than any that leads somewhere."""

    status = 414


class UnsupportedMediaType(RequestError):
    """The body's type is not the one that is read here."""

    status = 415


class RangeNotSatisfiable(RequestError):
    """The file has none of the bytes that are asked for."""

    status = 416

    def __init__(self, *, size: int) -> None:
        super().__init__(f"the file has only {size:,} bytes", headers=(("Content-Range", f"bytes */{size}"),))


class TooManyRequests(RequestError):
    """Credentials were wrong too often; what came now was not even looked at."""

    status = 429

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers=(("Retry-After", str(retry_after_seconds)),))


class InternalError(RequestError):
    """This program has a bug."""

    status = 500

    def __init__(self) -> None:
        super().__init__("internal error; the log output has the traceback")


class BadGateway(RequestError):
    """The upstream failed in a way that asking again soon will not mend."""

    status = 502


class Unavailable(RequestError):
    """Something this answer needs is away for the moment."""

    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers=(("Retry-After", str(retry_after_seconds)),))


class Format(Enum):
    """How a page of the simple API can be written; the value is the media type."""

    JSON = "application/vnd.pypi.simple.v1+json"
    HTML = "application/vnd.pypi.simple.v1+html"
    LEGACY_HTML = "text/html"

    @property
    def content_type(self) -> str:
        """The `Content-Type` to answer with."""
        return "text/html; charset=utf-8" if self is Format.LEGACY_HTML else self.value

    @property
    def is_html(self) -> bool:
        """Whether the page's text is HTML: the two HTML types differ in nothing else."""
        return self is not Format.JSON


# media range: its specificity, and what it stands for, the better first. A bare `*/*` comes from browsers, curl and old
# tools, which all want HTML.
_RANGES: Mapping[str, tuple[int, tuple[Format, ...]]] = {
    "application/vnd.pypi.simple.v1+json": (2, (Format.JSON,)),
    "application/vnd.pypi.simple.latest+json": (2, (Format.JSON,)),
    "application/vnd.pypi.simple.v1+html": (2, (Format.HTML,)),
    "application/vnd.pypi.simple.latest+html": (2, (Format.HTML,)),
    "text/html": (2, (Format.LEGACY_HTML,)),
    "application/*": (1, (Format.JSON, Format.HTML)),
    "text/*": (1, (Format.LEGACY_HTML,)),
    "*/*": (0, (Format.LEGACY_HTML, Format.JSON, Format.HTML)),
}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_WEIGHT = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")  # `q=.2` is sent by Java's own client


@lru_cache(maxsize=64)
def negotiate(accept: str | None) -> Format:
    """Return the format that the client likes best; HTML when it does not say.

    Of equally liked formats the one asked for more precisely wins, then JSON.

    Raises:
        NotAcceptable: it accepts none of them, or the header cannot be understood.
    """
    if accept is None or not accept.strip():
        return Format.LEGACY_HTML
    best: dict[Format, tuple[int, float, int]] = {}
    for media_range, weight in _weighted(accept[: MAX_HEADER_LENGTH + 1]):
        specificity, formats = _RANGES.get(media_range, (0, ()))
        for place, page_format in enumerate(formats):
            found = (specificity, weight, -place)
            best[page_format] = max(found, best.get(page_format, found))
    liked = {f: (weight, specificity, place) for f, (specificity, weight, place) in best.items() if weight > 0}
    if not liked or len(accept) > MAX_HEADER_LENGTH:
        available = ", ".join(page_format.value for page_format in Format)
        raise NotAcceptable(f"Accept {accept[:200]!r} names nothing that is available; available are {available}")
    return max(Format, key=lambda page_format: liked.get(page_format, (0.0, 0, 0)))


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str | None) -> bool:
    """Tell whether the client takes a body that was compressed with gzip; one that does not say takes none."""
    weights = dict(_weighted((accept_encoding or "")[:MAX_HEADER_LENGTH]))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """Yield a list's members and weights; other parameters say nothing here, a member with a broken `q` is none."""
    for member in _QUOTED.sub("", header).split(","):
        value, *parameters = member.split(";")
        pairs = (parameter.partition("=") for parameter in parameters)
        weight = next((text.strip() for name, _, text in pairs if name.strip().lower() == "q"), "1")
        if _WEIGHT.fullmatch(weight):
            yield value.strip().lower(), min(float(weight), 1.0)


_ETAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client's copy is the current one, by weak comparison.

    Args:
        if_none_match: the header; one that is no list of entity tags matches nothing.
        etag: the current entity tag, with its quotes.
    """
    if if_none_match is None or len(if_none_match) > MAX_HEADER_LENGTH:
        return False
    if if_none_match.strip() == "*":
        return True
    if _ETAG.sub("", if_none_match).strip(" \t,"):
        return False
    return etag.removeprefix("W/") in _ETAG.findall(if_none_match)


_BYTE_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_MAX_RANGE_LENGTH = 100  # several ranges are not served anyway; int() is quadratic


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the start and the end (exclusive) of the bytes asked for, or None to send them all.

    Raises:
        RangeNotSatisfiable: the range begins where the content ended already.
    """
    match = _BYTE_RANGE.fullmatch(header) if header and len(header) <= _MAX_RANGE_LENGTH else None
    if match is None or match.group(1, 2) == ("", ""):
        return None  # "A server MAY ignore the Range header field", and must where it is invalid
    first, last = match.groups()
    if not first:
        if int(last) == 0:
            raise RangeNotSatisfiable(size=size)
        return (max(0, size - int(last)), size) if size else None
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeNotSatisfiable(size=size)
    return int(first), min(int(last) + 1, size) if last else size


_BASIC = re.compile(r"[ \t]*basic[ \t]+([A-Za-z0-9+/_-]+)={0,2}[ \t]*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_basic(authorization: str | None) -> tuple[str, str] | None:
    """Return the username and the password of Basic credentials, or None when these are none.

    The text is read as UTF-8, as the challenge asks for, and as Latin-1 where it is not: old clients send that.
    """
    match = _BASIC.fullmatch(authorization) if authorization and len(authorization) <= MAX_HEADER_LENGTH else None
    if match is None:
        return None
    token = match[1].replace("-", "+").replace("_", "/")
    try:
        raw = binascii.a2b_base64(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    username, colon, password = text.partition(":")
    # "The user-id and password MUST NOT contain any control characters"
    return (username, password) if colon and not _CONTROL.search(text) else None


def decode_path(raw: bytes | str) -> str:
    """Return the text of a path whose percent-encoding the server has undone.

    Args:
        raw: the bytes, or a PATH_INFO, which carries bytes as Latin-1 characters.

    Raises:
        BadRequest: it is not UTF-8, or has control characters.
        UriTooLong: it is longer than any path here.
    """
    if len(raw) > MAX_PATH_LENGTH:
        raise UriTooLong(f"the path has {len(raw):,} bytes; at most {MAX_PATH_LENGTH:,} are possible")
    if isinstance(raw, str) and raw.isascii() and raw.isprintable():
        return raw  # as nearly every path is; what follows would say the same
    try:
        text = (raw.encode("latin-1") if isinstance(raw, str) else raw).decode("utf-8")
    except UnicodeError:
        raise BadRequest(f"the path {raw[:200]!r} is not UTF-8") from None
    if _CONTROL.search(text):
        raise BadRequest(f"the path {text[:200]!r} has control characters")
    return text
