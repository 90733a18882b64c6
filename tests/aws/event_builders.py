"""What each front door makes of a request: the events the function gets. tests/aws/answer_readers.py goes the other
way.

One builder for each front door, by the rules of docs/front-doors.md. `path` and `query` are what the client sends,
percent-encoded; `headers` are what it sends too, so a body's Content-Type is among them. What the front door adds, the
builder adds.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

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

Headers = Sequence[tuple[str, str]]

CLIENT = "203.0.113.178"
FUNCTION_URL_HOST = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
API_HOST = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
ALB_HOST = "lambda-alb-123578498.us-east-1.elb.amazonaws.com"
EDGE_HOST = "d111111abcdef8.cloudfront.net"
EDGE_ORIGIN_HOST = "origin.example"
LATTICE_HOST = "pypi-0a40eebed65f8d69c.7d67968.vpc-lattice-svcs.us-east-2.on.aws"

# Content types that arrive as text; "Receive events from the load balancer" names these four, the others do alike
_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


class Builder(Protocol):
    """Makes the event of a request."""

    def __call__(
        self, *, method: str = "GET", path: str = "/", query: str = "", headers: Headers = (), body: bytes = b""
    ) -> dict[str, Any]: ...


def function_url(
    *, method: str = "GET", path: str = "/", query: str = "", headers: Headers = (), body: bytes = b""
) -> dict[str, Any]:
    """Path and query arrive as they were sent; `requestContext.http.path` is decoded; repeated headers are joined."""
    return _payload_2(
        method, path, query, headers, body, host=FUNCTION_URL_HOST, raw_path=path, stage="$default", keeps_cookies=True
    )


def http_api_2(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    stage: str = "$default",
    host: str = API_HOST,
) -> dict[str, Any]:
    """The path arrives decoded twice, cut at what then is a question mark, and begins with a stage that has a name."""
    return _payload_2(
        method, path, query, headers, body, host=host, raw_path=_staged(path, stage), stage=stage, keeps_cookies=False
    )


def _staged(path: str, stage: str) -> str:
    decoded = unquote(unquote(path)).partition("?")[0]
    return decoded if stage == "$default" else f"/{stage}{decoded}"


def _payload_2(
    method: str,
    path: str,
    query: str,
    headers: Headers,
    body: bytes,
    *,
    host: str,
    raw_path: str,
    stage: str,
    keeps_cookies: bool,
) -> dict[str, Any]:
    sent = _lower_case(_forwarded(_sent(headers, body), host))
    cookies = [cookie for name, value in sent if name == "cookie" for cookie in value.split("; ")]
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": {
            name: ",".join(values) for name, values in _lists(sent).items() if keeps_cookies or name != "cookie"
        },
        "requestContext": {
            "accountId": "anonymous" if host == FUNCTION_URL_HOST else "123456789012",
            "apiId": host.partition(".")[0],
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": method,
                "path": unquote(path),
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": dict(sent).get("user-agent", ""),
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": stage,
            "time": "10/Jul/2026:19:19:05 +0000",
            "timeEpoch": 1783711145766,
        },
        **_encoded(body, is_text=_is_text(headers)),
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in _decoded_query(query).items()}
    return event


def http_api_1(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    stage: str = "$default",
    host: str = API_HOST,
) -> dict[str, Any]:
    """The path arrives as with payload 2.0, the query decoded, headers in lower case, single and multi-value."""
    staged = _staged(path, stage)
    sent = _lower_case(_forwarded(_sent(headers, body), host))
    return {
        "version": "1.0",
        "resource": "$default",
        "path": staged,
        "requestContext": _payload_1_context(method, host, stage, staged, "$default"),
        **_payload_1(method, sent, _decoded_query(query)),
        "body": None,
        **_encoded(body, is_text=_is_text(headers)),
    }


def rest_api(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    stage: str = "live",
    host: str = API_HOST,
    binary_media_types: bool = True,
) -> dict[str, Any]:
    """The path arrives as it was sent, without the stage; the query decoded; header names as sent, no Content-Length.

    Args:
        host: a custom domain's; its base path is in `path` and stays there.
        binary_media_types: whether the API has `*/*`; without it a body is taken for UTF-8 text.
    """
    visible = f"/{stage}{path}" if host == API_HOST else path
    return {
        "resource": "/{proxy+}",
        "path": path,
        "requestContext": _payload_1_context(method, host, stage, visible, "/{proxy+}"),
        **_payload_1(method, _forwarded(headers, host, capital=True), _decoded_query(query)),
        "pathParameters": {"proxy": path[1:]},
        "body": None,
        **_encoded(body, is_text=not binary_media_types),
    }


def _payload_1_context(method: str, host: str, stage: str, path: str, resource: str) -> dict[str, Any]:
    return {
        "accountId": "123456789012",
        "apiId": "a1b2c3d4e5",
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "extendedRequestId": "ATfSdF7nPHcErRA=",
        "httpMethod": method,
        "identity": {"accountId": None, "caller": None, "sourceIp": CLIENT, "user": None, "userArn": None},
        "path": path,
        "protocol": "HTTP/1.1",
        "requestId": "7c2af7db-31f3-42b5-8a6d-9ffc74e3b9e0",
        "requestTime": "10/Jul/2026:19:19:04 +0000",
        "requestTimeEpoch": 1783711144836,
        "resourceId": None,
        "resourcePath": resource,
        "stage": stage,
    }


def _payload_1(method: str, sent: Headers, query: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "httpMethod": method,
        "headers": dict(sent),
        "multiValueHeaders": _lists(sent),
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": dict(query) or None,
        "pathParameters": None,
        "stageVariables": None,
    }


def alb(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    scheme: str = "https",
    host: str = ALB_HOST,
) -> dict[str, Any]:
    """Path and query arrive as they were sent; of a repeated header or parameter only the last one."""
    return _alb(method, path, query, headers, body, scheme=scheme, host=host, multi_value=False)


def alb_multi_value(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    scheme: str = "https",
    host: str = ALB_HOST,
) -> dict[str, Any]:
    """As from a load balancer, with lists in other members for headers and parameters, and those members alone."""
    return _alb(method, path, query, headers, body, scheme=scheme, host=host, multi_value=True)


def _alb(
    method: str, path: str, query: str, headers: Headers, body: bytes, *, scheme: str, host: str, multi_value: bool
) -> dict[str, Any]:
    sent = _lower_case(_forwarded(_sent(headers, body), host, scheme=scheme))
    parameters: dict[str, list[str]] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        parameters.setdefault(name, []).append(value)
    target_group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/pypi/49e9d65c45c6791a"
    event: dict[str, Any] = {
        "requestContext": {"elb": {"targetGroupArn": target_group}},
        "httpMethod": method,
        "path": path,
    }
    if multi_value:
        event |= {"multiValueQueryStringParameters": parameters, "multiValueHeaders": _lists(sent)}
    else:
        event |= {"queryStringParameters": {name: values[-1] for name, values in parameters.items()}}
        event |= {"headers": dict(sent)}
    is_text = _is_text(headers) and not any(name.lower() == "content-encoding" for name, _ in headers)
    return event | {"body": ""} | _encoded(body, is_text=is_text)


def edge_viewer(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    include_body: bool = True,
) -> dict[str, Any]:
    """Path and query arrive as they were sent, a body in base64 and cut off at 40 KB.

    Args:
        include_body: as the trigger is set.
    """
    request = _edge_request(method, path, query, [("Host", EDGE_HOST), *_sent(headers, body)])
    if include_body and body:
        request["body"] = _edge_body(body, limit=40_960)
    return _edge_event("viewer-request", request)


def edge_origin(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    include_body: bool = True,
    host: str = EDGE_ORIGIN_HOST,
) -> dict[str, Any]:
    """As in a viewer request, but cut off at 1 MB, and with the origin's host.

    Args:
        host: the viewer's, where the origin request policy forwards it.
    """
    seen = [("X-Forwarded-For", CLIENT), ("Via", f"2.0 {EDGE_HOST} (CloudFront)"), ("Host", host)]
    request = _edge_request(method, path, query, [*seen, *_sent(headers, body)])
    request["origin"] = {
        "custom": {
            "customHeaders": {},
            "domainName": EDGE_ORIGIN_HOST,
            "keepaliveTimeout": 5,
            "path": "",
            "port": 443,
            "protocol": "https",
            "readTimeout": 30,
            "sslProtocols": ["TLSv1.2"],
        }
    }
    if include_body and body:
        request["body"] = _edge_body(body, limit=1_048_576)
    return _edge_event("origin-request", request)


def _edge_request(method: str, path: str, query: str, headers: Headers) -> dict[str, Any]:
    listed: dict[str, list[dict[str, str]]] = {}
    for name, value in headers:
        listed.setdefault(name.lower(), []).append({"key": name, "value": value})
    return {"clientIp": CLIENT, "headers": listed, "method": method, "querystring": query, "uri": path}


def _edge_body(body: bytes, *, limit: int) -> dict[str, Any]:
    data = b64encode(body[:limit]).decode()
    return {"action": "read-only", "data": data, "encoding": "base64", "inputTruncated": len(body) > limit}


def _edge_event(event_type: str, request: dict[str, Any]) -> dict[str, Any]:
    config = {
        "distributionDomainName": EDGE_HOST,
        "distributionId": "EDFDVBD6EXAMPLE",
        "eventType": event_type,
        "requestId": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
    }
    return {"Records": [{"cf": {"config": config, "request": request}}]}


def lattice_1(
    *, method: str = "GET", path: str = "/", query: str = "", headers: Headers = (), body: bytes = b""
) -> dict[str, Any]:
    """Members in snake case, and no context; repeated headers are joined."""
    sent = _lattice_headers(headers, body)
    encoded = _encoded(body, is_text=_is_text(headers))
    return {
        "raw_path": path,
        "method": method,
        "headers": {name: ",".join(values) for name, values in sent.items()},
        "query_string_parameters": {name: values[-1] for name, values in _raw_query(query).items()},
        "body": encoded.get("body"),
        "is_base64_encoded": encoded["isBase64Encoded"],
    }


def lattice_2(
    *, method: str = "GET", path: str = "/", query: str = "", headers: Headers = (), body: bytes = b""
) -> dict[str, Any]:
    """With the service's ARNs, and lists for headers and parameters."""
    arn = "arn:aws:vpc-lattice:us-east-2:123456789012"
    return {
        "version": "2.0",
        "path": path,
        "method": method,
        "headers": _lattice_headers(headers, body),
        "queryStringParameters": _raw_query(query),
        "body": None,
        **_encoded(body, is_text=_is_text(headers)),
        "requestContext": {
            "serviceNetworkArn": f"{arn}:servicenetwork/sn-0bf3f2882e9cc805a",
            "serviceArn": f"{arn}:service/svc-0a40eebed65f8d69c",
            "targetGroupArn": f"{arn}:targetgroup/tg-6d0ecf831eec9f09",
            "identity": {"sourceVpcArn": "arn:aws:ec2:us-east-2:123456789012:vpc/vpc-0b8276c84697e7339"},
            "region": "us-east-2",
            "timeEpoch": "1783711145766123",
        },
    }


