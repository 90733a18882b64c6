"""Whether bytes are the metadata of a project's file: what METADATA or PKG-INFO says of itself. Pure.

Read as pip reads it: the first header of a name counts, and what is no header ends them. On the way of every request
for metadata, so nothing slow is imported unless a version is spelled in two ways.

"Core metadata specifications"; PEP 503 for what names are equal.
"""

import re

from indexer.names import ProjectName, is_project
from indexer.version import is_same_version

MAX_HEADER_BYTES = 262_144  # 256 KiB, in which Name and Version stand: they come first, and all headers have some 20 KB
# What `email.feedparser` takes for a header, or for one that goes on.
_LINE = re.compile(rb"(?:([!-9;-~]+)[ \t]*:[ \t]*([^\r\n]*)|[ \t][^\r\n]*)(?:\r\n|\r|\n|\Z)")


def is_metadata_of(body: bytes, project: ProjectName, version: str) -> bool:
    """Tell whether this is the metadata of a version of a project.

    Args:
        version: as the file's name has it.
    """
    said = find_version(body, project)
    return said is not None and is_same_version(said, version)


def find_version(body: bytes, project: ProjectName) -> str | None:
    """Return the version that metadata of a project names, or None when it is no metadata of this project."""
    headers = _first_headers(body)
    name, version = headers.get(b"name", ""), headers.get(b"version", "")
    return version if version and is_project(name, project) else None


def version_in(filename: str) -> str:
    """Return the version that a wheel's or an sdist's name has, "" where it has none.

    A wheel's name writes `_` where its version has `-`; PEP 440 takes both.
    """
    if filename.endswith(".whl"):
        parts = filename.split("-")
        return parts[1] if len(parts) in (5, 6) else ""
    stem = filename.removesuffix(".tar.gz").removesuffix(".zip")
    return stem.rpartition("-")[2] if stem != filename else ""


def _first_headers(body: bytes) -> dict[bytes, str]:
    head = body[:MAX_HEADER_BYTES]
    found: dict[bytes, str] = {}
    position = 0
    while position < len(head) and (line := _LINE.match(head, position)):
        position = line.end()
        name = (line[1] or b"").lower()
        if name in (b"name", b"version") and name not in found:
            found[name] = line[2].decode("utf-8", "replace").strip()
            if len(found) == 2:
                break
    return found
