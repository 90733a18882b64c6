"""Files: sent by the app with ranges, or led to by a signed URL; metadata to the byte."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from indexer.log.events import FileAdded, FileRemoved
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from pypi_lambda.app.delivery import REUSED_SECONDS, SIGNED_SECONDS, Delivery
from pypi_lambda.http.faults import NotFound
from pypi_lambda.http.model import Request
from tests.support.apps import Answer, Site, running_site
from tests.support.builders import body_of, request
from tests.support.distributions import make_sdist, make_wheel
from tests.support.servers import BUCKET, S3Server

DEMO = make_wheel("demo", "1.0+local", files={"demo_data.bin": bytes(range(256)) * 40})
SIX = make_wheel("six", "1.17.0")
SIX_SDIST = make_sdist("six", "1.17.0")
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
DEMO_FILE = "/simple/demo/demo-1.0%2Blocal-py3-none-any.whl"
SIX_FILE = f"/simple/six/{SIX.filename}"
BOTH = pytest.mark.parametrize(
    ("path", "content"), [(DEMO_FILE, DEMO.content), (SIX_FILE, SIX.content)], ids=["private", "mirrored"]
)


class SigningStore(FolderStore):
    """A folder whose files can be had from elsewhere by whoever has the URL."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._numbers = itertools.count(1)

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        return f"https://store.example/{key}?for={seconds}&signature={next(self._numbers)}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site over a folder, with a private and a mirrored project, that no test changes."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        furnish(site)
        yield site


@pytest.fixture
def signing(tmp_path: Path) -> Iterator[Site]:
    """The same over a store that signs URLs."""
    with running_site(tmp_path, store=SigningStore(tmp_path / "data")) as site:
        furnish(site)
        yield site


def furnish(site: Site) -> None:
    assert site.upload(DEMO).status == 200
    site.upstream.add(SIX)
    site.upstream.add(SIX_SDIST)


def whole(answer: Answer, content: bytes) -> Answer:
    headers = {
        "ETag": answer.headers["ETag"],
        **IMMUTABLE,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": str(len(content)),
    }
    return Answer(status=200, headers=headers, body=content)


