"""What the function returns for a response, and what the client then gets."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypi_lambda.front_doors.answers import write_response
from pypi_lambda.front_doors.table import (
    ALB,
    ALB_MULTI_VALUE,
    EDGE_ORIGIN,
    EDGE_VIEWER,
    FRONT_DOORS,
    FUNCTION_URL,
    HTTP_API_1,
    HTTP_API_2,
    LATTICE_1,
    LATTICE_2,
    REST_API,
    FrontDoor,
    HeaderStyle,
    ResponseTooLarge,
    response_limit,
)
from pypi_lambda.http.model import Response
from tests.aws.answer_readers import Refused, read_answer

each_door = pytest.mark.parametrize("door", FRONT_DOORS, ids=lambda door: door.name)
TEXT = ("Content-Type", "text/html; charset=utf-8")
BINARY = ("Content-Type", "application/octet-stream")
GZIP = ("Content-Encoding", "gzip")

PAGE = Response(
    status=200,
    headers=(TEXT, ("ETag", '"1"'), ("Vary", "Accept"), ("vary", "Accept-Encoding"), ("Content-Length", "13")),
    body="<p>späm</p>\n".encode(),
)
JOINED = {"Content-Type": "text/html; charset=utf-8", "ETag": '"1"', "Vary": "Accept, Accept-Encoding"}
PLAIN = {"statusCode": 200, "isBase64Encoded": False, "body": "<p>späm</p>\n", "headers": JOINED}
EDGE = {
    "status": "200",
    "statusDescription": "OK",
    "headers": {
        "content-type": [{"key": "Content-Type", "value": "text/html; charset=utf-8"}],
        "etag": [{"key": "ETag", "value": '"1"'}],
        "vary": [{"key": "Vary", "value": "Accept"}, {"key": "Vary", "value": "Accept-Encoding"}],
    },
    "body": "<p>späm</p>\n",
    "bodyEncoding": "text",
}
ANSWERS: dict[FrontDoor, dict[str, Any]] = {
    FUNCTION_URL: PLAIN,
    HTTP_API_2: PLAIN,
    HTTP_API_1: PLAIN,
    REST_API: PLAIN,
    ALB: {**PLAIN, "statusDescription": "200 OK"},
    LATTICE_1: {**PLAIN, "statusDescription": "200 OK"},
    LATTICE_2: {**PLAIN, "statusDescription": "200 OK"},
    ALB_MULTI_VALUE: {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "isBase64Encoded": False,
        "body": "<p>späm</p>\n",
        "multiValueHeaders": {
            "Content-Type": ["text/html; charset=utf-8"],
            "ETag": ['"1"'],
            "Vary": ["Accept", "Accept-Encoding"],
        },
    },
    EDGE_VIEWER: EDGE,
    EDGE_ORIGIN: EDGE,
}


@each_door
def test_page(door: FrontDoor) -> None:
    """Each front door gets a page in its own form."""
    assert write_response(door, PAGE) == ANSWERS[door]


REDIRECT = Response(status=302, headers=(("Location", "https://bucket.example/a%2Bb?X-Amz-Signature=1"),))


@each_door
def test_redirect(door: FrontDoor) -> None:
    """A redirect has its address and no body."""
    answer = write_response(door, REDIRECT)
    assert read_answer(door, answer) == (302, [*REDIRECT.headers, ("Content-Length", "0")], b"")
    if door.headers is HeaderStyle.EDGE:
        assert answer == {
            "status": "302",
            "statusDescription": "Found",
            "headers": {"location": [{"key": "Location", "value": REDIRECT.headers[0][1]}]},
        }


@each_door
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((TEXT, GZIP), gzip.compress(b"<p>", mtime=0)),
        ((TEXT, ("content-encoding", "gzip")), b"only claimed"),
        ((BINARY,), b"\x00\xff"),
        ((BINARY,), b"ascii"),
        ((), b"ascii"),
        ((TEXT,), b"no UTF-8: \xff"),
        ((("Content-Type", "application/vnd.pypi.simple.v1+xhtmlx"),), b"ascii"),
    ],
)
def test_bytes_travel_in_base64(door: FrontDoor, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
    """What is compressed or no text arrives to the byte."""
    answer = write_response(door, Response(status=200, headers=headers, body=body))
    assert (answer.get("isBase64Encoded"), answer.get("bodyEncoding")) in [(True, None), (None, "base64")]
    assert read_answer(door, answer) == (200, [*headers, ("Content-Length", str(len(body)))], body)


@each_door
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "TEXT/HTML", "application/json", "application/vnd.pypi.simple.v1+json", "application/x+html; a=b"],
)
def test_text_travels_as_text(door: FrontDoor, content_type: str) -> None:
    """What is text can be read in logs and test consoles."""
    answer = write_response(door, Response(status=200, headers=(("Content-Type", content_type),), body="é".encode()))
    assert answer["body"] == "é"


@each_door
def test_length_is_left_to_the_front_door(door: FrontDoor) -> None:
    """A length is not sent with a body, whose base64 is longer, and what the client gets is right."""
    response = Response(status=200, headers=(BINARY, ("content-length", "3")), body=b"abc")
    answer = write_response(door, response)
    assert "content-length" not in json.dumps(answer).lower()
    assert read_answer(door, answer) == (200, [BINARY, ("Content-Length", "3")], b"abc")


@each_door
def test_answer_to_head(door: FrontDoor) -> None:
    """The answer to HEAD keeps the length that GET would have, but for Lambda@Edge, which may not send it."""
    response = Response(status=200, headers=(BINARY, ("Content-Length", "1048576")))
    expected = [BINARY] if door.headers is HeaderStyle.EDGE else [BINARY, ("Content-Length", "1048576")]
    assert read_answer(door, write_response(door, response), method="HEAD") == (200, expected, b"")


@each_door
@pytest.mark.parametrize("status", [204, 304])
def test_status_without_a_body(door: FrontDoor, status: int) -> None:
    """A body that the status forbids is left out, and its length."""
    response = Response(status=status, headers=(("ETag", '"1"'), ("Content-Length", "3")), body=b"abc")
    assert read_answer(door, write_response(door, response), method="HEAD") == (status, [("ETag", '"1"')], b"")


@pytest.mark.parametrize("door", [EDGE_VIEWER, EDGE_ORIGIN], ids=lambda door: door.name)
def test_headers_that_cloudfront_forbids(door: FrontDoor) -> None:
    """A header for which CloudFront would answer 502 is left out."""
    forbidden = [("Connection", "close"), ("Via", "a"), ("Transfer-Encoding", "chunked"), ("Content-Length", "1")]
    answer = write_response(door, Response(status=200, headers=(*forbidden, TEXT), body=b"a"))
    assert list(answer["headers"]) == ["content-type"]


def test_unknown_status_has_a_description() -> None:
    """Where a description belongs, there is one for every status."""
    assert write_response(ALB, Response(status=299))["statusDescription"] == "299 Status"


class Chunks:
    """A body that comes piece by piece and remembers how far it went."""

    def __init__(self, chunks: list[bytes], *, fails: bool = False) -> None:
        self._chunks = iter(chunks)
        self._fails = fails
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._fails:
            raise OSError("the store broke off")
        chunk = next(self._chunks)
        self.taken += 1
        return chunk

    def close(self) -> None:
        self.closed = True


@each_door
def test_pieces_are_joined(door: FrontDoor) -> None:
    """A body that comes piece by piece arrives whole, and is closed."""
    chunks = Chunks([b"a", b"", b"bc"])
    answer = write_response(door, Response(status=200, headers=(BINARY,), body=chunks))
    assert read_answer(door, answer)[2] == b"abc"
    assert chunks.closed


def test_pieces_are_closed_when_they_fail() -> None:
    """A body whose source breaks off is closed too."""
    chunks = Chunks([], fails=True)
    with pytest.raises(OSError, match="broke off"):
        write_response(FUNCTION_URL, Response(status=200, body=chunks))
    assert chunks.closed


@each_door
def test_too_many_pieces(door: FrontDoor) -> None:
    """Of a body that does not fit no more is read than it takes to know that."""
    limit = response_limit(door)
    chunks = Chunks([bytes(limit), b"a", b"b"])
    with pytest.raises(ResponseTooLarge) as raised:
        write_response(door, Response(status=200, headers=(BINARY,), body=chunks))
    assert (raised.value.door, raised.value.limit, raised.value.size) == (door, limit, limit + 1)
    assert (chunks.taken, chunks.closed) == (2, True)


@each_door
@pytest.mark.parametrize("content_type", [TEXT, BINARY])
@pytest.mark.parametrize("byte", [b"a", b'"', b"\x00"])
def test_largest_body(door: FrontDoor, content_type: tuple[str, str], byte: bytes) -> None:
    """What is at the limit fits through the front door whatever it consists of; one byte more is too large."""
    limit = response_limit(door)
    body = byte * limit
    answer = write_response(door, Response(status=200, headers=(content_type,), body=body))
    assert read_answer(door, answer)[2] == body
    with pytest.raises(ResponseTooLarge) as raised:
        write_response(door, Response(status=200, headers=(content_type,), body=body + byte))
    assert str(raised.value) == f"{limit + 1:,} bytes do not fit through {door.name}, only {limit:,}"


def test_long_headers_leave_less_room() -> None:
    """Headers count towards the limit."""
    headers = (BINARY, ("X-Long", "a" * 10_000))
    with pytest.raises(ResponseTooLarge):
        write_response(EDGE_VIEWER, Response(status=200, headers=headers, body=bytes(response_limit(EDGE_VIEWER))))
    assert read_answer(EDGE_VIEWER, write_response(EDGE_VIEWER, Response(status=200, headers=headers, body=b"a")))


names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
responses = st.builds(
    Response,
    status=st.sampled_from([200, 206, 301, 302, 400, 401, 404, 409, 413, 500, 503]),
    headers=st.lists(st.sampled_from([TEXT, BINARY, GZIP]) | st.tuples(names, values), max_size=6).map(tuple),
    body=st.binary(max_size=400) | st.text(max_size=200).map(str.encode),
)


@each_door
@given(response=responses)
@settings(max_examples=50)
def test_any_response_arrives(door: FrontDoor, response: Response) -> None:
    """Whatever the app responds, the front door takes it, and the client gets status and body as they were."""
    assert isinstance(response.body, bytes)
    try:
        status, headers, body = read_answer(door, write_response(door, response))
    except Refused as refused:
        pytest.fail(str(refused))
    assert (status, body) == (response.status, response.body)
    sent = {name.lower() for name, _ in response.headers}
    assert {name.lower() for name, _ in headers} - {"content-length"} <= sent
