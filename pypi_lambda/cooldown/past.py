"""Private projects as they were at an earlier moment.

PEP 592 (yanked), PEP 792 (quarantined).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from indexer.log.events import timestamp
from indexer.log.project import WITHHELD_STATUS, Project, as_of
from indexer.names import ProjectName
from indexer.simple.page import Renderer
from indexer.value import replace
from pypi_lambda.cooldown.moments import parse_moment
from pypi_lambda.http.faults import NotFound
from pypi_lambda.mirror.offer import page_with
from pypi_lambda.shared import Cache
from pypi_lambda.view.index import Page

PAGE_CACHE_BYTES = 8_388_608  # 8 MiB of compressed pages of the moments that were asked for last


class Past:
    """Private projects of earlier moments.

    Args:
        now: the current time.
    """

    def __init__(self, renderer: Renderer, *, now: Callable[[], datetime]) -> None:
        self._renderer = renderer
        self._now = now
        self._pages: Cache[tuple[ProjectName, int, str, datetime], Page] = Cache(PAGE_CACHE_BYTES)

    def parse_moment(self, text: str) -> datetime:
        """Return the moment that an address names.

        Raises:
            InvalidValue: it names none, or one in the future.
        """
        return parse_moment(text, self._now())

    def page(self, project: Project, extension: str, moment: datetime) -> Page:
        """Return a private project's page as it was.

        Raises:
            NotFound: there was nothing at that time.
        """
        key = (project.name, project.seq, extension, moment)
        page = self._pages.find(key)
        if page is None:
            then = seen_from_now(project, moment)
            if not then.files:
                raise NotFound(f"there was no project {project.name!r} then")
            # Without the state that is kept there: it is not of that moment.
            content = _public(self._renderer.page(then))
            content["meta"] = _public(content["meta"])
            page = page_with(content, extension, self._renderer)
            self._pages.put(key, page, cost=len(page.body))
        return page

    def offered_then(self, project: Project, moment: datetime) -> Project:
        """Return a private project with the files that its page of that moment lists."""
        then = seen_from_now(project, moment)
        return replace(then, files={}) if then.status == WITHHELD_STATUS else then


def _public(members: Mapping[str, Any]) -> dict[str, Any]:
    return {member: content for member, content in members.items() if member[0] != "_"}


def seen_from_now(project: Project, moment: datetime) -> Project:
    """Return a private project as it was, without what was taken out of use since.

    What is removed or quarantined today is so for a reason, and that weighs more than what was listed once.
    """
    then = as_of(project, timestamp(moment))
    files = {name: file for name, file in then.files.items() if not file.removed and not project.files[name].removed}
    statuses = project.statuses if project.status == WITHHELD_STATUS else then.statuses
    return replace(then, files=files, statuses=statuses)
