"""What request headers mean: formats, compression, validators, ranges, credentials. Pure.

RFC 9110 (Accept 12.5.1, Accept-Encoding 12.5.3, If-None-Match 13.1.2, Range 14.2), RFC 7617 (Basic), PEP 691.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache

from indexer.lazy_pattern import pattern
from pypi_lambda.http.faults import NotAcceptable, RangeNotSatisfiable

MAX_HEADER_LENGTH = 8_192  # of one value; API Gateway passes 10,240 bytes of headers in all, and the longest tokens in
# use as passwords are about 2.5 KB


class Format(Enum):
    """How a page of the simple API can be written; the value is the media type."""

    JSON = "application/vnd.pypi.simple.v1+json"
    HTML = "application/vnd.pypi.simple.v1+html"
    LEGACY_HTML = "text/html"

    @property
    def content_type(self) -> str:
        """The `Content-Type` to answer with."""
        return "text/html; charset=utf-8" if self is Format.LEGACY_HTML else self.value

    @property
    def is_html(self) -> bool:
        """Whether the page's text is HTML: the two HTML types differ in nothing else."""
        return self is not Format.JSON


# media range: its specificity, and what it stands for, the better first. A bare `*/*` comes from browsers, curl and old
# tools, which all want HTML.
_RANGES: Mapping[str, tuple[int, tuple[Format, ...]]] = {
    "application/vnd.pypi.simple.v1+json": (2, (Format.JSON,)),
    "application/vnd.pypi.simple.latest+json": (2, (Format.JSON,)),
    "application/vnd.pypi.simple.v1+html": (2, (Format.HTML,)),
    "application/vnd.pypi.simple.latest+html": (2, (Format.HTML,)),
    "text/html": (2, (Format.LEGACY_HTML,)),
    "application/*": (1, (Format.JSON, Format.HTML)),
    "text/*": (1, (Format.LEGACY_HTML,)),
    "*/*": (0, (Format.LEGACY_HTML, Format.JSON, Format.HTML)),
}
_QUOTED = pattern(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_WEIGHT = pattern(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")  # `q=.2` is sent by Java's own client


@lru_cache(maxsize=64)
def negotiate(accept: str | None) -> Format:
    """Return the format that the client likes best; HTML when it does not say.

    Of equally liked formats the one asked for more precisely wins, then JSON.

    Raises:
        NotAcceptable: it accepts none of them, or the header cannot be understood.
    """
    if accept is None or not accept.strip():
        return Format.LEGACY_HTML
    best: dict[Format, tuple[int, float, int]] = {}
    for media_range, weight in _weighted(accept[: MAX_HEADER_LENGTH + 1]):
        specificity, formats = _RANGES.get(media_range, (0, ()))
        for place, page_format in enumerate(formats):
            found = (specificity, weight, -place)
            best[page_format] = max(found, best.get(page_format, found))
    liked = {f: (weight, specificity, place) for f, (specificity, weight, place) in best.items() if weight > 0}
    if not liked or len(accept) > MAX_HEADER_LENGTH:
        available = ", ".join(page_format.value for page_format in Format)
        raise NotAcceptable(f"Accept {accept[:200]!r} names nothing that is available; available are {available}")
    return max(Format, key=lambda page_format: liked.get(page_format, (0.0, 0, 0)))


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str | None) -> bool:
    """Tell whether the client takes a body that was compressed with gzip; one that does not say takes none."""
    weights = dict(_weighted((accept_encoding or "")[:MAX_HEADER_LENGTH]))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """Yield a list's members and weights; other parameters say nothing here, a member with a broken `q` is none."""
    for member in _QUOTED.sub("", header).split(","):
        value, *parameters = member.split(";")
        pairs = (parameter.partition("=") for parameter in parameters)
        weight = next((text.strip() for name, _, text in pairs if name.strip().lower() == "q"), "1")
        if _WEIGHT.fullmatch(weight):
            yield value.strip().lower(), min(float(weight), 1.0)


_ETAG = r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")'  # compiled by the first that is read: few first requests have one


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client's copy is the current one, by weak comparison.

    Args:
        if_none_match: the header; one that is no list of entity tags matches nothing.
        etag: the current entity tag, with its quotes.
    """
    if if_none_match is None or len(if_none_match) > MAX_HEADER_LENGTH:
        return False
    if if_none_match.strip() == "*":
        return True
    if re.sub(_ETAG, "", if_none_match).strip(" \t,"):
        return False
    return etag.removeprefix("W/") in re.findall(_ETAG, if_none_match)


_BYTE_RANGE = r"bytes[ \t]*=[ \t]*([0-9]*)-([0-9]*)[ \t]*"  # likewise
_MAX_RANGE_LENGTH = 100  # several ranges are not served anyway; int() is quadratic


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the start and the end (exclusive) of the bytes asked for, or None to send them all.

    Raises:
        RangeNotSatisfiable: the range begins where the content ended already.
    """
    match = re.fullmatch(_BYTE_RANGE, header, re.IGNORECASE) if header and len(header) <= _MAX_RANGE_LENGTH else None
    if match is None or match.group(1, 2) == ("", ""):
        return None  # "A server MAY ignore the Range header field", and must where it is invalid
    first, last = match.groups()
    if not first:
        if int(last) == 0:
            raise RangeNotSatisfiable(size=size)
        return (max(0, size - int(last)), size) if size else None
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeNotSatisfiable(size=size)
    return int(first), min(int(last) + 1, size) if last else size


_BASIC = pattern(r"[ \t]*basic[ \t]+([A-Za-z0-9+/_-]+)={0,2}[ \t]*", re.IGNORECASE)
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f]")


def parse_basic(authorization: str | None) -> tuple[str, str] | None:
    """Return the username and the password of Basic credentials, or None when these are none.

    The text is read as UTF-8, as the challenge asks for, and as Latin-1 where it is not: old clients send that.
    """
    match = _BASIC.fullmatch(authorization) if authorization and len(authorization) <= MAX_HEADER_LENGTH else None
    if match is None:
        return None
    token = match[1].replace("-", "+").replace("_", "/")
    try:
        raw = binascii.a2b_base64(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    username, colon, password = text.partition(":")
    # "The user-id and password MUST NOT contain any control characters"
    return (username, password) if colon and not _CONTROL.search(text) else None
