"""What goes into a Lambda function and what comes out of it: values, and the service's refusals."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """An event on its way to an environment.

    Attributes:
        depth: counts the invocations that led to it, the function's own ones.
        client_context: JSON that the invoker sent beside the payload, or "".
    """

    id: str
    payload: bytes
    depth: int = 1
    client_context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an invocation.

    Attributes:
        payload: what the function returned, or the error's JSON.
        error: the error's type, when it failed.
        environment: the id of the environment that ran it.
        init_seconds: from the start of the process until it asked for work, where this invocation waited for that.
    """

    payload: bytes
    error: str | None
    environment: str
    init_seconds: float | None = None

    def json(self) -> object:
        """Return what the payload says."""
        return json.loads(self.payload)


class RequestTooLarge(Exception):
    """The payload is longer than an invocation's may be."""


class TooManyRequests(Exception):
    """As many environments as there may be are all busy."""


class UpdateInProgress(Exception):
    """The configuration is being changed already."""


class FunctionError(Exception):
    """The function raised, ran out of time, or its process ended."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.payload.decode("utf-8", "replace")[:2_000])
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An invocation that was carried out.

    Attributes:
        kind: `RequestResponse` or `Event`.
        attempt: from 1.
    """

    kind: str
    payload: bytes
    depth: int
    attempt: int
    outcome: Outcome
    seconds: float
