"""The front doors of the Lambda function: how an event tells which one it came through, and what each one can carry.

Pure. Makes no request and no answer: `pypi_lambda.front_doors.requests` and `pypi_lambda.front_doors.answers` do, by
the rules in this table.

docs/front-doors.md has each rule's source.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from indexer.errors import IndexerError
from indexer.value import value
from pypi_lambda.http.faults import BadRequest

_LAMBDA_BYTES = 6_291_456  # of a synchronous invocation's event, and of its answer, as JSON
# "1 MB" and "40 KB" are nowhere said to be binary; the decimal reading is the one that cannot be too large
_MEGABYTE = 1_000_000
_FORTY_KILOBYTES = 40_000
# An event's other members: 10 KB of headers, twice where both forms are sent, and up to 4 KB of context
_EVENT_ROOM = 32_768
# An answer's other members: status, field names, and our headers, of which a signed URL is the longest at about 1.5 KB
HEADER_ROOM = 4_096


class EventShape(Enum):
    """How an event names what it says of a request."""

    PAYLOAD_2 = auto()
    PAYLOAD_1 = auto()
    EDGE = auto()
    LATTICE_1 = auto()
    LATTICE_2 = auto()


class HeaderStyle(Enum):
    """How an answer has its headers."""

    JOINED = auto()
    LISTS = auto()
    EDGE = auto()


@value
class FrontDoor:
    """What one kind of front door does to requests and answers.

    Attributes:
        name: as sentences have it.
        path_is_encoded: whether paths arrive percent-encoded, as the client sent them.
        query_is_encoded: likewise for the query's names and values.
        stage_in_path: whether a named stage is the path's first segment.
        request_bytes: of a binary body that arrives whole, not counting its base64.
        answer_bytes: of the whole answer as JSON.
        seconds: until the front door gives up waiting.
    """

    name: str
    shape: EventShape
    headers: HeaderStyle
    path_is_encoded: bool = True
    query_is_encoded: bool = True
    stage_in_path: bool = False
    has_status_description: bool = False
    request_bytes: int = (_LAMBDA_BYTES - _EVENT_ROOM) // 4 * 3
    answer_bytes: int = _LAMBDA_BYTES
    seconds: int


FUNCTION_URL = FrontDoor(
    name="a Lambda function URL",
    shape=EventShape.PAYLOAD_2,
    headers=HeaderStyle.JOINED,
    seconds=900,
)
HTTP_API_2 = FrontDoor(
    name="an API Gateway HTTP API (payload 2.0)",
    shape=EventShape.PAYLOAD_2,
    headers=HeaderStyle.JOINED,
    path_is_encoded=False,
    stage_in_path=True,
    seconds=30,
)
HTTP_API_1 = FrontDoor(
    name="an API Gateway HTTP API (payload 1.0)",
    shape=EventShape.PAYLOAD_1,
    headers=HeaderStyle.JOINED,
    path_is_encoded=False,
    query_is_encoded=False,
    stage_in_path=True,
    seconds=30,
)
REST_API = FrontDoor(
    name="an API Gateway REST API",
    shape=EventShape.PAYLOAD_1,
    headers=HeaderStyle.JOINED,
    query_is_encoded=False,
    seconds=29,
)
ALB = FrontDoor(
    name="an Application Load Balancer",
    shape=EventShape.PAYLOAD_1,
    headers=HeaderStyle.JOINED,
    has_status_description=True,
    request_bytes=_MEGABYTE // 4 * 3,
    answer_bytes=_MEGABYTE,
    seconds=60,
)
ALB_MULTI_VALUE = FrontDoor(
    name="an Application Load Balancer (multi-value headers)",
    shape=EventShape.PAYLOAD_1,
    headers=HeaderStyle.LISTS,
    has_status_description=True,
    request_bytes=_MEGABYTE // 4 * 3,
    answer_bytes=_MEGABYTE,
    seconds=60,
)
EDGE_VIEWER = FrontDoor(
    name="Lambda@Edge (viewer request)",
    shape=EventShape.EDGE,
    headers=HeaderStyle.EDGE,
    has_status_description=True,
    request_bytes=_FORTY_KILOBYTES,
    answer_bytes=_FORTY_KILOBYTES,
    seconds=5,
)
EDGE_ORIGIN = FrontDoor(
    name="Lambda@Edge (origin request)",
    shape=EventShape.EDGE,
    headers=HeaderStyle.EDGE,
    has_status_description=True,
    request_bytes=_MEGABYTE,
    answer_bytes=_MEGABYTE,
    seconds=30,
)
LATTICE_1 = FrontDoor(
    name="VPC Lattice (event version 1)",
    shape=EventShape.LATTICE_1,
    headers=HeaderStyle.JOINED,
    has_status_description=True,
    seconds=60,
)
LATTICE_2 = FrontDoor(
    name="VPC Lattice (event version 2)",
    shape=EventShape.LATTICE_2,
    headers=HeaderStyle.JOINED,
    has_status_description=True,
    seconds=60,
)
FRONT_DOORS = (
    FUNCTION_URL,
    HTTP_API_2,
    HTTP_API_1,
    REST_API,
    ALB,
    ALB_MULTI_VALUE,
    EDGE_VIEWER,
    EDGE_ORIGIN,
    LATTICE_1,
    LATTICE_2,
)

_EDGE_EVENTS: Mapping[object, FrontDoor] = {"viewer-request": EDGE_VIEWER, "origin-request": EDGE_ORIGIN}


class MalformedEvent(BadRequest):
    """An event that came through a front door lacks a field that all of them have, or has something odd there.

    Attributes:
        field: where, with dots between the keys.
        reason: the sentence's end, as in "is missing".
    """

    def __init__(self, door: FrontDoor, field: str, reason: str) -> None:
        super().__init__(f"malformed event of {door.name}: {field} {reason}")
        self.door = door
        self.field = field
        self.reason = reason


class ResponseTooLarge(IndexerError):
    """A response does not fit through its front door; the client has to be led to it elsewhere.

    Attributes:
        limit: bytes that would have fitted.
        size: bytes there are; of a body that comes piece by piece, those that were counted until it was too large.
    """

    def __init__(self, door: FrontDoor, *, limit: int, size: int) -> None:
        super().__init__(door, limit, size)
        self.door = door
        self.limit = limit
        self.size = size

    def __str__(self) -> str:
        return f"{self.size:,} bytes do not fit through {self.door.name}, only {self.limit:,}"


def response_limit(door: FrontDoor, *, header_bytes: int = HEADER_ROOM) -> int:
    """Return how many bytes of a body fit through the front door once base64 has made them a third longer."""
    return max(0, (door.answer_bytes - header_bytes) // 4 * 3)


def find_front_door(event: object) -> FrontDoor | None:
    """Tell by its shape through which front door an event came; None when it is something else."""
    if not isinstance(event, dict):
        return None
    context = event.get("requestContext")
    if isinstance(context, dict):
        return _find_by_context(event, context)
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        return _find_by_edge_event(records[0].get("cf"))
    return LATTICE_1 if "raw_path" in event and "method" in event else None


def _find_by_context(event: Mapping[str, Any], context: Mapping[str, Any]) -> FrontDoor | None:
    if "elb" in context:
        return ALB_MULTI_VALUE if isinstance(event.get("multiValueHeaders"), dict) else ALB
    if "serviceNetworkArn" in context or "serviceArn" in context:
        return LATTICE_2
    if "http" in context or event.get("version") == "2.0":
        return FUNCTION_URL if ".lambda-url." in str(context.get("domainName")) else HTTP_API_2
    if "httpMethod" in event:  # which WebSocket events lack
        return HTTP_API_1 if event.get("version") == "1.0" else REST_API
    return None


def _find_by_edge_event(cf: object) -> FrontDoor | None:
    config = cf.get("config") if isinstance(cf, dict) else None
    event_type = config.get("eventType") if isinstance(config, dict) else None
    return _EDGE_EVENTS.get(event_type) if isinstance(event_type, str) else None
