"""What each front door's events say of a request."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypi_lambda.front_doors.requests import read_request
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
    MalformedEvent,
    find_front_door,
    response_limit,
)
from pypi_lambda.http.faults import BadRequest, PayloadTooLarge, RequestError, UriTooLong
from pypi_lambda.http.model import Request
from tests.aws import event_builders
from tests.aws.event_builders import API_HOST, BUILDERS, CLIENT

EVENTS = Path(__file__).parents[2] / "data" / "events"
FORM = b'--b\r\nContent-Disposition: form-data; name=":action"\r\n\r\nfile_upload\r\n--b--\r\n'
MULTIPART = ("Content-Type", "multipart/form-data; boundary=b")
each_door = pytest.mark.parametrize("door", FRONT_DOORS, ids=lambda door: door.name)
not_http_api = [door for door in FRONT_DOORS if door not in (HTTP_API_1, HTTP_API_2)]


def read(event: dict[str, Any], *, base_path: str = "") -> Request:
    door = find_front_door(event)
    assert door is not None
    return read_request(door, event, base_path=base_path)


def shown(request: Request) -> dict[str, Any]:
    """Return everything that a request says, its body read."""
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body": request.body.read(),
        "content_length": request.content_length,
        "base_path": request.base_path,
        "client": request.client,
        "root_url": request.root_url,
        "response_limit": request.response_limit,
    }


EXPECTED: Mapping[str, Mapping[str, Any]] = {
    "function-url": {
        "method": "GET",
        "path": "/simple/spam/spam-1.0+local-py3-none-any.whl",
        "query": "redirect=https%3A%2F%2Fexample.com%2Fa&literalPlus=a+b&empty=",
        "headers": {
            "accept": "*/*",
            "accept-encoding": "identity",
            "cookie": "session=abc123; theme=dark",
            "host": "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws",
            "if-none-match": '"1","2"',
            "user-agent": "pip/26.3",
            "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
            "x-amzn-tls-version": "TLSv1.3",
            "x-amzn-trace-id": "Root=1-6a5145aa-290a323a5de9a2e0636377d4",
            "x-forwarded-for": "203.0.113.178",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "body": b"",
        "content_length": 0,
        "base_path": "",
        "client": "203.0.113.178",
        "root_url": "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws",
        "response_limit": response_limit(FUNCTION_URL),
    },
    "http-api-2": {
        "method": "POST",
        "path": "/legacy/",
        "query": "",
        "headers": {
            "accept": "*/*",
            "authorization": "Basic dXNlcjpwYXNzd29yZA==",
            "content-length": str(len(FORM)),
            "content-type": "multipart/form-data; boundary=b",
            "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "user-agent": "twine/7.0.0",
            "x-amzn-trace-id": "Root=1-6a5145a9-1bae89e2512ec92d5d9438a0",
            "x-forwarded-for": "203.0.113.178",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "body": FORM,
        "content_length": len(FORM),
        "base_path": "",
        "client": "203.0.113.178",
        "root_url": "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
        "response_limit": response_limit(HTTP_API_2),
    },
    "http-api-1": {
        "method": "GET",
        "path": "/simple/spam/spam 1.0+local.tar.gz",
        "query": "a%20b=%26%3D&c=1&c=2",
        "headers": {
            "accept": "text/html, application/vnd.pypi.simple.v1+json",
            "content-length": "0",
            "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "user-agent": "uv/0.13.9",
            "x-amzn-trace-id": "Root=1-5e66d96f-7491f09xmpl79d18acf3d050",
            "x-forwarded-for": "203.0.113.178",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "body": b"",
        "content_length": 0,
        "base_path": "/prod",
        "client": "203.0.113.178",
        "root_url": "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/prod",
        "response_limit": response_limit(HTTP_API_1),
    },
    "rest-api": {
        "method": "POST",
        "path": "/legacy/",
        "query": "",
        "headers": {
            "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "user-agent": "poetry/2.5.1",
            "x-amzn-trace-id": "Root=1-6a5145a8-536f3e792f6be9b44c1f46fa",
            "x-forwarded-for": "203.0.113.178",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            "accept": "*/*",
            "content-type": "multipart/form-data; boundary=b",
            "x-twice": "first, second",
        },
        "body": FORM,
        "content_length": len(FORM),
        "base_path": "/live",
        "client": "203.0.113.178",
        "root_url": "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live",
        "response_limit": response_limit(REST_API),
    },
    "alb": {
        "method": "GET",
        "path": "/simple/spam/spam-1!2.0.tar.gz",
        "query": "query=a%2Bb",
        "headers": {
            "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,image/apng,*/*;q=0.8",
            "accept-encoding": "gzip",
            "accept-language": "en-US,en;q=0.9",
            "connection": "keep-alive",
            "host": "lambda-alb-123578498.us-east-1.elb.amazonaws.com",
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64)",
            "x-amzn-trace-id": "Root=1-5c536348-3d683b8b04734faae651f476",
            "x-forwarded-for": "72.12.164.125",
            "x-forwarded-port": "80",
            "x-forwarded-proto": "http",
            "x-imforwards": "20",
        },
        "body": b"",
        "content_length": 0,
        "base_path": "",
        "client": "72.12.164.125",
        "root_url": "http://lambda-alb-123578498.us-east-1.elb.amazonaws.com",
        "response_limit": response_limit(ALB),
    },
    "alb-multi-value": {
        "method": "POST",
        "path": "/legacy/",
        "query": "encodedPlus=a%2Bb&literalPlus=a+b&repeat=one&repeat=two",
        "headers": {
            "accept": "*/*",
            "content-length": str(len(FORM)),
            "content-type": "multipart/form-data; boundary=b",
            "host": "lambda-alb-123578498.us-east-1.elb.amazonaws.com",
            "user-agent": "curl/8.7.1",
            "x-amzn-trace-id": "Root=1-6a5145a7-5c3686ff7df3149177a89157",
            "x-forwarded-for": "198.51.100.7, 203.0.113.178",
            "x-forwarded-port": "80",
            "x-forwarded-proto": "http",
            "x-twice": "first, second",
        },
        "body": FORM,
        "content_length": len(FORM),
        "base_path": "",
        "client": "203.0.113.178",
        "root_url": "http://lambda-alb-123578498.us-east-1.elb.amazonaws.com",
        "response_limit": response_limit(ALB_MULTI_VALUE),
    },
    "alb-health-check": {
        "method": "GET",
        "path": "/health",
        "query": "",
        "headers": {"user-agent": "ELB-HealthChecker/2.0"},
        "body": b"",
        "content_length": 0,
        "base_path": "",
        "client": "",
        "root_url": "",
        "response_limit": response_limit(ALB),
    },
    "edge-viewer-request": {
        "method": "GET",
        "path": "/simple/späm/",
        "query": "size=large",
        "headers": {
            "host": "d111111abcdef8.cloudfront.net",
            "user-agent": "pip/26.3",
            "accept": "application/vnd.pypi.simple.v1+json, */*;q=0.1",
        },
        "body": b"",
        "content_length": 0,
        "base_path": "",
        "client": "2001:0db8:85a3:0:0:8a2e:0370:7334",
        "root_url": "https://d111111abcdef8.cloudfront.net",
        "response_limit": response_limit(EDGE_VIEWER),
    },
    "edge-origin-request": {
        "method": "POST",
        "path": "/legacy/",
        "query": "",
        "headers": {
            "x-forwarded-for": "203.0.113.178",
            "user-agent": "Amazon CloudFront",
            "via": "2.0 2afae0d44e2540f472c0635ab62c232b.cloudfront.net (CloudFront)",
            "host": "example.org",
            "content-type": "multipart/form-data; boundary=b",
            "content-length": str(len(FORM)),
            "cache-control": "no-cache, cf-no-cache",
        },
        "body": FORM,
        "content_length": len(FORM),
        "base_path": "",
        "client": "203.0.113.178",
        "root_url": "https://d111111abcdef8.cloudfront.net",
        "response_limit": response_limit(EDGE_ORIGIN),
    },
    **{
        f"vpc-lattice-{version}": {
            "method": "GET",
            "path": "/simple/demo/demo-1.0+local-py3-none-any.whl",
            "query": "order-id=1",
            "headers": {
                "accept": "application/vnd.pypi.simple.v1+json",
                "authorization": "Basic cmVhZGVyOnNlY3JldA==",
                "user-agent": "pip/26.3",
                "x-forwarded-for": "10.0.2.100",
                "host": "pypi-0a40eebed65f8d69c.7d67968.vpc-lattice-svcs.us-east-2.on.aws",
            },
            "body": b"",
            "content_length": 0,
            "base_path": "",
            "client": "",
            "root_url": "https://pypi-0a40eebed65f8d69c.7d67968.vpc-lattice-svcs.us-east-2.on.aws",
            "response_limit": response_limit(door),
        }
        for version, door in ((1, LATTICE_1), (2, LATTICE_2))
    },
}


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_sample(name: str) -> None:
    """Each documented event gives the request that was made."""
    assert shown(read(sample(name))) == EXPECTED[name]


def test_every_sample_is_read() -> None:
    """No event lies there that no test reads."""
    assert {path.stem for path in EVENTS.glob("*.json")} == set(EXPECTED)


PATHS = [
    ("/simple/spam/spam-1.0+local.tar.gz", "/simple/spam/spam-1.0+local.tar.gz"),
    ("/simple/spam/spam-1.0%2Blocal.tar.gz", "/simple/spam/spam-1.0+local.tar.gz"),
    ("/simple/spam/spam-1.0%2blocal.tar.gz", "/simple/spam/spam-1.0+local.tar.gz"),
    ("/simple/spam/spam-1!2.0.tar.gz", "/simple/spam/spam-1!2.0.tar.gz"),
    ("/simple/spam/spam-1%212.0.tar.gz", "/simple/spam/spam-1!2.0.tar.gz"),
    ("/simple/spam/sp%20am.tar.gz", "/simple/spam/sp am.tar.gz"),
    ("/simple/spam/sp%2Fam.tar.gz", "/simple/spam/sp/am.tar.gz"),
    ("/simple/sp%C3%A4m/%E2%9C%93.tar.gz", "/simple/späm/✓.tar.gz"),
    ("/%2Bsimple/spam/", "/+simple/spam/"),
    ("/simple/spam/", "/simple/spam/"),
    ("/simple/spam", "/simple/spam"),
    ("/simple//spam//", "/simple//spam//"),
    ("/", "/"),
    ("/%7Espam%25", "/~spam%"),
]


@each_door
@pytest.mark.parametrize(("sent", "expected"), PATHS, ids=[sent for sent, _ in PATHS])
def test_path(door: FrontDoor, sent: str, expected: str) -> None:
    """A path means the same through every front door, and its trailing slash stays."""
    assert read(BUILDERS[door](path=sent)).path == expected


@pytest.mark.parametrize("door", not_http_api, ids=lambda door: door.name)
@pytest.mark.parametrize(
    ("sent", "expected"), [("/a%252Bb", "/a%2Bb"), ("/a%3Fb", "/a?b"), ("/a%2525", "/a%25")], ids=repr
)
def test_path_is_decoded_once(door: FrontDoor, sent: str, expected: str) -> None:
    """What was encoded twice stays encoded once."""
    assert read(BUILDERS[door](path=sent)).path == expected


@pytest.mark.parametrize("door", [HTTP_API_1, HTTP_API_2], ids=lambda door: door.name)
@pytest.mark.parametrize(
    ("sent", "expected"), [("/a%252Bb", "/a+b"), ("/a%3Fb", "/a"), ("/a%252525", "/a%25")], ids=repr
)
def test_path_of_http_api_is_taken_as_it_comes(door: FrontDoor, sent: str, expected: str) -> None:
    """An HTTP API decodes twice; here nothing is decoded once more."""
    assert read(BUILDERS[door](path=sent)).path == expected


@pytest.mark.parametrize("door", not_http_api, ids=lambda door: door.name)
@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("/a%zz", "the path '/a%zz' has a percent sign that begins no escape"),
        ("/a%", "the path '/a%' has a percent sign that begins no escape"),
        ("/a%4", "the path '/a%4' has a percent sign that begins no escape"),
        ("/a%ff", "the path b'/a\\xff' is not UTF-8"),
        ("/a%00", "the path '/a\\x00' has control characters"),
    ],
    ids=repr,
)
def test_broken_path_is_refused(door: FrontDoor, sent: str, message: str) -> None:
    """A path that cannot be decoded is the client's mistake."""
    with pytest.raises(BadRequest) as raised:
        read(BUILDERS[door](path=sent))
    assert raised.value.message == message


