"""What each kind of event says of a request: one reader for each shape in `pypi_lambda.front_doors.table`. Pure.

docs/front-doors.md has each rule's source.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from indexer.value import value
from pypi_lambda.front_doors.table import (
    EventShape,
    FrontDoor,
    MalformedEvent,
)
from pypi_lambda.http.faults import PayloadTooLarge
from pypi_lambda.http.percent import quote_part


@value
class Wire:
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


def _read_payload_2(door: FrontDoor, event: Mapping[str, Any]) -> Wire:
    return Wire(
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


def _read_payload_1(door: FrontDoor, event: Mapping[str, Any]) -> Wire:
    field = "multiValueHeaders" if event.get("multiValueHeaders") else "headers"
    headers = _headers(door, field, event.get(field))
    # a load balancer does not say who called, except by adding the address to this header's end
    forwarded_for = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return Wire(
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


def _read_edge(door: FrontDoor, event: Mapping[str, Any]) -> Wire:
    cf = event["Records"][0]["cf"]
    if _flag(door, cf, "request.body.inputTruncated"):
        raise too_large(door)
    encoding = _text(door, cf, "request.body.encoding", "text")
    if encoding not in ("base64", "text"):
        raise MalformedEvent(door, "request.body.encoding", f"is {encoding[:40]!r}")
    headers = _headers(door, "request.headers", _find(cf, "request.headers"))
    return Wire(
        method=_text(door, cf, "request.method"),
        path=_text(door, cf, "request.uri"),
        query=_text(door, cf, "request.querystring", ""),
        headers=headers,
        body=_optional_text(door, cf, "request.body.data"),
        is_base64=encoding == "base64",
        client=_text(door, cf, "request.clientIp", ""),
        host=_find_edge_host(door, cf, headers),
    )


def _read_lattice_1(door: FrontDoor, event: Mapping[str, Any]) -> Wire:
    return _lattice(door, event, "raw_path", "query_string_parameters", "is_base64_encoded")


def _read_lattice_2(door: FrontDoor, event: Mapping[str, Any]) -> Wire:
    # The user guide writes the query's name both ways.
    query = "queryStringParameters" if "queryStringParameters" in event else "query_string_parameters"
    return _lattice(door, event, "path", query, "isBase64Encoded")


def _lattice(door: FrontDoor, event: Mapping[str, Any], path: str, query: str, is_base64: str) -> Wire:
    """Return what both versions say; the address of who called is in none but a header that is not vouched for."""
    return Wire(
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


READERS: Mapping[EventShape, Callable[[FrontDoor, Mapping[str, Any]], Wire]] = {
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


def too_large(door: FrontDoor) -> PayloadTooLarge:
    """Return what is said of a body that its front door cut off."""
    return PayloadTooLarge(
        f"the body did not arrive whole: {door.name} carries at most {door.request_bytes:,} bytes; "
        "`serverless-pypi upload` brings files of any size"
    )
