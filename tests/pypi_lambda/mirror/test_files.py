"""Mirrored files: taken in once, checked before they can be seen, and waited for."""

import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote

import pytest

from indexer.errors import DigestMismatch, UpstreamUnavailable
from indexer.keys import cache_key
from indexer.log.events import timestamp
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from pypi_lambda.http.faults import NotFound
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.mirror.revisions import DEFAULT_FRESH_SECONDS
from tests.support.adversary import Adversary, Crash, Fault, Mischief
from tests.support.apps import JSON, Site, running_site
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.mirrors import PATIENCE_SECONDS, SIX, Clock, mirroring, read_page

WHEEL = make_wheel("six", "1.17.0", files={"six_data.bin": bytes(range(256)) * 2_000})
SDIST = make_sdist("six", "1.17.0")
FILE = Filename(WHEEL.filename)
METADATA = Filename(f"{FILE}.metadata")
KEY = cache_key(SIX, FILE)
FILE_PATH = f"/simple/six/{FILE}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mirror(store: FolderStore, upstream: FakeUpstream, clock: Clock) -> Iterator[Mirror]:
    with mirroring(store, upstream, now=clock) as mirror:
        yield mirror


def cached(store: ObjectStore) -> dict[str, bytes]:
    return {stat.key: store.get(stat.key).body for stat in store.list("cache/")}


def digest(algorithm: str) -> dict[str, str]:
    return {algorithm: hashlib.new(algorithm, WHEEL.content).hexdigest()}


