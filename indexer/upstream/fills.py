"""What we add to an upstream's page because the upstream leaves it out: `size`, `upload-time`, `core-metadata`. Pure.

A file's entry says under `_filled` which of its values are ours: so the next page of the upstream takes them over, and
a value that the upstream itself gives one day replaces ours. What the file itself turned out to have outranks its word:
the size of what has its digest, and that it has no metadata, or the digest of what it has.

PEP 658, 691 ("Keys (at any level) with a leading underscore are reserved as private"), 700, 714.
"""

from collections.abc import Mapping
from typing import Any

from indexer.digests import Hashes, proves
from indexer.names import Filename
from indexer.simple.wire import ProjectPage

FILLED = "_filled"
_KEYS = ("size", "upload-time", "core-metadata")  # in this order: equal pages are equal bytes


def advertised(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a wheel about whose metadata the upstream says nothing, with word that there is some."""
    return {**entry, "core-metadata": True, FILLED: ["core-metadata"]}


def filled(
    page: ProjectPage,
    filename: Filename,
    *,
    size: int | None,
    upload_time: str | None,
    metadata: bool | Hashes | None,
) -> ProjectPage:
    """Return the page with what the upstream does not say about one of its files.

    Args:
        metadata: what its metadata turned out to be: the digests, or False for none.
    """
    found = {"size": size, "upload-time": upload_time, "core-metadata": metadata}
    found = {key: value for key, value in found.items() if value is not None}
    return _with_files(page, [_filled(file, found) if file["filename"] == filename else file for file in page["files"]])


def with_fills_of(page: ProjectPage, before: ProjectPage) -> ProjectPage:
    """Return the page with what was filled in on the page before it, for the files that are still the same."""
    earlier = {file["filename"]: file for file in before["files"] if FILLED in file}
    files: list[Any] = []
    for file in page["files"]:
        old = earlier.get(file["filename"])
        same = old is not None and _agree(file["hashes"], old["hashes"])
        files.append(_filled(file, _ours(old)) if same else file)
    return _with_files(page, files)


def filled_facts(page: ProjectPage) -> Mapping[Filename, Mapping[str, Any]]:
    """Return the sizes and upload times that were filled in, by file name and `Source`'s attribute."""
    files: Any = page["files"]
    found = {Filename(file["filename"]): _facts(file) for file in files if FILLED in file}
    return {filename: facts for filename, facts in found.items() if facts}


def _facts(file: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key.replace("-", "_"): file[key] for key in ("size", "upload-time") if key in file[FILLED]}


def _agree(one: Hashes, other: Hashes) -> bool:
    # A file without a digest is served as it was taken in, so its name is all that matters.
    return all(one[algorithm] == digest for algorithm, digest in other.items() if algorithm in one)


def _filled(entry: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    ours = _ours(entry)
    # What the file itself turned out to have outranks what the upstream says of it.
    proved = "core-metadata" if values.get("core-metadata", True) is not True else None
    news = {
        key: value
        for key, value in values.items()
        if key not in entry or key in ours or key == proved or _is_wrong(entry, key, value)
    }
    news = {key: value for key, value in news.items() if entry.get(key) != value}
    return _with_ours(entry, {**ours, **news}) if news else entry


def _is_wrong(entry: Mapping[str, Any], key: str, value: object) -> bool:
    """Tell whether the upstream says another size than the file with the announced digest has."""
    return key == "size" and entry["size"] != value and proves(entry["hashes"])


def _ours(entry: Any) -> dict[str, Any]:
    return {key: entry[key] for key in entry.get(FILLED, ()) if key in entry}


def _with_ours(entry: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    theirs = {key: value for key, value in entry.items() if key != FILLED and key not in ours}
    keys = [key for key in _KEYS if key in ours]
    return {**theirs, **{key: ours[key] for key in keys}, FILLED: keys}


def _with_files(page: ProjectPage, files: list[Any]) -> ProjectPage:
    return {**page, "files": files}
