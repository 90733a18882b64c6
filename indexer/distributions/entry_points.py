"""`entry_points.txt` of a wheel: what installers make commands of, checked by the specification's rules.

"Entry points specification": an INI file in UTF-8, read by `configparser` with `=` alone between name and reference.
Not on the hot path.
"""

import re

from indexer.errors import InvalidValue

MAX_BYTES = 262_144  # 256 KiB: the largest in public use have some 40
# "Group names must be one or more groups of letters, numbers and underscores, separated by dots"
_GROUP = re.compile(r"\w+(\.\w+)*")
# "either importable.module or importable.module:object.attr", with extras in brackets behind it
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<attr>[\w.]+)\s*)?(\[.*\]\s*)?")
# What installers write a program for; its name becomes a file's.
_SCRIPTS = ("console_scripts", "gui_scripts")


def check_entry_points(data: bytes) -> None:
    """Make sure that every reader finds the same entry points.

    Raises:
        InvalidValue: field `entry_points.txt`: the line, group or reference that is none.
    """
    for group, entries in _read(data).items():
        if not _GROUP.fullmatch(group):
            raise _refusal(group, "a group's name is letters, digits and underscores, with dots between them")
        for name, reference in entries.items():
            _check_entry(group, name, reference)


def _read(data: bytes) -> dict[str, dict[str, str]]:
    from configparser import ConfigParser
    from configparser import Error as ConfigError

    if len(data) > MAX_BYTES:
        raise _refusal(data[:40], f"it has at most {MAX_BYTES:,} bytes")
    parser = ConfigParser(delimiters=("=",), interpolation=None, default_section="", empty_lines_in_values=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # "names are case-sensitive"
    try:
        parser.read_string(data.decode("utf-8"), "entry_points.txt")
    except UnicodeDecodeError:
        raise _refusal(data[:40], "it is UTF-8") from None
    except ConfigError as fault:
        raise _refusal(data[:200], f"it is an INI file: {' '.join(str(fault).split())}") from None
    return {group: dict(parser.items(group)) for group in parser.sections()}


def _check_entry(group: str, name: str, reference: str) -> None:
    match = _REFERENCE.fullmatch(reference)
    where = f"{group}: {name} = {reference}"
    if match is None or not all(part for text in (match["module"], match["attr"] or "x") for part in text.split(".")):
        raise _refusal(where, "an entry point names a module, or 'module:object'")
    if group in _SCRIPTS:
        if match["attr"] is None:
            raise _refusal(where, "a script names a function, 'module:function'")
        if "/" in name or "\\" in name or name.startswith("."):
            raise _refusal(where, "a script's name is a file's name")


def _refusal(found: str | bytes, accepted: str) -> InvalidValue:
    return InvalidValue("entry_points.txt", found, accepted)