class TestFiles:
    def test_taken_in(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """A file comes into the store, to the byte, with one request for the page and one for the file."""
        path = upstream.add(WHEEL)
        mirror.ingest(SIX, FILE)
        assert (cached(store), upstream.requests) == ({KEY: WHEEL.content}, [("GET", "/simple/six/"), ("GET", path)])

    @pytest.mark.parametrize("hashes", [digest("sha512"), digest("md5"), {"made-up": "00"}, {}])
    def test_other_digests(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, hashes: dict[str, str]
    ) -> None:
        """A file without a sha256 is taken in, too."""
        upstream.add(WHEEL, hashes=hashes)
        mirror.ingest(SIX, FILE)
        assert cached(store) == {KEY: WHEEL.content}

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5"])
    def test_another_content(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, algorithm: str) -> None:
        """A file that is not the listed one never becomes visible, both digests are named, and a new try is clean."""
        path = upstream.add(WHEEL, hashes=digest(algorithm), size=None)
        upstream.override(unquote(path), body=b"other")
        other = hashlib.new(algorithm, b"other").hexdigest()
        with pytest.raises(DigestMismatch) as caught:
            mirror.ingest(SIX, FILE)
        announced = digest(algorithm)[algorithm]
        assert str(caught.value) == f"{FILE} has {algorithm} {other}, not the announced {algorithm} {announced}"
        assert cached(store) == {}
        upstream.restore(unquote(path))
        mirror.ingest(SIX, FILE)
        assert cached(store) == {KEY: WHEEL.content}

    @pytest.mark.parametrize("size", [0, len(WHEEL.content) - 1, len(WHEEL.content) + 1, 10**7])
    def test_another_size(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, size: int) -> None:
        """A file with the listed digest is the listed one, and from then on the page says what size it has."""
        upstream.add(WHEEL, size=size)
        mirror.ingest(SIX, FILE)
        assert cached(store) == {KEY: WHEEL.content}
        page = read_page(mirror, store)
        assert page is not None
        assert (page["files"][0]["size"], mirror.find_size(SIX, FILE)) == (len(WHEEL.content), len(WHEEL.content))

    @pytest.mark.parametrize("size", [5, 10**7])
    def test_size_alone(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, size: int) -> None:
        """Where no digest is announced that we can compute, the announced size is checked."""
        upstream.add(WHEEL, size=size, hashes={"made-up": "00"})
        with pytest.raises(DigestMismatch):
            mirror.ingest(SIX, FILE)
        assert cached(store) == {}

    @pytest.mark.parametrize("says_when", [True, False])
    def test_filled_in(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, says_when: bool) -> None:
        """Size and time that the upstream leaves out are on the page once the file has been seen."""
        upstream.validators = says_when
        upstream.add(WHEEL, size=None, upload_time=None)
        mirror.ingest(SIX, FILE)
        page, stat = read_page(mirror, store), store.stat(KEY)
        assert page is not None
        assert stat is not None
        time = "2023-11-14T22:13:20.000000Z" if says_when else timestamp(stat.modified)
        assert (page["files"][0]["size"], page["files"][0]["upload-time"]) == (len(WHEEL.content), time)

    @pytest.mark.parametrize(
        "failure",
        [
            {"body": WHEEL.content[:1_000], "announced": len(WHEEL.content)},
            {"cut": True},
            {"status": 500},
            {"status": 403},
            {"status": 206, "body": WHEEL.content[:10]},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("hashes", [digest("sha256"), {}], ids=["digest", "no digest"])
    def test_interrupted(
        self,
        mirror: Mirror,
        store: FolderStore,
        upstream: FakeUpstream,
        failure: dict[str, Any],
        hashes: dict[str, str],
    ) -> None:
        """A download that fails or breaks off leaves nothing, also where no digest could tell, and can be repeated."""
        path = unquote(upstream.add(WHEEL, hashes=hashes, size=None))
        upstream.override(path, **failure)
        with pytest.raises(UpstreamUnavailable):
            mirror.ingest(SIX, FILE)
        assert cached(store) == {}
        upstream.restore(path)
        mirror.ingest(SIX, FILE)
        assert cached(store) == {KEY: WHEEL.content}

    def test_listed_but_absent(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """A file that the upstream lists and does not have is not found."""
        upstream.override(unquote(upstream.add(WHEEL)), status=404)
        with pytest.raises(NotFound, match="the upstream lists"):
            mirror.ingest(SIX, FILE)

    def test_not_listed(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """A file or a project that the upstream does not list is not found."""
        upstream.add(WHEEL)
        with pytest.raises(NotFound, match="project 'six' has no file"):
            mirror.ingest(SIX, Filename("six-0.tar.gz"))
        with pytest.raises(NotFound, match="there is no project 'seven'"):
            mirror.ingest(ProjectName("seven"), Filename("seven-0.tar.gz"))
        assert cached(store) == {}

    def test_listed_since(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A file that was released after the page was stored is found once that is stale, page or no page read."""
        upstream.add(SDIST)
        read_page(mirror, store)
        upstream.add(WHEEL)
        clock.advance(DEFAULT_FRESH_SECONDS)
        mirror.ingest(SIX, FILE)
        assert cached(store) == {KEY: WHEEL.content}

    def test_moved(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, clock: Clock) -> None:
        """A file is fetched from where it is now, not from where it was when its page was stored."""
        old = unquote(upstream.add(WHEEL, url="/old"))
        read_page(mirror, store)
        upstream.add(WHEEL, url="/new")
        upstream.override("/old", status=403)
        upstream.override("/new", body=WHEEL.content)
        clock.advance(DEFAULT_FRESH_SECONDS)
        mirror.ingest(SIX, FILE)
        assert cached(store) == {KEY: WHEEL.content}
        assert old not in [path for _, path in upstream.requests]

    def test_crashed(self, store: FolderStore, upstream: FakeUpstream) -> None:
        """A process that dies around the write leaves nothing or the whole file."""
        upstream.add(WHEEL)
        for mischief, left in ((Mischief.CRASH_BEFORE, {}), (Mischief.CRASH_AFTER, {KEY: WHEEL.content})):
            dying = Adversary(store, Fault(mischief, when=lambda call: call.method == "write"))
            with mirroring(dying, upstream) as mirror, pytest.raises(Crash):
                mirror.ingest(SIX, FILE)
            assert cached(store) == left


class TestMetadata:
    def test_taken_in(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """Metadata comes to the byte, without the file, and from the store the next time."""
        path = upstream.add(WHEEL)
        assert [mirror.get_metadata(SIX, METADATA, None) for _ in range(2)] == [WHEEL.metadata] * 2
        assert upstream.requests == [("GET", "/simple/six/"), ("GET", f"{path}.metadata")]
        assert cached(store) == {f"{KEY}.metadata": WHEEL.metadata}

    def test_flag(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """Metadata that is announced without a digest is taken as it is."""
        upstream.add(WHEEL, core_metadata=True, dist_info_metadata=True)
        assert mirror.get_metadata(SIX, METADATA, None) == WHEEL.metadata

    @pytest.mark.parametrize(
        ("failure", "fault"),
        [
            ({"body": b"other"}, DigestMismatch),
            ({"status": 500}, UpstreamUnavailable),
            ({"body": WHEEL.metadata[:5], "announced": len(WHEEL.metadata)}, UpstreamUnavailable),
            ({"body": bytes(5_000_000)}, UpstreamUnavailable),
        ],
        ids=["other", "error", "truncated", "too long"],
    )
    def test_failures(
        self,
        mirror: Mirror,
        store: FolderStore,
        upstream: FakeUpstream,
        failure: dict[str, Any],
        fault: type[Exception],
    ) -> None:
        """Metadata that is not what was announced is not kept; of an sdist there is no other."""
        path = unquote(upstream.add(SDIST, metadata=SDIST.metadata))
        upstream.override(f"{path}.metadata", **failure)
        metadata = Filename(f"{SDIST.filename}.metadata")
        with pytest.raises(fault):
            mirror.get_metadata(SIX, metadata, None)
        assert cached(store) == {}
        upstream.restore(f"{path}.metadata")
        assert mirror.get_metadata(SIX, metadata, None) == SDIST.metadata

    def test_not_announced(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """Metadata that the upstream does not announce is not asked for."""
        upstream.add(SDIST)
        with pytest.raises(NotFound):
            mirror.get_metadata(SIX, Filename(f"{SDIST.filename}.metadata"), None)
        assert upstream.requests == [("GET", "/simple/six/")]


class TestTogether:
    def test_ten_clients_one_download(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """Ten requests for a file while it arrives, and one that looked before it had, make one download."""
        path = upstream.add(WHEEL)
        arrived, release = Event(), Event()
        upstream.override(unquote(path), body=WHEEL.content, arrived=arrived, sent_first=1_000, release=release)
        with ThreadPoolExecutor(10) as threads:
            first = threads.submit(mirror.ingest, SIX, FILE)
            assert arrived.wait(PATIENCE_SECONDS)
            others = [threads.submit(mirror.ingest, SIX, FILE) for _ in range(9)]
            assert cached(store) == {}
            release.set()
            for future in (first, *others):
                future.result(PATIENCE_SECONDS)
        mirror.ingest(SIX, FILE)
        assert upstream.requests.count(("GET", path)) == 1

    def test_a_slow_file(self, store: FolderStore, upstream: FakeUpstream) -> None:
        """A file that takes longer than a client waits goes on arriving, and is there for who comes back."""
        path = upstream.add(WHEEL)
        release = Event()
        upstream.override(unquote(path), body=WHEEL.content, sent_first=1_000, release=release)
        with mirroring(store, upstream, wait_seconds=0.05) as impatient:
            for _ in range(2):
                with pytest.raises(UpstreamUnavailable, match="is still arriving; try again") as caught:
                    impatient.ingest(SIX, FILE)
                assert caught.value.retry_after_seconds == 5
            release.set()
            _retry_until_there(impatient)
        assert cached(store) == {KEY: WHEEL.content}
        assert upstream.requests.count(("GET", path)) == 1

    def test_two_processes(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """Two processes that take in the same file do not disturb each other."""
        upstream.add(WHEEL)
        with mirroring(store, upstream) as another, ThreadPoolExecutor(2) as threads:
            for future in [threads.submit(each.ingest, SIX, FILE) for each in (mirror, another)]:
                future.result(PATIENCE_SECONDS)
        assert cached(store) == {KEY: WHEEL.content}


def _retry_until_there(mirror: Mirror) -> None:
    for _ in range(6_000):  # of 50 ms each, at least
        try:
            mirror.ingest(SIX, FILE)
        except UpstreamUnavailable:
            continue
        return
    raise AssertionError("the file never arrives")


class TestOverHttp:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        with running_site(tmp_path) as site:
            site.upstream.add(WHEEL)
            yield site

    def test_mismatch(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        """What is not what the upstream lists is 502 with both digests, here and in the log, and never delivered."""
        path = unquote(site.upstream.add(WHEEL, size=None))
        site.upstream.override(path, body=b"other")
        with caplog.at_level(logging.ERROR):
            answer = site.get(FILE_PATH)
        other = hashlib.sha256(b"other").hexdigest()
        sentence = f"{FILE} has sha256 {other}, not the announced sha256 {WHEEL.sha256}"
        assert (answer.status, answer.text) == (502, f"{sentence}\n")
        assert sentence in caplog.text
        site.upstream.restore(path)
        assert site.get(FILE_PATH).body == WHEEL.content

    def test_down(self, site: Site) -> None:
        """With the upstream down, what was mirrored is served and the rest is 503, which says so and when to retry."""
        assert [site.get(path).status for path in ("/simple/six/", FILE_PATH, f"{FILE_PATH}.metadata")] == [200] * 3
        site.upstream.add(SDIST)
        site.upstream.stop()
        assert [site.get(path).status for path in ("/simple/six/", FILE_PATH, f"{FILE_PATH}.metadata")] == [200] * 3
        answer = site.get("/simple/seven/", accept=JSON)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert answer.text.startswith(
            f"the upstream index failed: {site.upstream.origin}/simple/seven/ cannot be reached"
        )

    @pytest.mark.parametrize("path", ["/simple/six/", FILE_PATH, f"{FILE_PATH}.metadata"])
    def test_failing(self, site: Site, path: str) -> None:
        """A failing upstream's own Retry-After is handed on."""
        site.upstream.override(status=503, headers={"Retry-After": "17"})
        answer = site.get(path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "17")

    def test_private_address(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        """A file that the upstream places at an address of ours is 502 and in the log, and nobody is asked for it."""
        with FakeUpstream() as other:
            site.upstream.add(WHEEL, url=f"{other.origin}/secret")
            with caplog.at_level(logging.ERROR):
                answer = site.get(FILE_PATH)
            assert other.requests == []
        sentence = "the upstream index failed: it names the host '127.0.0.1', whose address is private"
        assert (answer.status, answer.text.partition(";")[0]) == (502, sentence)
        assert sentence in caplog.text

    def test_allowed_address(self, tmp_path: Path) -> None:
        """A file at such an address is taken in where the setting names the host."""
        with running_site(tmp_path, upstream_private_hosts=frozenset({"127.0.0.1"})) as site, FakeUpstream() as other:
            path = other.add(WHEEL)
            site.upstream.add(WHEEL, url=f"{other.origin}{path}")
            assert site.get(FILE_PATH).body == WHEEL.content

    def test_taken_down(self, site: Site) -> None:
        """A file that was mirrored stays when the upstream drops the project: lock files name it."""
        site.get(FILE_PATH)
        site.upstream.remove("six")
        assert site.get(FILE_PATH).body == WHEEL.content
