"""Each value of an upstream's entry has the form that all clients read, or is not there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from indexer.upstream.entry import read_specifiers, read_time, read_values
from pypi_lambda.cooldown.moments import find_moment

URL = "https://upstream.example/simple/six/"


def read(**entry: Any) -> dict[str, Any]:
    """Return what is read of an entry with these keys, `_` for `-`."""
    return read_values({key.replace("_", "-"): value for key, value in entry.items()}, url=URL)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000Z"),
        ("2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456Z"),
        ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456Z"),
        ("2024-01-02T03:04:05.5Z", "2024-01-02T03:04:05.500000Z"),
        ("2024-01-02t03:04:05z", "2024-01-02T03:04:05.000000Z"),
        ("2024-01-02 03:04:05Z", "2024-01-02T03:04:05.000000Z"),
        ("2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05.000000Z"),
        ("2024-01-02T03:04:05-00:00", "2024-01-02T03:04:05.000000Z"),
        (" 2024-01-02T03:04:05Z\n", "2024-01-02T03:04:05.000000Z"),
        ("2024-01-02 03:04:05 UTC", None),
        ("2024-01-02T03:04:05", None),
        ("2024-01-02", None),
        ("yesterday", None),
        ("", None),
        ("Tue, 02 Jan 2024 03:04:05 GMT", None),
        ("1704164645", None),
        ("2024-13-02T03:04:05Z", None),
        ("2024-01-02T25:04:05Z", None),
        ("2024-01-02T03:04:05+24:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("٢٠٢٤-01-02T03:04:05Z", None),
        (1704164645, None),
        (None, None),
    ],
)
def test_times(text: object, time: str | None) -> None:
    """A time is as RFC 3339 has it, in UTC, or left out: uv refuses a whole page for another form."""
    assert read_time(text) == time
    assert read(upload_time=text) == ({} if time is None else {"upload-time": time})


@given(st.datetimes() | st.text(alphabet="0123456789-:TZtz.+ ", max_size=30))
def test_a_time_that_is_kept_is_a_moment(moment: Any) -> None:
    """Whatever time is kept, it is one that we read ourselves, and it stays as it is when it is read again."""
    time = read_time(moment if isinstance(moment, str) else f"{moment.isoformat()}Z")
    assert time is None or (find_moment(time) is not None and read_time(time) == time)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (">=3.8", ">=3.8"),
        (">=3.8, <4", ">=3.8, <4"),
        (">=3.8,\n <4", ">=3.8, <4"),
        ("~=3.8", "~=3.8"),
        ("!=3.0.*,>=2.7", "!=3.0.*,>=2.7"),
        (">=3.6.*", ">=3.6"),
        (">=2.7, !=3.0.*, >=3.6.*", ">=2.7, !=3.0.*, >=3.6"),
        ("==3.*", "==3.*"),
        ("", None),
        ("3.8", None),
        ("~=3", None),
        (">=3.8 <4", None),
        (">=dog", None),
        ("&gt;=3.8", None),
        (">=3.8," * 1_000, None),
        (["3"], None),
    ],
)
def test_requires_python(text: object, kept: str | None) -> None:
    """What no installer understands is left out, as pip passes it over; the commonest mistake is mended, as uv does."""
    assert read(requires_python=text) == ({} if kept is None else {"requires-python": kept})


@given(st.text(alphabet="<>=!~.,*0123456789 ", max_size=16) | st.from_regex(r"(>=|<|~=|!=|==)3\.[0-9](, ?<4)?"))
def test_specifiers_are_those_of_packaging(text: str) -> None:
    """No shortcut lets through what `packaging` refuses."""
    kept = read_specifiers(text)
    if kept is not None:
        SpecifierSet(kept)
        return
    try:
        assert not SpecifierSet(" ".join(text.split()))._specs
    except InvalidSpecifier:
        return


@pytest.mark.parametrize(
    ("given", "kept"),
    [(True, True), (False, False), ("broken", "broken"), ("", False), ("x" * 3_000, "x" * 2_000)],
)
def test_yanked(given: object, kept: object) -> None:
    """An empty reason, which is a yank to some clients and none to others, is none."""
    assert read(yanked=given) == {"yanked": kept}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", -1),
        ("size", 2**63),
        ("size", True),
        ("size", "12"),
        ("size", 12.0),
        ("size", None),
        ("yanked", None),
        ("yanked", 1),
        ("yanked", ["x"]),
        ("gpg-sig", "true"),
        ("gpg-sig", None),
        ("provenance", {}),
        ("hashes", {}),
    ],
)
def test_a_value_of_another_form(key: str, value: object) -> None:
    """It is as if the upstream had not said it."""
    assert read(**{key: value}) == {}


def test_what_nobody_knows_stays() -> None:
    """Keys of specifications to come are passed on, and `null` where the specification has it."""
    said: dict[str, Any] = {
        "from-the-future": {"deep": [1, None]},
        "requires-python": None,
        "provenance": None,
        "size": 0,
    }
    assert read_values({**said, "_private": 1}, url=URL) == said


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../p", "https://upstream.example/simple/p"),
        ("https://u:p@x.example/", "https://x.example/"),
        ("ftp://x", None),
    ],
)
def test_provenance_is_an_address(given: str, kept: str | None) -> None:
    """Provenance is absolute and without credentials, or null."""
    assert read(provenance=given) == {"provenance": kept}