@each_door
def test_long_path_is_refused(door: FrontDoor) -> None:
    """A path that is longer than any that leads somewhere is refused as such."""
    with pytest.raises(UriTooLong):
        read(BUILDERS[door](path=f"/{'a' * 3_000}"))


@each_door
def test_path_that_is_no_text_is_refused(door: FrontDoor) -> None:
    """Half a surrogate pair, which JSON can spell, is the client's mistake."""
    text = json.dumps(BUILDERS[door](path="/half")).replace("/half", "/\\ud800")
    with pytest.raises(BadRequest) as raised:
        read(json.loads(text))
    assert raised.value.message == "the path '/\\ud800' is no text"


@each_door
@pytest.mark.parametrize(
    ("sent", "expected"),
    [("/pypi/simple/", "/simple/"), ("/pypi", "/"), ("/pypi/", "/"), ("/pypia/", "/pypia/"), ("/simple/", "/simple/")],
    ids=repr,
)
def test_base_path_is_taken_off(door: FrontDoor, sent: str, expected: str) -> None:
    """The base path is no part of the path, where it is there as whole segments."""
    assert read(BUILDERS[door](path=sent), base_path="/pypi").path == expected


@pytest.mark.parametrize(
    "door", [FUNCTION_URL, ALB, ALB_MULTI_VALUE, EDGE_VIEWER, EDGE_ORIGIN], ids=lambda door: door.name
)
@pytest.mark.parametrize("path", ["/pypi/simple/", "/simple/"])
def test_base_path_stands_in_the_clients_url(door: FrontDoor, path: str) -> None:
    """The client's URL has the base path, also where something on the way took it off."""
    request = read(BUILDERS[door](path=path), base_path="/pypi")
    assert (request.path, request.base_path, request.root_url[-5:]) == ("/simple/", "/pypi", "/pypi")


