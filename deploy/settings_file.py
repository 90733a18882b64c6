"""The file that `ldist --settings` bakes into the zip: lines of NAME=value, named as the environment variables are.

A function behind Lambda@Edge has no environment, so this is its only way to settings.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deploy.errors import Unbuildable
from indexer.errors import InvalidValue
from pypi_lambda.settings import check_setting


def read_settings_file(path: Path) -> Mapping[str, str]:
    """Return the settings in the file; empty lines and lines that begin with `#` say nothing.

    Raises:
        Unbuildable: there is no such file, or a line is no setting, or a setting does not accept its value.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Unbuildable(f"{path} cannot be read: {error}") from None
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, value = _read_line(f"{path}, line {number}", line)
        if name in settings:
            raise Unbuildable(f"{path}, line {number}: {name} stands there twice")
        settings[name] = value
    return settings


def holds_credentials(settings: Mapping[str, str]) -> bool:
    """Whether a password, or the key of passwords' verifiers, would lie in the zip."""
    return "PASSWORD_KEY" in settings or "@" in urlsplit(settings.get("UPSTREAM_INDEX_URL", "")).netloc


def encode_settings(settings: Mapping[str, str]) -> bytes:
    """Return the file of baked settings, which `pypi_lambda.settings.decode_baked` reads."""
    return json.dumps(settings, indent=1, sort_keys=True).encode() + b"\n"


def _read_line(place: str, line: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in line.partition("="))
    if not (equals and name and value):
        raise Unbuildable(f"{place}: expected NAME=value")  # the line itself may hold a password
    try:
        check_setting(name, value)
    except InvalidValue as error:
        raise Unbuildable(f"{place}: {error}") from None
    return name, value
