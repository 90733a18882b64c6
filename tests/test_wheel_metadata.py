"""Metadata for every wheel: taken out of it where the upstream has none, and out of parts of it where it can be."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote

import pytest

from indexer.errors import DigestMismatch, UpstreamUnavailable
from indexer.folder import FolderStore
from indexer.keys import cache_key
from indexer.names import Filename
from pypi_lambda.http import NotFound
from pypi_lambda.mirror import Mirror
from tests.apps import HTML, JSON, Site, running_site
from tests.archives import wheel_members, zip_bytes
from tests.distributions import make_sdist, make_wheel
from tests.fake_upstream import FakeUpstream
from tests.mirrors import PATIENCE_SECONDS, SIX, mirroring, read_page
from tests.test_mirror import cached

BIG = make_wheel("six", "1.17.0", files={"six_data.bin": random.Random(1).randbytes(3_000_000)}, requires=("ten>=1",))
FILE = Filename(BIG.filename)
METADATA = Filename(f"{FILE}.metadata")
KEY = cache_key(SIX, METADATA)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "data")


@pytest.fixture
def mirror(store: FolderStore, upstream: FakeUpstream) -> Iterator[Mirror]:
    with mirroring(store, upstream) as mirror:
        yield mirror


def add(upstream: FakeUpstream, **changes: Any) -> str:
    """Publish the wheel without metadata and return its path as servers see it."""
    return unquote(upstream.add(BIG, **{"metadata": None, **changes}))


def add_content(upstream: FakeUpstream, content: bytes, **changes: Any) -> str:
    return unquote(upstream.add_file("six", FILE, content, **changes))


class TestFromParts:
    def test_to_the_byte(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """METADATA comes out of the remote wheel to the byte; of the wheel little travels, and nothing is stored."""
        add(upstream)
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert cached(store) == {KEY: BIG.metadata}
        asked = [seen for seen in upstream.seen if seen.path.startswith("/files/")]
        assert [seen.headers["range"] for seen in asked] == [
            f"bytes={len(BIG.content) - 131_072}-{len(BIG.content) - 1}"
        ]
        assert upstream.sent < 150_000

    def test_once(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """What was taken out once is served from the store."""
        add(upstream)
        mirror.get_metadata(SIX, METADATA, None)
        upstream.stop()
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata

    def test_unknown_size(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """It comes in parts also where the listing does not say how long the file is."""
        add(upstream, size=None)
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert upstream.sent < 250_000

    def test_redirected(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """The server of the files may be behind a redirect, and its URLs signed."""
        path = add(upstream)
        upstream.add(BIG, metadata=None, url="/moved")
        upstream.override("/moved", status=302, headers={"Location": f"{path}?signature=1"})
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert upstream.sent < 250_000

    def test_together(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """Ten clients that ask at the same time have it taken out once."""
        path = add(upstream)
        arrived, release = Event(), Event()
        upstream.override(path, status=501, arrived=arrived, release=release)
        with ThreadPoolExecutor(10) as threads:
            asked = [threads.submit(mirror.get_metadata, SIX, METADATA, None) for _ in range(10)]
            assert arrived.wait(PATIENCE_SECONDS)
            upstream.restore(path)
            release.set()
            assert {future.result(PATIENCE_SECONDS) for future in asked} == {BIG.metadata}
        # The server refused parts at first, so the file was taken in, once.
        assert [seen.path for seen in upstream.seen].count(path) == 2


class TestFromTheWhole:
    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"status": 206, "headers": {"Content-Range": "bytes 0-9/10"}},
            {"status": 501},
        ],
        ids=["ignores ranges", "answers with others", "refuses ranges"],
    )
    def test_no_parts(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, answer: dict[str, Any]) -> None:
        """From a server without ranges the whole wheel is taken in, checked, and read."""
        path = add(upstream)
        upstream.odd_ranges[path] = {"body": BIG.content, **answer}
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert cached(store) == {KEY: BIG.metadata, cache_key(SIX, FILE): BIG.content}

    def test_there_already(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """The metadata of a wheel that is stored is read there: the upstream is not asked."""
        path = add(upstream)
        mirror.ingest(SIX, FILE)
        upstream.override(path, status=500)
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata

    def test_another_content(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """A wheel that is not the listed one gives no metadata."""
        path = add(upstream)
        upstream.override(path, body=make_wheel("six", "1.17.0").content)
        with pytest.raises(DigestMismatch):
            mirror.get_metadata(SIX, METADATA, None)
        assert cached(store) == {}

    def test_large(self, store: FolderStore, upstream: FakeUpstream) -> None:
        """Where taking the wheel in takes longer than a client waits, it is told to come back, and then finds it."""
        path = add(upstream)
        release = Event()
        upstream.override(path, body=BIG.content, sent_first=1_000, release=release)
        with mirroring(store, upstream, wait_seconds=0.05) as mirror:
            with pytest.raises(UpstreamUnavailable, match="is still arriving"):
                mirror.get_metadata(SIX, METADATA, None)
            release.set()
            for _ in range(200):
                try:
                    assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
                except UpstreamUnavailable:
                    continue
                break
            else:
                pytest.fail("it never arrives")


class TestTakenIn:
    """By an invocation of its own, as the function has it."""

    @pytest.mark.parametrize("has_ranges", [True, False])
    def test_wheel(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, has_ranges: bool) -> None:
        """The metadata is in the store, and the wheel too if it took that."""
        path = add(upstream)
        if not has_ranges:
            upstream.odd_ranges[path] = {"status": 501}
        mirror.take_in(SIX, METADATA)
        wheel = {} if has_ranges else {cache_key(SIX, FILE): BIG.content}
        assert cached(store) == {KEY: BIG.metadata, **wheel}

    def test_announced(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """Metadata that the upstream has is taken from there."""
        path = add(upstream, metadata=BIG.metadata)
        mirror.take_in(SIX, METADATA)
        assert [seen.path for seen in upstream.seen[1:]] == [f"{path}.metadata"]
        assert cached(store) == {KEY: BIG.metadata}


class TestAnnouncedButMissing:
    @pytest.mark.parametrize(
        "failure",
        [{"status": 404}, {"status": 403}, {"status": 500}, {"cut": True}, {"body": b"x", "announced": 2}],
        ids=str,
    )
    def test_taken_out(self, mirror: Mirror, upstream: FakeUpstream, failure: dict[str, Any]) -> None:
        """Metadata that the upstream announces and does not deliver is taken out of the wheel."""
        path = add(upstream, metadata=BIG.metadata)
        upstream.override(f"{path}.metadata", **failure)
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata

    def test_down(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """With the upstream down, the metadata of a wheel that is stored is there, that of another is not."""
        add(upstream, metadata=BIG.metadata)
        other = make_wheel("six", "2.0")
        upstream.add(other)
        mirror.ingest(SIX, FILE)
        upstream.stop()
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        with pytest.raises(UpstreamUnavailable):
            mirror.get_metadata(SIX, Filename(f"{other.filename}.metadata"), None)

    def test_another(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """What is inside the wheel must have the announced digest: clients would refuse anything else."""
        path = add(upstream, metadata=b"another")
        upstream.override(f"{path}.metadata", status=404)
        with pytest.raises(DigestMismatch):
            mirror.get_metadata(SIX, METADATA, None)
        assert cached(store) == {}

    def test_of_an_sdist(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """Of an sdist there is nothing to take it from."""
        sdist = make_sdist("six", "1.17.0")
        path = unquote(upstream.add(sdist, metadata=sdist.metadata))
        upstream.override(f"{path}.metadata", status=404)
        with pytest.raises(NotFound):
            mirror.get_metadata(SIX, Filename(f"{sdist.filename}.metadata"), None)


NO_WHEELS = {
    "no METADATA": zip_bytes({"six.py": b"", "six-1.17.0.dist-info/WHEEL": b"", "six-1.17.0.dist-info/RECORD": b""}),
    "no dist-info": zip_bytes({"six.py": b""}),
    "of another project": zip_bytes(wheel_members()),
    "no zip": b"no zip" * 100,
    "a bomb": zip_bytes(wheel_members(folder="six-1.17.0.dist-info", others={"bomb": bytes(200_000_000)})),
    "empty": b"",
}


class TestWheelsWithout:
    @pytest.mark.parametrize("content", NO_WHEELS.values(), ids=NO_WHEELS)
    def test_no_metadata(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, content: bytes) -> None:
        """A wheel without metadata is found out by its whole content, and is not said to have any from then on."""
        add_content(upstream, content)
        page = read_page(mirror, store)
        assert page is not None
        assert page["files"][0]["core-metadata"] is True
        with pytest.raises(NotFound, match="has no metadata"):
            mirror.get_metadata(SIX, METADATA, None)
        assert cached(store) == {cache_key(SIX, FILE): content}
        page = read_page(mirror, store)
        assert page is not None
        assert page["files"][0]["core-metadata"] is False


class TestOverHttp:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        with running_site(tmp_path) as site:
            add(site.upstream)
            yield site

    def test_advertised(self, site: Site) -> None:
        """Both formats say from the first page on that there is metadata; taking it out changes no page."""
        pages = [site.get("/simple/six/", accept=accept).text for accept in (HTML, JSON)]
        assert 'data-core-metadata="true"' in pages[0]
        assert '"core-metadata":true' in pages[1]
        answer = site.get(f"/simple/six/{METADATA}")
        assert (answer.status, answer.body) == (200, BIG.metadata)
        assert [site.get("/simple/six/", accept=accept).text for accept in (HTML, JSON)] == pages

    def test_none(self, site: Site) -> None:
        """Who asks for metadata that is not there is told so in a sentence."""
        add_content(site.upstream, NO_WHEELS["no METADATA"])
        answer = site.get(f"/simple/six/{METADATA}")
        assert (answer.status, answer.text.partition(":")[0]) == (404, f"'{FILE}' has no metadata")
