"""Responses to what the function returns, by the rules of each front door.

Pure: values in, values out; the differences and the limits are columns of the table in `pypi_lambda.front_doors.table`.

docs/front-doors.md has each rule's source. RFC 9110 (5.3 repeated headers, 15.4.5 no body with 304).
"""

import binascii
from collections.abc import Iterable, Iterator
from typing import Any

from indexer.lazy_pattern import pattern
from pypi_lambda.front_doors.table import HEADER_ROOM, FrontDoor, HeaderStyle, ResponseTooLarge, response_limit
from pypi_lambda.http.model import REASONS, Response

_BODILESS = (204, 304)
# What CloudFront answers with 502 when a function sets it, as far as responses have such headers.
_EDGE_FORBIDDEN = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_TEXT = pattern(r"text/|application/(?:[a-z0-9.]+\+)?(?:json|html|xml)\b")
_LONGEST_ESCAPE = 6  # bytes: a control character becomes \u0000 in JSON


def write_response(door: FrontDoor, response: Response) -> dict[str, Any]:
    """Return the function's answer to an event that came through the front door.

    A body that comes piece by piece is closed, whatever happens.

    Raises:
        ResponseTooLarge: the body does not fit; lead the client to it instead.
    """
    body = _whole_body(door, response)
    if response.status in _BODILESS:
        body = b""
    headers = [header for header in response.headers if _is_sent(door, header[0].lower(), response.status, body)]
    text = _find_text(door, response, body)
    encoded = text if text is not None else binascii.b2a_base64(body, newline=False).decode("ascii")
    reason = REASONS.get(response.status, "Status")
    if door.headers is HeaderStyle.EDGE:
        return _edge_answer(response.status, reason, headers, encoded, is_base64=text is None)
    grouped = _grouped(headers)
    answer: dict[str, Any] = {"statusCode": response.status, "isBase64Encoded": text is None, "body": encoded}
    if door.headers is HeaderStyle.JOINED:
        answer["headers"] = {name: ", ".join(values) for name, values in grouped.items()}
    else:
        answer["multiValueHeaders"] = grouped
    if door.has_status_description:
        answer["statusDescription"] = f"{response.status} {reason}"
    return answer


def _edge_answer(
    status: int, reason: str, headers: Iterable[tuple[str, str]], encoded: str, *, is_base64: bool
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "status": str(status),
        "statusDescription": reason,
        "headers": {
            name.lower(): [{"key": name, "value": value} for value in values]
            for name, values in _grouped(headers).items()
        },
    }
    if encoded:
        answer |= {"body": encoded, "bodyEncoding": "base64" if is_base64 else "text"}
    return answer


def _grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the values by name, in the spelling that came first."""
    spellings: dict[str, str] = {}
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(spellings.setdefault(name.lower(), name), []).append(value)
    return grouped


def _is_sent(door: FrontDoor, name: str, status: int, body: bytes) -> bool:
    if door.headers is HeaderStyle.EDGE and name in _EDGE_FORBIDDEN:
        return False
    # Every front door computes it; only the answer to HEAD has a length that cannot be computed from its body.
    return name != "content-length" or not (body or status in _BODILESS)


def _header_room(response: Response) -> int:
    # names twice as Lambda@Edge has them, values as if every character needed a backslash
    return max(HEADER_ROOM, sum(2 * len(name) + 2 * len(value) + 32 for name, value in response.headers))


def _whole_body(door: FrontDoor, response: Response) -> bytes:
    limit = response_limit(door, header_bytes=_header_room(response))
    if isinstance(response.body, bytes):
        if len(response.body) > limit:
            raise ResponseTooLarge(door, limit=limit, size=len(response.body))
        return response.body
    try:
        return _joined(door, response.body, limit)
    finally:
        close = getattr(response.body, "close", None)
        if close is not None:
            close()


def _joined(door: FrontDoor, chunks: Iterator[bytes], limit: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise ResponseTooLarge(door, limit=limit, size=len(body))
    return bytes(body)


def _find_text(door: FrontDoor, response: Response, body: bytes) -> str | None:
    """Return the body as text, where it is some and surely fits without base64."""
    if not body:
        return ""
    by_name = {name.lower(): value for name, value in response.headers}
    is_text = _TEXT.match(by_name.get("content-type", "").lower()) and "content-encoding" not in by_name
    if not is_text or len(body) * _LONGEST_ESCAPE > door.answer_bytes - _header_room(response):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
