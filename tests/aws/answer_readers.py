"""What each front door makes of the function's answer: the response that the client gets.

By the rules of docs/front-doors.md; what a front door would answer with 502 is `Refused`.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from pypi_lambda.front_doors.table import (
    ALB,
    ALB_MULTI_VALUE,
    EDGE_ORIGIN,
    EDGE_VIEWER,
    FUNCTION_URL,
    HTTP_API_1,
    HTTP_API_2,
    LATTICE_1,
    LATTICE_2,
    REST_API,
    FrontDoor,
)


class Refused(Exception):
    """What the function returned is nothing that the front door takes: the client gets a 502."""


_EDGE_FORBIDDEN = {"connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade", "via"}


def read_answer(
    door: FrontDoor, answer: Mapping[str, Any], *, method: str = "GET"
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers and body as the front door sends them to the client.

    Raises:
        Refused: it is not of the form that the front door asks for, or too large.
    """
    if len(json.dumps(answer)) > _ANSWER_LIMITS[door]:
        raise Refused("too large")
    status, headers, encoded, is_base64 = _ANSWER_READERS[door](answer)
    if not all(type(text) is str for pair in headers for text in pair):
        raise Refused("header values are texts")
    body = b64decode(encoded, validate=True) if is_base64 else encoded.encode()
    if status in (204, 304) and body:
        raise Refused(f"a body with {status}")
    if method == "HEAD":
        return status, headers, b""
    without = [(name, value) for name, value in headers if name.lower() != "content-length"]
    return status, [*without, ("Content-Length", str(len(body)))], body


def _read_joined(answer: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], str, bool]:
    if "multiValueHeaders" in answer:
        raise Refused("multiValueHeaders is unknown here")
    return _status(answer), list(answer["headers"].items()), answer["body"], answer["isBase64Encoded"]


def _read_lists(answer: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], str, bool]:
    if "headers" in answer:
        raise Refused("headers is ignored here")
    headers = [(name, value) for name, values in answer["multiValueHeaders"].items() for value in values]
    return _status(answer), headers, answer["body"], answer["isBase64Encoded"]


def _read_edge(answer: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], str, bool]:
    if set(answer["headers"]) & _EDGE_FORBIDDEN:
        raise Refused(f"forbidden among {', '.join(answer['headers'])}")
    if any(name != name.lower() for name in answer["headers"]):
        raise Refused("names are in lower case")
    headers = [(pair["key"], pair["value"]) for pairs in answer["headers"].values() for pair in pairs]
    if type(answer["status"]) is not str:
        raise Refused("the status is a text")
    encoding = answer.get("bodyEncoding", "text")
    return int(answer["status"]), headers, answer.get("body", ""), encoding == "base64"


def _status(answer: Mapping[str, Any]) -> int:
    status = answer["statusCode"]
    if type(status) is not int:
        raise Refused("the status is a number")
    return status


_ANSWER_LIMITS: Mapping[FrontDoor, int] = {
    FUNCTION_URL: 6_291_456,
    HTTP_API_2: 6_291_456,
    HTTP_API_1: 6_291_456,
    REST_API: 6_291_456,
    ALB: 1_000_000,
    ALB_MULTI_VALUE: 1_000_000,
    EDGE_VIEWER: 40_000,
    EDGE_ORIGIN: 1_000_000,
    LATTICE_1: 6_291_456,
    LATTICE_2: 6_291_456,
}
_ANSWER_READERS: Mapping[FrontDoor, Callable[[Mapping[str, Any]], tuple[int, list[tuple[str, str]], str, bool]]] = {
    FUNCTION_URL: _read_joined,
    HTTP_API_2: _read_joined,
    HTTP_API_1: _read_joined,
    REST_API: _read_joined,
    ALB: _read_joined,
    ALB_MULTI_VALUE: _read_lists,
    EDGE_VIEWER: _read_edge,
    EDGE_ORIGIN: _read_edge,
    LATTICE_1: _read_joined,
    LATTICE_2: _read_joined,
}
