"""Which files of an upstream project are offered: those that are old enough, or were there at an earlier moment, and
where the rules want it those alone whose digest proves them.

`pypi_lambda.cooldown.choice` chooses; `Offers` keeps what that made until the earliest moment at which it changes.
Whether a project may enter at all is decided before (`pypi_lambda.view.view.View.standing`).

PEP 700 (upload-time, versions), PEP 691 (private keys), PEP 592 (yanked), PEP 792 (quarantined).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from indexer.errors import CorruptObject, UpstreamNonsense
from indexer.json_bytes import decode_json, encode_json
from indexer.log.events import timestamp
from indexer.log.project import WITHHELD_STATUS, Project, as_of
from indexer.names import Filename, ProjectName
from indexer.simple.marks import UNVERIFIED, find_dropped
from indexer.simple.page import Renderer, compress, decompress
from indexer.store.base import ObjectStore
from indexer.value import replace, value
from pypi_lambda.cooldown.choice import UNPROVED, choose, is_old, proved_only, release_of, with_choice
from pypi_lambda.cooldown.moments import find_moment, parse_moment
from pypi_lambda.http.faults import Forbidden, NotFound
from pypi_lambda.mirror.failures import left_out
from pypi_lambda.mirror.kept_pages import KeptPages
from pypi_lambda.shared import Cache
from pypi_lambda.view.index import Page, page_of
from pypi_lambda.view.policy import Policy

PAGE_CACHE_BYTES = 33_554_432  # 32 MiB of compressed pages, beside those that they were made of
MAX_PROVED = 100_000  # names of files, of the pages that were asked for last
MAX_TIMES = 16_384  # upload times of files that were asked for, some 300 bytes each

NOT_LISTED = "the upstream lists it no more, so that nothing says what proves it (UPSTREAM_REQUIRE_DIGEST)"


@value
class _Made:
    page: Page
    at: datetime
    until: datetime | None
    is_empty: bool

    def is_good(self, now: datetime) -> bool:
        return self.at <= now and (self.until is None or now < self.until)


class Offers:
    """Pages and files as they are offered under a policy.

    Args:
        now: the current time.
    """

    def __init__(
        self, store: ObjectStore, renderer: Renderer, policy: Policy | None, *, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._policy = policy or Policy()
        self._now = now
        self._kept = KeptPages(store, renderer_tag=renderer.mirror_tag)
        self._pages: Cache[tuple[ProjectName, str, str, datetime | None], _Made] = Cache(PAGE_CACHE_BYTES)
        self._proved: Cache[tuple[ProjectName, str], frozenset[str]] = Cache(MAX_PROVED)
        self._times: Cache[tuple[ProjectName, Filename], datetime] = Cache(MAX_TIMES)

    def mirrored_page(self, name: ProjectName, page: Page, extension: str, moment: datetime | None) -> Page:
        """Return an upstream project's page as it is offered.

        Args:
            page: the whole one, as JSON.
            extension: of what is returned, `json` or `html`.
            moment: leave out what was not there at that time.

        Raises:
            NotFound: there was nothing at that time.
        """
        key, now = (name, page.etag, extension, moment), self._now()
        made = self._pages.find(key)
        if made is None or not made.is_good(now):
            made = self._made(name, page, extension, moment, now)
            self._pages.put(key, made, cost=len(made.page.body))
        if made.is_empty:
            raise NotFound(f"there was no project {name!r} then")
        return replace(made.page, warning=page.warning)

    def _made(self, name: ProjectName, page: Page, extension: str, moment: datetime | None, now: datetime) -> _Made:
        whole = decode_json(decompress("a page", page.body))
        content = proved_only(name, whole) if self._policy.require_digest else whole
        choice = choose(content["files"], now=now, min_age=self._policy.min_age_of(name), moment=moment)
        is_whole = len(choice.filenames) == len(whole["files"])
        made = page if is_whole and extension == "json" else self._page(with_choice(name, content, choice), extension)
        is_empty = moment is not None and not choice.filenames and not choice.held
        return _Made(page=made, at=now, until=choice.until, is_empty=is_empty)

    def _page(self, content: Any, extension: str) -> Page:
        if extension == "json":
            return page_of(compress(encode_json(content)))
        return page_of(compress(self._renderer.html(content)))

    def private_page(self, project: Project, extension: str, moment: datetime) -> Page:
        """Return a private project's page as it was.

        Raises:
            NotFound: there was nothing at that time.
        """
        key = (project.name, f"event {project.seq}", extension, moment)
        made = self._pages.find(key)
        if made is None:
            then = seen_from_now(project, moment)
            # Without the state that is kept there: it is not of that moment.
            page = _public(self._renderer.page(then))
            page["meta"] = _public(page["meta"])
            made = _Made(page=self._page(page, extension), at=moment, until=None, is_empty=not then.files)
            self._pages.put(key, made, cost=len(made.page.body))
        if made.is_empty:
            raise NotFound(f"there was no project {project.name!r} then")
        return made.page

    def offered_then(self, project: Project, moment: datetime) -> Project:
        """Return a private project with the files that its page of that moment lists."""
        then = seen_from_now(project, moment)
        return replace(then, files={}) if then.status == WITHHELD_STATUS else then

    def parse_moment(self, text: str) -> datetime:
        """Return the moment that an address names.

        Raises:
            InvalidValue: it names none, or one in the future.
        """
        return parse_moment(text, self._now())

    def check_file(
        self,
        name: ProjectName,
        filename: Filename,
        *,
        moment: datetime | None,
        is_stored: bool,
        stored_at: datetime | None,
        find_page: Callable[[], Page | None],
    ) -> None:
        """Make sure that a file of an upstream project may be delivered.

        Args:
            filename: the file's own, also where its metadata is asked for.
            moment: as for `mirrored_page`.
            is_stored: whether what is asked for was taken in.
            stored_at: when the file was, as far as that was asked.
            find_page: returns the project's page as JSON.

        Raises:
            Forbidden: it is too young, or may be; or no digest proves it, and the rules want one.
            NotFound: it was not there at that moment.
            UpstreamNonsense: the upstream lists it in a way that cannot be served.
        """
        if self._policy.require_digest:
            self._check_proved(name, filename, is_stored, find_page)
        min_age, now = self._policy.min_age_of(name), self._now()
        # What was taken in long ago was uploaded before that: no page is needed to know it.
        if moment is None and is_old(stored_at, min_age, now):
            return
        uploaded, is_listed, page = self._find_time(name, filename, find_page)
        if not is_listed and not is_stored:
            raise _unlisted(name, filename, page)
        # One that is not listed any more was: locks name it, and it is no secret.
        if moment is not None and is_listed and (uploaded is None or uploaded > moment):
            raise NotFound(f"project {name!r} had no file {filename!r} then")
        if not is_old(uploaded or stored_at, min_age, now):
            raise Forbidden(held_back(filename, uploaded or stored_at, min_age))

    def _check_proved(
        self, name: ProjectName, filename: Filename, is_stored: bool, find_page: Callable[[], Page | None]
    ) -> None:
        page = find_page()
        proved = frozenset() if page is None else self._find_proved(name, page)
        if filename in proved:
            return
        content = {"files": []} if page is None else decode_json(decompress("a page", page.body))
        is_listed = any(file["filename"] == filename for file in content["files"])
        if not is_listed and not is_stored:
            raise _unlisted(name, filename, content)
        # Of one that was taken in and is not listed any more, nothing says what it was compared with.
        raise Forbidden(f"{filename} is refused: {UNPROVED if is_listed else NOT_LISTED}")

    def _find_proved(self, name: ProjectName, page: Page) -> frozenset[str]:
        proved = self._proved.find((name, page.etag))
        if proved is None:
            files = decode_json(decompress("a page", page.body))["files"]
            proved = frozenset(file["filename"] for file in files if UNVERIFIED not in file)
            self._proved.put((name, page.etag), proved, cost=len(proved) + 1)
        return proved

    def _find_time(
        self, name: ProjectName, filename: Filename, find_page: Callable[[], Page | None]
    ) -> tuple[datetime | None, bool, dict[str, Any]]:
        """Return when a file was uploaded, where that is known, whether it is listed, and the page if it was read."""
        known = self._times.find((name, filename))
        if known is not None:
            return known, True, {}
        page = find_page()
        content = {"files": []} if page is None else decode_json(decompress("a page", page.body))
        entry = next((file for file in content["files"] if file["filename"] == filename), None)
        found = None if entry is None else find_moment(entry.get("upload-time"))
        if found is not None:
            self._times.put((name, filename), found, cost=1)
        return found, entry is not None, content

    def find_kept_page(self, name: ProjectName) -> Page | None:
        """Return the last page of a project that is not asked for, or None when none is stored."""
        key = self._kept.keys(name)[0]
        stored = self._store.find(key)
        if stored is None:
            return None
        try:
            decompress(key, stored.body)
        except CorruptObject:
            return None
        return page_of(stored.body)


def _unlisted(name: ProjectName, filename: Filename, page: dict[str, Any]) -> NotFound | UpstreamNonsense:
    reason = find_dropped(page, filename)
    if reason is None:
        return NotFound(f"project {name!r} has no file {filename!r}")
    return left_out(name, filename, reason)


def _public(members: Mapping[str, Any]) -> dict[str, Any]:
    return {member: content for member, content in members.items() if member[0] != "_"}


def held_back(filename: Filename, uploaded: datetime | None, min_age: timedelta) -> str:
    """Return the sentence on a file that is too young, or may be."""
    rule = f"files must be {min_age / timedelta(days=1):g} days old (UPSTREAM_MIN_AGE_DAYS)"
    if uploaded is None:
        return f"{filename} is held back: its upload time is not known, and {rule}"
    return f"{filename} is held back until {timestamp(release_of(uploaded, min_age))}: {rule}"


def seen_from_now(project: Project, moment: datetime) -> Project:
    """Return a private project as it was, without what was taken out of use since.

    What is removed or quarantined today is so for a reason, and that weighs more than what was listed once.
    """
    then = as_of(project, timestamp(moment))
    files = {name: file for name, file in then.files.items() if not file.removed and not project.files[name].removed}
    statuses = project.statuses if project.status == WITHHELD_STATUS else then.statuses
    return replace(then, files=files, statuses=statuses)
