"""The settings: environment variables, read in this one place, once, by an entry point.

A function at the edge has no environment, so settings can be baked into its zip; environment variables win over those.
A setting is a promise; what nobody needs to turn is a constant beside its use.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from indexer.errors import InvalidValue
from indexer.json_bytes import decode_json
from indexer.value import field, value

# pathlib would bring `urllib.parse` and `ipaddress` into every cold start, 3 to 4 ms.
BAKED = os.path.join(
    os.path.dirname(__file__), "baked_settings.json"
)  # written by `setup.py ldist`, absent from the sources

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MAX_MAX_STALENESS_SECONDS = 86_400.0


@value
class Settings:
    """All settings.

    Attributes:
        bucket: as `indexer.store.open_store` takes it.
        bucket_region: where the bucket is, or "" when it is where the code runs; a function at the edge runs anywhere.
        repo_base_prefix: the folder in the bucket below which everything lies, or "".
        upstream_index_url: ends in `/`, or "" for the public index, whose URL is slow to look up; may carry
            credentials, so it is kept out of `repr`.
        logging_level: a level's name.
        api_gateway_base_path: "" or `/path` without a slash at its end.
        hash_dist_info_metadata: whether `dist-info-metadata` carries the digest too.
        max_staleness_seconds: for how long an answer may rest on what was read before; 0 is strict.
    """

    bucket: str
    bucket_region: str = ""
    repo_base_prefix: str = ""
    upstream_index_url: str = field(default="", repr=False)
    logging_level: str = "INFO"
    api_gateway_base_path: str = ""
    hash_dist_info_metadata: bool = False
    max_staleness_seconds: float = 0.0


def load_environ(environ: Mapping[str, str], baked: str | os.PathLike[str] = BAKED) -> Mapping[str, str]:
    """Return the environment variables with the baked settings behind them; an empty variable counts as none.

    Raises:
        InvalidValue: the file of baked settings is damaged.
    """
    try:
        with open(baked, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return environ
    return {**decode_baked(text), **{name: value for name, value in environ.items() if value.strip()}}


def decode_baked(body: bytes) -> Mapping[str, str]:
    """Return the settings in the file of baked settings.

    Raises:
        InvalidValue: it is something else than a JSON object of texts.
    """
    try:
        values = decode_json(body)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise InvalidValue(os.path.basename(BAKED), "(not shown)", "what `setup.py ldist --settings` writes")
    return values


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that these environment variables make; an empty variable counts as none.

    Raises:
        InvalidValue: one of them is not what it accepts; the error names the variable, the value and what is accepted.
    """
    if not environ.get("BUCKET", "").strip():
        _bucket("BUCKET", "")
    given = {name: environ[name].strip() for name in SETTINGS if environ.get(name, "").strip()}
    values: dict[str, Any] = {name.lower(): SETTINGS[name](name, text) for name, text in given.items()}
    return Settings(**values)


def check_setting(name: str, text: str) -> None:
    """Make sure that a setting of this name exists and accepts this value.

    Raises:
        InvalidValue: it does not.
    """
    if name not in SETTINGS:
        raise InvalidValue("setting", name, f"one of {', '.join(SETTINGS)}")
    SETTINGS[name](name, text)


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


def _region(name: str, text: str) -> str:
    if not all(part.isalnum() and part.isascii() and part == part.lower() for part in text.split("-")):
        raise InvalidValue(name, text, "the name of an AWS region, such as 'eu-west-1'")
    return text


def _prefix(name: str, text: str) -> str:
    segments = text.strip("/").split("/")
    if any(not segment or segment.startswith(".") for segment in segments) or not text.isprintable():
        raise InvalidValue(name, text, "folders separated by '/', none of which is empty or begins with '.'")
    return "/".join(segments)


def _index_url(name: str, text: str) -> str:
    from indexer.url import parse_index_url

    parse_index_url(text, source=name)
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


# A setting's name in lower case is its attribute's.
SETTINGS: Mapping[str, Callable[[str, str], object]] = {
    "BUCKET": _bucket,
    "BUCKET_REGION": _region,
    "REPO_BASE_PREFIX": _prefix,
    "UPSTREAM_INDEX_URL": _index_url,
    "LOGGING_LEVEL": _level,
    "API_GATEWAY_BASE_PATH": _base_path,
    "HASH_DIST_INFO_METADATA": _flag,
    "MAX_STALENESS_SECONDS": _seconds,
}
