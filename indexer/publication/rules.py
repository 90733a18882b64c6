"""Whether a checked file may be published in a project as it is: the rules, one by one, for every way in. Pure.

PEP 792 (project status).
"""

from indexer.errors import Closed, Taken
from indexer.log.identity import find_same, is_withdrawn
from indexer.log.project import CLOSED_STATUSES, WITHHELD_STATUS, File, Project
from indexer.names import Filename
from indexer.publication.candidate import Candidate


class Published(Exception):
    """The file turned out to be published already, with these bytes: the wish is fulfilled."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self.file = file


def check_publishable(candidate: Candidate, project: Project) -> None:
    """Make sure that the project, as it is now, takes the file.

    Raises:
        Published: it has it.
        Taken: it has, or had, other content under this name or another spelling of it, or removed the version.
        Closed: it takes no files.
    """
    published = project.files.get(candidate.filename)
    if published is not None and project.status != WITHHELD_STATUS:
        check_same(candidate.filename, candidate.sha256, published)
        raise Published(published)
    check_open(project)
    check_unlike(project, candidate.filename, candidate.found.version, beside=candidate.beside)
    if is_withdrawn(project, candidate.found.version):
        raise Taken(
            f"version {candidate.found.version} of {project.name!r} was removed; restore it, or use another version"
        )


def check_open(project: Project) -> None:
    """Make sure that the project takes files.

    Raises:
        Closed: it does not.
    """
    if project.status in CLOSED_STATUSES:
        reason = f": {project.status_reason}" if project.status_reason else ""
        raise Closed(f"project {project.name!r} is {project.status} and takes no uploads{reason}")


def check_same(filename: Filename, sha256: str, published: File) -> None:
    """Make sure that a file is the one that is published under its name.

    Raises:
        Taken: it is not, or that one was removed.
    """
    if published.sha256 != sha256:
        # "File already exists" is what uv looks for before it compares digests itself.
        raise Taken(
            f"File already exists: {filename!r} was published with sha256 {published.sha256}, "
            f"and this one has {sha256}; a published file never changes, use another version"
        )
    if published.removed:
        raise Taken(f"File already exists: {filename!r} was published and removed; its name stays taken")


def check_unlike(
    project: Project, filename: Filename, version: str, *, beside: frozenset[Filename] = frozenset()
) -> None:
    """Make sure that no file that means the same by another spelling was published.

    Args:
        beside: files that may, while they are offered.

    Raises:
        Taken: one was.
    """
    same = find_same(project, filename, version)
    if same is None or (same.filename in beside and not same.removed):
        return
    what = "kind, version, build and tags are the same" if filename.endswith(".whl") else "a release has one sdist"
    raise Taken(
        f"File already exists: {same.filename!r} was published{' and removed' * same.removed}, and {filename!r} is "
        f"another name for it ({what}); use another version"
    )
