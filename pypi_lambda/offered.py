"""Which files of an upstream project are offered: those that are old enough, or were there at an earlier moment.

`choose` and `with_choice` are pure; `Offers` keeps what they made until the earliest moment at which it changes.
Whether a project may enter at all is decided before (`pypi_lambda.index.View.standing`).

PEP 700 (upload-time, versions), PEP 691 (private keys), PEP 592 (yanked), PEP 792 (quarantined).
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from indexer.errors import CorruptObject
from indexer.events import timestamp
from indexer.json_bytes import decode_json, encode_json
from indexer.names import Filename, ProjectName
from indexer.project import WITHHELD_STATUS, Project, as_of
from indexer.simple import Renderer, compress, decompress
from indexer.store import ObjectStore
from indexer.value import replace, value
from indexer.versions import PLAIN, version_finder
from pypi_lambda.http import Forbidden, NotFound
from pypi_lambda.index import Page, page_of
from pypi_lambda.kept_pages import KeptPages
from pypi_lambda.moments import find_moment, parse_moment
from pypi_lambda.policy import Policy
from pypi_lambda.shared import Cache

PAGE_CACHE_BYTES = 33_554_432  # 32 MiB of compressed pages, beside those that they were made of
MAX_TIMES = 16_384  # upload times of files that were asked for, some 300 bytes each

HELD_BACK = "_held-back"

_TRAILING_ZEROS = re.compile(r"(?:[.]0)+$")


@value
class Choice:
    """What of a page is offered.

    Attributes:
        filenames: of the files that are.
        held: how many are too young, or may be.
        until: when the next of these is old enough; None when that is not known of any.
    """

    filenames: frozenset[str]
    held: int
    until: datetime | None


def choose(files: list[Any], *, now: datetime, min_age: timedelta, moment: datetime | None = None) -> Choice:
    """Decide which of an upstream page's files are offered now. One without an upload time is old only where any is.

    Args:
        files: as the page has them.
        moment: leave out what was not there at that time.
    """
    offered, held, releases = [], 0, []
    for file in files:
        uploaded = find_moment(file.get("upload-time"))
        if moment is not None and (uploaded is None or uploaded > moment):
            continue
        if is_old(uploaded, min_age, now):
            offered.append(file["filename"])
        else:
            held += 1
            if uploaded is not None:
                releases.append(release_of(uploaded, min_age))
    return Choice(filenames=frozenset(offered), held=held, until=min(releases, default=None))


def is_old(uploaded: datetime | None, min_age: timedelta, now: datetime) -> bool:
    """Tell whether a file of which this is known is old enough."""
    return not min_age or (uploaded is not None and now >= release_of(uploaded, min_age))


def release_of(uploaded: datetime, min_age: timedelta) -> datetime:
    """Return when a file is old enough."""
    return min(uploaded, datetime.max.replace(tzinfo=uploaded.tzinfo) - min_age) + min_age


def with_choice(name: ProjectName, page: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """Return the page with what is offered, the versions of that, and word of what is held back."""
    files = [file for file in page["files"] if file["filename"] in choice.filenames]
    held = {HELD_BACK: {"files": choice.held, "until": choice.until and timestamp(choice.until)}} if choice.held else {}
    if len(files) == len(page["files"]):
        return {**page, **held}
    return {**page, "versions": _versions(name, page.get("versions", []), choice.filenames), "files": files, **held}


def _versions(name: ProjectName, versions: list[str], filenames: frozenset[str]) -> list[str]:
    find_version = version_finder(name)
    found = {_normal(version) for version in map(find_version, filenames) if version}
    return [version for version in versions if _normal(version) in found]


def _normal(version: str) -> str:
    """Return the version as all ways of writing it have in common."""
    if PLAIN.fullmatch(version):
        return _TRAILING_ZEROS.sub("", ".".join([str(int(number)) for number in version.split(".")]))
    from packaging.utils import canonicalize_version

    return canonicalize_version(version)


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
        self._kept = KeptPages(store, renderer_tag=renderer.tag)
        self._pages: Cache[tuple[ProjectName, str, str, datetime | None], _Made] = Cache(PAGE_CACHE_BYTES)
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
        content = decode_json(decompress("a page", page.body))
        choice = choose(content["files"], now=now, min_age=self._policy.min_age_of(name), moment=moment)
        is_whole = len(choice.filenames) == len(content["files"])
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
            page = {member: content for member, content in self._renderer.page(then).items() if member[0] != "_"}
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
            Forbidden: it is too young, or may be.
            NotFound: it was not there at that moment.
        """
        min_age, now = self._policy.min_age_of(name), self._now()
        # What was taken in long ago was uploaded before that: no page is needed to know it.
        if moment is None and is_old(stored_at, min_age, now):
            return
        uploaded, is_listed = self._find_time(name, filename, find_page)
        if not is_listed and not is_stored:
            raise NotFound(f"project {name!r} has no file {filename!r}")
        # One that is not listed any more was: locks name it, and it is no secret.
        if moment is not None and is_listed and (uploaded is None or uploaded > moment):
            raise NotFound(f"project {name!r} had no file {filename!r} then")
        if not is_old(uploaded or stored_at, min_age, now):
            raise Forbidden(held_back(filename, uploaded or stored_at, min_age))

    def _find_time(
        self, name: ProjectName, filename: Filename, find_page: Callable[[], Page | None]
    ) -> tuple[datetime | None, bool]:
        """Return when a file was uploaded, where that is known, and whether it is listed."""
        known = self._times.find((name, filename))
        if known is not None:
            return known, True
        page = find_page()
        files = [] if page is None else decode_json(decompress("a page", page.body))["files"]
        entry = next((file for file in files if file["filename"] == filename), None)
        found = None if entry is None else find_moment(entry.get("upload-time"))
        if found is not None:
            self._times.put((name, filename), found, cost=1)
        return found, entry is not None

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
