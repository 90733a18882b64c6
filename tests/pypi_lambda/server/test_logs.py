"""The server's log, a JSON object a line."""

import json
import logging
from typing import Any

from pypi_lambda.server.logs import REQUEST_ID, JsonFormatter


def record(message: str, **extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": message, "created": 0.0, **extra})


def test_json_records() -> None:
    """A record is one line of JSON, with the id of the request it belongs to."""
    token = REQUEST_ID.set("7f")
    try:
        line = JsonFormatter().format(record("two\nlines", fields={"status": 200}))
    finally:
        REQUEST_ID.reset(token)
    assert (line.count("\n"), json.loads(line)) == (
        0,
        {
            "time": "1970-01-01T00:00:00.000+00:00",
            "level": "INFO",
            "logger": "x",
            "message": "two\nlines",
            "requestId": "7f",
            "status": 200,
        },
    )
