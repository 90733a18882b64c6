"""Events to requests, by the rules of each front door; `pypi_lambda.front_doors.answers` goes the other way.

Pure: values in, values out; the differences and the limits are columns of the table in `pypi_lambda.front_doors.table`.
Only the standard library, and of that nothing that is slow to import.

docs/front-doors.md has each rule's source. RFC 3986 (2.1 percent-encoding), RFC 9110 (5.3 repeated headers).
"""

import binascii
import io
from collections.abc import Mapping
from typing import Any

from indexer.lazy_pattern import pattern
from pypi_lambda.front_doors.events import READERS, Wire, too_large
from pypi_lambda.front_doors.table import (
    REST_API,
    EventShape,
    FrontDoor,
    MalformedEvent,
    response_limit,
)
from pypi_lambda.http.faults import BadRequest, PayloadTooLarge
from pypi_lambda.http.model import Request
from pypi_lambda.http.percent import BrokenEscape, decode_path, quote_path, quote_query, unquote


def read_request(door: FrontDoor, event: Mapping[str, Any], *, base_path: str) -> Request:
    """Return the request that an event describes.

    Args:
        event: one that `find_front_door` recognised.
        base_path: the setting: what stands before every path, `""` or `/path`.

    Raises:
        RequestError: the client's path or its body cannot be taken.
        MalformedEvent: no front door makes such events.
    """
    wire = READERS[door.shape](door, event)
    path, visible_path = _split_path(door, wire, base_path)
    body = _decode_body(door, wire)
    return Request(
        method=wire.method,
        path=path,
        query=quote_query(wire.query),
        headers=wire.headers,
        body=io.BytesIO(body),
        content_length=len(body),
        base_path=visible_path,
        client=wire.client,
        root_url=_root_url(wire, visible_path),
        response_limit=response_limit(door),
    )


def _split_path(door: FrontDoor, wire: Wire, base_path: str) -> tuple[str, str]:
    """Return the path as the app knows it, and what stands before it in the client's URL."""
    path = _decode_path(door, wire.path)
    stage = f"/{wire.stage}" if wire.stage and wire.stage != "$default" else ""
    if door.stage_in_path:
        path, _ = _without_prefix(path, stage)
    path, had_base_path = _without_prefix(path, base_path)
    if not path.startswith("/"):
        path = f"/{path}"
    if ".execute-api." in _visible_host(wire):  # then the stage is in the client's URL, even if `path` has it not
        return path, stage + base_path if had_base_path else stage
    return path, base_path


def _decode_path(door: FrontDoor, text: str) -> str:
    try:
        raw = text.encode("utf-8")
        return decode_path(unquote(raw) if door.path_is_encoded else raw)
    except UnicodeEncodeError:
        raise BadRequest(f"the path {text[:200]!r} is no text") from None
    except BrokenEscape:
        raise BadRequest(f"the path {text[:200]!r} has a percent sign that begins no escape") from None


def _visible_host(wire: Wire) -> str:
    """Return the host that the client called; a proxy in between says in a header which one that was."""
    return wire.headers.get("x-forwarded-host") or wire.host or wire.headers.get("host", "")


_HOST = pattern(r"[A-Za-z0-9._-]+(?::[0-9]+)?")


def _root_url(wire: Wire, visible_path: str) -> str:
    host = _visible_host(wire)
    if not _HOST.fullmatch(host):
        return ""
    # only a load balancer can be called without TLS
    scheme = "http" if wire.headers.get("x-forwarded-proto") == "http" else "https"
    return f"{scheme}://{host}{quote_path(visible_path)}"


def _without_prefix(path: str, prefix: str) -> tuple[str, bool]:
    found = bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))
    return (path[len(prefix) :], True) if found else (path, False)


def _decode_body(door: FrontDoor, wire: Wire) -> bytes:
    try:
        if wire.is_base64:
            body = binascii.a2b_base64(wire.body or "", strict_mode=True)
        else:
            body = (wire.body or "").encode("utf-8")
    except ValueError:  # binascii.Error, and UnicodeEncodeError for half a surrogate pair
        raise MalformedEvent(door, "body", f"is no {'base64' if wire.is_base64 else 'text'}") from None
    _check_whole(door, wire, body)
    return body


def _check_whole(door: FrontDoor, wire: Wire, body: bytes) -> None:
    if door is REST_API and body and not wire.is_base64 and "multipart/" in wire.headers.get("content-type", ""):
        raise BadRequest("uploads are damaged on their way here: this REST API needs the binary media type */*")
    announced = wire.headers.get("content-length")
    if announced is None:
        return
    if not (announced.isascii() and announced.isdigit() and len(announced) <= 18):
        raise BadRequest(f"invalid Content-Length {announced[:40]!r}: a number of bytes")
    if int(announced) == len(body):
        return
    if wire.body is None and door.shape is EventShape.EDGE:
        raise PayloadTooLarge("the body did not arrive: the trigger of this Lambda@Edge function lacks Include Body")
    if not body or int(announced) > door.request_bytes:
        raise too_large(door)
    raise BadRequest(f"the body changed on its way here: {int(announced):,} bytes were announced, {len(body):,} came")
