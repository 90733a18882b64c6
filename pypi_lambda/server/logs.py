"""Log records of a server: text for people, or one JSON object each for machines, with the id of their request.

On Lambda the runtime writes the log, in the format that the function's configuration names.
"""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

from pypi_lambda.settings import Settings

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
ACCESS = logging.getLogger("pypi_lambda.access")

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """Writes a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["requestId"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(settings: Settings) -> None:
    """Send log records to standard error, from the level and in the format that the settings name."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.logging_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.logging_level, handlers=[handler])
