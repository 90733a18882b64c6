"""Percent-encoding. Pure; the standard library's `urllib.parse` takes longer to import than all of this to run.

RFC 3986 (2.1 percent-encoding, 3.3 path, 3.4 query).
"""

import binascii
import re

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")


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


_NOT_IN_NAME = re.compile(rb"[^A-Za-z0-9._~-]")
_NOT_IN_PATH = re.compile(rb"[^A-Za-z0-9._~/-]")
_NOT_IN_QUERY = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,/:;=?@%-]")


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
