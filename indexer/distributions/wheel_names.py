"""Whether a wheel's name is one that installers take, for a project. Pure.

The metadata of others is not announced: who reads it from the wheel must know whose it should be.

PEP 427 (name), PEP 440 (version), PEP 425 (tags), as `packaging.utils.parse_wheel_filename` has them.
"""

import re

from indexer.names import ProjectName, normalize_spelling

# What nearly all wheels are called: `packaging` takes 25 ms to import, and 20 µs a name.
_PLAIN = re.compile(
    r"([A-Za-z0-9]+(?:[._][A-Za-z0-9]+)*)"
    r"-[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}(?:(?:a|b|rc)[0-9]{1,9})?(?:\.post[0-9]{1,9})?(?:\.dev[0-9]{1,9})?"
    r"(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*)?"
    r"(?:-[0-9]{1,9}[a-z_]?)?"
    r"-[a-z]+[0-9]*(?:\.[a-z]+[0-9]*)*-[a-z0-9_]+(?:\.[a-z0-9_]+)*-[a-z0-9_]+(?:\.[a-z0-9_]+)*\.whl"
)


def is_wheel_of(project: ProjectName, filename: str) -> bool:
    """Tell whether a file's name is that of a wheel of this project."""
    plain = _PLAIN.fullmatch(filename)
    if plain is not None:
        return normalize_spelling(plain[1]) == project
    if not filename.endswith(".whl"):
        return False
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        return str(parse_wheel_filename(filename)[0]) == project
    except InvalidWheelFilename:
        return False
