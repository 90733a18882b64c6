"""Moments as addresses and pages have them."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import InvalidValue
from pypi_lambda.cooldown.moments import ACCEPTED, find_moment, parse_moment

NOW = datetime(2026, 11, 23, 10, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-01T12:30Z", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("2026-11-01T12:30:15Z", datetime(2026, 11, 1, 12, 30, 15, tzinfo=UTC)),
        ("2026-11-01T12:30:15.25Z", datetime(2026, 11, 1, 12, 30, 15, 250_000, tzinfo=UTC)),
        ("2026-11-01T00:30:00+02:00", datetime(2026, 10, 31, 22, 30, tzinfo=UTC)),
        ("2026-10-31T23:30:00-05:30", datetime(2026, 11, 1, 5, 0, tzinfo=UTC)),
        ("2026-11-23T10:20:30Z", NOW),
    ],
)
def test_moment(text: str, moment: datetime) -> None:
    """A date is its first moment in UTC; a time is what it says, with its zone."""
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "20261101",
        "2026-W44-1",
        "2026-11-01T12:00:00",
        "2026-11-01T25:00:00Z",
        "2026-11-01 12:00:00Z",
        "2026-11-01T12:00:00Z ",
        "2026-11-01T12:00:00 02:00",
        "2026-11-01T12:00:00+24:00",
        "0001-01-01T00:00:00+02:00",
        "٢٠٢٦-11-01",
        "1700000000",
    ],
)
def test_no_moment(text: str) -> None:
    """What is no date, or a time without a zone, is refused with what is accepted."""
    with pytest.raises(InvalidValue, match=re.escape(f"invalid date {text!r}: {ACCEPTED}")):
        parse_moment(text, NOW)


@pytest.mark.parametrize("text", ["2026-11-24", "2026-11-23T10:20:31Z", "2026-11-23T10:20:31+00:00", "9999-12-31"])
def test_future(text: str) -> None:
    """What lies in the future is refused."""
    with pytest.raises(InvalidValue, match="it lies in the future"):
        parse_moment(text, NOW)


@given(st.text(max_size=40) | st.none() | st.integers() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?"))
def test_whatever_a_page_says(text: object) -> None:
    """An upload time is read as a moment in UTC, or counts as not known; nothing that an upstream says is a fault."""
    found = find_moment(text)
    assert found is None or found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["2024-05-06", "2024-05-06T07:08:09", "", None, 5, "0001-01-01T00:00:00+01:00"])
def test_an_unknown_time(text: object) -> None:
    """Without a zone it is not known when something was uploaded."""
    assert find_moment(text) is None


@given(st.datetimes(min_value=datetime(2000, 1, 1)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001 - its zone comes next
def test_known_times(naive: datetime, minutes: int) -> None:
    """A time with a zone is that moment."""
    moment = naive.replace(year=min(naive.year, 9_000), tzinfo=timezone(timedelta(minutes=minutes)))
    assert find_moment(moment.isoformat()) == moment