API_CASES = [
    # builder, stage, host, path sent below the stage, base path setting: path, base path in the client's URL
    (event_builders.rest_api, "live", API_HOST, "/simple/", "", "/simple/", "/live"),
    (event_builders.rest_api, "live", API_HOST, "/live/", "", "/live/", "/live"),
    (event_builders.rest_api, "live", API_HOST, "/pypi/simple/", "/pypi", "/simple/", "/live/pypi"),
    (event_builders.rest_api, "live", API_HOST, "/simple/", "/live", "/simple/", "/live"),
    (event_builders.rest_api, "live", "pypi.example", "/simple/", "", "/simple/", ""),
    (event_builders.rest_api, "live", "pypi.example", "/pypi/simple/", "/pypi", "/simple/", "/pypi"),
    (event_builders.rest_api, "live", "pypi.example", "/live/simple/", "/live", "/simple/", "/live"),
    (event_builders.http_api_2, "$default", API_HOST, "/simple/", "", "/simple/", ""),
    (event_builders.http_api_2, "prod", API_HOST, "/simple/", "", "/simple/", "/prod"),
    (event_builders.http_api_2, "simple", API_HOST, "/simple/", "", "/simple/", "/simple"),
    (event_builders.http_api_2, "prod", API_HOST, "/pypi/simple/", "/pypi", "/simple/", "/prod/pypi"),
    (event_builders.http_api_2, "prod", API_HOST, "/simple/", "/prod", "/simple/", "/prod"),
    (event_builders.http_api_2, "$default", "pypi.example", "/simple/", "/pypi", "/simple/", "/pypi"),
    (event_builders.http_api_2, "prod", "pypi.example", "/simple/", "/pypi", "/simple/", "/pypi"),
    (event_builders.http_api_1, "$default", API_HOST, "/simple/", "", "/simple/", ""),
    (event_builders.http_api_1, "prod", API_HOST, "/simple/", "", "/simple/", "/prod"),
    (event_builders.http_api_1, "prod", "pypi.example", "/pypi/simple/", "/pypi", "/simple/", "/pypi"),
]


