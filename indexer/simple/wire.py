"""The shapes of simple API pages as JSON carries them: the only place where pages are dicts.

Knows only types; who reads a page from outside has checked it against these before it is one.

Simple repository API 1.4 (PEP 503, 592, 629, 658, 691, 700, 714, 740, 792).
"""

from typing import NotRequired, TypedDict

from indexer.digests import Hashes

API_VERSION = "1.4"  # 1.5 would promise `namespaces` (PEP 752); HTML stays at 1.4 for good (PEP 833)

Meta = TypedDict("Meta", {"api-version": str})


class ProjectStatus(TypedDict):
    """What the owner says of a project as a whole (PEP 792)."""

    status: NotRequired[str]
    reason: NotRequired[str]


ProjectFile = TypedDict(
    "ProjectFile",
    {
        "filename": str,
        "url": str,
        "hashes": Hashes,
        "size": NotRequired[int],
        "upload-time": NotRequired[str],
        "requires-python": NotRequired[str | None],
        "core-metadata": NotRequired[bool | Hashes],
        "yanked": NotRequired[bool | str],
        "gpg-sig": NotRequired[bool],
        "provenance": NotRequired[str | None],
        "_unverified": NotRequired[bool],
    },
)
"""One file; `size` in bytes, `upload-time` as `YYYY-MM-DDThh:mm:ss.ffffffZ`, `yanked` a reason or a flag.

There is no `dist-info-metadata`: pip 22.3 to 23.1.2 end with a traceback where JSON has it, whatever its value is.
"""


class HeldBack(TypedDict):
    """How many files are not offered yet, and when the next of them is, or None where that is not known."""

    files: int
    until: str | None


class DroppedFile(TypedDict):
    """A file of the upstream that is not served; its name may be unsafe."""

    filename: str
    reason: str


class DroppedFiles(TypedDict):
    """How many files of the upstream are not served, and the first of them."""

    count: int
    files: list[DroppedFile]


ProjectPage = TypedDict(
    "ProjectPage",
    {
        "meta": Meta,
        "name": str,
        "versions": NotRequired[list[str]],
        "files": list[ProjectFile],
        "project-status": NotRequired[ProjectStatus],
        "_held-back": NotRequired[HeldBack],
        "_dropped": NotRequired[DroppedFiles],
    },
)


class RootProject(TypedDict):
    """A project in the root listing."""

    name: str


class RootPage(TypedDict):
    """The root listing."""

    meta: Meta
    projects: list[RootProject]
