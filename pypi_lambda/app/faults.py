"""What errors answer: the one place where they become responses. Imported with the first."""

import logging

from indexer.errors import (
    CorruptObject,
    DigestMismatch,
    IndexerError,
    InvalidValue,
    Missing,
    PrivateAddress,
    StoreUnavailable,
    TooLarge,
    UpstreamNonsense,
    UpstreamRefused,
    UpstreamUnavailable,
)
from pypi_lambda.http.faults import BadGateway, BadRequest, Forbidden, RequestError, Unavailable
from pypi_lambda.http.model import Request, Response

RETRY_SECONDS = 5  # when the store failed; clients give up after some 15 s of retries

logger = logging.getLogger(__name__)


def answer_fault(error: IndexerError, request: Request) -> Response:
    """Return what a client is told of an error.

    Raises:
        IndexerError: the error itself, where no request should meet it: that is a bug.
    """
    if isinstance(error, RequestError):
        return error.response()
    if isinstance(error, InvalidValue):
        return BadRequest(str(error)).response()
    level, fault = _find_answer(error)
    logger.log(level, "%s %s: %s", request.method, request.path, error)
    return fault.response()


def _find_answer(error: IndexerError) -> tuple[int, RequestError]:
    """Return how loudly an error is logged, and what it answers; the more special kinds first."""
    match error:
        case PrivateAddress() | DigestMismatch():
            return logging.ERROR, BadGateway(str(error))
        case UpstreamNonsense():
            return logging.ERROR, BadGateway(str(error), headers=(("Retry-After", str(error.retry_after_seconds)),))
        case UpstreamRefused():
            return logging.WARNING, Forbidden(str(error))
        case UpstreamUnavailable():
            return logging.WARNING, Unavailable(str(error), retry_after_seconds=error.retry_after_seconds)
        case StoreUnavailable() | CorruptObject() | Missing() | TooLarge():
            message = "the index's store failed or holds damaged data; the log output says more"
            return logging.ERROR, Unavailable(message, retry_after_seconds=RETRY_SECONDS)
        case _:
            raise error
