"""What request headers mean."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypi_lambda.http.faults import (
    NotAcceptable,
    RangeNotSatisfiable,
)
from pypi_lambda.http.headers import (
    MAX_HEADER_LENGTH,
    Format,
    accepts_gzip,
    negotiate,
    not_modified,
    parse_basic,
    parse_range,
)

V1 = "application/vnd.pypi.simple.v1"


LATEST = "application/vnd.pypi.simple.latest"


# Real ones, in this order: pip 26.3 (_internal/index/collector.py), uv 0.13.9 (in its binary), poetry 2
# (repositories/http_repository.py), pypi-simple 1.8 (three of its constants), curl, Firefox, Java's HttpURLConnection.
ACCEPTED = [
    (f"{V1}+json, {V1}+html; q=0.1, text/html; q=0.01", Format.JSON),
    (f"{V1}+json, {V1}+html;q=0.2, text/html;q=0.01", Format.JSON),
    (f"{V1}+json, */*;q=0.1", Format.JSON),
    (f"{V1}+json, {V1}+html, text/html;q=0.01", Format.JSON),
    (f"{V1}+html, text/html;q=0.5, {V1}+json;q=0.1", Format.HTML),
    (f"{V1}+html, text/html;q=0.01", Format.HTML),
    ("*/*", Format.LEGACY_HTML),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.LEGACY_HTML),
    ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", Format.LEGACY_HTML),
    # nothing said
    (None, Format.LEGACY_HTML),
    ("", Format.LEGACY_HTML),
    (" \t", Format.LEGACY_HTML),
    # one type
    (f"{V1}+json", Format.JSON),
    (f"{V1}+html", Format.HTML),
    ("text/html", Format.LEGACY_HTML),
    (f"{LATEST}+json", Format.JSON),
    (f"{LATEST}+html", Format.HTML),
    (f"{V1}+JSON".upper(), Format.JSON),
    # ranges
    ("application/*", Format.JSON),
    ("text/*", Format.LEGACY_HTML),
    (f"application/*, {V1}+json;q=0", Format.HTML),
    (f"*/*, {V1}+json;q=0.5", Format.LEGACY_HTML),
    ("*/*, text/html;q=0", Format.JSON),
    ("*/*, text/*;q=0, application/*;q=0.1", Format.JSON),
    (f"*/*;q=0.1, text/html;q=0, {V1}+json;q=0", Format.HTML),
    ("text/html;q=0.5, */*", Format.JSON),
    # a type that is named goes before one that a range lets in
    (f"*/*, {V1}+html", Format.HTML),
    (f"text/html, application/*, {V1}+html", Format.HTML),
    # equally liked
    (f"text/html, {V1}+html, {V1}+json", Format.JSON),
    (f"text/html;q=0.3, {V1}+html;q=0.3", Format.HTML),
    # the same type twice: its better weight counts
    (f"{V1}+json;q=0.1, text/html;q=0.5, {LATEST}+json;q=0.9", Format.JSON),
    # weights as they come
    (f"text/html;q=0.999, {V1}+json;q=1.000", Format.JSON),
    (f"text/html ; Q=0.2 , {V1}+json ; q=0.1", Format.LEGACY_HTML),
    (f"{V1}+json;q=0.5, text/html;q=7", Format.LEGACY_HTML),
    (f"{V1}+json;q=high, text/html;q=0.1", Format.LEGACY_HTML),
    (f"{V1}+json;q=, text/html;q=0.1", Format.LEGACY_HTML),
    (f"{V1}+json;q=-1, text/html;q=0.1", Format.LEGACY_HTML),
    # other parameters
    ("text/html;level=1", Format.LEGACY_HTML),
    ("text/html;charset=utf-8", Format.LEGACY_HTML),
    (f"{V1}+json;charset=utf-8;q=0.5, text/html;q=0.6", Format.LEGACY_HTML),
    (f'text/html;title="a, b;q=0", {V1}+json;q=0.5', Format.LEGACY_HTML),
    (f'text/html;title="a \\", {V1}+json;q=0.5', Format.LEGACY_HTML),
    ("text/html;", Format.LEGACY_HTML),
    # empty and unknown members
    (f",, ,{V1}+json,", Format.JSON),
    (f"application/vnd.pypi.simple.v2+json, {V1}+html;q=0.1", Format.HTML),
    ("garbage, text/html;q=0.1", Format.LEGACY_HTML),
]


REFUSED = [
    "application/json",
    "application/vnd.pypi.simple.v2+json",
    "application/xhtml+xml",
    "image/*",
    "*",
    "text/html;q=0",
    "*/*;q=0",
    "*/*;q=0.0, text/html;q=0.000",
    "text/html;q=no",
    ",",
    ";",
    ";q=1",
    "text",
    "text/html/html",
    "text /html",
    '"text/html"',
    '"',
    "\x00",
    "téxt/html",
]


@pytest.mark.parametrize(("accept", "expected"), ACCEPTED)
def test_the_best_liked_format_is_chosen(accept: str | None, expected: Format) -> None:
    """Each header gets the format that RFC 9110 and PEP 691 name for it."""
    assert negotiate(accept) is expected


@pytest.mark.parametrize("accept", REFUSED)
def test_what_cannot_be_answered_is_not_acceptable(accept: str) -> None:
    """A header that names nothing available gets 406 with a sentence that says what there is."""
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept)
    assert caught.value.message == (
        f"Accept {accept!r} names nothing that is available; available are "
        "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html, text/html"
    )


@pytest.mark.parametrize(
    ("page_format", "content_type", "is_html"),
    [
        (Format.JSON, f"{V1}+json", False),
        (Format.HTML, f"{V1}+html", True),
        (Format.LEGACY_HTML, "text/html; charset=utf-8", True),
    ],
)
def test_a_format_is_answered_with_its_concrete_type(page_format: Format, content_type: str, is_html: bool) -> None:
    """Every format has a Content-Type of its own and is either HTML or JSON."""
    assert (page_format.content_type, page_format.is_html) == (content_type, is_html)


def test_an_endless_accept_is_not_acceptable() -> None:
    """A header beyond the limit is refused, whatever it says."""
    with pytest.raises(NotAcceptable):
        negotiate("text/html," + " " * MAX_HEADER_LENGTH)


header_pieces = st.sampled_from(
    ["text/html", "*/*", f"{V1}+json", "application/*", ";", "q", "=", "0", "0.5", "1", ",", " ", '"', "\\", "*", "/"]
)


header_text = st.text() | st.lists(header_pieces).map("".join)


@given(header_text)
def test_any_accept_is_answered_or_refused(accept: str) -> None:
    """No text makes negotiation fail with anything but NotAcceptable."""
    with suppress(NotAcceptable):
        assert negotiate(accept) in Format


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("identity, *;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip;q=0.001", True),
        ("gzip;q=x", False),
        ("gzipped", False),
        ("deflate", False),
    ],
)
def test_gzip_is_used_for_those_who_take_it(accept_encoding: str | None, expected: bool) -> None:
    """Only a client that names gzip, or anything, with a weight above nought gets a compressed body."""
    assert accepts_gzip(accept_encoding) is expected


@given(header_text)
def test_any_accept_encoding_is_understood_somehow(accept_encoding: str) -> None:
    """No text makes it fail."""
    assert accepts_gzip(accept_encoding) in (True, False)


@pytest.mark.parametrize(
    ("if_none_match", "etag", "expected"),
    [
        (None, '"a"', False),
        ("", '"a"', False),
        ('"a"', '"a"', True),
        ('"b"', '"a"', False),
        ('W/"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('W/"a"', 'W/"a"', True),
        ('w/"a"', '"a"', False),
        ("*", '"a"', True),
        (" * ", '"a"', True),
        ('"*"', '"a"', False),
        ('"x", W/"y" , "a"', '"a"', True),
        ('"x","a"', '"a"', True),
        ('"x" , ,"a",', '"a"', True),
        ('"a,b"', '"a,b"', True),
        ('"a,b"', '"a"', False),
        ('""', '""', True),
        ('"A"', '"a"', False),
        ("a", '"a"', False),
        ('"a', '"a"', False),
        ('garbage "a"', '"a"', False),
        ('*, "a"', '"a"', False),
        ('"é"', '"é"', True),
    ],
)
def test_a_copy_is_current_when_its_entity_tag_is_listed(if_none_match: str | None, etag: str, expected: bool) -> None:
    """304 is for a list that holds the tag, by weak comparison, and for `*`; a malformed list matches nothing."""
    assert not_modified(if_none_match, etag) is expected


@given(header_text)
def test_any_if_none_match_is_understood_somehow(if_none_match: str) -> None:
    """No text makes it fail."""
    assert not_modified(if_none_match, '"a"') in (True, False)


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 100, None),
        ("", 100, None),
        ("bytes=0-9", 100, (0, 10)),
        ("bytes=0-0", 100, (0, 1)),
        ("bytes=99-99", 100, (99, 100)),
        ("bytes=10-", 100, (10, 100)),
        ("bytes=0-", 100, (0, 100)),
        ("bytes=-10", 100, (90, 100)),
        ("bytes=-1000", 100, (0, 100)),
        ("bytes=90-1000", 100, (90, 100)),
        ("BYTES=0-9", 100, (0, 10)),
        ("bytes = 0-9 ", 100, (0, 10)),
        ("bytes=007-008", 100, (7, 9)),
        ("bytes=0-9,20-29", 100, None),
        ("bytes=9-0", 100, None),
        ("bytes=900-0", 100, None),
        ("bytes=-", 100, None),
        ("bytes=", 100, None),
        ("bytes=a-b", 100, None),
        ("bytes=+1-2", 100, None),
        ("bytes=1.0-2", 100, None),
        ("bytes=--1", 100, None),
        ("bytes=٠-٩", 100, None),
        ("bytes=0-" + "9" * 5_000, 100, None),
        ("lines=0-9", 100, None),
        ("bytes=-5", 0, None),
    ],
)
def test_a_single_range_of_bytes_is_served_and_others_are_passed_over(
    header: str | None, size: int, expected: tuple[int, int] | None
) -> None:
    """A range is clamped to the content; several ranges and malformed ones get everything."""
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_a_range_outside_the_content_is_refused(header: str, size: int) -> None:
    """A range that begins after the end gets 416 with the true size."""
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, size)
    assert caught.value.headers == (("Content-Range", f"bytes */{size}"),)


@given(
    st.text() | st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}", fullmatch=True),
    st.integers(min_value=0, max_value=2**40),
)
def test_any_range_is_within_the_content_or_refused(header: str, size: int) -> None:
    """What is served is never empty and never outside; nothing but RangeNotSatisfiable is raised."""
    with suppress(RangeNotSatisfiable):
        found = parse_range(header, size)
        assert found is None or 0 <= found[0] < found[1] <= size


def basic(text: str, *, scheme: str = "Basic", encoding: str = "utf-8") -> str:
    return f"{scheme} {base64.b64encode(text.encode(encoding)).decode()}"


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, None),
        ("", None),
        (basic("user:password"), ("user", "password")),
        (basic("user:password", scheme="basic"), ("user", "password")),
        (basic("user:password", scheme="BASIC  "), ("user", "password")),
        (basic("user:pass:word"), ("user", "pass:word")),
        (basic("token:"), ("token", "")),
        (basic(":token"), ("", "token")),
        (basic("jürgen:schlüssel"), ("jürgen", "schlüssel")),
        (basic("jürgen:schlüssel", encoding="latin-1"), ("jürgen", "schlüssel")),
        (basic("user:password").rstrip("="), ("user", "password")),
        ("Basic " + base64.urlsafe_b64encode("user:ÿ??>".encode()).decode(), ("user", "ÿ??>")),
        (basic("userpassword"), None),
        (basic("user:pass\nword"), None),
        (basic("us\x00er:password"), None),
        ("Basic", None),
        ("Basic ", None),
        ("Basic =", None),
        ("Basic a", None),
        ("Basic !!!!", None),
        ("Basic dXNlcjpwYXNz d29yZA==", None),
        ("Bearer dXNlcjpwYXNzd29yZA==", None),
        ("dXNlcjpwYXNzd29yZA==", None),
        (basic("user:" + "x" * MAX_HEADER_LENGTH), None),
    ],
)
def test_basic_credentials_are_read_or_there_are_none(
    authorization: str | None, expected: tuple[str, str] | None
) -> None:
    """A well-formed header gives both parts as they were typed; every other header gives nothing."""
    assert parse_basic(authorization) == expected


@given(st.text() | st.text().map("Basic ".__add__) | st.binary().map(lambda b: "Basic " + base64.b64encode(b).decode()))
def test_any_authorization_is_credentials_or_none(authorization: str) -> None:
    """No text makes it fail."""
    found = parse_basic(authorization)
    assert found is None or len(found) == 2


typed = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(typed.filter(lambda name: ":" not in name), typed)
def test_credentials_come_back_as_they_were_sent(username: str, password: str) -> None:
    """Whatever a client encodes as UTF-8 is what is compared."""
    assert parse_basic(basic(f"{username}:{password}")) == (username, password)
