"""Pages behind a front door that lets through only so much."""

import gzip
from pathlib import Path

import pytest

from indexer.store.folder import FolderStore
from indexer.value import replace
from pypi_lambda.http.model import Response
from tests.support.apps import HTML, JSON
from tests.support.builders import added, body_of, make_app, put_user, request, write_log

NAMES = [f"project-{number:03}" for number in range(100)]
PATHS = ["/simple/", "/simple/project-000/"]


class SigningStore(FolderStore):
    """A folder whose objects can be had from elsewhere by whoever has the URL."""

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        return f"https://store.example/{key}"


@pytest.fixture
def store(tmp_path: Path) -> SigningStore:
    store = SigningStore(tmp_path)
    put_user(store)
    versions = [added("project-000", version=f"{number}.0") for number in range(100)]
    write_log(store, *versions, *(added(name) for name in NAMES[1:]))
    return store


def ask(
    store: FolderStore, path: str, *, limit: int | None, accept: str = JSON, encoding: str = "gzip", method: str = "GET"
) -> Response:
    headers = {"accept": accept, "accept-encoding": encoding}
    asked = request(method, path, headers=headers)
    return make_app(store)(replace(asked, response_limit=limit, root_url="https://index.example/pypi"))


def sizes(store: FolderStore, path: str) -> tuple[int, int]:
    """Return the size of a page as JSON, compressed and not."""
    compressed = body_of(ask(store, path, limit=None))
    return len(compressed), len(gzip.decompress(compressed))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_within_the_limit(store: SigningStore, path: str, encoding: str) -> None:
    """A page that fits to the byte is sent."""
    limit = dict(zip(("gzip", "identity"), sizes(store, path), strict=True))[encoding]
    response = ask(store, path, limit=limit, encoding=encoding)
    assert (response.status, len(body_of(response))) == (200, limit)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("accept", "extension"), [(JSON, "json"), (HTML, "html")])
def test_over_the_limit(store: SigningStore, path: str, accept: str, extension: str) -> None:
    """A page that does not fit is a redirect to a copy of it."""
    response = ask(store, path, limit=100, accept=accept)
    location = dict(response.headers)["Location"]
    assert (response.status, location.rpartition(".")[2]) == (302, extension)
    copy = store.get(location.removeprefix("https://store.example/")).body
    assert all(name.encode() in copy for name in (NAMES if path == "/simple/" else NAMES[:1]))


@pytest.mark.parametrize("path", PATHS)
def test_what_is_sent_counts(store: SigningStore, path: str) -> None:
    """A page that fits compressed and not otherwise is sent to who takes it compressed."""
    compressed, plain = sizes(store, path)
    assert compressed < plain
    statuses = [ask(store, path, limit=plain - 1, encoding=encoding).status for encoding in ("gzip", "identity")]
    assert statuses == [200, 302]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", [JSON, HTML])
def test_head(store: SigningStore, path: str, accept: str) -> None:
    """HEAD fits always, and makes no copy."""
    response = ask(store, path, limit=100, accept=accept, method="HEAD")
    assert (response.status, body_of(response), list(store.list("copies/"))) == (200, b"", [])


@pytest.mark.parametrize("path", PATHS)
def test_not_modified(store: SigningStore, path: str) -> None:
    """Who has the page is told so, however long it is."""
    etag = dict(ask(store, path, limit=None).headers)["ETag"]
    asked = request("GET", path, headers={"accept": JSON, "if-none-match": etag})
    assert make_app(store)(replace(asked, response_limit=100)).status == 304
