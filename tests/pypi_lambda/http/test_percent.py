"""Percent-encoding, compared with the standard library's."""

import unicodedata
from contextlib import suppress
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypi_lambda.http.faults import BadRequest, UriTooLong
from pypi_lambda.http.percent import (
    MAX_PATH_LENGTH,
    BrokenEscape,
    decode_path,
    quote_part,
    quote_path,
    quote_query,
    unquote,
)


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


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/simple/", "/simple/"),
        (b"/simple/", "/simple/"),
        ("", ""),
        ("/caf\xc3\xa9", "/café"),
        (b"/caf\xc3\xa9", "/café"),
        ("/a+b!c d%zz", "/a+b!c d%zz"),
    ],
)
def test_a_path_is_utf8_text(raw: bytes | str, expected: str) -> None:
    """A server's Latin-1 characters and plain bytes give the same text, and nothing is decoded twice."""
    assert decode_path(raw) == expected


@pytest.mark.parametrize(
    "raw", ["/\xff", b"/\xff", "/€", "/a\nb", "/a\x00", b"/\x7f", "/\xc2\x85", "/\xc3", "/\xed\xa0\x80"]
)
def test_a_path_that_is_no_text_is_refused(raw: bytes | str) -> None:
    """Bytes that are not UTF-8 and control characters get 400."""
    with pytest.raises(BadRequest, match="the path"):
        decode_path(raw)


def test_an_endless_path_is_refused() -> None:
    """A path beyond the limit gets 414; one of just that length is read."""
    assert decode_path("/" * MAX_PATH_LENGTH) == "/" * MAX_PATH_LENGTH
    with pytest.raises(UriTooLong):
        decode_path("/" * (MAX_PATH_LENGTH + 1))


@given(st.text() | st.binary())
@example("/" * (MAX_PATH_LENGTH + 1))
def test_any_path_is_text_or_refused(raw: bytes | str) -> None:
    """What is let through has no control character; nothing but the two refusals is raised."""
    with suppress(BadRequest, UriTooLong):
        assert not any(unicodedata.category(character) == "Cc" for character in decode_path(raw))
