"""Events to requests, by the rules of each front door; `pypi_lambda.front_doors.answers` goes the other way.

Pure: values in, values out; the differences and the limits are columns of the table in `pypi_lambda.front_doors.table`.
Only the standard library, and of that nothing that is slow to import.

docs/front-doors.md has each rule's source. RFC 3986 (2.1 percent-encoding), RFC 9110 (5.3 repeated headers).
"""

import binascii
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from indexer.lazy_pattern import pattern
from indexer.value import value
from pypi_lambda.front_doors.answers import write_response
from pypi_lambda.front_doors.table import (
    REST_API,
    EventShape,
    FrontDoor,
    MalformedEvent,
    find_front_door,
    response_limit,
)
from pypi_lambda.http.faults import BadRequest, PayloadTooLarge
from pypi_lambda.http.model import Request
from pypi_lambda.http.percent import BrokenEscape, decode_path, quote_part, quote_path, quote_query, unquote

__all__ = ["FrontDoor", "find_front_door", "read_request", "response_limit", "write_response"]


@value
class _Wire:
    """What an event says of a request, before anything is made of it.

    Attributes:
        body: None when the event has none.
        stage: of an API Gateway.
        host: the one that was called, where the front door itself says so.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str | None
    is_base64: bool
    client: str
    stage: str = ""
    host: str = ""


def read_request(door: FrontDoor, event: Mapping[str, Any], *, base_path: str) -> Request:
    """Return the request that an event describes.

    Args:
        event: one that `find_front_door` recognised.
        base_path: the setting: what stands before every path, `""` or `/path`.

    Raises:
        RequestError: the client's path or its body cannot be taken.
        MalformedEvent: no front door makes such events.
    """
    wire = _READERS[door.shape](door, event)
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


def _read_payload_2(door: FrontDoor, event: Mapping[str, Any]) -> _Wire:
    return _Wire(
        method=_text(door, event, "requestContext.http.method"),
        path=_text(door, event, "rawPath"),
        query=_text(door, event, "rawQueryString", ""),
        headers=_headers(door, "headers", event.get("headers")),
        body=_optional_text(door, event, "body"),
        is_base64=_flag(door, event, "isBase64Encoded"),
        client=_text(door, event, "requestContext.http.sourceIp", ""),
        stage=_text(door, event, "requestContext.stage", ""),
        host=_text(door, event, "requestContext.domainName", ""),
    )


def _read_payload_1(door: FrontDoor, event: Mapping[str, Any]) -> _Wire:
    field = "multiValueHeaders" if event.get("multiValueHeaders") else "headers"
    headers = _headers(door, field, event.get(field))
    # a load balancer does not say who called, except by adding the address to this header's end
    forwarded_for = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return _Wire(
        method=_text(door, event, "httpMethod"),
        path=_text(door, event, "path"),
        query=_join_query(door, event),
        headers=headers,
        body=_optional_text(door, event, "body"),
        is_base64=_flag(door, event, "isBase64Encoded"),
        client=_text(door, event, "requestContext.identity.sourceIp", forwarded_for),
        stage=_text(door, event, "requestContext.stage", ""),
        host=_text(door, event, "requestContext.domainName", ""),
    )


def _read_edge(door: FrontDoor, event: Mapping[str, Any]) -> _Wire:
    cf = event["Records"][0]["cf"]
    if _flag(door, cf, "request.body.inputTruncated"):
        raise _too_large(door)
    encoding = _text(door, cf, "request.body.encoding", "text")
    if encoding not in ("base64", "text"):
        raise MalformedEvent(door, "request.body.encoding", f"is {encoding[:40]!r}")
    headers = _headers(door, "request.headers", _find(cf, "request.headers"))
    return _Wire(
        method=_text(door, cf, "request.method"),
        path=_text(door, cf, "request.uri"),
        query=_text(door, cf, "request.querystring", ""),
        headers=headers,
        body=_optional_text(door, cf, "request.body.data"),
        is_base64=encoding == "base64",
        client=_text(door, cf, "request.clientIp", ""),
        host=_find_edge_host(door, cf, headers),
    )


def _read_lattice_1(door: FrontDoor, event: Mapping[str, Any]) -> _Wire:
    return _lattice(door, event, "raw_path", "query_string_parameters", "is_base64_encoded")


def _read_lattice_2(door: FrontDoor, event: Mapping[str, Any]) -> _Wire:
    # The user guide writes the query's name both ways.
    query = "queryStringParameters" if "queryStringParameters" in event else "query_string_parameters"
    return _lattice(door, event, "path", query, "isBase64Encoded")


def _lattice(door: FrontDoor, event: Mapping[str, Any], path: str, query: str, is_base64: str) -> _Wire:
    """Return what both versions say; the address of who called is in none but a header that is not vouched for."""
    return _Wire(
        method=_text(door, event, "method"),
        path=_text(door, event, path),
        query="&".join(f"{name}={text}" for name, text in _pairs(door, query, event.get(query))),
        headers=_headers(door, "headers", event.get("headers")),
        body=_optional_text(door, event, "body"),
        is_base64=_flag(door, event, is_base64),
        client="",
    )


def _find_edge_host(door: FrontDoor, cf: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return the host that was called: origin requests have the origin's in the headers, unless told otherwise."""
    origins = _find(cf, "request.origin")
    names = [_find(origin, "domainName") for origin in origins.values()] if isinstance(origins, dict) else []
    host = headers.get("host", "")
    return _text(door, cf, "config.distributionDomainName", "") if host in names else host