@pytest.mark.parametrize(("build", "stage", "host", "sent", "setting", "path", "base_path"), API_CASES)
def test_stage(build: Any, stage: str, host: str, sent: str, setting: str, path: str, base_path: str) -> None:
    """A stage is no part of the path; it is in the client's URL when that has the API's own host name."""
    request = read(build(stage=stage, host=host, path=sent), base_path=setting)
    assert (request.path, request.base_path, request.root_url) == (path, base_path, f"https://{host}{base_path}")


def test_proxy_in_front_says_which_host_was_called() -> None:
    """With a proxy in between the client sees the proxy's host name, and no stage."""
    event = event_builders.rest_api(path="/simple/", headers=[("X-Forwarded-Host", "pypi.example")])
    request = read(event, base_path="/pypi")
    assert (request.path, request.base_path, request.root_url) == ("/simple/", "/pypi", "https://pypi.example/pypi")


def test_load_balancer_without_tls() -> None:
    """The scheme is the one that the client used."""
    assert read(event_builders.alb(scheme="http", host="pypi.example:8080")).root_url == "http://pypi.example:8080"


@pytest.mark.parametrize("host", ["", "a b", 'a"><script>', "a/b", "user@host", "[::1"])
def test_odd_host_is_not_repeated(host: str) -> None:
    """A host name that is none gives no address, least of all one that ends up in a page."""
    assert read(event_builders.alb(host=host)).root_url == ""


