"""Which files of an upstream project are offered: decided as the rule says, and remembered for as long as it holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from indexer.log.events import timestamp
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress, decompress
from indexer.store.reads import Reads
from pypi_lambda.cooldown.choice import Choice, choose, with_choice
from pypi_lambda.cooldown.offered import Cooldown
from pypi_lambda.cooldown.past import Past
from pypi_lambda.http.faults import Forbidden, NotFound
from pypi_lambda.mirror.offer import FileQuery
from pypi_lambda.view.index import Page, page_of
from pypi_lambda.view.policy import Policy
from tests.support.builders import file, project

NOW = datetime(2026, 11, 23, 10, 20, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
SIX = ProjectName("six")
BAD_TIMES = (None, "", "soon", "2026-11-01", "2026-11-01T00:00:00", 5)

ages = st.integers(-3, 12).map(lambda days: timedelta(days=days)) | st.sampled_from(BAD_TIMES)
min_ages = st.integers(0, 9).map(lambda days: timedelta(days=days))


def upstream_file(version: str, uploaded: object) -> dict[str, Any]:
    time = timestamp(NOW - uploaded) if isinstance(uploaded, timedelta) else uploaded
    entry = {"filename": f"six-{version}.tar.gz", "url": f"six-{version}.tar.gz", "hashes": {}}
    return entry if time is None else {**entry, "upload-time": time}


def upstream_page(*uploaded: object) -> dict[str, Any]:
    files = [upstream_file(f"{number}.0", each) for number, each in enumerate(uploaded)]
    versions = [f"{number}.0" for number in range(len(uploaded))]
    return {"meta": {"api-version": "1.4"}, "name": "six", "versions": versions, "files": files, "more": 1}


@given(st.lists(ages, max_size=6), min_ages, st.none() | st.integers(0, 12).map(lambda days: timedelta(days=days)))
def test_what_is_offered(uploaded: list[object], min_age: timedelta, ago: timedelta | None) -> None:
    """A page's files are offered, held back and left out as their ages say, one by one."""
    offered, held, waits = [], 0, []
    for number, age in enumerate(uploaded):
        is_known = isinstance(age, timedelta)
        if ago is not None and (not is_known or age < ago):  # type: ignore[operator]  # known then
            continue
        if not min_age or (is_known and age >= min_age):  # type: ignore[operator]  # likewise
            offered.append(number)
            continue
        held += 1
        if isinstance(age, timedelta):
            waits.append(min_age - age)
    page = upstream_page(*uploaded)
    choice = choose(page["files"], now=NOW, min_age=min_age, moment=None if ago is None else NOW - ago)
    assert choice == Choice(
        filenames=frozenset(f"six-{number}.0.tar.gz" for number in offered),
        held=held,
        until=NOW + min(waits) if waits else None,
    )
    chosen = with_choice(SIX, page, choice)
    assert chosen["files"] == [page["files"][number] for number in offered]
    assert chosen["versions"] == [f"{number}.0" for number in offered]
    until = timestamp(NOW + min(waits)) if waits else None
    assert chosen.get("_held-back") == ({"files": held, "until": until} if held else None)
    assert {key: chosen[key] for key in ("meta", "name", "more")} == {
        key: page[key] for key in ("meta", "name", "more")
    }


SPELLINGS = (
    "1",
    "1.0",
    "1.0.0",
    "01.0",
    "1.0a1",
    "1.0.0-alpha.1",
    "1.0.post0",
    "1!1.0",
    "10",
    "0",
    "0.0",
    "odd",
    "2024.1",
)
KINDS = ("a_b-{}.tar.gz", "a_b-{}-py3-none-any.whl", "A.B-{}-1-py3-none-any.whl", "a-b-{}.zip")


@given(
    st.lists(st.sampled_from(SPELLINGS), unique=True),
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(SPELLINGS))),
)
def test_versions_are_compared_as_versions(versions: list[str], files: list[tuple[str, str]]) -> None:
    """A version stays when a file of it is offered, however either is written."""
    filenames = {kind.format(version.replace("-", "_")): version for kind, version in files}
    page: dict[str, Any] = {"versions": versions, "files": [{"filename": name} for name in [*filenames, "other"]]}
    choice = Choice(filenames=frozenset(filenames), held=1, until=None)
    kept = with_choice(ProjectName("a-b"), page, choice)["versions"]
    offered = {Version(version) for version in filenames.values() if version != "odd"}
    assert [version for version in versions if version != "odd" and Version(version) in offered] == [
        version for version in kept if version != "odd"
    ]


def test_endless_version() -> None:
    """A version of thousands of digits, which Python refuses to read as a number, costs nobody the page."""
    files = [{"filename": "a_b-1.0.tar.gz"}, {"filename": "a_b-2.0.tar.gz"}]
    page: dict[str, Any] = {"versions": ["9" * 5_000, "1", "2"], "files": files}
    choice = Choice(filenames=frozenset({"a_b-1.0.tar.gz"}), held=1, until=None)
    assert with_choice(ProjectName("a-b"), page, choice)["versions"] == ["1"]


