"""Where time and randomness enter: only entry points call these, everything else takes them as arguments."""

import os
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the clock that the rule points to


def new_id() -> str:
    """Return 128 random bits as hex."""
    return os.urandom(16).hex()  # `secrets` would import `random`
