"""Requests that get an error for an answer: a class for each status that is given, raised wherever it is found out."""

from typing import ClassVar

from indexer.errors import IndexerError
from pypi_lambda.http.model import NO_SNIFFING, PLAIN_TEXT, Response


class RequestError(IndexerError):
    """A request that gets an error for an answer.

    Attributes:
        message: a sentence for the client.
        headers: those the status asks for.
    """

    status: ClassVar[int]

    def __init__(self, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers

    def response(self) -> Response:
        """Return the answer: the message as plain text that no browser takes for markup."""
        body = self.message.encode("utf-8", "replace") + b"\n"
        return Response(
            status=self.status,
            headers=(
                PLAIN_TEXT,
                NO_SNIFFING,
                *self.headers,
            ),
            body=body,
        )


class BadRequest(RequestError):
    """Something in the request is not what it must be."""

    status = 400


class Unauthorized(RequestError):
    """No credentials came, or wrong ones; which of the two is not said."""

    status = 401

    def __init__(self, message: str = "a username and password are needed") -> None:
        challenge = 'Basic realm="serverless-pypi", charset="UTF-8"'
        super().__init__(message, headers=(("WWW-Authenticate", challenge),))


class Forbidden(RequestError):
    """The user is known and may not do this."""

    status = 403


class NotFound(RequestError):
    """There is nothing at this path."""

    status = 404


class MethodNotAllowed(RequestError):
    """There is something at this path, for other methods."""

    status = 405

    def __init__(self, method: str, *, allowed: tuple[str, ...]) -> None:
        names = ", ".join(allowed)
        super().__init__(f"{method[:40]!r} is not possible here, only {names}", headers=(("Allow", names),))


class NotAcceptable(RequestError):
    """The client takes none of the formats there are."""

    status = 406


class Conflict(RequestError):
    """What is published already stands against it."""

    status = 409


class PayloadTooLarge(RequestError):
    """The body is longer than can be taken."""

    status = 413


class UriTooLong(RequestError):
    """The path is longer than any that leads somewhere."""

    status = 414


class UnsupportedMediaType(RequestError):
    """The body's type is not the one that is read here."""

    status = 415


class RangeNotSatisfiable(RequestError):
    """The file has none of the bytes that are asked for."""

    status = 416

    def __init__(self, *, size: int) -> None:
        super().__init__(f"the file has only {size:,} bytes", headers=(("Content-Range", f"bytes */{size}"),))


class TooManyRequests(RequestError):
    """Credentials were wrong too often; what came now was not even looked at."""

    status = 429

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers=(("Retry-After", str(retry_after_seconds)),))


class InternalError(RequestError):
    """This program has a bug."""

    status = 500

    def __init__(self) -> None:
        super().__init__("internal error; the log output has the traceback")


class BadGateway(RequestError):
    """The upstream failed in a way that asking again soon will not mend."""

    status = 502


class Unavailable(RequestError):
    """Something this answer needs is away for the moment."""

    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers=(("Retry-After", str(retry_after_seconds)),))
