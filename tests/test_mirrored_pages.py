"""Mirrored pages: when the upstream is asked, what is served when it fails, and who waits for whom."""

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from indexer.errors import UpstreamUnavailable
from indexer.folder import FolderStore
from indexer.names import Filename
from indexer.simple import Renderer
from pypi_lambda.kept_pages import decode_check, encode_check
from pypi_lambda.mirror import Mirror
from pypi_lambda.mirrored_pages import BACK_OFF_SECONDS, DEFAULT_FRESH_SECONDS, MAX_FRESH_SECONDS
from tests.distributions import make_sdist, make_wheel
from tests.fake_upstream import JSON_TYPE, LOGIN_PAGE, FakeUpstream
from tests.mirrors import PATIENCE_SECONDS, SIX, Clock, mirroring, read_ahead, read_page

OLD = make_wheel("six", "1.16.0")
NEW = make_wheel("six", "1.17.0")
ONCE = [("GET", "/simple/six/")]
CHECK = "upstream/pages/six.check"
PAGE = "upstream/pages/six.json.gz"
SOURCES = "upstream/pages/six.sources"

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
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "data")


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

    def test_a_clock_that_was_wrong(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """A page that was fetched in the future is asked for again."""
        read()
        clock.advance(-3_600)
        read()
        assert upstream.requests == ONCE * 2

    def test_another_renderer(self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A page that was rendered otherwise is fetched anew, not served."""
        read()
        with mirroring(store, upstream, now=clock, renderer=Renderer(hash_dist_info_metadata=True)) as another:
            page = read_page(another, store)
        assert page is not None
        assert page["files"][0]["dist-info-metadata"] == {"sha256": OLD.metadata_sha256}


class TestGone:
    def test_unknown(self, mirror: Mirror, store: FolderStore) -> None:
        """A project that the upstream does not have leaves nothing in the store."""
        missing = mirror.pages.find_page(Filename("seven"), "json", {})  # type: ignore[arg-type]  # a name
        assert (missing, list(store.list("upstream/"))) == (None, [])

    def test_taken_down(self, read: Read, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A project that was taken down is gone, and no failure of the upstream brings it back, in no process."""
        read()
        upstream.remove("six")
        clock.advance(DEFAULT_FRESH_SECONDS)
        assert read() is None
        upstream.override("/simple/six/", status=503)
        with mirroring(store, upstream, now=clock) as another:
            for asked in (read, lambda: read_page(another, store)):
                with pytest.raises(UpstreamUnavailable):
                    asked()

    def test_back_again(self, read: Read, upstream: FakeUpstream, clock: Clock) -> None:
        """A project that comes back is served again at once."""
        read()
        upstream.remove("six")
        clock.advance(DEFAULT_FRESH_SECONDS)
        read()
        upstream.add(NEW)
        assert read() == ["1.17.0"]


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
    def test_nothing_to_fall_back_on(self, read: Read, upstream: FakeUpstream, failure: dict[str, Any]) -> None:
        """Without a stored page the failure is the answer; the next request asks again."""
        upstream.override("/simple/six/", **failure)
        with pytest.raises(UpstreamUnavailable) as caught:
            read()
        assert caught.value.retry_after_seconds == (7 if failure.get("headers") == {"Retry-After": "7"} else 30)
        upstream.restore("/simple/six/")
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

    def test_a_304_that_nobody_asked_for(self, read: Read, upstream: FakeUpstream) -> None:
        """A 304 to a request without validators is a failure."""
        upstream.override("/simple/six/", status=304)
        with pytest.raises(UpstreamUnavailable):
            read()


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
        """Sources that are lost, damaged or of another page are fetched anew, though the page is fresh."""
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
        assert upstream.requests == ONCE

    def test_of_the_sources_while_the_upstream_is_down(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream
    ) -> None:
        """Lost sources and an upstream that is down: no file, but the page goes on."""
        read_page(mirror, store)
        store.delete(SOURCES)
        upstream.stop()
        with pytest.raises(UpstreamUnavailable):
            mirror.pages.find_sources(SIX)
        assert read_page(mirror, store) is not None

    def test_of_the_check_s_future(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """A check of a later version is as good as none."""
        read_page(mirror, store)
        later = encode_check(decode_check(CHECK, store.get(CHECK).body)).replace(b'"v":1', b'"v":2')
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
                        "dist-info-metadata": True,
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
                mirror.pages.find_page("seven", "json", {})  # type: ignore[arg-type]  # a name
        from indexer.sources import decode_sources

        stored = [store.get(stat.key).body for stat in store.list("") if stat.key != SOURCES]
        shown = f"{page} {caplog.text} {caught.value} {stored} {decode_sources('', store.get(SOURCES).body)}"
        assert "s3cret" not in shown
        assert "user:" not in shown