def test_origin_request_with_the_viewers_host() -> None:
    """The viewer's host name is taken where the distribution forwards it."""
    assert read(event_builders.edge_origin(host="pypi.example")).root_url == "https://pypi.example"


@each_door
def test_header_names_are_lower_case(door: FrontDoor) -> None:
    """However a client spells a header, it is found."""
    headers = [("ACCEPT", "a"), ("If-None-Match", '"b"'), ("x-C", "c")]
    request = read(BUILDERS[door](headers=headers))
    assert {name: request.headers.get(name) for name in ("accept", "if-none-match", "x-c")} == {
        "accept": "a",
        "if-none-match": '"b"',
        "x-c": "c",
    }


@each_door
def test_repeated_headers_are_joined(door: FrontDoor) -> None:
    """A repeated header is one with a list, except where a load balancer keeps only the last one."""
    request = read(BUILDERS[door](headers=[("X-Twice", "a"), ("X-Twice", "b")]))
    assert request.headers["x-twice"].replace(", ", ",") == ("b" if door is ALB else "a,b")


def test_spellings_of_one_header_are_joined() -> None:
    """A REST API keeps spellings apart; they are one header all the same."""
    event = event_builders.rest_api(headers=[("Accept", "a"), ("accept", "b")])
    assert read(event).headers["accept"] == "a, b"