_READERS: Mapping[EventShape, Callable[[FrontDoor, Mapping[str, Any]], _Wire]] = {
    EventShape.PAYLOAD_2: _read_payload_2,
    EventShape.PAYLOAD_1: _read_payload_1,
    EventShape.EDGE: _read_edge,
    EventShape.LATTICE_1: _read_lattice_1,
    EventShape.LATTICE_2: _read_lattice_2,
}


def _find(value: Any, field: str) -> Any:
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _optional_text(door: FrontDoor, event: Mapping[str, Any], field: str) -> str | None:
    value = _find(event, field)
    if value is None or isinstance(value, str):
        return value
    raise MalformedEvent(door, field, f"is no text but {_kind(value)}")


def _text(door: FrontDoor, event: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = _optional_text(door, event, field)
    if value is None:
        value = default
    if value is None:
        raise MalformedEvent(door, field, "is missing")
    return value


def _flag(door: FrontDoor, event: Mapping[str, Any], field: str) -> bool:
    value = _find(event, field)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise MalformedEvent(door, field, f"is neither true nor false but {_kind(value)}")


def _kind(value: object) -> str:
    return type(value).__name__


def _headers(door: FrontDoor, field: str, value: Any) -> dict[str, str]:
    """Return headers by lower-case name, the values of a repeated one joined.

    Args:
        value: a text, a list of texts, or Lambda@Edge's list of objects for each name.
    """
    headers: dict[str, str] = {}
    for name, text in _pairs(door, field, value):
        name = name.lower()
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _join_query(door: FrontDoor, event: Mapping[str, Any]) -> str:
    field = "multiValueQueryStringParameters"
    if not event.get(field):
        field = "queryStringParameters"
    pairs = _pairs(door, field, event.get(field))
    if not door.query_is_encoded:
        pairs = ((quote_part(name), quote_part(text)) for name, text in pairs)
    return "&".join(f"{name}={text}" for name, text in pairs)


def _pairs(door: FrontDoor, field: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise MalformedEvent(door, field, f"is no object but {_kind(value)}")
    for name, values in value.items():
        for text in values if isinstance(values, list) else [values]:
            if isinstance(text, dict):
                text = text.get("value")
            if not isinstance(text, str):
                raise MalformedEvent(door, f"{field}.{name[:40]}", f"is no text but {_kind(text)}")
            yield name, text


def _split_path(door: FrontDoor, wire: _Wire, base_path: str) -> tuple[str, str]:
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


def _visible_host(wire: _Wire) -> str:
    """Return the host that the client called; a proxy in between says in a header which one that was."""
    return wire.headers.get("x-forwarded-host") or wire.host or wire.headers.get("host", "")


_HOST = pattern(r"[A-Za-z0-9._-]+(?::[0-9]+)?")


def _root_url(wire: _Wire, visible_path: str) -> str:
    host = _visible_host(wire)
    if not _HOST.fullmatch(host):
        return ""
    # only a load balancer can be called without TLS
    scheme = "http" if wire.headers.get("x-forwarded-proto") == "http" else "https"
    return f"{scheme}://{host}{quote_path(visible_path)}"


def _without_prefix(path: str, prefix: str) -> tuple[str, bool]:
    found = bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))
    return (path[len(prefix) :], True) if found else (path, False)


def _decode_body(door: FrontDoor, wire: _Wire) -> bytes:
    try:
        if wire.is_base64:
            body = binascii.a2b_base64(wire.body or "", strict_mode=True)
        else:
            body = (wire.body or "").encode("utf-8")
    except ValueError:  # binascii.Error, and UnicodeEncodeError for half a surrogate pair
        raise MalformedEvent(door, "body", f"is no {'base64' if wire.is_base64 else 'text'}") from None
    _check_whole(door, wire, body)
    return body


def _check_whole(door: FrontDoor, wire: _Wire, body: bytes) -> None:
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
        raise _too_large(door)
    raise BadRequest(f"the body changed on its way here: {int(announced):,} bytes were announced, {len(body):,} came")


def _too_large(door: FrontDoor) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body did not arrive whole: {door.name} carries at most {door.request_bytes:,} bytes; "
        "`serverless-pypi upload` brings files of any size"
    )
