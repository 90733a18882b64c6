"""Project names and file names: what a safe one is, and the types that say it was checked.

Store keys are built only from these types. `packaging` is imported by `indexer.distributions.distribution`, never here:
this module is on the hot path.

PEP 503 (normalised names), the "Names and normalization" specification, and PEP 427 / 625 for file names.
"""

from typing import NewType

from indexer.errors import InvalidValue
from indexer.lazy_pattern import pattern

ProjectName = NewType("ProjectName", str)
"""A normalised project name: lower case, runs of `-_.` are one `-`."""

Filename = NewType("Filename", str)
"""A single path segment of printable ASCII that can be a distribution's name; never `.`/`..`, no `/`. One that is
published here has no space and no bracket either."""

MAX_NAME_LENGTH = 200  # the longest among 927,000 public names is under 100
MAX_FILENAME_LENGTH = 246  # file systems stop at 255 bytes, and `.metadata` is appended

# "valid non-normalized names: ^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$ with re.IGNORECASE"
_NAME = pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SEPARATORS = pattern(r"[-_.]+")
_NORMALIZED = pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILENAME = pattern(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*")
# What pip takes beside that, as far as it means nothing to a shell's, a header's or a URL's parser when it is quoted.
_LISTED_FILENAME = pattern(r"[A-Za-z0-9_](?:[A-Za-z0-9._+!~,=@()\[\] -]*[A-Za-z0-9._+!~,=@()\[\]-])?")


def normalize_name(raw: str, *, field: str = "name") -> ProjectName:
    """Return the normalised form of a project name.

    Args:
        raw: a name as a person or a client wrote it.
        field: what the value is called where it came from, for the error.

    Raises:
        InvalidValue: the text cannot be a project's name.
    """
    if is_normalized(raw):
        return ProjectName(raw)
    if len(raw) > MAX_NAME_LENGTH or not _NAME.fullmatch(raw):
        raise InvalidValue(
            field,
            raw,
            f"a project name is at most {MAX_NAME_LENGTH} ASCII letters, digits, '-', '_' and '.', "
            "and begins and ends with a letter or digit",
        )
    return ProjectName(normalize_spelling(raw))


def normalize_spelling(text: str) -> str:
    """Return any text as a normalised name has it: lower case, and runs of `-_.` are one `-`."""
    return _SEPARATORS.sub("-", text).lower()


def is_project(raw: str, project: ProjectName) -> bool:
    """Tell whether a text is a spelling of a project's name."""
    try:
        return normalize_name(raw) == project
    except InvalidValue:
        return False


def is_normalized(name: str) -> bool:
    """Tell whether a text is a project name in its normalised form."""
    return len(name) <= MAX_NAME_LENGTH and _NORMALIZED.fullmatch(name) is not None


def check_filename(raw: str, *, field: str = "filename") -> Filename:
    """Return the text as a `Filename`.

    Raises:
        InvalidValue: it has a path separator, a control character, a character no distribution's name has, or is too
            long.
    """
    if len(raw) > MAX_FILENAME_LENGTH or not _FILENAME.fullmatch(raw) or ".." in raw:
        raise InvalidValue(
            field,
            raw,
            f"a file name is at most {MAX_FILENAME_LENGTH} ASCII letters, digits and '._+!-', without a path "
            "and without '..'",
        )
    return Filename(raw)


def check_listed_filename(raw: str, *, field: str = "filename") -> Filename:
    """Return the name of a file that an upstream lists, which may have spaces and brackets, as a `Filename`.

    Raises:
        InvalidValue: it has a path separator, a control character, what only some parsers read alike, or is too long.
    """
    if len(raw) > MAX_FILENAME_LENGTH or not _LISTED_FILENAME.fullmatch(raw) or ".." in raw:
        raise InvalidValue(
            field,
            raw,
            f"a file name is at most {MAX_FILENAME_LENGTH} ASCII letters, digits, spaces and '._+!~,=@()[]-', "
            "without a path and without '..'",
        )
    return Filename(raw)
