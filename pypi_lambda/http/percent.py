"""Paths and queries: percent-encoding, done and undone. Pure.

The standard library's `urllib.parse` takes longer to import than all of this to run.

RFC 3986 (2.1 percent-encoding, 3.3 path, 3.4 query).
"""

import binascii
import re

from indexer.lazy_pattern import pattern
from pypi_lambda.http.faults import BadRequest, UriTooLong

MAX_PATH_LENGTH = 2_048  # a base path and two names of at most 240 characters, with room

_ESCAPE = pattern(rb"%([0-9A-Fa-f]{2})?")
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f]")


class BrokenEscape(ValueError):
    """A percent sign that no two hexadecimal digits follow."""


def unquote(raw: bytes) -> bytes:
    """Undo percent-encoding; a plus is a plus.

    Raises:
        BrokenEscape: there is a percent sign that begins no escape.
    """
    return _ESCAPE.sub(_unescaped, raw)


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1] is None:
        raise BrokenEscape
    return binascii.unhexlify(match[1])


_NOT_IN_NAME = pattern(rb"[^A-Za-z0-9._~-]")
_NOT_IN_PATH = pattern(rb"[^A-Za-z0-9._~/-]")
_NOT_IN_QUERY = pattern(rb"[^A-Za-z0-9._~!$&'()*+,/:;=?@%-]")


def quote_part(text: str) -> str:
    """Encode a name or a value, whatever it contains, to stand in a query."""
    return _quoted(text, _NOT_IN_NAME)


def quote_path(text: str) -> str:
    """Encode a path; its slashes stay."""
    return _quoted(text, _NOT_IN_PATH)


def quote_query(text: str) -> str:
    """Encode what may not stand in a query that is encoded already, as far as its sender took care of that."""
    return _quoted(text, _NOT_IN_QUERY)


def _quoted(text: str, unsafe: re.Pattern[bytes]) -> str:
    return unsafe.sub(lambda match: b"%%%02X" % match[0][0], text.encode("utf-8", "replace")).decode("ascii")


def decode_path(raw: bytes | str) -> str:
    """Return the text of a path whose percent-encoding the server has undone.

    Args:
        raw: the bytes, or a PATH_INFO, which carries bytes as Latin-1 characters.

    Raises:
        BadRequest: it is not UTF-8, or has control characters.
        UriTooLong: it is longer than any path here.
    """
    if len(raw) > MAX_PATH_LENGTH:
        raise UriTooLong(f"the path has {len(raw):,} bytes; at most {MAX_PATH_LENGTH:,} are possible")
    if isinstance(raw, str) and raw.isascii() and raw.isprintable():
        return raw  # as nearly every path is; what follows would say the same
    try:
        text = (raw.encode("latin-1") if isinstance(raw, str) else raw).decode("utf-8")
    except UnicodeError:
        raise BadRequest(f"the path {raw[:200]!r} is not UTF-8") from None
    if _CONTROL.search(text):
        raise BadRequest(f"the path {text[:200]!r} has control characters")
    return text
