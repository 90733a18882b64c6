"""METADATA and PKG-INFO: read as installers read them, and checked by the core metadata specifications.

What `packaging.metadata` knows of a field counts; here are the bounds, the sentences, and what it is too strict in. The
fields are parsed without the description, which costs time in proportion to a square of its headers, and says nothing
to an installer. Not on the hot path: `packaging.metadata` and `email` are imported where they are first needed.

"Core metadata specifications" (PEP 241, 314, 345, 566, 643, 639, 685, 794), PEP 508 for requirements.
"""

import re
from typing import Any

from indexer.distributions.filenames import DistributionName
from indexer.errors import InvalidValue
from indexer.names import is_project
from indexer.value import value
from indexer.version import is_version

MAX_FIELDS_BYTES = 1_048_576  # 1 MiB: old sdists have the description among the fields, rarely of over 300 KiB
MAX_LINES = 20_000  # of fields: the largest known sets of extras take 3,000
MAX_FIELD_NAMES = 100  # different ones; the specifications have 33. `parse_email` looks all up once for each
MAX_VALUE_LENGTH = 2_000  # of what is parsed; the longest requirements in public use have some 500 characters
MAX_SPECIFIER_LENGTH = 1_000  # the longest in public use exclude a dozen patch releases: about 200
MAX_PARSED_BYTES = 262_144  # 256 KiB of what is parsed in all: 3,000 requirements of 85 bytes

# What is only kept, and so may be long: a licence's text among it. The others are parsed.
_PLAIN = frozenset({"description", "license", "summary", "author", "keywords", "classifiers", "project_urls"})
_HEADER = re.compile(rb"[!-9;-~]+:|[ \t]")  # or what goes on with one
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")


@value
class Described:
    """What metadata says.

    Attributes:
        requires_python: the archive's own words, on one line.
        left_out: values that are invalid and were read past, as sentences.
    """

    requires_python: str | None
    left_out: tuple[str, ...] = ()


def check_metadata(data: bytes, said: DistributionName, *, lenient: bool = False) -> Described:
    """Return what the metadata says, once it agrees with the file's name.

    Args:
        lenient: read past invalid values, as installers do.

    Raises:
        InvalidValue: field `content`, `name`, `version`, `requires_python`, or the header.
    """
    raw, refusals = _parse(data)
    name, version = raw.get("name"), raw.get("version")
    if name is None and version is None and "metadata_version" not in raw and not refusals:
        raise InvalidValue("content", data[:40], "metadata has headers Metadata-Version, Name and Version")
    for refusal in refusals:
        if refusal.field in ("Name", "Version") or not lenient:
            raise refusal
    if name is None or not is_project(name, said.project):
        raise InvalidValue(
            "name", name, f"the archive's metadata names the project of the file's name, {said.project!r}"
        )
    if version is None or not is_version(version, said.version):
        raise InvalidValue(
            "version", version, f"the archive's metadata has the version of the file's name, {said.version!r}"
        )
    requires_python = " ".join(raw.get("requires_python", "").split()) or None
    for refusal in _refusals(raw, requires_python):
        refusals.append(refusal)
        if not lenient:
            raise refusal
    if any(refusal.field == "requires_python" for refusal in refusals):
        requires_python = None
    return Described(requires_python=requires_python, left_out=tuple(map(str, refusals)))


def _parse(data: bytes) -> tuple[dict[str, Any], list[InvalidValue]]:
    """Return the fields as `packaging` names them, and what is wrong with the way in which they are written."""
    from packaging.metadata import parse_email

    fields = _fields_of(data)
    broken = next((line for line in fields.splitlines() if not _HEADER.match(line)), None)
    if broken is not None:  # for the email package the headers end there, and those behind it are text
        raise InvalidValue("content", broken[:80], "metadata is headers, then a blank line, then text")
    raw, unparsed = parse_email(fields.rstrip(b"\r\n") + b"\n\n")
    refusals = [
        InvalidValue(_title(name), _shown(values), "metadata has this header once, in UTF-8")
        for name, values in unparsed.items()
        if name in _names() and name != "project-url"  # pip and uv take a label twice
    ]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as fault:  # pip ends at the description, too
        refusals.append(InvalidValue("content", data[max(0, fault.start - 20) : fault.end + 20], "metadata is UTF-8"))
    parsed = sum(len(item) for key, values in raw.items() if key not in _PLAIN for item in _list_of(values))
    if parsed > MAX_PARSED_BYTES:
        raise InvalidValue("content", fields[:80], f"metadata has at most {MAX_PARSED_BYTES:,} bytes of requirements")
    return dict(raw), refusals


