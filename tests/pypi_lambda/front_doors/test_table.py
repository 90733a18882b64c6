"""How an event tells which front door it came through, and what fits through each."""

import json
from pathlib import Path
from typing import Any

import pytest

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
    find_front_door,
    response_limit,
)
from tests.aws.event_builders import BUILDERS

EVENTS = Path(__file__).parents[2] / "data" / "events"
SAMPLES = {
    "function-url": FUNCTION_URL,
    "http-api-2": HTTP_API_2,
    "http-api-1": HTTP_API_1,
    "rest-api": REST_API,
    "alb": ALB,
    "alb-multi-value": ALB_MULTI_VALUE,
    "alb-health-check": ALB,
    "edge-viewer-request": EDGE_VIEWER,
    "edge-origin-request": EDGE_ORIGIN,
    "vpc-lattice-1": LATTICE_1,
    "vpc-lattice-2": LATTICE_2,
}


@pytest.mark.parametrize(("name", "door"), SAMPLES.items(), ids=SAMPLES)
def test_sample_tells_its_front_door(name: str, door: FrontDoor) -> None:
    """Each documented event is recognised as what it is documented for."""
    assert find_front_door(json.loads((EVENTS / f"{name}.json").read_text())) is door


@pytest.mark.parametrize("door", FRONT_DOORS, ids=lambda door: door.name)
def test_built_event_tells_its_front_door(door: FrontDoor) -> None:
    """Each event that the tests build is recognised."""
    assert find_front_door(BUILDERS[door]()) is door


@pytest.mark.parametrize(
    "event",
    [
        None,
        "reindex",
        17,
        [],
        {},
        {"reindex": None},
        {"putUser": {"username": "a", "password": "b", "upload": True}},
        {"version": "2.0"},
        {"requestContext": {}},
        {"requestContext": None, "httpMethod": "GET"},
        {"requestContext": {"connectionId": "L0SM9cOFvHcCIhw=", "eventType": "MESSAGE", "routeKey": "$default"}},
        {"Records": []},
        {"Records": [None]},
        {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "incoming/a"}}}]},
        {"Records": [{"cf": None}]},
        {"Records": [{"cf": {"config": None}}]},
        {"Records": [{"cf": {"config": {"eventType": ["viewer-request"]}}}]},
        {"Records": [{"cf": {"config": {"eventType": "viewer-response"}}}]},
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
    ],
    ids=repr,
)
def test_other_events_are_none(event: Any) -> None:
    """Commands, notifications, schedules, WebSocket messages and CloudFront's response events are no requests."""
    assert find_front_door(event) is None


def test_limits() -> None:
    """Bodies are limited by what is left of the front door's limit after headers and base64."""
    assert {door.name: (door.request_bytes, response_limit(door), door.seconds) for door in FRONT_DOORS} == {
        "a Lambda function URL": (4_694_016, 4_715_520, 900),
        "an API Gateway HTTP API (payload 2.0)": (4_694_016, 4_715_520, 30),
        "an API Gateway HTTP API (payload 1.0)": (4_694_016, 4_715_520, 30),
        "an API Gateway REST API": (4_694_016, 4_715_520, 29),
        "an Application Load Balancer": (750_000, 746_928, 60),
        "an Application Load Balancer (multi-value headers)": (750_000, 746_928, 60),
        "Lambda@Edge (viewer request)": (40_000, 26_928, 5),
        "Lambda@Edge (origin request)": (1_000_000, 746_928, 30),
        "VPC Lattice (event version 1)": (4_694_016, 4_715_520, 60),
        "VPC Lattice (event version 2)": (4_694_016, 4_715_520, 60),
    }
