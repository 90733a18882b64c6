"""What request errors answer."""

import pytest

from pypi_lambda.http.faults import (
    BadRequest,
    MethodNotAllowed,
    RequestError,
    Unauthorized,
    Unavailable,
)
from pypi_lambda.http.model import REASONS, Response


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (BadRequest("no"), 400, ()),
        (Unauthorized("no"), 401, (("WWW-Authenticate", 'Basic realm="serverless-pypi", charset="UTF-8"'),)),
        (Unavailable("no", retry_after_seconds=30), 503, (("Retry-After", "30"),)),
    ],
)
def test_an_error_answers_in_plain_text(error: RequestError, status: int, headers: tuple[tuple[str, str], ...]) -> None:
    """The message is the body, no browser takes it for markup, and the headers the status asks for are there."""
    expected = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"), *headers)
    assert error.response() == Response(status=status, headers=expected, body=b"no\n")


def test_a_wrong_method_is_told_the_right_ones() -> None:
    """405 names what is allowed, and shows only the beginning of an endless method."""
    error = MethodNotAllowed("DELETE" * 100, allowed=("GET", "HEAD"))
    assert error.headers == (("Allow", "GET, HEAD"),)
    assert error.message == f"{('DELETE' * 100)[:40]!r} is not possible here, only GET, HEAD"


def test_an_error_can_say_anything() -> None:
    """A message with half of a surrogate pair, as hostile JSON can hold, is still sent."""
    assert BadRequest("\ud800").response().body == b"?\n"


def test_every_error_has_a_reason() -> None:
    """No status of an error is without its words."""
    assert {error.status for error in RequestError.__subclasses__()} <= REASONS.keys()
