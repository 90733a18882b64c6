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
        _check_same(candidate.filename, candidate.sha256, published)
        raise Published(published)
    _check_new(project, candidate.filename, candidate.found.version, candidate.beside)


def is_published(project: Project, filename: Filename, version: str, sha256: str) -> bool:
    """Tell whether a file is published, before it is sent: by its name and its digest alone.

    Raises:
        Taken, Closed: it would be refused; see `check_publishable`.
    """
    published = project.files.get(filename)
    if published is not None:
        _check_same(filename, sha256, published)
        return True
    _check_new(project, filename, version, frozenset())
    return False


def _check_new(project: Project, filename: Filename, version: str, beside: frozenset[Filename]) -> None:
    _check_open(project)
    _check_unlike(project, filename, version, beside)
    if is_withdrawn(project, version):
        raise Taken(f"version {version} of {project.name!r} was removed; restore it, or use another version")


def _check_open(project: Project) -> None:
    if project.status in CLOSED_STATUSES:
        reason = f": {project.status_reason}" if project.status_reason else ""
        raise Closed(f"project {project.name!r} is {project.status} and takes no uploads{reason}")


def _check_same(filename: Filename, sha256: str, published: File) -> None:
    if published.sha256 != sha256:
        # "File already exists" is what uv looks for before it compares digests itself.
        raise Taken(
            f"File already exists: {filename!r} was published with sha256 {published.sha256}, "
            f"and this one has {sha256}; a published file never changes, use another version"
        )
    if published.removed:
        raise Taken(f"File already exists: {filename!r} was published and removed; its name stays taken")


def _check_unlike(project: Project, filename: Filename, version: str, beside: frozenset[Filename]) -> None:
    """Make sure that nothing was published that means the same by another spelling, but what is offered of `beside`."""
    same = find_same(project, filename, version)
    if same is None or (same.filename in beside and not same.removed):
        return
    what = "kind, version, build and tags are the same" if filename.endswith(".whl") else "a release has one sdist"
    raise Taken(
        f"File already exists: {same.filename!r} was published{' and removed' * same.removed}, and {filename!r} is "
        f"another name for it ({what}); use another version"
    )
