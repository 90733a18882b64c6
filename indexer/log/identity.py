"""Which published files stand in the way of another: installers take one file for one kind, version, build and set of
tags, and which of several spellings it would be differs from one to the next.

PEP 440 (1.0 and 1.0.0 are one version), PEP 427 (build and tags of a wheel), PEP 503 (spellings of a name). Not on the
hot path: `packaging` is imported where it is first needed.
"""

from indexer.log.project import File, Project
from indexer.names import Filename
from indexer.value import value
from indexer.version import version_key


@value
class Slot:
    """What one file of a version can be for an installer; a release has one sdist.

    Attributes:
        build: of a wheel, without leading zeros; "" where it has none.
        tags: of a wheel: interpreters, ABIs, platforms.
    """

    build: str = ""
    tags: tuple[frozenset[str], ...] = ()


def find_same(project: Project, filename: Filename, version: str) -> File | None:
    """Return a file, offered or removed, that is published under another spelling of this name, or None."""
    wanted, key = slot_of(filename), version_key(version)
    for file in project.files.values():
        if file.filename != filename and version_key(file.version) == key and slot_of(file.filename) == wanted:
            return file
    return None


def is_withdrawn(project: Project, version: str) -> bool:
    """Tell whether a version was removed, with all its files: then none is published again, whatever its name."""
    key = version_key(version)
    files = [file for file in project.files.values() if version_key(file.version) == key]
    return bool(files) and all(file.removed for file in files)


def slot_of(filename: Filename) -> Slot:
    """Return what a published file is beside its version, by its name."""
    if not filename.endswith(".whl"):
        return Slot()
    stem, *tags = filename.removesuffix(".whl").lower().rsplit("-", 3)
    build = stem.split("-", 2)[2:]
    # "Must start with a digit. … sorted as a two-item tuple": 01 and 1 are one build
    return Slot(
        build=build[0].lstrip("0") or "0" if build else "", tags=tuple(frozenset(tag.split(".")) for tag in tags)
    )
