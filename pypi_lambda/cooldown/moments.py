"""Moments as addresses have them: `/at/2026-11-01/simple/`. Pure.

RFC 3339 (5.6 timestamps), of which a date alone is its first instant in UTC.
"""

import re
from datetime import UTC, datetime

from indexer.errors import InvalidValue

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2}))?"
)
ACCEPTED = "a date as '2026-11-01', its first moment in UTC, or a time as '2026-11-01T12:00:00Z' or with '+02:00'"


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the moment, in UTC.

    Raises:
        InvalidValue: it is none, or later than now: what will be listed then nobody knows.
    """
    if not _MOMENT.fullmatch(text):
        raise InvalidValue("date", text, ACCEPTED)
    try:
        given = datetime.fromisoformat(text)
        moment = given.astimezone(UTC) if given.tzinfo is not None else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("date", text, ACCEPTED) from None
    if moment > now:
        raise InvalidValue("date", text, "it lies in the future, and what will be listed then nobody knows")
    return moment


def find_moment(text: object) -> datetime | None:
    """Return the moment that a page says, in UTC, or None when it says none, as without a time zone."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
