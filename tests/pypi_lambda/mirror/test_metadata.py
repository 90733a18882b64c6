"""Metadata for every wheel: taken out of it where the upstream has none, and out of parts of it where it can be."""

import gzip
import hashlib
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote

import pytest

from indexer.errors import DigestMismatch, UpstreamUnavailable
from indexer.keys import cache_key
from indexer.names import Filename, ProjectName
from indexer.store.folder import FolderStore
from indexer.store.reads import read_ahead
from pypi_lambda.http.faults import NotFound
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.mirror.metadata import NoMetadata
from tests.pypi_lambda.mirror.test_files import cached
from tests.support.apps import HTML, JSON, Site, running_site
from tests.support.distributions import make_metadata, make_sdist, make_wheel
from tests.support.fake_upstream import LOGIN_PAGE, FakeUpstream
from tests.support.mirrors import PATIENCE_SECONDS, SIX, mirroring, read_page
from tests.support.odd_wheels import INSTALLABLE, UNREADABLE, members, zipped
from tests.support.odd_wheels import METADATA as ODD_METADATA

BIG = make_wheel("six", "1.17.0", files={"six_data.bin": random.Random(1).randbytes(3_000_000)}, requires=("ten>=1",))
FILE = Filename(BIG.filename)
METADATA = Filename(f"{FILE}.metadata")
KEY = cache_key(SIX, METADATA)
DEMO = ProjectName("demo")


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
            for _ in range(6_000):  # of 50 ms each, at least
                try:
                    assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
                except UpstreamUnavailable:
                    continue
                break
            else:
                pytest.fail("it never arrives")