class TestByTheApp:
    @BOTH
    def test_whole(self, site: Site, path: str, content: bytes) -> None:
        """A file comes whole, of a type that nobody opens, and can be kept for ever."""
        answer = site.get(path)
        assert answer == whole(answer, content)

    @BOTH
    def test_head(self, site: Site, path: str, content: bytes) -> None:
        """HEAD has the headers of GET, the length and the ranges among them, and no body."""
        assert site.head(path) == Answer(status=200, headers=site.get(path).headers)

    @BOTH
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("weak", ["", "W/"])
    def test_not_modified(self, site: Site, path: str, content: bytes, method: str, weak: str) -> None:
        """Who has the file is told so."""
        etag = site.get(path).headers["ETag"]
        assert site.request(method, path, headers={"if-none-match": weak + etag}) == Answer(
            status=304, headers={"ETag": etag, **IMMUTABLE, "Accept-Ranges": "bytes"}
        )

    @BOTH
    @pytest.mark.parametrize(
        ("header", "start", "end"),
        [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=5-", 5, None), ("bytes=-7", -7, None)],
    )
    def test_range(self, site: Site, path: str, content: bytes, header: str, start: int, end: int | None) -> None:
        """A part that is asked for comes alone, and says which one it is of how much."""
        answer = site.get(path, headers={"range": header})
        part = content[start:end]
        first = start % len(content)
        content_range = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"}
        headers = whole(answer, part).headers | content_range
        assert answer == Answer(status=206, headers=headers, body=part)

    @pytest.mark.parametrize("header", ["bytes=0-0,5-6", "bytes=9-3", "lines=1-2", "bytes=x-", "bytes=-", "", "\xff"])
    def test_ranges_that_are_ignored(self, site: Site, header: str) -> None:
        """Several ranges, and what is none, get the whole file."""
        answer = site.get(DEMO_FILE, headers={"range": header})
        assert answer == whole(answer, DEMO.content)

    @pytest.mark.parametrize("header", [f"bytes={len(DEMO.content)}-", "bytes=99999999-", "bytes=-0"])
    def test_range_behind_the_end(self, site: Site, header: str) -> None:
        """A range that begins where the file has ended is 416, which says how long the file is."""
        message = f"the file has only {len(DEMO.content):,} bytes\n".encode()
        assert site.get(DEMO_FILE, headers={"range": header}) == Answer(
            status=416,
            headers={
                "Content-Type": "text/plain; charset=utf-8",
                "X-Content-Type-Options": "nosniff",
                "Content-Range": f"bytes */{len(DEMO.content)}",
                "Content-Length": str(len(message)),
            },
            body=message,
        )

    def test_if_range(self, site: Site) -> None:
        """A part is sent only of the file that the client has the rest of."""
        etag = site.get(DEMO_FILE).headers["ETag"]
        same = site.get(DEMO_FILE, headers={"range": "bytes=0-3", "if-range": etag})
        others = [
            site.get(DEMO_FILE, headers={"range": "bytes=0-3", "if-range": other})
            for other in ('"other"', f"W/{etag}", "Mon, 23 Nov 2026 10:20:30 GMT", "")
        ]
        assert (same.status, same.body) == (206, DEMO.content[:4])
        assert [(answer.status, answer.body) for answer in others] == [(200, DEMO.content)] * 4

    def test_head_ignores_a_range(self, site: Site) -> None:
        """A range is GET's alone."""
        assert site.head(DEMO_FILE, headers={"range": "bytes=0-3"}).status == 200

    @BOTH
    def test_the_encoded_and_the_raw_address_are_one(self, site: Site, path: str, content: bytes) -> None:
        """`+` may be written as itself."""
        assert site.get(path.replace("%2B", "+")).body == content

    def test_listed_but_lost(self, tmp_path: Path) -> None:
        """A published file whose object is gone is 404, and the sentence says whose fault it is."""
        with running_site(tmp_path) as site:
            furnish(site)
            site.store.delete(f"projects/demo/{DEMO.filename}")
            answer = site.get(DEMO_FILE)
        assert (answer.status, answer.text) == (404, "the file is listed but not stored; tell the administrator\n")

    def test_a_broken_read_breaks_the_answer(self, tmp_path: Path) -> None:
        """A file that ends early in the store is never taken for a whole one: the connection breaks."""
        with running_site(tmp_path) as site:
            furnish(site)
            answered = site.app(request("GET", f"/simple/demo/{DEMO.filename}"))
            with (tmp_path / "data" / "projects" / "demo" / DEMO.filename).open("r+b") as file:
                file.truncate(10)
            with pytest.raises(Exception, match="the file ends before byte"):
                body_of(answered)


class TestMetadata:
    @pytest.mark.parametrize(
        ("path", "metadata"), [(DEMO_FILE, DEMO.metadata), (SIX_FILE, SIX.metadata)], ids=["private", "mirrored"]
    )
    @pytest.mark.parametrize("store", [FolderStore, SigningStore])
    def test_whole(self, tmp_path: Path, path: str, metadata: bytes, store: Callable[[Path], ObjectStore]) -> None:
        """Metadata comes to the byte, without a redirect, and can be kept for ever; HEAD has its headers."""
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            **IMMUTABLE,
            "X-Content-Type-Options": "nosniff",
            "Content-Length": str(len(metadata)),
        }
        with running_site(tmp_path, store=store(tmp_path / "data")) as site:
            furnish(site)
            assert site.get(f"{path}.metadata") == Answer(status=200, headers=headers, body=metadata)
            assert site.head(f"{path}.metadata") == Answer(status=200, headers=headers)

    def test_of_an_sdist(self, site: Site) -> None:
        """What has no metadata of its own has none here."""
        assert site.get(f"/simple/six/{SIX_SDIST.filename}.metadata").text == (
            f"the upstream has no metadata for '{SIX_SDIST.filename}.metadata'\n"
        )