def test_absurd_times() -> None:
    """The end of all time, plus an age, is no fault."""
    page = upstream_page("9999-12-31T23:59:59.999999Z")
    choice = choose(page["files"], now=NOW, min_age=timedelta(days=36_500))
    assert choice == Choice(filenames=frozenset(), held=1, until=datetime.max.replace(tzinfo=UTC))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Listing:
    """An upstream that lists what it is told to list."""

    def __init__(self, find_page: Callable[[], Page | None] = lambda: None) -> None:
        self._find_page = find_page

    def find_page(
        self, name: ProjectName, extension: str, reads: Reads, *, moment: datetime | None = None
    ) -> Page | None:
        return self._find_page()

    def find_listing(self, name: ProjectName, *, is_asked: bool) -> Page | None:
        return self._find_page()

    def check_file(self, file: FileQuery) -> None:
        pass


@pytest.fixture
def offers(clock: Clock) -> Cooldown:
    policy = Policy(min_age=WEEK, min_age_exempt=("acme-*",))
    return Cooldown(Listing(), Renderer(), policy, now=clock)


def as_page(content: object) -> Page:
    return page_of(compress(orjson.dumps(content)))


def read(page: Page) -> Any:
    return orjson.loads(decompress("a page", page.body))


PAGE = as_page(upstream_page(timedelta(days=9), timedelta(days=5), timedelta(days=1)))


class TestPages:
    def test_a_warm_page_is_read_no_more(self, offers: Cooldown) -> None:
        """While nothing changes, a page is not even looked into: its tag is enough."""
        made = {extension: offers.mirrored_page(SIX, PAGE, extension, None) for extension in ("json", "html")}
        unreadable = Page(body=b"nothing that could be unpacked", etag=PAGE.etag)
        for extension, page in made.items():
            assert offers.mirrored_page(SIX, unreadable, extension, None).body is page.body
            assert page.etag == page_of(page.body).etag != PAGE.etag

    @pytest.mark.parametrize("extension", ["json", "html"])
    def test_it_changes_when_the_next_file_is_old_enough(self, offers: Cooldown, clock: Clock, extension: str) -> None:
        """Up to the very moment the page is the same, from then on it has the file; then again for the next one."""
        seen = []
        for ago in (timedelta(0), 2 * timedelta(days=1), timedelta(days=6)):
            clock.now = NOW + ago
            seen.append(offers.mirrored_page(SIX, PAGE, extension, None))
            clock.now += timedelta(days=2) - timedelta(microseconds=1)
            assert offers.mirrored_page(SIX, PAGE, extension, None) == seen[-1]
        assert len({page.etag for page in seen}) == 3

    def test_the_last_one_is_the_whole_page(self, offers: Cooldown, clock: Clock) -> None:
        """When everything is old enough, the page is the upstream's, tag and all."""
        assert read(offers.mirrored_page(SIX, PAGE, "json", None))["_held-back"] == {
            "files": 2,
            "until": "2026-11-25T10:20:30.000000Z",
        }
        clock.now = NOW + timedelta(days=6)
        assert offers.mirrored_page(SIX, PAGE, "json", None) == PAGE

    def test_a_clock_that_is_put_back(self, offers: Cooldown, clock: Clock) -> None:
        """A page that was made later than now is not good now."""
        clock.now = NOW + timedelta(days=6)
        offers.mirrored_page(SIX, PAGE, "json", None)
        clock.now = NOW
        assert read(offers.mirrored_page(SIX, PAGE, "json", None))["versions"] == ["0.0"]

    def test_exempt(self, offers: Cooldown) -> None:
        """Of an exempt project everything is offered."""
        assert offers.mirrored_page(ProjectName("acme-six"), PAGE, "json", None) == PAGE

    def test_the_comment(self, offers: Cooldown) -> None:
        """HTML says in a comment how many files are held back, and until when."""
        html = decompress("", offers.mirrored_page(SIX, PAGE, "html", None).body).decode()
        assert "<!-- 2 more files are held back, the next until 2026-11-25T10:20:30.000000Z -->\n" in html
        unknown = as_page(upstream_page(None))
        html = decompress("", offers.mirrored_page(SIX, unknown, "html", None).body).decode()
        assert "<!-- 1 more files are held back, the next until nobody knows when -->\n" in html

    def test_the_warning_is_kept(self, offers: Cooldown) -> None:
        """A page that is older than it should be still says so."""
        doubtful = Page(body=PAGE.body, etag=PAGE.etag, warning="111 - doubtful")
        assert offers.mirrored_page(SIX, doubtful, "json", None).warning == "111 - doubtful"
        assert offers.mirrored_page(SIX, PAGE, "json", None).warning is None

    def test_an_earlier_moment(self, offers: Cooldown) -> None:
        """A moment's page has what was there, of that what is old enough now; with nothing there is no project."""
        assert read(offers.mirrored_page(SIX, PAGE, "json", NOW - timedelta(days=4)))["versions"] == ["0.0"]
        with pytest.raises(NotFound, match="there was no project 'six' then"):
            offers.mirrored_page(SIX, PAGE, "json", NOW - timedelta(days=10))