@each_door
@pytest.mark.parametrize(
    ("sent", "expected"),
    [("", ""), ("a=1&b=2", "a=1&b=2"), ("a=%2F%20%26", "a=%2F%20%26"), ("a=%C3%A4", "a=%C3%A4"), ("a=", "a=")],
)
def test_query(door: FrontDoor, sent: str, expected: str) -> None:
    """A query that is encoded arrives as it was sent."""
    assert read(BUILDERS[door](query=sent)).query == expected


@pytest.mark.parametrize(
    "door", [FUNCTION_URL, HTTP_API_2, ALB, ALB_MULTI_VALUE, EDGE_VIEWER], ids=lambda door: door.name
)
def test_query_cannot_break_a_header(door: FrontDoor) -> None:
    """What may not stand in a URL is encoded, because redirects repeat the query."""
    assert read(BUILDERS[door](query='a=\r\n<b "ä">')).query == "a=%0D%0A%3Cb%20%22%C3%A4%22%3E"


@each_door
def test_client_address(door: FrontDoor) -> None:
    """The address is the one that the front door saw, not one that the client claims; VPC Lattice vouches for none."""
    assert read(BUILDERS[door](headers=[])).client == ("" if door in (LATTICE_1, LATTICE_2) else CLIENT)


def test_the_query_of_vpc_lattice() -> None:
    """Version 2 has the query under either of the names that the user guide writes."""
    event = event_builders.lattice_2(query="a=1&b=2&a=3")
    assert read(event).query == "a=1&a=3&b=2"
    event["query_string_parameters"] = event.pop("queryStringParameters")
    assert read(event).query == "a=1&a=3&b=2"


@pytest.mark.parametrize("build", [event_builders.lattice_1, event_builders.lattice_2])
def test_headers_of_vpc_lattice(build: event_builders.Builder) -> None:
    """Headers are understood as texts and as lists."""
    event = build(headers=[("X-Twice", "a"), ("X-Twice", "b")])
    for one in (event, {**event, "headers": {name: [value] for name, value in read(event).headers.items()}}):
        assert read(one).headers["x-twice"].replace(", ", ",") == "a,b"


@each_door
@given(body=st.binary(min_size=1, max_size=200))
@settings(max_examples=20)
def test_binary_body_survives(door: FrontDoor, body: bytes) -> None:
    """An upload arrives to the byte."""
    request = read(BUILDERS[door](method="POST", headers=[MULTIPART], body=body))
    assert (request.body.read(), request.content_length) == (body, len(body))


@each_door
def test_text_body_survives(door: FrontDoor) -> None:
    """A body that travels as text is UTF-8."""
    body = '{"é": "✓"}'.encode()
    request = read(BUILDERS[door](method="POST", headers=[("Content-Type", "application/json")], body=body))
    assert (request.body.read(), request.content_length) == (body, len(body))


@pytest.mark.parametrize(("door", "kilobytes"), [(EDGE_VIEWER, 41), (EDGE_ORIGIN, 1_025)], ids=repr)
def test_truncated_upload_is_refused(door: FrontDoor, kilobytes: int) -> None:
    """Half an upload is no upload; the answer says how much fits and what to do instead."""
    with pytest.raises(PayloadTooLarge) as raised:
        read(BUILDERS[door](method="POST", headers=[MULTIPART], body=bytes(kilobytes * 1_024)))
    assert raised.value.message == (
        f"the body did not arrive whole: {door.name} carries at most {door.request_bytes:,} bytes; "
        "`serverless-pypi upload` brings files of any size"
    )


@pytest.mark.parametrize("build", [event_builders.edge_viewer, event_builders.edge_origin])
def test_trigger_without_bodies_is_named(build: Any) -> None:
    """An upload through a trigger that passes no bodies fails with the setting that is missing."""
    with pytest.raises(PayloadTooLarge) as raised:
        read(build(method="POST", headers=[MULTIPART], body=FORM, include_body=False))
    assert raised.value.message == (
        "the body did not arrive: the trigger of this Lambda@Edge function lacks Include Body"
    )