class TestBySignedUrl:
    @pytest.mark.parametrize(
        ("path", "key"),
        [(DEMO_FILE, f"projects/demo/{DEMO.filename}"), (SIX_FILE, f"cache/six/{SIX.filename}")],
        ids=["private", "mirrored"],
    )
    def test_the_same_url_for_a_while(self, signing: Site, path: str, key: str) -> None:
        """A file is a redirect to a URL that stays the same, so that pip finds what it kept under it."""
        location = f"https://store.example/{key}?for={SIGNED_SECONDS}&signature=1"
        expected = Answer(
            status=302,
            headers={"Location": location, "Cache-Control": "private, max-age=0", "Content-Length": "0"},
        )
        assert [signing.get(path), signing.get(path, headers={"range": "bytes=0-3"})] == [expected] * 2

    @BOTH
    def test_head_is_no_redirect(self, signing: Site, path: str, content: bytes) -> None:
        """HEAD is answered by the app: the URL is signed for GET alone."""
        signing.get(path)  # so that a mirrored file is there
        answer = signing.head(path)
        assert answer == Answer(status=200, headers=whole(answer, content).headers)

    def test_removed(self, signing: Site) -> None:
        """A removed file is 404 at once, also where its URL was just given out."""
        assert signing.get(DEMO_FILE).status == 302
        signing.happen(FileRemoved(project=ProjectName("demo"), filename=Filename(DEMO.filename)))
        assert (signing.get(DEMO_FILE).status, signing.head(DEMO_FILE).status) == (404, 404)

    def test_a_new_url_in_time(self, tmp_path: Path) -> None:
        """A URL is given out no more while a client that follows it late could find it expired."""
        seconds = iter([0.0, REUSED_SECONDS - 1, REUSED_SECONDS, REUSED_SECONDS])
        delivery = Delivery(SigningStore(tmp_path), clock=lambda: next(seconds))
        asked: Request = request("GET", "/")
        locations = [dict(delivery.send(asked, "projects/demo/x").headers)["Location"][-1] for _ in range(4)]
        assert locations == ["1", "1", "2", "2"]
        assert SIGNED_SECONDS - REUSED_SECONDS >= 300

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        """HEAD of an object that the store does not have is 404."""
        delivery = Delivery(SigningStore(tmp_path), clock=lambda: 0.0)
        with pytest.raises(NotFound):
            delivery.send(request("HEAD", "/"), "projects/demo/x")

    def test_over_a_real_server(self, seaweedfs: S3Server, tmp_path: Path) -> None:
        """A redirect leads a client without credentials to the bytes, and to nothing else."""
        store = S3Store(BUCKET, tmp_path.name, environ=seaweedfs.environ)
        with running_site(tmp_path, store=store) as site:
            furnish(site)
            for path, content in ((DEMO_FILE, DEMO.content), (SIX_FILE, SIX.content)):
                location = site.get(path).headers["Location"]
                assert site.get(path).headers["Location"] == location
                assert requests.get(location, timeout=300).content == content
                assert requests.get(location.partition("?")[0], timeout=300).status_code == 403
                assert site.head(path).headers["Content-Length"] == str(len(content))


def test_published_while_the_request_runs(tmp_path: Path) -> None:
    """A name that became private since this process last looked gives the private file, not the upstream's."""
    with running_site(tmp_path) as site, running_site(tmp_path / "other", store=site.store) as another:
        theirs = make_wheel("demo", "1.0+local", files={"theirs.txt": b""})
        site.upstream.add(theirs)
        assert site.get(DEMO_FILE).body == theirs.content
        assert another.upload(DEMO).status == 200
        assert site.get(DEMO_FILE).body == DEMO.content
        assert site.get(f"{DEMO_FILE}.metadata").body == DEMO.metadata


def test_listed_and_never_stored(tmp_path: Path) -> None:
    """An event alone makes no file."""
    with running_site(tmp_path) as site:
        change = FileAdded(
            project=ProjectName("demo"),
            filename=Filename(DEMO.filename),
            version="1.0",
            size=1,
            sha256="0" * 64,
            upload_time="2026-11-23T10:20:30.000000Z",
        )
        site.happen(change)
        assert (site.get(DEMO_FILE).status, site.get(f"{DEMO_FILE}.metadata").status) == (404, 404)


def test_head_of_a_file_that_is_not_here_yet(tmp_path: Path) -> None:
    """HEAD of a mirrored file is answered from the upstream's listing: nothing is downloaded for it."""
    with running_site(tmp_path) as site:
        wheel = make_wheel("six", "1.0")
        site.upstream.add(wheel)
        answer = site.head(f"/simple/six/{wheel.filename}")
        assert (answer.status, answer.headers["Content-Length"], answer.headers["Accept-Ranges"]) == (
            200,
            str(len(wheel.content)),
            "bytes",
        )
        assert [path for _, path in site.upstream.requests if path.endswith(".whl")] == []
        assert site.head("/simple/six/six-2.0-py3-none-any.whl").status == 404
