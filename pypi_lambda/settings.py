"""The settings: environment variables, read in this one place, once, by an entry point.

A function at the edge has no environment, so settings can be baked into its zip; environment variables win over those.
A setting is a promise; what nobody needs to turn is a constant beside its use.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from indexer.errors import InvalidValue
from indexer.json_bytes import decode_json
from indexer.value import field, value

# pathlib would bring `urllib.parse` and `ipaddress` into every cold start, 3 to 4 ms.
BAKED = os.path.join(
    os.path.dirname(__file__), "baked_settings.json"
)  # written by `setup.py ldist`, absent from the sources

FORMATS = ("text", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
NO_UPSTREAM = "none"  # in the place of an upstream's URL
MAX_MAX_STALENESS_SECONDS = 86_400.0
MAX_RETENTION_DAYS = 36_500
MIN_KEY_KINDS = 8  # different characters: 43 random hexadecimal ones have fewer once in 10^11
MAX_MIN_AGE_DAYS = 36_500.0  # a hundred years: nothing will do, and no calculation with it overflows


@value
class Settings:
    """All settings.

    Attributes:
        bucket: as `indexer.store.open.open_store` takes it.
        bucket_region: where the bucket is, or "" when it is where the code runs; a function at the edge runs anywhere.
        repo_base_prefix: the folder in the bucket below which everything lies, or "".
        upstream_index_url: ends in `/`, or "" for the public index, whose URL is slow to look up, or `none`; may
            carry credentials, so it is kept out of `repr`.
        upstream_private_hosts: `host` or `host:port`, in lower case, that the upstream may name although their
            addresses are private.
        upstream_min_age_days: files of the upstream that are younger are held back; 0 for none.
        upstream_min_age_exempt: patterns of the projects of which none is.
        upstream_allow: patterns of the only projects that may come from the upstream; none for all.
        upstream_deny: patterns of those that may not.
        upstream_ask_unknown: whether the upstream is asked for names that its list does not have.
        upstream_require_digest: whether files that no announced digest proves are refused.
        logging_level: a level's name.
        logging_format: `text` or `json`, of a server's log; on Lambda the function's configuration says.
        metrics: whether the function writes a line of metrics for each invocation.
        api_gateway_base_path: "" or `/path` without a slash at its end.
        hash_dist_info_metadata: whether HTML pages have the digests of metadata; JSON has them always.
        max_staleness_seconds: for how long an answer may rest on what was read before; 0 is strict.
        mirror_retention_days: mirrored files that nobody used for so long are deleted; 0 for never.
        removed_retention_days: for how long the bytes of removed private files are kept; 0 for ever.
        password_key: what second verifiers of passwords are made with; empty for none.
    """

    bucket: str
    bucket_region: str = ""
    repo_base_prefix: str = ""
    upstream_index_url: str = field(default="", repr=False)
    upstream_private_hosts: frozenset[str] = frozenset()
    upstream_min_age_days: float = 0.0
    upstream_min_age_exempt: tuple[str, ...] = ()
    upstream_allow: tuple[str, ...] = ()
    upstream_deny: tuple[str, ...] = ()
    upstream_ask_unknown: bool = False
    upstream_require_digest: bool = False
    logging_level: str = "INFO"
    logging_format: str = "text"
    metrics: bool = False
    api_gateway_base_path: str = ""
    hash_dist_info_metadata: bool = True
    max_staleness_seconds: float = 0.0
    mirror_retention_days: int = 0
    removed_retention_days: int = 30
    password_key: bytes = field(default=b"", repr=False)

    @property
    def has_upstream(self) -> bool:
        """Whether there is another index to ask for what is not published here."""
        return self.upstream_index_url != NO_UPSTREAM


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
    if text.lower() == NO_UPSTREAM:
        return NO_UPSTREAM
    from indexer.upstream.url import parse_index_url

    parse_index_url(text, source=name)
    return text.rstrip("/") + "/"


def _hosts(name: str, text: str) -> frozenset[str]:
    hosts = frozenset(text.lower().replace(",", " ").split())
    if not all(re.fullmatch(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", host) for host in hosts):
        raise InvalidValue(name, text, "hosts as 'name', 'name:port' or '[address]:port', separated by commas")
    return hosts


def _patterns(name: str, text: str) -> tuple[str, ...]:
    from indexer.patterns import ACCEPTED, parse_patterns

    patterns = parse_patterns(text.replace(",", " ").split(), field=name)
    if not patterns:  # commas alone: none would mean all, of those that are allowed
        raise InvalidValue(name, text, ACCEPTED)
    return patterns


def _level(name: str, text: str) -> str:
    if text.upper() not in LEVELS:
        raise InvalidValue(name, text, f"one of {', '.join(LEVELS)}")
    return text.upper()


def _format(name: str, text: str) -> str:
    if text.lower() not in FORMATS:
        raise InvalidValue(name, text, f"one of {', '.join(FORMATS)}")
    return text.lower()


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
    return _number(name, text, "seconds", MAX_MAX_STALENESS_SECONDS)


def _days(name: str, text: str) -> float:
    return _number(name, text, "days", MAX_MIN_AGE_DAYS)


def _whole_days(name: str, text: str) -> int:
    if not text.isdecimal() or int(text[:9]) > MAX_RETENTION_DAYS:
        raise InvalidValue(name, text, f"a whole number of days from 0 to {MAX_RETENTION_DAYS:,}")
    return int(text)


def _key(name: str, text: str) -> bytes:
    # 43 of 62 characters hold 256 bits; as few kinds as a placeholder has, no random text of 43 does
    if not re.fullmatch(r"[A-Za-z0-9]{43,256}", text) or len(set(text)) < MIN_KEY_KINDS:
        raise InvalidValue(
            name, "(not shown)", "43 to 256 random letters and digits, such as secrets.token_hex(32) makes"
        )
    from hashlib import blake2b

    return blake2b(text.encode(), digest_size=32, person=b"spypi key").digest()


def _number(name: str, text: str, unit: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise InvalidValue(name, text, f"a number of {unit} from 0 to {most:,.0f}")
    return number


# A setting's name in lower case is its attribute's.
SETTINGS: Mapping[str, Callable[[str, str], object]] = {
    "BUCKET": _bucket,
    "BUCKET_REGION": _region,
    "REPO_BASE_PREFIX": _prefix,
    "UPSTREAM_INDEX_URL": _index_url,
    "UPSTREAM_PRIVATE_HOSTS": _hosts,
    "UPSTREAM_MIN_AGE_DAYS": _days,
    "UPSTREAM_MIN_AGE_EXEMPT": _patterns,
    "UPSTREAM_ALLOW": _patterns,
    "UPSTREAM_DENY": _patterns,
    "UPSTREAM_ASK_UNKNOWN": _flag,
    "UPSTREAM_REQUIRE_DIGEST": _flag,
    "LOGGING_LEVEL": _level,
    "LOGGING_FORMAT": _format,
    "METRICS": _flag,
    "API_GATEWAY_BASE_PATH": _base_path,
    "HASH_DIST_INFO_METADATA": _flag,
    "MAX_STALENESS_SECONDS": _seconds,
    "MIRROR_RETENTION_DAYS": _whole_days,
    "REMOVED_RETENTION_DAYS": _whole_days,
    "PASSWORD_KEY": _key,
}