class TestDigestOnThePage:
    @pytest.mark.parametrize(
        ("said", "then"),
        [
            (None, True),
            (True, True),
            ({"sha256": "0" * 64}, {"sha256": BIG.metadata_sha256}),
            ({"sha256": BIG.metadata_sha256}, {"sha256": BIG.metadata_sha256}),
        ],
        ids=["nothing", "true", "wrong", "right"],
    )
    @pytest.mark.parametrize("html_only", [False, True], ids=["JSON", "HTML"])
    def test_of_a_long_page(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, html_only: bool, said: Any, then: Any
    ) -> None:
        """A long page is written anew for a digest only where it would say a wrong one."""
        upstream.html_only = html_only
        metadata = None if said is None else BIG.metadata
        more = {} if said is None else {"core_metadata": said}
        add(upstream, **{"metadata": metadata, **more})
        for number in range(1_500):
            digest = hashlib.sha256(bytes([number % 256, number // 256])).hexdigest()
            upstream.add_file("six", f"six-0.{number}.tar.gz", b"", hashes={"sha256": digest})
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert announced(mirror, store) == then


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
        """METADATA of the whole, checked wheel outranks the digest that was announced for it; the page says so then."""
        path = add(upstream, metadata=b"another")
        upstream.override(f"{path}.metadata", status=404)
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert cached(store) == {KEY: BIG.metadata, cache_key(SIX, FILE): BIG.content}
        assert announced(mirror, store) == {"sha256": BIG.metadata_sha256}

    def test_of_an_sdist(self, mirror: Mirror, upstream: FakeUpstream) -> None:
        """Of an sdist there is nothing to take it from."""
        sdist = make_sdist("six", "1.17.0")
        path = unquote(upstream.add(sdist, metadata=sdist.metadata))
        upstream.override(f"{path}.metadata", status=404)
        with pytest.raises(NotFound):
            mirror.get_metadata(SIX, Filename(f"{sdist.filename}.metadata"), None)


# What an upstream sends in the place of a wheel's METADATA: with 200, and without a digest to tell by.
NO_METADATA: dict[str, dict[str, Any]] = {
    "login page": {"headers": {"Content-Type": "text/html"}, "body": LOGIN_PAGE},
    "error in JSON": {"body": b'{"Name": "six", "Version": "1.17.0"}'},
    "nothing": {"body": b""},
    "no content": {"status": 204},
    "gzip": {"body": gzip.compress(BIG.metadata)},
    "zlib": {"body": zlib.compress(BIG.metadata)},
    "another project": {"body": make_metadata("seven", "1.17.0")},
    "another version": {"body": make_metadata("six", "1.16.0")},
    "no version": {"body": b"Metadata-Version: 2.1\nName: six\n"},
    "a version that is none": {"body": b"Metadata-Version: 2.1\nName: six\nVersion: latest\n"},
    "the wheel": {"body": BIG.content},
    "in UTF-16": {"body": BIG.metadata.decode().encode("utf-16")},
    "only in its text": {"body": b"Metadata-Version: 2.1\n\nName: six\nVersion: 1.17.0\n"},
    "damaged gzip": {"body": b"\x1f\x8b\x08\x00", "headers": {"Content-Encoding": "gzip"}},
}


@pytest.mark.parametrize("html_only", [False, True], ids=["JSON", "HTML"])
class TestSomethingElse:
    """The upstream announces metadata, and its `.metadata` is none, or not of this wheel."""

    @pytest.mark.parametrize("answer", NO_METADATA.values(), ids=NO_METADATA)
    @pytest.mark.parametrize("has_digest", [False, True])
    def test_taken_out(
        self,
        mirror: Mirror,
        store: FolderStore,
        upstream: FakeUpstream,
        html_only: bool,
        answer: dict[str, Any],
        has_digest: bool,
    ) -> None:
        """It is taken out of the wheel, kept to the byte, and served when the upstream is gone."""
        upstream.html_only = html_only
        said = {"sha256": BIG.metadata_sha256} if has_digest else True
        path = add(upstream, core_metadata=said, dist_info_metadata=said)
        upstream.override(f"{path}.metadata", **answer)
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert cached(store)[KEY] == BIG.metadata
        assert announced(mirror, store) == {"sha256": BIG.metadata_sha256}
        upstream.stop()
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata

    def test_announced_with_its_own_digest(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, html_only: bool
    ) -> None:
        """Another project's METADATA is none of ours, though it has the announced digest."""
        upstream.html_only = html_only
        add(upstream, metadata=make_metadata("seven", "1.17.0"))
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert announced(mirror, store) == {"sha256": BIG.metadata_sha256}

    def test_encoded(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, html_only: bool) -> None:
        """A Content-Encoding that nobody asked for is undone: nothing of the wheel is fetched."""
        upstream.html_only = html_only
        path = add(upstream, metadata=BIG.metadata)
        encoded = gzip.compress(BIG.metadata)
        upstream.override(f"{path}.metadata", body=encoded, headers={"Content-Encoding": "gzip"})
        assert mirror.get_metadata(SIX, METADATA, None) == BIG.metadata
        assert [seen.path for seen in upstream.seen[1:]] == [f"{path}.metadata"]

    @pytest.mark.parametrize("spelling", ["six", "Six", "SIX"])
    @pytest.mark.parametrize("version", ["1.17.0", "1.17", "1.17.0.0", "v1.17"])
    def test_spelled_otherwise(
        self, mirror: Mirror, upstream: FakeUpstream, html_only: bool, spelling: str, version: str
    ) -> None:
        """METADATA that spells name or version in another way is that of the wheel."""
        upstream.html_only = html_only
        body = make_metadata(spelling, version)
        path = add(upstream, metadata=body)
        assert mirror.get_metadata(SIX, METADATA, None) == body
        assert [seen.path for seen in upstream.seen[1:]] == [f"{path}.metadata"]


class TestKeptWrongly:
    """An earlier release kept whatever came for good."""

    @pytest.mark.parametrize("kept", [LOGIN_PAGE, b"", make_metadata("seven", "1.17.0"), b"\x1f\x8b\x08"], ids=repr)
    @pytest.mark.parametrize("ahead", [False, True])
    def test_healed(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, kept: bytes, ahead: bool) -> None:
        """What is stored and is no metadata of the wheel is replaced when it is asked for."""
        add(upstream)
        store.put(KEY, kept, immutable=True)
        read = read_ahead(store, (KEY,) if ahead else ())
        assert mirror.get_metadata(SIX, METADATA, read) == BIG.metadata
        assert cached(store) == {KEY: BIG.metadata}

    def test_nothing_better(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """It goes also where there is nothing to put in its place."""
        add_content(upstream, b"no wheel")
        store.put(KEY, LOGIN_PAGE, immutable=True)
        with pytest.raises(NoMetadata):
            mirror.get_metadata(SIX, METADATA, None)
        assert list(cached(store)) == [cache_key(SIX, FILE)]


class TestOddWheels:
    """Wheels that installers take, or do not, whatever a strict reader says of them."""

    FILE = Filename("demo-2.0-py3-none-any.whl")
    METADATA = Filename(f"{FILE}.metadata")

    @pytest.mark.parametrize("html_only", [False, True], ids=["JSON", "HTML"])
    @pytest.mark.parametrize("has_ranges", [True, False])
    @pytest.mark.parametrize("content", INSTALLABLE.values(), ids=INSTALLABLE)
    def test_installable(
        self,
        mirror: Mirror,
        store: FolderStore,
        upstream: FakeUpstream,
        content: bytes,
        has_ranges: bool,
        html_only: bool,
    ) -> None:
        """What pip installs has its METADATA the first time, from parts of it or from the whole."""
        upstream.html_only = html_only
        path = unquote(upstream.add_file("demo", self.FILE, content))
        if not has_ranges:
            upstream.odd_ranges[path] = {"status": 501}
        assert mirror.get_metadata(DEMO, self.METADATA, None) == ODD_METADATA
        kept = {} if has_ranges else {cache_key(DEMO, self.FILE): content}
        assert cached(store) == {cache_key(DEMO, self.METADATA): ODD_METADATA, **kept}

    @pytest.mark.parametrize("said", [None, True], ids=["not announced", "announced"])
    @pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
    def test_unreadable(
        self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, content: bytes, said: bool | None
    ) -> None:
        """A wheel without metadata is found out by its whole content, and is not said to have any from then on."""
        more: dict[str, Any] = {} if said is None else {"core_metadata": said, "dist_info_metadata": said}
        upstream.add_file("demo", self.FILE, content, **more)
        assert announced(mirror, store, DEMO) is True
        with pytest.raises(NoMetadata, match="has no metadata"):
            mirror.get_metadata(DEMO, self.METADATA, None)
        assert cached(store) == {cache_key(DEMO, self.FILE): content}
        assert announced(mirror, store, DEMO) is False

    def test_another_version(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream) -> None:
        """METADATA of another version, in the wheel itself, is handed on and not kept: clients judge it."""
        older = make_metadata("demo", "1.9")
        content = zipped(members(metadata=older))
        upstream.add_file("demo", self.FILE, content)
        for _ in range(2):
            assert mirror.get_metadata(DEMO, self.METADATA, None) == older
        assert cached(store) == {cache_key(DEMO, self.FILE): content}

    @pytest.mark.parametrize(
        "filename",
        [
            "de__mo-1.0-py3-none-any.whl",
            "demo-latest-py3-none-any.whl",
            "demo-1.0-py3-none-any-x86_64_v3.whl",
            "demo-1.0-x-py3-none-any.whl",
            "demo-1.0.whl",
            "other-1.0-py3-none-any.whl",
        ],
    )
    def test_no_wheel_s_name(self, mirror: Mirror, store: FolderStore, upstream: FakeUpstream, filename: str) -> None:
        """What is no wheel of the project by its name has no metadata, and nothing of it is fetched to find out."""
        upstream.add_file("demo", filename, zipped(members()))
        with pytest.raises(NotFound, match="no installer takes for a wheel of 'demo'"):
            mirror.get_metadata(DEMO, Filename(f"{filename}.metadata"), None)
        assert upstream.requests == [("GET", "/simple/demo/")]
        assert announced(mirror, store, DEMO) is False
        assert cached(store) == {}


def announced(mirror: Mirror, store: FolderStore, name: ProjectName = SIX) -> Any:
    """Return what the page says of the metadata of its first file."""
    page = read_page(mirror, store, name)
    assert page is not None
    return page["files"][0]["core-metadata"]


class TestOverHttp:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        with running_site(tmp_path) as site:
            add(site.upstream)
            yield site

    def test_advertised(self, site: Site) -> None:
        """Both formats say from the first page on that there is metadata, and its digest once it is known."""
        pages = [site.get("/simple/six/", accept=accept).text for accept in (HTML, JSON)]
        assert 'data-core-metadata="true"' in pages[0]
        assert '"core-metadata":true' in pages[1]
        answer = site.get(f"/simple/six/{METADATA}")
        assert (answer.status, answer.body) == (200, BIG.metadata)
        html, json = [site.get("/simple/six/", accept=accept).text for accept in (HTML, JSON)]
        assert f'data-core-metadata="sha256={BIG.metadata_sha256}"' in html
        assert f'"core-metadata":{{"sha256":"{BIG.metadata_sha256}"}}' in json

    @pytest.mark.parametrize("content", [b"", b"no wheel", UNREADABLE["no METADATA"]], ids=len)
    def test_none(self, site: Site, content: bytes) -> None:
        """Who was told of metadata that is not there gets what makes it pass over the wheel, and nobody may keep it."""
        add_content(site.upstream, content)
        for _ in range(2):
            answer = site.get(f"/simple/six/{METADATA}")
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
            assert answer.text.startswith("Metadata-Version: 2.1\nName: -\nVersion: 1.17.0\nSummary: ")
            assert f"'{FILE}' has no metadata" in answer.text
            assert answer.text.count("\n") == 4
        assert '"core-metadata":false' in site.get("/simple/six/", accept=JSON).text