@each_door
@pytest.mark.parametrize("announced", ["1", "99999999999"])
def test_missing_body_is_refused(door: FrontDoor, announced: str) -> None:
    """A body that was announced and is not there cannot have fitted."""
    with pytest.raises(PayloadTooLarge):
        read(BUILDERS[door](method="POST", headers=[("Content-Length", announced)]))


@pytest.mark.parametrize("door", [door for door in FRONT_DOORS if door is not REST_API], ids=lambda door: door.name)
def test_part_of_a_body_is_refused(door: FrontDoor) -> None:
    """A body that was announced longer is refused, as too large when it is longer than what fits."""
    build = BUILDERS[door]
    with pytest.raises(PayloadTooLarge):
        read(build(method="POST", headers=[MULTIPART, ("Content-Length", "99999999")], body=FORM))
    with pytest.raises(BadRequest) as raised:
        read(build(method="POST", headers=[MULTIPART, ("Content-Length", "1000")], body=FORM))
    assert raised.value.message == (f"the body changed on its way here: 1,000 bytes were announced, {len(FORM):,} came")


@each_door
@pytest.mark.parametrize("announced", ["-1", "1, 1", "x", "", "1" * 19, "١"])
def test_odd_content_length_is_refused(door: FrontDoor, announced: str) -> None:
    """A length that is no number is the client's mistake."""
    with pytest.raises(BadRequest) as raised:
        read(BUILDERS[door](headers=[("Content-Length", announced)]))
    assert raised.value.message == f"invalid Content-Length {announced!r}: a number of bytes"


def test_rest_api_without_binary_media_types_is_named() -> None:
    """An upload that a REST API has turned into text fails with the setting that is missing."""
    with pytest.raises(BadRequest) as raised:
        read(event_builders.rest_api(method="POST", headers=[MULTIPART], body=b"\xff", binary_media_types=False))
    assert raised.value.message == (
        "uploads are damaged on their way here: this REST API needs the binary media type */*"
    )


CF = ("Records", 0, "cf")
MALFORMED: list[tuple[str, tuple[str | int, ...], Any, str]] = [
    ("function-url", ("rawPath",), None, "rawPath is missing"),
    ("function-url", ("rawPath",), 7, "rawPath is no text but int"),
    ("http-api-2", ("requestContext", "http"), None, "requestContext.http.method is missing"),
    ("http-api-2", ("isBase64Encoded",), "yes", "isBase64Encoded is neither true nor false but str"),
    ("http-api-2", ("body",), "%", "body is no base64"),
    ("http-api-2", ("body",), "YQ", "body is no base64"),
    ("http-api-1", ("multiValueHeaders", "accept"), [None], "multiValueHeaders.accept is no text but NoneType"),
    ("rest-api", ("httpMethod",), None, "httpMethod is missing"),
    ("rest-api", ("queryStringParameters",), "a=b", "queryStringParameters is no object but str"),
    ("alb", ("headers",), [], "headers is no object but list"),
    ("alb", ("body",), "\ud800", "body is no text"),
    ("alb-multi-value", ("path",), None, "path is missing"),
    ("edge-viewer-request", (*CF, "request"), None, "request.method is missing"),
    ("edge-viewer-request", (*CF, "request", "clientIp"), 1, "request.clientIp is no text but int"),
    ("edge-origin-request", (*CF, "request", "body", "encoding"), "hex", "request.body.encoding is 'hex'"),
]


@pytest.mark.parametrize(("name", "place", "value", "sentence"), MALFORMED, ids=repr)
def test_malformed_event_is_named(name: str, place: tuple[str | int, ...], value: Any, sentence: str) -> None:
    """An event that lacks what all have is refused with the front door and the field."""
    event = sample(name)
    door = find_front_door(event)
    assert door is not None
    parent = event
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    with pytest.raises(MalformedEvent) as raised:
        read(event)
    assert str(raised.value) == f"malformed event of {door.name}: {sentence}"