def _lattice_headers(headers: Headers, body: bytes) -> dict[str, list[str]]:
    seen = [("x-forwarded-for", CLIENT), ("host", LATTICE_HOST)]
    return _lists(_lower_case([*seen, *_sent(headers, body)]))


def _raw_query(query: str) -> dict[str, list[str]]:
    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    return _lists([(name, value) for name, _, value in pairs])


def _sent(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    """Return the headers with the Content-Length that every client sends with a body."""
    announced = any(name.lower() == "content-length" for name, _ in headers)
    return [*headers, ("Content-Length", str(len(body)))] if body and not announced else [*headers]


def _forwarded(headers: Headers, host: str, *, scheme: str = "https", capital: bool = False) -> list[tuple[str, str]]:
    added = (
        ("Host", host),
        ("X-Amzn-Trace-Id", "Root=1-6a5145a8-536f3e792f6be9b44c1f46fa"),
        ("X-Forwarded-For", CLIENT),
        ("X-Forwarded-Port", "443" if scheme == "https" else "80"),
        ("X-Forwarded-Proto", scheme),
    )
    return [*(added if capital else _lower_case(added)), *headers]


def _lower_case(headers: Headers) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]


def _lists(pairs: Headers) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _decoded_query(query: str) -> dict[str, list[str]]:
    return _lists(parse_qsl(query, keep_blank_values=True))


def _is_text(headers: Headers) -> bool:
    content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
    return content_type.startswith(_TEXT_TYPES)


def _encoded(body: bytes, *, is_text: bool) -> dict[str, Any]:
    if not body:
        return {"isBase64Encoded": False}
    text = body.decode("utf-8", "replace") if is_text else b64encode(body).decode()
    return {"body": text, "isBase64Encoded": not is_text}


BUILDERS: Mapping[FrontDoor, Builder] = {
    FUNCTION_URL: function_url,
    HTTP_API_2: http_api_2,
    HTTP_API_1: http_api_1,
    REST_API: rest_api,
    ALB: alb,
    ALB_MULTI_VALUE: alb_multi_value,
    EDGE_VIEWER: edge_viewer,
    EDGE_ORIGIN: edge_origin,
    LATTICE_1: lattice_1,
    LATTICE_2: lattice_2,
}
