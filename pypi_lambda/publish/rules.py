"""Whether a checked file may be published in a project as it is: the rules, one by one. Pure.

PEP 792 (project status).
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

from indexer.distributions.distribution import Distribution
from indexer.log.identity import find_same, is_withdrawn
from indexer.log.project import CLOSED_STATUSES, WITHHELD_STATUS, File, Project
from indexer.names import Filename, ProjectName
from indexer.value import value
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import Conflict, Forbidden


@value
class Candidate:
    """A file that was checked and is to be published.

    Attributes:
        found: what the check found.
        size: in bytes.
        chunks: begins to read the content, from its start, each time it is called.
        provenance: what it was uploaded with attests, as it is served, or None.
        upload_time: `YYYY-MM-DDThh:mm:ss.ffffffZ` where it was uploaded to another index before; None for now.
        beside: files that may mean the same by another spelling: those that it comes from another index with.
    """

    filename: Filename
    found: Distribution
    size: int
    sha256: str
    chunks: Callable[[], Iterator[bytes]]
    provenance: bytes | None = None
    upload_time: str | None = None
    beside: frozenset[Filename] = frozenset()

    @property
    def project(self) -> ProjectName:
        """The project whose file it is."""
        return self.found.project

    @property
    def provenance_sha256(self) -> str | None:
        """The digest of the provenance, or None."""
        return None if self.provenance is None else sha256(self.provenance).hexdigest()


class Published(Exception):
    """The file turned out to be published already, with these bytes: the wish is fulfilled."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self.file = file


def check_permitted(user: User, project: ProjectName) -> None:
    """Make sure that the user may upload to the project.

    Raises:
        Forbidden: it may not.
    """
    if not user.may_publish(project):
        patterns = " and ".join(", ".join(limit) for limit in (user.projects, user.token_projects) if limit)
        raise Forbidden(f"{user.username!r} may not upload {project!r}; it may upload {patterns or 'nothing'}")


def check_publishable(candidate: Candidate, project: Project) -> None:
    """Make sure that the project, as it is now, takes the file.

    Raises:
        Published: it has it.
        Conflict: it has, or had, other content under this name or another spelling of it, or removed the version.
        Forbidden: it takes no files.
    """
    published = project.files.get(candidate.filename)
    if published is not None and project.status != WITHHELD_STATUS:
        check_same(candidate.filename, candidate.sha256, published)
        raise Published(published)
    check_open(project)
    check_unlike(project, candidate.filename, candidate.found.version, beside=candidate.beside)
    if is_withdrawn(project, candidate.found.version):
        raise Conflict(
            f"version {candidate.found.version} of {project.name!r} was removed; restore it, or use another version"
        )


def check_open(project: Project) -> None:
    """Make sure that the project takes files.

    Raises:
        Forbidden: it does not.
    """
    if project.status in CLOSED_STATUSES:
        reason = f": {project.status_reason}" if project.status_reason else ""
        raise Forbidden(f"project {project.name!r} is {project.status} and takes no uploads{reason}")


def check_same(filename: Filename, sha256: str, published: File) -> None:
    """Make sure that a file is the one that is published under its name.

    Raises:
        Conflict: it is not, or that one was removed.
    """
    if published.sha256 != sha256:
        # "File already exists" is what uv looks for before it compares digests itself.
        raise Conflict(
            f"File already exists: {filename!r} was published with sha256 {published.sha256}, "
            f"and this one has {sha256}; a published file never changes, use another version"
        )
    if published.removed:
        raise Conflict(f"File already exists: {filename!r} was published and removed; its name stays taken")


def check_unlike(
    project: Project, filename: Filename, version: str, *, beside: frozenset[Filename] = frozenset()
) -> None:
    """Make sure that no file that means the same by another spelling was published.

    Args:
        beside: files that may, while they are offered.

    Raises:
        Conflict: one was.
    """
    same = find_same(project, filename, version)
    if same is None or (same.filename in beside and not same.removed):
        return
    what = "kind, version, build and tags are the same" if filename.endswith(".whl") else "a release has one sdist"
    raise Conflict(
        f"File already exists: {same.filename!r} was published{' and removed' * same.removed}, and {filename!r} is "
        f"another name for it ({what}); use another version"
    )
