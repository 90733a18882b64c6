"""The filter of releases: offered are those that are old enough, or were there at an earlier moment, and where the
rules want it those alone whose digest proves them.

`pypi_lambda.cooldown.choice` chooses; `Cooldown` keeps what that made until the earliest moment at which it changes.
Whether a project may enter at all is decided before (`pypi_lambda.view.view.View.standing`).

PEP 700 (upload-time, versions), PEP 691 (private keys), PEP 592 (yanked), PEP 792 (quarantined).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from indexer.errors import UpstreamNonsense
from indexer.json_bytes import decode_json
from indexer.log.events import timestamp
from indexer.names import Filename, ProjectName
from indexer.simple.marks import UNVERIFIED, find_dropped
from indexer.simple.page import Renderer, decompress
from indexer.store.reads import Reads
from indexer.value import replace, value
from pypi_lambda.cooldown.choice import UNPROVED, choose, is_old, proved_only, release_of, with_choice
from pypi_lambda.cooldown.moments import find_moment
from pypi_lambda.http.faults import Forbidden, NotFound
from pypi_lambda.mirror.failures import left_out
from pypi_lambda.mirror.offer import FileQuery, Filter, Offer, page_with
from pypi_lambda.shared import Cache
from pypi_lambda.view.index import Page
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


class Cooldown(Filter):
    """Releases as they are offered under a policy.

    Args:
        now: the current time.
    """

    def __init__(self, inner: Offer, renderer: Renderer, policy: Policy | None, *, now: Callable[[], datetime]) -> None:
        super().__init__(inner)
        self._renderer = renderer
        self._policy = policy or Policy()
        self._now = now
        self._pages: Cache[tuple[ProjectName, str, str, datetime | None], _Made] = Cache(PAGE_CACHE_BYTES)
        self._proved: Cache[tuple[ProjectName, str], frozenset[str]] = Cache(MAX_PROVED)
        self._times: Cache[tuple[ProjectName, Filename], datetime] = Cache(MAX_TIMES)

    def find_page(
        self, name: ProjectName, extension: str, reads: Reads, *, moment: datetime | None = None
    ) -> Page | None:
        """Return a project's page with the releases that are old enough, and were there at the moment."""
        page = self.inner.find_page(name, "json", reads, moment=moment)
        return None if page is None else self.mirrored_page(name, page, extension, moment)

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
        made = (
            page
            if is_whole and extension == "json"
            else page_with(with_choice(name, content, choice), extension, self._renderer)
        )
        is_empty = moment is not None and not choice.filenames and not choice.held
        return _Made(page=made, at=now, until=choice.until, is_empty=is_empty)

    def check_file(self, file: FileQuery) -> None:
        """Make sure that a file of an upstream project may be delivered.

        Raises:
            Forbidden: it is too young, or may be; or no digest proves it, and the rules want one.
            NotFound: it was not there at that moment.
            UpstreamNonsense: the upstream lists it in a way that cannot be served.
        """
        if self._policy.require_digest:
            self._check_proved(file)
        self._check_age(file, self._policy.min_age_of(file.name), self._now())
        self.inner.check_file(file)

    def _check_age(self, file: FileQuery, min_age: timedelta, now: datetime) -> None:
        moment = file.moment
        # What was taken in long ago was uploaded before that: no page is needed to know it.
        if moment is None and is_old(file.stored_at, min_age, now):
            return
        uploaded, is_listed, page = self._find_time(file)
        if not is_listed and not file.is_stored:
            raise _unlisted(file.name, file.filename, page)
        # One that is not listed any more was: locks name it, and it is no secret.
        if moment is not None and is_listed and (uploaded is None or uploaded > moment):
            raise NotFound(f"project {file.name!r} had no file {file.filename!r} then")
        if not is_old(uploaded or file.stored_at, min_age, now):
            raise Forbidden(held_back(file.filename, uploaded or file.stored_at, min_age))

    def _check_proved(self, file: FileQuery) -> None:
        page = self.find_listing(file.name, is_asked=file.is_asked)
        proved = frozenset() if page is None else self._find_proved(file.name, page)
        if file.filename in proved:
            return
        content = {"files": []} if page is None else decode_json(decompress("a page", page.body))
        is_listed = any(entry["filename"] == file.filename for entry in content["files"])
        if not is_listed and not file.is_stored:
            raise _unlisted(file.name, file.filename, content)
        # Of one that was taken in and is not listed any more, nothing says what it was compared with.
        raise Forbidden(f"{file.filename} is refused: {UNPROVED if is_listed else NOT_LISTED}")

    def _find_proved(self, name: ProjectName, page: Page) -> frozenset[str]:
        proved = self._proved.find((name, page.etag))
        if proved is None:
            files = decode_json(decompress("a page", page.body))["files"]
            proved = frozenset(file["filename"] for file in files if UNVERIFIED not in file)
            self._proved.put((name, page.etag), proved, cost=len(proved) + 1)
        return proved

    def _find_time(self, file: FileQuery) -> tuple[datetime | None, bool, dict[str, Any]]:
        """Return when a file was uploaded, where that is known, whether it is listed, and the page if it was read."""
        known = self._times.find((file.name, file.filename))
        if known is not None:
            return known, True, {}
        page = self.find_listing(file.name, is_asked=file.is_asked)
        content = {"files": []} if page is None else decode_json(decompress("a page", page.body))
        entry = next((entry for entry in content["files"] if entry["filename"] == file.filename), None)
        found = None if entry is None else find_moment(entry.get("upload-time"))
        if found is not None:
            self._times.put((file.name, file.filename), found, cost=1)
        return found, entry is not None, content


def _unlisted(name: ProjectName, filename: Filename, page: dict[str, Any]) -> NotFound | UpstreamNonsense:
    reason = find_dropped(page, filename)
    if reason is None:
        return NotFound(f"project {name!r} has no file {filename!r}")
    return left_out(name, filename, reason)


def held_back(filename: Filename, uploaded: datetime | None, min_age: timedelta) -> str:
    """Return the sentence on a file that is too young, or may be."""
    rule = f"files must be {min_age / timedelta(days=1):g} days old (UPSTREAM_MIN_AGE_DAYS)"
    if uploaded is None:
        return f"{filename} is held back: its upload time is not known, and {rule}"
    return f"{filename} is held back until {timestamp(release_of(uploaded, min_age))}: {rule}"
