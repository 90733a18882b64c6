"""Versions as PEP 440 reads them: whether a text is one, and which texts are the same one. Pure.

`packaging` is imported where it is needed: most versions are numbers alone, and these are compared without it.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from indexer.lazy_pattern import pattern

if TYPE_CHECKING:
    from packaging.version import Version

# Most versions are numbers alone: to read those of 4,400 files takes 25 ms, and with `packaging` 300.
PLAIN = pattern(r"[0-9]{1,9}(?:[.][0-9]{1,9}){0,5}")
_TRAILING_ZEROS = pattern(r"(?:[.]0)+$")
MAX_VERSION_LENGTH = 200  # a file name has 240; and int() of thousands of digits is refused by Python itself


def parse_version(text: str) -> "Version | None":
    """Return a text as a version, or None when it is none."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text) if len(text) <= MAX_VERSION_LENGTH else None
    except InvalidVersion:
        return None


def is_version(text: str, version: str) -> bool:
    """Tell whether a text is a spelling of this version: 1.0 is one of 1.0.0; what is no version is none of itself."""
    parsed = parse_version(text)
    return parsed is not None and parsed == parse_version(version)


def is_same_version(one: str, other: str) -> bool:
    """Tell whether two texts are the same, or spellings of one version."""
    return one == other or is_version(one, other)


@lru_cache(maxsize=4_096)  # a project's page is asked version by version, and most of its files share theirs
def version_key(version: str) -> str:
    """Return what two texts have in common that are the same version; a text that is none is its own."""
    if PLAIN.fullmatch(version):
        return _TRAILING_ZEROS.sub("", ".".join([str(int(number)) for number in version.split(".")]))
    from packaging.utils import canonicalize_version

    parsed = parse_version(version)
    return version if parsed is None else canonicalize_version(parsed)
