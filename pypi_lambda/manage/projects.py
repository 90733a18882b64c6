"""Commands on private projects: their status, their list, and what is known of one.

PEP 792 (project status).
"""

from itertools import islice
from typing import Annotated

from indexer.errors import InvalidValue
from indexer.log.events import MAX_REASON_LENGTH, ProjectStatusSet
from indexer.log.project import STATUSES, File, Project
from indexer.names import Filename, ProjectName
from indexer.value import value
from pypi_lambda.command.context import Context, Result

MAX_LISTED = 20_000  # names of at most 200 characters: an answer of less than 5 MB, and Lambda's may have 6
MAX_FILES_SHOWN = 2_000  # of at most 1.5 KB each


def parse_reason(field: str, value: object) -> str | None:
    """Return a reason for a change, or None for none.

    Raises:
        InvalidValue: it is no text on one line, or too long.
    """
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_REASON_LENGTH or not value.isprintable():
        raise InvalidValue(field, value, f"one line of at most {MAX_REASON_LENGTH:,} printable characters")
    return value


def get_private(context: Context, name: ProjectName, *, field: str) -> Project:
    """Return a private project as the end of the log has it.

    Raises:
        InvalidValue: there is none of this name.
    """
    index = context.service.index
    view = index.refresh()
    if view.current.projects.find(name) is None:
        raise InvalidValue(field, name, "there is no private project of this name")
    return index.project(view, name)


def _parse_status(field: str, value: object) -> str | None:
    if value is not None and value not in STATUSES:
        raise InvalidValue(field, value, f"one of {', '.join(STATUSES)}")
    return value


@value
class ProjectStatus:
    """Give a project a status, or say which it has.

    Attributes:
        status: one of `STATUSES`, or None to leave it as it is.
        reason: None leaves it as it is where the status stays.
    """

    project: ProjectName
    status: Annotated[str | None, _parse_status] = None
    reason: Annotated[str | None, parse_reason] = None
    short = "project"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        project = get_private(context, self.project, field="projectStatus.project")
        if self.status is None:
            if self.reason is not None:
                raise InvalidValue("projectStatus.reason", self.reason, "a reason goes with a status")
            return {**_status_of(project), "changed": False}
        same = self.status == project.status
        reason = self.reason if self.reason is not None else project.status_reason if same else ""
        changed = not same or reason != project.status_reason
        if changed:
            context.append(ProjectStatusSet(project=project.name, status=self.status, reason=reason))
        return {"project": project.name, "status": self.status, "reason": reason, "changed": changed}


@value
class ListProjects:
    """List the private projects by name, some at a time.

    Attributes:
        after: the name after which to go on; "" for the beginning.
        limit: how many, at most.
    """

    after: str = ""
    limit: int = MAX_LISTED

    def run(self, context: Context) -> Result:
        """Carry it out."""
        limit = _check_limit("listProjects.limit", self.limit, MAX_LISTED)
        projects = context.service.index.refresh().current.projects
        later = ({"name": name, "seq": seq} for name, seq in projects.items() if name > self.after)
        found = list(islice(later, limit + 1))
        return {"projects": found[:limit], "next": found[limit - 1]["name"] if len(found) > limit else None}


@value
class ShowProject:
    """Say all that is known of a project, its files by name, some at a time.

    Attributes:
        after: the file name after which to go on; "" for the beginning.
        limit: how many files, at most.
    """

    project: ProjectName
    after: str = ""
    limit: int = MAX_FILES_SHOWN
    short = "project"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        limit = _check_limit("showProject.limit", self.limit, MAX_FILES_SHOWN)
        project = get_private(context, self.project, field="showProject.project")
        later: list[Filename] = sorted(name for name in project.files if name > self.after)
        shown = later[:limit]
        history = [{"at": turn.at, "status": turn.status, "reason": turn.reason} for turn in project.statuses]
        return {
            **_status_of(project),
            "statuses": history,
            "files": [_described(project.files[name]) for name in shown],
            "count": len(project.files),
            "next": shown[-1] if len(later) > limit else None,
        }


def _check_limit(field: str, limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise InvalidValue(field, limit, f"a number from 1 to {most:,}")
    return limit


def _status_of(project: Project) -> dict[str, object]:
    return {"project": project.name, "status": project.status, "reason": project.status_reason}


def _described(file: File) -> dict[str, object]:
    return {
        "filename": file.filename,
        "version": file.version,
        "size": file.size,
        "sha256": file.sha256,
        "uploadTime": file.upload_time,
        "requiresPython": file.requires_python,
        "yanked": file.yanked,
        "removedAt": file.removed_at,
        "history": [{"at": turn.at, "yanked": turn.yanked, "removed": turn.removed} for turn in file.turns],
    }
