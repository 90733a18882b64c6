"""The settings: environment variables, read in this one place, once, by an entry point.

A setting is a promise; what nobody needs to turn is a constant beside its use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from indexer.errors import InvalidValue

T = TypeVar("T")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MAX_MAX_STALENESS_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings.

    Attributes:
        bucket: as `indexer.store.open_store` takes it.
        repo_base_prefix: the folder in the bucket below which everything lies, or "".
        upstream_index_url: ends in `/`; may carry credentials, so it is kept out of `repr`.
        logging_level: a level's name.
        api_gateway_base_path: "" or `/path` without a slash at its end.
        hash_dist_info_metadata: whether `dist-info-metadata` carries the digest too.
        max_staleness_seconds: for how long an answer may rest on what was read before; 0 is strict.
    """

    bucket: str
    repo_base_prefix: str = ""
    upstream_index_url: str = field(repr=False)
    logging_level: str = "INFO"
    api_gateway_base_path: str = ""
    hash_dist_info_metadata: bool = False
    max_staleness_seconds: float = 0.0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that these environment variables make; an empty variable counts as none.

    Raises:
        InvalidValue: one of them is not what it accepts; the error names the variable, the value and what is accepted.
    """

    def setting(name: str, parse: Callable[[str, str], T], default: T) -> T:
        text = environ.get(name, "").strip()
        return parse(name, text) if text else default

    return Settings(
        bucket=setting("BUCKET", _bucket, "") or _bucket("BUCKET", ""),
        repo_base_prefix=setting("REPO_BASE_PREFIX", _prefix, ""),
        upstream_index_url=setting("UPSTREAM_INDEX_URL", _index_url, "") or default_upstream(),
        logging_level=setting("LOGGING_LEVEL", _level, "INFO"),
        api_gateway_base_path=setting("API_GATEWAY_BASE_PATH", _base_path, ""),
        hash_dist_info_metadata=setting("HASH_DIST_INFO_METADATA", _flag, False),
        max_staleness_seconds=setting("MAX_STALENESS_SECONDS", _seconds, 0.0),
    )


def default_upstream() -> str:
    """Return the URL of the public index."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _bucket(name: str, text: str) -> str:
    if text.startswith("file://"):
        return text
    bucket = text.removeprefix("s3://").rstrip("/")
    if not bucket or "/" in bucket or ":" in bucket:
        raise InvalidValue(name, text, "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'")
    return text


def _prefix(name: str, text: str) -> str:
    segments = text.strip("/").split("/")
    if any(not segment or segment.startswith(".") for segment in segments) or not text.isprintable():
        raise InvalidValue(name, text, "folders separated by '/', none of which is empty or begins with '.'")
    return "/".join(segments)


def _index_url(name: str, text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        port_is_a_number = parts.port != 0
    except ValueError:
        valid = port_is_a_number = False
    if not (valid and port_is_a_number and text.isprintable() and " " not in text):
        # The value may hold a password, so here, and only here, it is not shown.
        raise InvalidValue(name, "(not shown)", "an http or https URL of a simple index, without query or fragment")
    return text.rstrip("/") + "/"


def _level(name: str, text: str) -> str:
    if text.upper() not in LEVELS:
        raise InvalidValue(name, text, f"one of {', '.join(LEVELS)}")
    return text.upper()


def _base_path(name: str, text: str) -> str:
    path = "/" + text.strip("/")
    if not text.isprintable() or any(mark in text for mark in " ?#%\\") or "//" in path or "/." in path:
        raise InvalidValue(name, text, "a path such as '/pypi', not percent-encoded, without '?', '#' or '..'")
    return "" if path == "/" else path


def _flag(name: str, text: str) -> bool:
    values = {"0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}
    if text.lower() not in values:
        raise InvalidValue(name, text, f"one of {', '.join(values)}")
    return values[text.lower()]


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_MAX_STALENESS_SECONDS:
        raise InvalidValue(name, text, f"a number of seconds from 0 to {MAX_MAX_STALENESS_SECONDS:,.0f}")
    return seconds