def _fields_of(data: bytes) -> bytes:
    """Return the headers alone, when they are few enough to be looked at."""
    blank = _BLANK_LINE.search(data)
    fields = data[: blank.start()] if blank else data
    lines = fields.splitlines()
    names = {line.partition(b":")[0].lower() for line in lines if line[:1] not in (b" ", b"\t")}
    if len(fields) > MAX_FIELDS_BYTES or len(lines) > MAX_LINES or len(names) > MAX_FIELD_NAMES:
        raise InvalidValue(
            "content",
            fields[:80],
            f"metadata has at most {MAX_FIELDS_BYTES:,} bytes of headers in {MAX_LINES:,} lines, "
            f"and {MAX_FIELD_NAMES} different ones",
        )
    return fields


def _refusals(raw: dict[str, Any], requires_python: str | None) -> list[InvalidValue]:
    """Return what the specifications refuse, one by one."""
    from packaging.metadata import Metadata

    found = [*_too_long(raw), *_specifier_refusals(requires_python)]
    checked = {key: values for key, values in raw.items() if key != "requires_python" and not _is_long(key, values)}
    if checked.get("metadata_version") in _versions():
        # Builders write fields before the version that brought them: setuptools License-File for years, hatchling
        # License-Expression. Installers read fields, and none goes by the version.
        checked["metadata_version"] = _versions()[-1]
    try:
        Metadata.from_raw(checked)  # type: ignore[arg-type]  # it was made of a RawMetadata
    except ExceptionGroup as group:
        found += [_explained(fault, raw) for fault in group.exceptions]
    except RecursionError:
        found.append(InvalidValue("content", "(not shown)", "metadata nests no parentheses by the hundred"))
    return found


def _explained(fault: Any, raw: dict[str, Any]) -> InvalidValue:
    """Return a library's fault as one sentence with the field and the value."""
    name = fault.field.lower()
    if name == "metadata-version":
        return InvalidValue(
            "Metadata-Version", raw.get("metadata_version"), f"one of {', '.join(_versions())} is accepted"
        )
    values = raw.get(_names().get(name, ""))
    bad = next((item for item in _list_of(values) if repr(item).lower() in str(fault).lower()), values)
    why = str(fault.__cause__ or fault).partition("\n")[0]
    return InvalidValue(_title(name), bad, why)


def _too_long(raw: dict[str, Any]) -> list[InvalidValue]:
    return [
        InvalidValue(_title(name), _list_of(raw[key])[0], f"a value has at most {MAX_VALUE_LENGTH:,} characters")
        for name, key in _names().items()
        if key in raw and key != "requires_python" and _is_long(key, raw[key])
    ]


def _is_long(key: str, values: Any) -> bool:
    return key not in _PLAIN and any(len(item) > MAX_VALUE_LENGTH for item in _list_of(values))


def _specifier_refusals(text: str | None) -> list[InvalidValue]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if text is None:
        return []
    if len(text) > MAX_SPECIFIER_LENGTH:
        accepted = f"a version specifier has at most {MAX_SPECIFIER_LENGTH:,} characters"
        return [InvalidValue("requires_python", text, accepted)]
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return [InvalidValue("requires_python", text, "a version specifier such as '>=3.11' is accepted")]
    return []


def _list_of(values: Any) -> list[str]:
    return [values] if isinstance(values, str) else [] if values is None else list(values)


def _shown(values: list[str]) -> str:
    return ", ".join(map(str, values))


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.replace("_", "-").split("-"))


def _names() -> dict[str, str]:
    """Return the fields' names in `packaging`, by their headers' names in small letters."""
    from packaging.metadata import _EMAIL_TO_RAW_MAPPING  # the only place where the library says which headers it knows

    return _EMAIL_TO_RAW_MAPPING


def _versions() -> list[str]:
    from packaging.metadata import _VALID_METADATA_VERSIONS

    return _VALID_METADATA_VERSIONS
