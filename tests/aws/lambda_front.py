"""A front door on loopback: real HTTP in, the event that it makes of it, the function's answer, real HTTP out.

So that real pip, uv and twine can talk to the function through each kind of front door. The events are those of
tests/aws/event_builders.py, with one change: the function is told, as a proxy does it, under which address it was
called.
"""

import json
from collections.abc import Mapping
from typing import Any, Self

from pypi_lambda.front_doors.table import ALB, ALB_MULTI_VALUE, FUNCTION_URL, REST_API, EventShape, FrontDoor
from tests.aws.answer_readers import Refused, read_answer
from tests.aws.event_builders import BUILDERS
from tests.aws.lambda_invocations import RequestTooLarge, TooManyRequests
from tests.aws.lambda_runtime import LambdaService
from tests.support.loopback import HttpRequest, HttpResponse, Loopback

# What a front door refuses by itself: an API Gateway and a Function URL leave it to Lambda.
_MAX_REQUEST_BYTES: Mapping[FrontDoor, int] = {ALB: 1_048_576, ALB_MULTI_VALUE: 1_048_576}
_RENAMING = (FUNCTION_URL, REST_API)  # these call it `x-amzn-remapped-www-authenticate`


class Front:
    """A front door of one function, while it is entered.

    Attributes:
        seen: every request's method, target and status.
    """

    def __init__(self, service: LambdaService, door: FrontDoor = FUNCTION_URL) -> None:
        self.seen: list[tuple[str, str, int]] = []
        self._service = service
        self._door = door
        self._loopback = Loopback(self._serve)

    def __enter__(self) -> Self:
        self._loopback.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._loopback.__exit__()

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return self._loopback.url

    def _serve(self, request: HttpRequest) -> HttpResponse:
        response = self._answer(request)
        self.seen.append((request.method, request.target, response.status))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if len(request.body) > _MAX_REQUEST_BYTES.get(self._door, len(request.body)):
            return _refusal(413, "the request is too large for the load balancer")
        event = event_of(self._door, request, address=self._loopback.address)
        try:
            outcome = self._service.invoke(json.dumps(event).encode())
        except RequestTooLarge as error:
            return _refusal(413, str(error))
        except TooManyRequests:
            return _refusal(429, "Rate Exceeded.")
        if outcome.error is not None:
            return _refusal(502, "Internal Server Error")
        answer = outcome.json()
        assert isinstance(answer, dict), answer
        try:
            status, headers, body = read_answer(self._door, answer, method=request.method)
        except Refused as error:
            return _refusal(502, str(error))
        return HttpResponse(status=status, headers=tuple(self._renamed(pair) for pair in headers), body=body)

    def _renamed(self, header: tuple[str, str]) -> tuple[str, str]:
        name, value = header
        if self._door in _RENAMING and name.lower() == "www-authenticate":
            return f"x-amzn-Remapped-{name}", value
        return header


def event_of(door: FrontDoor, request: HttpRequest, *, address: str) -> dict[str, Any]:
    """Return the event that a front door makes of a request.

    Args:
        address: the host and port that the client called.
    """
    sent = [(name, value) for name, value in request.headers if name.lower() != "host"]
    event = BUILDERS[door](
        method=request.method, path=request.path, query=request.query, headers=sent, body=request.body
    )
    seen = {"x-forwarded-host": address, "x-forwarded-proto": "http"}
    if door.shape is EventShape.EDGE:
        headers = event["Records"][0]["cf"]["request"]["headers"]
        return _with(event, headers, {name: [{"key": name, "value": value}] for name, value in seen.items()})
    lists = {name: [value] for name, value in seen.items()}
    event = _with(event, event.get("headers"), seen)
    return _with(event, event.get("multiValueHeaders"), lists)


def _with(event: dict[str, Any], headers: dict[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    if headers is not None:
        for name in [name for name in headers if name.lower() in more]:
            del headers[name]
        headers.update(more)
    return event


def _refusal(status: int, message: str) -> HttpResponse:
    body = json.dumps({"Message": message}).encode()
    return HttpResponse(status=status, headers=(("Content-Type", "application/json"),), body=body)
