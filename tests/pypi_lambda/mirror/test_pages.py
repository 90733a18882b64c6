"""Mirrored pages: when the upstream is asked, what is served when it fails, and who waits for whom."""

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest

from indexer.errors import UpstreamNonsense, UpstreamUnavailable
from indexer.json_bytes import decode_json, encode_json
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress, decompress
from indexer.store.folder import FolderStore
from indexer.store.reads import read_ahead as read_ahead_of
from indexer.value import replace
from pypi_lambda.mirror.check import CONFIRM_SECONDS, decode_check, digest_of, encode_check
from pypi_lambda.mirror.failures import BACK_OFF_SECONDS, MAX_BACK_OFF_SECONDS
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.mirror.pages import ABSENT_SECONDS
from pypi_lambda.mirror.revisions import DEFAULT_FRESH_SECONDS, MAX_FRESH_SECONDS
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import JSON_TYPE, LOGIN_PAGE, UPLOAD_TIME, FakeUpstream
from tests.support.mirrors import PATIENCE_SECONDS, SIX, Clock, eventually, mirroring, read_ahead, read_page

OLD = make_wheel("six", "1.16.0")
NEW = make_wheel("six", "1.17.0")
ONCE = [("GET", "/simple/six/")]
CHECK = "upstream/pages/six.check"
PAGE = "upstream/pages/six.json.gz"
SOURCES = "upstream/pages/six.sources"

KEYS = {"size", "upload-time", "core-metadata"}
READING = {"find", "get", "gather", "stat"}

FAILURES: dict[str, dict[str, Any]] = {
    "server error": {"status": 500, "body": b"oops"},
    "busy": {"status": 503, "headers": {"Retry-After": "7"}},
    "forbidden": {"status": 403},
    "cut": {"cut": True},
    "truncated": {"headers": {"Content-Type": JSON_TYPE}, "body": b'{"files": []}', "announced": 500},
    "login page": {"headers": {"Content-Type": "text/html"}, "body": LOGIN_PAGE},
    "no JSON": {"headers": {"Content-Type": JSON_TYPE}, "body": b"<html>"},
    "another project": {"headers": {"Content-Type": JSON_TYPE}, "body": b'{"name": "seven", "files": []}'},
    "no type": {"body": b'{"name": "six", "files": []}'},
    "endless redirect": {"status": 302, "headers": {"Location": "/simple/six/"}},
}
FAILING = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        upstream.add(OLD)
        yield upstream


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mirror(store: FolderStore, upstream: FakeUpstream, clock: Clock) -> Iterator[Mirror]:
    with mirroring(store, upstream, now=clock) as mirror:
        yield mirror


@pytest.fixture
def read(mirror: Mirror, store: FolderStore) -> Callable[[], list[str] | None]:
    """Read the versions that the page of six has."""

    def versions() -> list[str] | None:
        page = read_page(mirror, store)
        return None if page is None else list(page["versions"])

    return versions


Read = Callable[[], list[str] | None]


