"""Patterns of project names cover what they look like they cover, and never take long to say so."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import InvalidValue
from indexer.patterns import find_match, matches_any, parse_pattern, parse_patterns

names = st.from_regex(r"[ab]{1,4}(-[ab]{1,3}){0,2}", fullmatch=True)
patterns = st.from_regex(r"\*?[ab]{0,2}(\*?[ab]{1,2}){1,3}\*?", fullmatch=True)


@given(name=names, pattern=patterns)
def test_stars(name: str, pattern: str) -> None:
    """A star stands for any run of characters, as a shell has it."""
    parsed = parse_pattern(pattern)
    assert matches_any(name, (parsed,)) == fnmatchcase(name, parsed)


@given(name=names, several=st.lists(patterns.map(parse_pattern), max_size=4).map(tuple))
def test_several(name: str, several: tuple[str, ...]) -> None:
    """Several patterns cover what one of them covers, and the first that does is named."""
    covering = [pattern for pattern in several if fnmatchcase(name, pattern)]
    assert matches_any(name, several) == bool(covering)
    assert find_match(name, several) == (covering[0] if covering else None)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("acme-*", "acme-*"), ("Acme_.Core", "acme-core"), (" *x ", "*x"), ("a**b", "a*b"), ("*", "*"), ("x", "x")],
)
def test_normal_form(text: str, pattern: str) -> None:
    """Patterns are normalised as names are."""
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", "-x", "x-", "a b", "a/b", "é", "a" * 201, "*-", "?"])
def test_refused(text: str) -> None:
    """What no project's name can match is no pattern, and is named."""
    with pytest.raises(InvalidValue, match=r"^invalid reserve "):
        parse_pattern(text, field="reserve")


def test_many() -> None:
    """Patterns are kept once each, sorted."""
    assert parse_patterns(["b", "A", "a"]) == ("a", "b")


def test_many_stars_end() -> None:
    """A name that nearly matches a pattern of many stars is refused at once: a client chooses the name."""
    assert not matches_any("a" * 200, (parse_pattern("a*" * 60 + "b"),))
