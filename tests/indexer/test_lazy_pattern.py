"""Patterns that wait: they do what compiled ones do."""

import copy
import re

import pytest

from indexer.lazy_pattern import pattern


def test_it_does_what_a_compiled_one_does() -> None:
    """Every method and attribute is the compiled pattern's, whichever comes first."""
    lazy, compiled = pattern(r"(?P<a>[a-z]+)-?", re.IGNORECASE), re.compile(r"(?P<a>[a-z]+)-?", re.IGNORECASE)
    for _ in range(2):
        assert lazy.sub("x", "Ab-1") == compiled.sub("x", "Ab-1") == "x1"
        match = lazy.fullmatch("Ab-")
        assert match is not None
        assert match["a"] == "Ab"
        assert lazy.fullmatch("1") is None
        assert (lazy.pattern, lazy.flags) == (compiled.pattern, compiled.flags)
        assert [found.span() for found in lazy.finditer("a-b")] == [(0, 2), (2, 3)]


def test_bytes() -> None:
    """A pattern of bytes looks into bytes."""
    assert pattern(rb"[0-9]").sub(b"x", b"a1") == b"ax"


def test_what_no_pattern_has() -> None:
    """An unknown attribute is an AttributeError, and what is no pattern is re's own error at its first use."""
    with pytest.raises(AttributeError):
        _ = pattern("a").nothing  # type: ignore[attr-defined]
    with pytest.raises(re.error):
        pattern("(").match("")
    assert copy.copy(pattern("a")).match("a")