class TestFreshness:
    def test_fetched_once(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """A fresh page is served without asking."""
        assert read() == ["1.16.0"]
        upstream.add(NEW)
        clock.advance(DEFAULT_FRESH_SECONDS - 1)
        assert (read(), upstream.requests) == (["1.16.0"], ONCE)

    def test_by_another_process(self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A page that one process fetched is served by another as long, and it reads it from the store once."""
        read()
        with mirroring(store, upstream, now=clock) as another:
            assert read_page(another, store) == read_page(another, store)
            assert another.pages.keys_to_read(SIX) == ()
        assert upstream.requests == ONCE

    def test_revalidated(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """A stale page is asked for under its validators, and is fresh again when it is still the one."""
        read()
        for _ in range(2):
            clock.advance(DEFAULT_FRESH_SECONDS)
            assert [read(), read()] == [["1.16.0"]] * 2
        assert upstream.requests == ONCE * 3
        validators = [{"if-none-match", "if-modified-since"} & seen.headers.keys() for seen in upstream.seen]
        assert validators == [set(), *[{"if-none-match", "if-modified-since"}] * 2]

    def test_revalidated_by_another_process(
        self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock
    ) -> None:
        """What one process revalidated is fresh for the others, and validators survive in the store."""
        read()
        clock.advance(DEFAULT_FRESH_SECONDS)
        with mirroring(store, upstream, now=clock) as another:
            read_page(another, store)
        assert read() == ["1.16.0"]
        assert [seen.headers.get("if-none-match") is not None for seen in upstream.seen] == [False, True]

    @pytest.mark.parametrize("validators", [True, False])
    def test_changed(self, read: Read, upstream: FakeUpstream, clock: Clock, validators: bool) -> None:
        """A new release shows once the page is stale, also where the upstream sends no validators."""
        upstream.validators = validators
        read()
        upstream.add(NEW)
        clock.advance(DEFAULT_FRESH_SECONDS)
        assert read() == ["1.16.0", "1.17.0"]

    @pytest.mark.parametrize(
        ("cache_control", "seconds"),
        [
            ("max-age=60, public", 60),
            ("public", DEFAULT_FRESH_SECONDS),
            ("max-age=99999999", MAX_FRESH_SECONDS),
            ("max-age=0", 0),
            ("no-cache", 0),
            ("no-store, max-age=60", 0),
        ],
    )
    def test_as_long_as_the_upstream_says(
        self, read: Read, upstream: FakeUpstream, clock: Clock, cache_control: str, seconds: int
    ) -> None:
        """A page is fresh for as long as the upstream says, but never for longer than a day."""
        upstream.cache_control = cache_control
        read()
        if seconds:
            clock.advance(seconds - 1)
            read()
            assert upstream.requests == ONCE
            clock.advance(1)
        read()
        assert upstream.requests == ONCE * 2

    @pytest.mark.parametrize("validators", [True, False])
    def test_an_unchanged_page(
        self, store: FolderStore, upstream: FakeUpstream, clock: Clock, validators: bool
    ) -> None:
        """Of a page that has not changed, whether the upstream says so or sends it again, only the check is written."""
        upstream.validators = validators
        upstream.add(make_sdist("six", "1.16.0"), upload_time=None)
        watched = Adversary(store)
        with mirroring(watched, upstream, now=clock) as mirror:
            read_page(mirror, store)
            mirror.pages.fill(SIX, Filename("six-1.16.0.tar.gz"), upload_time=UPLOAD_TIME)
            clock.advance(DEFAULT_FRESH_SECONDS)
            count = len(watched.calls)
            page = read_page(mirror, store)
        assert page is not None
        assert [file["upload-time"] for file in page["files"]] == [UPLOAD_TIME] * 2
        written = [(call.method, call.key) for call in watched.calls[count:] if call.method not in READING]
        assert written == [("replace", CHECK)]

    def test_a_clock_that_was_wrong(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """A page that was fetched in the future is asked for again."""
        read()
        clock.advance(-3_600)
        read()
        assert upstream.requests == ONCE * 2

    def test_another_renderer(self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A page that was rendered otherwise is fetched anew, not served."""
        read()
        with mirroring(store, upstream, now=clock, renderer=Renderer(hash_dist_info_metadata=False)) as another:
            assert read_page(another, store) is not None
        assert upstream.requests == ONCE * 2

    @pytest.mark.parametrize("value", [True, False, {"sha256": OLD.metadata_sha256}])
    def test_a_page_of_an_older_version(
        self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock, value: Any
    ) -> None:
        """A page that an older version stored, with the key that ends pip 22.3 to 23.1.2, is fetched anew; while the
        upstream is down, it is served without that key, and what was filled in there stays so."""
        read()
        _age(store, value)
        with mirroring(store, upstream, now=clock) as another:
            upstream.override("/simple/six/", status=500)
            page = read_page(another, store)
            assert page is not None
            assert [file.get("dist-info-metadata", "none") for file in page["files"]] == ["none"]
            assert page["files"][0]["_filled"] == ["size"]
            clock.advance(DEFAULT_FRESH_SECONDS)
            upstream.restore("/simple/six/")
            assert read_page(another, store) is not None
        assert b"dist-info-metadata" not in decompress("", store.get(PAGE).body)


def _age(store: FolderStore, value: Any) -> None:
    """Make the stored page of six what version 2 of the renderer would have stored."""
    page = decode_json(decompress("", store.get(PAGE).body))
    for file in page["files"]:
        file |= {"dist-info-metadata": value, "_filled": ["size", "dist-info-metadata"]}
    body = compress(encode_json(page))
    check = replace(decode_check("", store.get(CHECK).body), page_digest=digest_of(body), renderer="2")
    store.put(PAGE, body)
    store.put(CHECK, encode_check(check))


class TestGone:
    def test_unknown(self, mirror: Mirror, store: FolderStore) -> None:
        """A project that the upstream does not have leaves nothing in the store."""
        missing = mirror.pages.find_page(Filename("seven"), "json", read_ahead_of(store))  # type: ignore[arg-type]  # a name
        assert (missing, list(store.list("upstream/"))) == (None, [])

    def test_unknown_for_a_while(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock
    ) -> None:
        """A name that the upstream does not have is asked for once a minute, for pages and for files."""
        seven = ProjectName("seven")
        for _ in range(2):
            assert (read_page(mirror, store, seven), mirror.pages.find_sources(seven)) == (None, None)
            assert mirror.pages.keys_to_read(seven) == ()
        assert upstream.requests == [("GET", "/simple/seven/")]
        upstream.add(make_wheel("seven", "1.0"))
        clock.advance(ABSENT_SECONDS)
        assert read_page(mirror, store, seven) is not None

    def test_unknown_here_and_known_there(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock
    ) -> None:
        """What this process knows as absent is served as soon as another one has found it."""
        upstream.remove("six")
        ahead = read_ahead(mirror, store)
        assert mirror.pages.find_page(SIX, "json", ahead) is None
        upstream.add(OLD)
        with mirroring(store, upstream, now=clock) as another:
            read_page(another, store)
        ahead = read_ahead_of(store, (PAGE, CHECK))
        assert mirror.pages.find_page(SIX, "json", ahead) is not None

    def test_a_404_is_doubted(
        self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A 404 after a page changes nothing for minutes, in any process, and is logged; nobody asks meanwhile."""
        read()
        upstream.remove("six")
        clock.advance(DEFAULT_FRESH_SECONDS)
        assert read() == ["1.16.0"]
        assert "the upstream denies that it has six; serving its page until that is confirmed" in caplog.text
        clock.advance(CONFIRM_SECONDS - 1)
        with mirroring(store, upstream, now=clock) as another:
            assert read_page(another, store) is not None
        assert (read(), upstream.requests) == (["1.16.0"], ONCE * 2)

    def test_taken_down(self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A project that two 404s say was taken down is gone, and no failure of the upstream brings it back, in no
        process.
        """
        read()
        upstream.remove("six")
        clock.advance(DEFAULT_FRESH_SECONDS)
        read()
        clock.advance(CONFIRM_SECONDS)
        assert read() is None
        upstream.override("/simple/six/", status=503)
        clock.advance(ABSENT_SECONDS)
        with mirroring(store, upstream, now=clock) as another:
            for asked in (read, lambda: read_page(another, store)):
                with pytest.raises(UpstreamUnavailable):
                    asked()

    def test_confirmed_by_another_process(
        self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock
    ) -> None:
        """The doubt of one process is what another one confirms; two that doubt at once confirm nothing."""
        with mirroring(store, upstream, now=clock) as another:
            read()
            read_page(another, store)
            ahead = read_ahead(another, store)
            upstream.remove("six")
            clock.advance(DEFAULT_FRESH_SECONDS)
            read()
            assert another.pages.find_page(SIX, "json", ahead) is not None
            clock.advance(CONFIRM_SECONDS)
            assert (read_page(another, store), read()) == (None, None)
        assert upstream.requests == ONCE * 5

    @pytest.mark.parametrize("changed", [True, False])
    def test_a_hiccup(
        self, read: Read, upstream: FakeUpstream, clock: Clock, store: FolderStore, changed: bool
    ) -> None:
        """A page between two 404s, changed or not, takes the doubt away: the second one is a first one again."""
        read()
        for _ in range(2):
            upstream.override("/simple/six/", status=404)
            clock.advance(DEFAULT_FRESH_SECONDS)
            assert read() is not None
            upstream.restore("/simple/six/")
            if changed:
                upstream.add(NEW)
            clock.advance(CONFIRM_SECONDS)
            assert read() == (["1.16.0", "1.17.0"] if changed else ["1.16.0"])
        assert decode_check(CHECK, store.get(CHECK).body).missing_since is None

    def test_a_failure_confirms_nothing(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """Between two 404s the upstream may fail: the page is served all the while."""
        read()
        clock.advance(DEFAULT_FRESH_SECONDS)
        for failure in ({"status": 404}, {"status": 500}, {"cut": True}):
            upstream.override("/simple/six/", **failure)
            assert read() == ["1.16.0"]
            clock.advance(CONFIRM_SECONDS)
        upstream.override("/simple/six/", status=404)
        assert read() is None

    def test_back_again(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """A project that comes back is served again, a minute after it was found to be gone."""
        read()
        upstream.remove("six")
        clock.advance(DEFAULT_FRESH_SECONDS)
        read()
        clock.advance(CONFIRM_SECONDS)
        assert read() is None
        upstream.add(NEW)
        clock.advance(ABSENT_SECONDS)
        assert read() == ["1.17.0"]

    def test_files_stay(
        self, mirror: Mirror, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock
    ) -> None:
        """What was taken in of a project that is gone stays in the store."""
        mirror.ingest(SIX, Filename(OLD.filename))
        upstream.remove("six")
        for seconds in (DEFAULT_FRESH_SECONDS, CONFIRM_SECONDS):
            clock.advance(seconds)
            read()
        assert read() is None
        assert store.get(f"cache/six/{OLD.filename}").body == OLD.content


class TestMarks:
    """What says that a page is older than it should be."""

    FETCHED = "2026-11-23T10:20:30Z"

    def warning(self, mirror: Mirror, store: FolderStore, extension: str = "json") -> str | None:
        page = mirror.pages.find_page(SIX, extension, read_ahead(mirror, store))
        assert page is not None
        return page.warning

    @pytest.mark.parametrize("extension", ["json", "html"])
    def test_a_failure(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock, extension: str
    ) -> None:
        """A page served because the upstream failed says since when it is stale, until it is fresh again."""
        assert self.warning(mirror, store, extension) is None
        upstream.override("/simple/six/", status=500)
        clock.advance(3_600)
        stale = f'111 serverless-pypi "Revalidation Failed: page of {self.FETCHED}, stale since 2026-11-23T10:30:30Z"'
        assert [self.warning(mirror, store, extension) for _ in range(2)] == [stale, stale]
        upstream.restore("/simple/six/")
        clock.advance(BACK_OFF_SECONDS)
        assert [self.warning(mirror, store, extension) for _ in range(2)] == [None, None]

    def test_a_doubt(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A page that the upstream denies is marked as well, as stale since then."""
        self.warning(mirror, store)
        upstream.override("/simple/six/", status=404)
        clock.advance(3_600)
        stale = f'111 serverless-pypi "Revalidation Failed: page of {self.FETCHED}, stale since 2026-11-23T11:20:30Z"'
        assert [self.warning(mirror, store) for _ in range(2)] == [stale, stale]

    def test_of_unknown_age(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """A page of which nothing is known any more is better than none, and says that."""
        self.warning(mirror, store)
        store.put(CHECK, b"damaged")
        upstream.stop()
        with mirroring(store, upstream) as another:
            warning = self.warning(another, store)
        assert warning == '111 serverless-pypi "Revalidation Failed: the age of this page is unknown"'


class TestFailures:
    @FAILING
    def test_stale_is_better_than_none(
        self,
        read: Read,
        upstream: FakeUpstream,
        clock: Clock,
        failure: dict[str, Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Whatever the upstream does wrong, the page that is there is served, and the log says how old it is."""
        read()
        upstream.override("/simple/six/", **failure)
        clock.advance(3_600)
        with caplog.at_level(logging.WARNING):
            assert read() == ["1.16.0"]
        assert "serving the page of six as of 3600 s ago" in caplog.text
        upstream.restore("/simple/six/")
        upstream.add(NEW)
        clock.advance(BACK_OFF_SECONDS)
        assert read() == ["1.16.0", "1.17.0"]

    @FAILING
    def test_nothing_to_fall_back_on(
        self, read: Read, upstream: FakeUpstream, clock: Clock, failure: dict[str, Any]
    ) -> None:
        """Without a stored page the failure is the answer; the next request asks again, once that makes sense."""
        upstream.override("/simple/six/", **failure)
        with pytest.raises(UpstreamUnavailable) as caught:
            read()
        assert caught.value.retry_after_seconds == (7 if failure.get("headers") == {"Retry-After": "7"} else 5)
        upstream.restore("/simple/six/")
        clock.advance(7)
        assert read() == ["1.16.0"]

    def test_down(self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """With the upstream down, every process goes on with the page in the store."""
        read()
        upstream.stop()
        clock.advance(3_600)
        with mirroring(store, upstream, now=clock) as another:
            assert read_page(another, store) is not None
        assert read() == ["1.16.0"]

    def test_back_off(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """After a failure the upstream is left alone for a while."""
        read()
        upstream.override("/simple/six/", status=500)
        clock.advance(DEFAULT_FRESH_SECONDS)
        for _ in range(3):
            read()
        assert upstream.requests == ONCE * 2
        clock.advance(BACK_OFF_SECONDS)
        read()
        assert upstream.requests == ONCE * 3

    @pytest.mark.parametrize(
        ("said", "seconds"), [("60", 60), ("86400", MAX_BACK_OFF_SECONDS), ("soon", BACK_OFF_SECONDS)]
    )
    def test_back_off_as_told(self, read: Read, upstream: FakeUpstream, clock: Clock, said: str, seconds: int) -> None:
        """An upstream that says when to come back is left alone as long, within bounds."""
        read()
        upstream.override("/simple/six/", status=429, headers={"Retry-After": said})
        clock.advance(DEFAULT_FRESH_SECONDS)
        read()
        clock.advance(seconds - 1)
        read()
        assert upstream.requests == ONCE * 2
        clock.advance(1)
        read()
        assert upstream.requests == ONCE * 3

    def test_nothing_to_fall_back_on_as_told(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """Without a stored page, too: clients are told how much of the time is left."""
        upstream.override("/simple/six/", status=429, headers={"Retry-After": "60"})
        told = []
        for _ in range(3):
            with pytest.raises(UpstreamUnavailable) as caught:
                read()
            told.append(caught.value.retry_after_seconds)
            clock.advance(25)
        assert (told, upstream.requests) == ([60, 35, 10], ONCE)

    @FAILING
    def test_by_cause(self, read: Read, upstream: FakeUpstream, failure: dict[str, Any]) -> None:
        """An answer that is no page is told from an upstream that is away."""
        upstream.override("/simple/six/", **failure)
        with pytest.raises(UpstreamUnavailable) as caught:
            read()
        nonsense = [FAILURES[name] for name in ("login page", "no JSON", "another project", "no type")]
        assert isinstance(caught.value, UpstreamNonsense) == (failure in nonsense)

    def test_slow(self, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """An upstream that takes its time holds nobody up who has a page to fall back on; what it says is kept."""
        release = Event()
        with mirroring(store, upstream, now=clock) as mirror:
            read_page(mirror, store)
        upstream.add(NEW)
        upstream.override("/simple/six/", release=release, **upstream.page("six"))
        clock.advance(DEFAULT_FRESH_SECONDS)
        with mirroring(store, upstream, now=clock, page_wait_seconds=0.01) as mirror:
            for _ in range(2):
                page = mirror.pages.find_page(SIX, "json", read_ahead(mirror, store))
                assert page is not None
                assert page.warning is not None
            release.set()
            eventually(lambda: "1.17.0" in str(read_page(mirror, store)))
        assert upstream.requests == ONCE * 2

    def test_slow_without_a_page(self, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """Who has none is told to come back, and then finds the page: one request to the upstream is enough."""
        release = Event()
        upstream.override("/simple/six/", release=release, **upstream.page("six"))
        with mirroring(store, upstream, now=clock, page_wait_seconds=0.01) as mirror:
            for _ in range(2):
                with pytest.raises(
                    UpstreamUnavailable, match=r"it takes longer than 0\.01 s to answer for six"
                ) as caught:
                    read_page(mirror, store)
                assert caught.value.retry_after_seconds == 5
                clock.advance(5)
            release.set()
            eventually(lambda: store.find(CHECK) is not None)
            assert read_page(mirror, store) is not None
        assert upstream.requests == ONCE

    def test_a_304_that_nobody_asked_for(self, read: Read, upstream: FakeUpstream) -> None:
        """A 304 to a request without validators is a failure."""
        upstream.override("/simple/six/", status=304)
        with pytest.raises(UpstreamUnavailable):
            read()


class TestFills:
    """What the upstream leaves out is filled in, and stays."""

    SDIST = Filename("six-1.15.0.tar.gz")
    WHEEL = Filename("six-1.14.0-py3-none-any.whl")
    TIME = "2026-01-02T03:04:05.000000Z"

    @pytest.fixture(autouse=True)
    def bare(self, upstream: FakeUpstream) -> None:
        upstream.add_file("six", self.SDIST, b"sdist", upload_time=None, size=None)
        upstream.add_file("six", self.WHEEL, b"wheel", upload_time=None, size=None)

    def file(self, mirror: Mirror, store: FolderStore, filename: Filename) -> dict[str, Any]:
        page = read_page(mirror, store)
        assert page is not None
        (file,) = [file for file in page["files"] if file["filename"] == filename]
        return {key: value for key, value in file.items() if key in KEYS}

    def time(self, mirror: Mirror, filename: Filename) -> str | None:
        sources = mirror.pages.find_sources(SIX)
        assert sources is not None
        return sources[filename].upload_time

    def test_a_file(self, mirror: Mirror, store: FolderStore, clock: Clock, upstream: FakeUpstream) -> None:
        """Size and time are on the page at once, in other processes, after a 304 and after a new page."""
        assert (self.file(mirror, store, self.SDIST), self.time(mirror, self.SDIST)) == ({}, None)
        mirror.pages.fill(SIX, self.SDIST, size=5, upload_time=self.TIME)
        expected = ({"size": 5, "upload-time": self.TIME}, self.TIME)
        assert (self.file(mirror, store, self.SDIST), self.time(mirror, self.SDIST)) == expected
        for _ in range(2):
            with mirroring(store, upstream, now=clock) as another:
                for asked in (mirror, another):
                    assert (self.file(asked, store, self.SDIST), self.time(asked, self.SDIST)) == expected
            clock.advance(DEFAULT_FRESH_SECONDS)
        upstream.add(NEW)
        clock.advance(DEFAULT_FRESH_SECONDS)
        assert (self.file(mirror, store, self.SDIST), self.time(mirror, self.SDIST)) == expected

    def test_in_html(self, mirror: Mirror, store: FolderStore) -> None:
        """HTML has them, too, under another tag than before."""
        before = mirror.pages.find_page(SIX, "html", read_ahead(mirror, store))
        mirror.pages.fill(SIX, self.SDIST, size=5, upload_time=self.TIME)
        after = mirror.pages.find_page(SIX, "html", read_ahead(mirror, store))
        assert before is not None
        assert after is not None
        assert before.etag != after.etag
        assert f'data-upload-time="{self.TIME}" data-size="5">{self.SDIST}' in decompress("", after.body).decode()

    def test_metadata(self, mirror: Mirror, store: FolderStore) -> None:
        """Every wheel is said to have metadata, until it is known to have none."""
        assert self.file(mirror, store, self.WHEEL) == {"core-metadata": True}
        mirror.pages.fill(SIX, self.WHEEL, metadata=False)
        assert self.file(mirror, store, self.WHEEL) == {"core-metadata": False}
        sources = mirror.pages.find_sources(SIX)
        assert sources is not None
        assert sources[self.WHEEL].metadata is False

    def test_nothing_to_fill(self, store: FolderStore, upstream: FakeUpstream) -> None:
        """Where the upstream says everything, nothing is written; nor for files and projects that are not there."""
        watched = Adversary(store)
        with mirroring(watched, upstream) as mirror:
            read_page(mirror, store)
            count = len(watched.calls)
            size = len(OLD.content)
            mirror.pages.fill(SIX, Filename(OLD.filename), size=size, upload_time=self.TIME)
            mirror.pages.fill(SIX, Filename("six-0.1.tar.gz"), size=1)
            mirror.pages.fill(ProjectName("seven"), Filename("seven-0.1.tar.gz"), size=1)
        assert {call.method for call in watched.calls[count:]} <= READING

    def test_many_at_once(self, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """Several processes that fill in, revalidate and take new pages lose nothing of each other's."""
        names = [Filename(f"six-0.{number}.tar.gz") for number in range(24)]
        for number, name in enumerate(names):
            upstream.add_file("six", name, bytes(number), upload_time=None, size=None)
        upstream.cache_control = "max-age=0"
        with ExitStack() as stack, ThreadPoolExecutor(6) as threads:
            mirrors = [stack.enter_context(mirroring(store, upstream, now=clock)) for _ in range(3)]
            read_page(mirrors[0], store)

            def work(number: int) -> None:
                mirror = mirrors[number % 3]
                if number % 4 == 0:
                    upstream.add(make_wheel("six", f"2.{number}"))
                read_page(mirror, store)
                mirror.pages.fill(SIX, names[number], size=number, upload_time=self.TIME)

            list(threads.map(work, range(len(names))))
            for mirror in mirrors:
                page = read_page(mirror, store)
                assert page is not None
                filled = {file["filename"]: (file.get("size"), file.get("upload-time")) for file in page["files"]}
                assert {name: filled[name] for name in names} == {name: (i, self.TIME) for i, name in enumerate(names)}

    def test_a_store_that_fails(
        self, store: FolderStore, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
    ) -> None:
        """That something could not be filled in is no failure of the request for the file."""
        failing = Fault(Mischief.UNAVAILABLE, when=lambda call: call.method == "replace")
        with mirroring(Adversary(store, failing), upstream) as mirror:
            read_page(mirror, store)
            mirror.pages.fill(SIX, self.SDIST, size=5)
        assert "does not say what was learnt about six-1.15.0.tar.gz" in caplog.text


class TestTogether:
    """Requests for one page at the same time."""

    COUNT = 8

    def ask(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock, **answer: Any) -> list[Any]:
        """Have requests come in while the upstream has not answered the first one; return what they got."""
        arrived, release = Event(), Event()
        upstream.override("/simple/six/", arrived=arrived, release=release, **answer)
        ahead = read_ahead(mirror, store)

        def request() -> Any:
            try:
                return mirror.pages.find_page(SIX, "json", ahead)
            except UpstreamUnavailable as fault:
                return str(fault)

        with ThreadPoolExecutor(self.COUNT) as threads:
            first = threads.submit(request)
            assert arrived.wait(PATIENCE_SECONDS)
            looks = clock.looks
            others = [threads.submit(request) for _ in range(self.COUNT - 1)]
            clock.wait_for(looks + self.COUNT - 1)  # each has come in by then: it looks at the clock first
            release.set()
            return [future.result(PATIENCE_SECONDS) for future in (first, *others)]

    def page_bytes(self) -> dict[str, Any]:
        page = {"meta": {"api-version": "1.4"}, "name": "six", "versions": ["2.0"], "files": []}
        return {"headers": {"Content-Type": JSON_TYPE}, "body": json.dumps(page).encode()}

    @pytest.mark.parametrize("stored", [True, False])
    def test_one_asks(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock, stored: bool
    ) -> None:
        """All wait for one request to the upstream and get its answer, also of an upstream that forbids caching."""
        if stored:
            read_page(mirror, store)
            clock.advance(DEFAULT_FRESH_SECONDS)
            upstream.forget()
        answer = self.page_bytes()
        answer["headers"]["Cache-Control"] = "no-cache"
        pages = self.ask(mirror, store, upstream, clock, **answer)
        assert (len({page.etag for page in pages}), upstream.requests) == (1, ONCE)

    def test_one_fails_for_all(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """Who waited for a request that failed does not try it again: nobody waits for two time-outs."""
        faults = self.ask(mirror, store, upstream, clock, status=500)
        assert (set(faults), upstream.requests) == (
            {f"the upstream index failed: {upstream.origin}/simple/six/ answered 500"},
            ONCE,
        )

    def test_stale_for_all(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """With a stored page one failed request is enough for all to get that."""
        read_page(mirror, store)
        clock.advance(DEFAULT_FRESH_SECONDS)
        upstream.forget()
        pages = self.ask(mirror, store, upstream, clock, status=500)
        assert (len({page.etag for page in pages}), upstream.requests) == (1, ONCE)


class TestDamage:
    """What lies in the store may be of two processes, or damaged; then the upstream is asked again."""

    def other_page(self, store: FolderStore) -> bytes:
        """Return what another process, with another page of the upstream, wrote."""
        with FakeUpstream() as other, mirroring(store, other) as mirror:
            other.add(NEW)
            read_page(mirror, store)
        return store.get(PAGE).body

    @pytest.mark.parametrize("key", [PAGE, CHECK])
    @pytest.mark.parametrize("damage", ["gone", "half", "other", "flipped"])
    def test_of_the_page(self, store: FolderStore, upstream: FakeUpstream, clock: Clock, key: str, damage: str) -> None:
        """A page and a check that are not both whole and of one another are not served."""
        self.other_page(store)
        other = store.get(key).body
        with mirroring(store, upstream, now=clock) as mirror:
            store.delete(CHECK)
            expected = read_page(mirror, store)
        upstream.forget()
        body = store.get(key).body
        damaged = {
            "gone": None,
            "half": body[: len(body) // 2],
            "other": other,
            "flipped": body[:15] + bytes([body[15] ^ 1]) + body[16:],
        }[damage]
        store.delete(key)
        if damaged is not None:
            store.put(key, damaged)
        with mirroring(store, upstream, now=clock) as mirror:
            assert read_page(mirror, store) == expected
            assert (upstream.requests, "if-none-match" in upstream.seen[0].headers) == (ONCE, False)
            assert read_page(mirror, store) == expected
        assert upstream.requests == ONCE

    @pytest.mark.parametrize("damage", ["gone", "half", "other"])
    @pytest.mark.parametrize("same_process", [True, False])
    def test_of_the_sources(
        self, store: FolderStore, upstream: FakeUpstream, clock: Clock, damage: str, same_process: bool
    ) -> None:
        """Sources that are lost, damaged or of another page are fetched anew, though the page is fresh.

        The process that stored them has them at hand.
        """
        self.other_page(store)
        other = store.get(SOURCES).body
        store.delete(CHECK)
        with mirroring(store, upstream, now=clock) as mirror, mirroring(store, upstream, now=clock) as another:
            read_page(mirror, store)
            upstream.forget()
            body = store.get(SOURCES).body
            store.delete(SOURCES)
            if damage != "gone":
                store.put(SOURCES, body[: len(body) // 2] if damage == "half" else other)
            asked = mirror if same_process else another
            for _ in range(2):
                sources = asked.pages.find_sources(SIX)
                assert sources is not None
                assert list(sources) == [OLD.filename]
        assert upstream.requests == ([] if same_process else ONCE)

    def test_of_the_sources_while_the_upstream_is_down(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock
    ) -> None:
        """Lost sources and an upstream that is down: no file, but the page goes on."""
        read_page(mirror, store)
        store.delete(SOURCES)
        upstream.stop()
        with mirroring(store, upstream, now=clock) as another:
            with pytest.raises(UpstreamUnavailable):
                another.pages.find_sources(SIX)
            assert read_page(another, store) is not None

    def test_of_the_check_s_future(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """A check of a later version is as good as none."""
        read_page(mirror, store)
        later = encode_check(decode_check(CHECK, store.get(CHECK).body)).replace(b'"v":2', b'"v":3')
        store.put(CHECK, later)
        with mirroring(store, upstream) as another:
            assert read_page(another, store) is not None
        assert upstream.requests == ONCE * 2


class TestContent:
    def test_html_alone(self, store: FolderStore) -> None:
        """An upstream that has only HTML gives a JSON page with versions, digests and metadata."""
        with FakeUpstream(html_only=True) as upstream, mirroring(store, upstream) as mirror:
            upstream.add(OLD)
            upstream.add(make_sdist("six", "1.17.0", requires_python=">=3"), yanked="broken")
            assert read_page(mirror, store) == {
                "meta": {"api-version": "1.4"},
                "name": "six",
                "versions": ["1.16.0", "1.17.0"],
                "files": [
                    {
                        "filename": OLD.filename,
                        "url": OLD.filename,
                        "hashes": {"sha256": OLD.sha256},
                        "core-metadata": {"sha256": OLD.metadata_sha256},
                    },
                    {
                        "filename": "six-1.17.0.tar.gz",
                        "url": "six-1.17.0.tar.gz",
                        "hashes": {"sha256": make_sdist("six", "1.17.0", requires_python=">=3").sha256},
                        "requires-python": ">=3",
                        "yanked": "broken",
                    },
                ],
            }

    def test_files_that_cannot_be_served(
        self, read: Read, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Entries that are no files are left out, and the log says how many."""
        upstream.add_file("six", "../six-1.18.0.tar.gz", b"")
        upstream.add_file("six", "six-1.18.0.tar.gz", b"", url="ftp://upstream.example/six")
        read()
        assert "the upstream's page of six has 2 files that cannot be served" in caplog.text

    def test_files_that_move(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """Files that the upstream moves are found, though the page that we serve stays the same."""
        before = read_page(mirror, store)
        etag = store.get(PAGE).etag
        upstream.add(OLD, url="/moved/six.whl?signature=2")
        clock.advance(DEFAULT_FRESH_SECONDS)
        sources = mirror.pages.find_sources(SIX)
        assert sources is not None
        assert sources[Filename(OLD.filename)].url == f"{upstream.origin}/moved/six.whl?signature=2"
        assert (read_page(mirror, store), store.get(PAGE).etag) == (before, etag)

    def test_credentials(self, store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
        """The upstream's credentials are in no page, in nothing that is stored, in no log and in no error."""
        caplog.set_level(logging.DEBUG)
        with FakeUpstream(credentials=("user", "s3cret")) as upstream, mirroring(store, upstream) as mirror:
            upstream.add(OLD)
            page = read_page(mirror, store)
            mirror.ingest(SIX, Filename(OLD.filename))
            upstream.override("/simple/seven/", status=500)
            with pytest.raises(UpstreamUnavailable) as caught:
                mirror.pages.find_page("seven", "json", read_ahead_of(store))  # type: ignore[arg-type]  # a name
        from indexer.upstream.sources import decode_sources

        stored = [store.get(stat.key).body for stat in store.list("") if stat.key != SOURCES]
        shown = f"{page} {caplog.text} {caught.value} {stored} {decode_sources('', store.get(SOURCES).body)}"
        assert "s3cret" not in shown
        assert "user:" not in shown