def is_read(event: Any) -> bool:
    """Tell whether an event is a request; let nothing through but a refusal."""
    door = find_front_door(event)
    if door is None:
        return False
    try:
        request = read_request(door, event, base_path="/pypi")
    except RequestError:
        return False
    everything = shown(request)
    assert everything["path"].startswith("/")
    assert len(everything["body"]) == everything["content_length"]
    assert everything["query"].isascii()
    assert everything["root_url"].isascii()
    return True


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1.5,
    [],
    {},
    [None],
    ["x", 1],
    {"": None},
    {"é": "x"},
    {"x": ["y"]},
    [[]],
)
ODD_TEXTS = ("", "x", "%", "/é", "\ud800", "\x00")


def mutations(event: Any) -> Iterator[Any]:
    """Yield the event with each of its members once left out, and once replaced by each odd value."""
    for place in places(event):
        for value in (..., *ODD_VALUES, *ODD_TEXTS):
            changed = deepcopy(event)
            parent = changed
            for key in place[:-1]:
                parent = parent[key]
            if value is ...:
                del parent[place[-1]]
            else:
                parent[place[-1]] = value
            yield changed


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*here, key)
        yield from places(member, (*here, key))


@pytest.mark.parametrize("name", EXPECTED)
def test_mutated_event_is_read_or_refused(name: str) -> None:
    """Whatever member is missing or odd, there is a request or a named refusal; and both come to pass."""
    assert {is_read(event) for event in mutations(sample(name))} == {True, False}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=10,
)
odd_headers = json_values | st.dictionaries(
    st.text(max_size=6), json_values | st.lists(st.text(max_size=6)), max_size=3
)
odd_texts = (
    json_values | st.text(st.characters(), max_size=12) | st.sampled_from([b64encode(b"x").decode(), "/pypi/%C3"])
)
odd_contexts = json_values | st.fixed_dictionaries(
    {},
    optional={
        "elb": json_values,
        "http": json_values
        | st.fixed_dictionaries({}, optional={"method": odd_texts, "sourceIp": odd_texts, "path": odd_texts}),
        "domainName": odd_texts | st.just(API_HOST),
        "stage": odd_texts,
        "identity": json_values,
    },
)
odd_requests = json_values | st.fixed_dictionaries(
    {},
    optional={
        "method": odd_texts,
        "uri": odd_texts,
        "querystring": odd_texts,
        "headers": odd_headers,
        "clientIp": odd_texts,
        "origin": json_values,
        "body": json_values
        | st.fixed_dictionaries({}, optional={"data": odd_texts, "encoding": odd_texts, "inputTruncated": json_values}),
    },
)
odd_events = json_values | st.fixed_dictionaries(
    {},
    optional={
        "version": json_values | st.sampled_from(["1.0", "2.0"]),
        "requestContext": odd_contexts,
        "rawPath": odd_texts,
        "rawQueryString": odd_texts,
        "httpMethod": odd_texts,
        "path": odd_texts,
        "headers": odd_headers,
        "multiValueHeaders": odd_headers,
        "queryStringParameters": odd_headers,
        "multiValueQueryStringParameters": odd_headers,
        "body": odd_texts,
        "isBase64Encoded": json_values,
        "Records": json_values
        | st.lists(
            st.fixed_dictionaries(
                {
                    "cf": json_values
                    | st.fixed_dictionaries(
                        {"config": st.just({"eventType": "viewer-request"})}, optional={"request": odd_requests}
                    )
                }
            ),
            min_size=1,
            max_size=2,
        ),
    },
)


@given(event=odd_events)
@settings(max_examples=500)
def test_any_json_value_is_read_or_refused(event: Any) -> None:
    """Whatever comes as an event, there is a request, a named refusal, or it came through no front door."""
    is_read(event)
