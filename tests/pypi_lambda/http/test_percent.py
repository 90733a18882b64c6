"""Percent-encoding, compared with the standard library's."""

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypi_lambda.http.percent import BrokenEscape, quote_part, quote_path, quote_query, unquote


@given(text=st.text())
def test_quoted_as_the_standard_library_does(text: str) -> None:
    """Names, values and paths are encoded as `urllib.parse` encodes them."""
    assert quote_part(text) == quote(text, safe="", errors="replace")
    assert quote_path(text) == quote(text, safe="/", errors="replace")


@given(text=st.text())
def test_quoted_text_comes_back(text: str) -> None:
    """What was encoded decodes to itself."""
    assert unquote(quote_part(text).encode()) == text.encode("utf-8", "replace")


@given(raw=st.binary().map(lambda raw: raw.replace(b"%", b"%41")))
def test_unquoted_as_the_standard_library_does(raw: bytes) -> None:
    """Escapes are decoded as `urllib.parse` decodes them."""
    assert unquote(raw) == unquote_to_bytes(raw)


def test_plus_is_a_plus() -> None:
    """A plus stands for a space in forms only."""
    assert (unquote(b"a+b%2Bc"), quote_path("a+b c")) == (b"a+b+c", "a%2Bb%20c")


@pytest.mark.parametrize("raw", [b"%", b"%4", b"a%zz", b"%%41", b"%4g"])
def test_broken_escape(raw: bytes) -> None:
    """A percent sign that begins no escape is an error."""
    with pytest.raises(BrokenEscape):
        unquote(raw)


def test_query_keeps_its_escapes() -> None:
    """A query is not encoded twice; only what may not stand in a URL is."""
    assert quote_query("a=%2F+b&c[]=1|ä\r\n") == "a=%2F+b&c%5B%5D=1%7C%C3%A4%0D%0A"