def refused(offers: Cooldown, number: int, page: Page | None = PAGE, **details: Any) -> str | None:
    """Ask for a file; return the refusal's sentence."""
    arguments: dict[str, Any] = {
        "moment": None,
        "is_asked": True,
        "is_stored": False,
        "stored_at": None,
        **details,
    }
    offers.inner = Listing(arguments.pop("find_page", lambda: page))
    try:
        offers.check_file(FileQuery(name=SIX, filename=Filename(f"six-{number}.0.tar.gz"), **arguments))
    except (Forbidden, NotFound) as refusal:
        return f"{refusal.status} {refusal.message}"
    return None


def ask_never() -> Page:
    raise AssertionError("nobody was to ask for the page")


class TestFiles:
    def test_too_young(self, offers: Cooldown, clock: Clock) -> None:
        """A file is refused until its time has come, and the sentence says when that is."""
        sentence = (
            "403 six-1.0.tar.gz is held back until 2026-11-25T10:20:30.000000Z: "
            "files must be 7 days old (UPSTREAM_MIN_AGE_DAYS)"
        )
        assert [refused(offers, 0), refused(offers, 1)] == [None, sentence]
        clock.now = NOW + timedelta(days=2) - timedelta(microseconds=1)
        assert refused(offers, 1) == sentence
        clock.now = NOW + timedelta(days=2)
        assert refused(offers, 1, find_page=ask_never) is None

    @pytest.mark.parametrize("time", BAD_TIMES)
    def test_of_unknown_age(self, offers: Cooldown, time: object) -> None:
        """A file of which nobody knows the age is refused, until it has been stored for so long."""
        page = as_page(upstream_page(time))
        assert refused(offers, 0, page) == (
            "403 six-0.0.tar.gz is held back: its upload time is not known, "
            "and files must be 7 days old (UPSTREAM_MIN_AGE_DAYS)"
        )
        stored = {"is_stored": True, "stored_at": NOW - timedelta(days=3)}
        assert "held back until 2026-11-27T10:20:30" in str(refused(offers, 0, page, **stored))
        assert refused(offers, 0, page, is_stored=True, stored_at=NOW - WEEK) is None

    def test_stored_long_ago(self, offers: Cooldown) -> None:
        """What was stored long ago is delivered without a look at any page."""
        assert refused(offers, 1, find_page=ask_never, is_stored=True, stored_at=NOW - WEEK) is None

    def test_not_listed(self, offers: Cooldown) -> None:
        """A file that is neither listed nor stored is absent; one that was stored lately may be too young."""
        assert refused(offers, 7) == "404 project 'six' has no file 'six-7.0.tar.gz'"
        assert refused(offers, 7, None) == "404 project 'six' has no file 'six-7.0.tar.gz'"
        assert "held back until 2026-11-30T10:20:30" in str(refused(offers, 7, is_stored=True, stored_at=NOW))

    def test_an_earlier_moment(self, offers: Cooldown) -> None:
        """At a moment there are the files uploaded by then, and stored ones that are not listed any more."""
        moment = NOW - timedelta(days=6)
        assert refused(offers, 0, moment=moment) is None
        assert refused(offers, 1, moment=moment) == "404 project 'six' had no file 'six-1.0.tar.gz' then"
        assert refused(offers, 7, moment=moment, is_stored=True, stored_at=NOW - WEEK) is None
        assert "held back" in str(refused(offers, 1, moment=NOW - timedelta(days=4)))


def test_what_is_out_of_use_now(clock: Clock) -> None:
    """A project's earlier state is without what was removed since, and quarantined when it is now."""
    past = Past(Renderer(), now=clock)
    long_ago = datetime(2024, 11, 23, 10, 20, 30, 40, tzinfo=UTC)  # when they were uploaded
    removed = project(file(), file("demo-2.0.tar.gz", version="2.0", removed=True))
    page = read(past.page(removed, "json", long_ago))
    assert [each["filename"] for each in page["files"]] == ["demo-1.0-py3-none-any.whl"]
    closed = project(file(), seq=2, status="quarantined", reason="odd")
    page = read(past.page(closed, "json", long_ago))
    assert (page["files"], page["project-status"]) == ([], {"status": "quarantined", "reason": "odd"})
    with pytest.raises(NotFound, match="there was no project 'demo' then"):
        past.page(removed, "json", long_ago - timedelta(microseconds=1))
