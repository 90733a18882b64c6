"""One file of an upstream's page: each value in the one form that all clients read, or left out. Pure.

A value of another form than its specification's stops one client at the whole page and is passed over by the next; as
if it were absent, it is the same to all.

PEP 345 (requires-python), 592 (yanked), 691, 700 (size, upload-time), 740 (provenance), RFC 3339 (times).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from indexer.log.events import timestamp
from indexer.upstream.url import absolute_url

_MAX_SIZE = 2**63 - 1  # more than any store holds, and the most that clients written in other languages read
_MAX_TEXT = 2_000  # of a specifier or a reason for a yank
_OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
# "Applications that generate this format SHOULD use upper case"; a space in the place of the T is RFC 3339's own note.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_PLAIN_SPECIFIERS = re.compile(r"(?:>=|<=|<|>|==|!=|~=)[0-9]{1,4}\.[0-9]{1,4}(?:, ?(?:>=|<=|<|>|==|!=)[0-9]{1,4}){0,9}")
_ORDERED_PREFIX = re.compile(r"((?:>=|<=|>|<)\s*[0-9.]*[0-9])\.\*")


def read_values(entry: Mapping[str, Any], *, url: str) -> dict[str, Any]:
    """Return what an entry says, private keys and those with a value of the wrong form left out.

    Digests, the name, the link and what is said of metadata are not read here.

    Args:
        url: of the page, for relative links.
    """
    values = {key: value for key, value in entry.items() if not key.startswith("_") and key not in READ_ELSEWHERE}
    for key, read in _READERS.items():
        if key in values and (value := read(values[key])) is not None:
            values[key] = value
        elif values.get(key, 0) is not None or key not in _MAY_BE_NULL:
            values.pop(key, None)
    if values.get("provenance") is not None:
        values["provenance"] = absolute_url(values["provenance"], base=url)
    return values


def _read_size(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MAX_SIZE else None


def read_time(value: object) -> str | None:
    """Return a time as `YYYY-MM-DDThh:mm:ss.ffffffZ`, or None where a page says it in no form of RFC 3339."""
    if not isinstance(value, str) or not (found := _TIME.fullmatch(value.strip())):
        return None
    text = found[0].upper()
    if found[1] is not None:  # Python reads six digits of a second at most, and before 3.11 only three or six
        text = text.replace(found[1], found[1][:7].ljust(7, "0"))
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return timestamp(moment) if moment >= _OLDEST else None


@lru_cache(maxsize=4_096)  # a page of thousands of files has some ten of them
def read_specifiers(text: str) -> str | None:
    """Return the versions of Python that a file is for, or None where they are written as no installer reads them.

    `>=3.6.*` is `>=3.6`: it was common until installers began to refuse it.
    """
    text = " ".join(text.split())
    if _PLAIN_SPECIFIERS.fullmatch(text):
        return text
    if not text or len(text) > _MAX_TEXT:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = _ORDERED_PREFIX.sub(r"\1", text)
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return None
    return text


def _read_requires_python(value: object) -> str | None:
    return read_specifiers(value) if isinstance(value, str) else None


def _read_yanked(value: object) -> bool | str | None:
    """Return a flag or a reason. An empty reason yanks for some clients and not for others; for us it does not."""
    if isinstance(value, str):
        return value[:_MAX_TEXT] or False
    return value if isinstance(value, bool) else None


def _read_flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_READERS: Mapping[str, Callable[[object], object]] = {
    "size": _read_size,
    "upload-time": read_time,
    "requires-python": _read_requires_python,
    "yanked": _read_yanked,
    "gpg-sig": _read_flag,
    "provenance": _read_text,
}
_MAY_BE_NULL = frozenset({"requires-python", "provenance"})
READ_ELSEWHERE = frozenset({"filename", "url", "hashes", "core-metadata", "dist-info-metadata"})
