"""Copies of pages that are too long for their front door."""

import uuid
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

import orjson
import pytest

from indexer.errors import StoreUnavailable
from indexer.keys import COPIES
from indexer.names import ProjectName
from indexer.simple.page import Renderer, compress
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from indexer.value import replace
from pypi_lambda.app.copies import Copies
from pypi_lambda.clock import utc_now
from pypi_lambda.http.headers import Format
from pypi_lambda.http.model import Request, Response
from pypi_lambda.view.index import page_of
from tests.pypi_lambda.app.test_page_delivery import SigningStore
from tests.support.apps import UPLOADER, running_site
from tests.support.builders import basic, contents, file, project, request, root_html, root_json
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import UPLOAD_TIME
from tests.support.servers import BUCKET, S3Server

DEMO = ProjectName("demo")
FILES = (
    file("demo-1.0-py3-none-any.whl", requires_python=">=3.9", metadata_sha256="0" * 64),
    file("demo-1.0+local.1.tar.gz", version="1.0+local.1", yanked='"broken" & <b>sad</b>'),
    file("demo-1!2.0.tar.gz", version="1!2.0"),
)
PAGE = page_of(compress(Renderer().render_json(project(*FILES))))
ROOT = "https://pypi.example:8443/live/base"
SIMPLE = f"{ROOT}/simple/"


@pytest.fixture
def store(seaweedfs: S3Server) -> ObjectStore:
    return S3Store(BUCKET, uuid.uuid4().hex, environ=seaweedfs.environ)


def asked(root_url: str = ROOT) -> Request:
    return replace(request("GET", "/simple/demo/"), root_url=root_url, response_limit=1000)


class Links(HTMLParser):
    """The links of a page as a browser takes them, with what it says of each file."""

    def __init__(self, text: str, address: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._base = address
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "base":
            self._base = attributes["href"] or ""
        elif tag == "a":
            href = attributes.pop("href") or ""
            self.found.append((urljoin(self._base, href), attributes))


def follow(response: Response) -> tuple[str, str, bytes]:
    """Follow a redirect as a client does; return the address, the content's type and the content."""
    assert response.status == 302
    headers = dict(response.headers)
    assert headers["Cache-Control"] == "private, max-age=0"
    with urlopen(headers["Location"]) as answer:
        return headers["Location"], answer.headers["Content-Type"], answer.read()


def json_page(content: bytes) -> dict[str, Any]:
    page: dict[str, Any] = orjson.loads(content)
    return page


def test_document(store: ObjectStore) -> None:
    """A document that is too long is sent from the store, as it is."""
    copies = Copies(store)
    address, content_type, content = follow(copies.redirect_to_document(DEMO, b'{"info":{}}', "application/json"))
    assert (content_type, content) == ("application/json", b'{"info":{}}')
    again, *_ = follow(copies.redirect_to_document(DEMO, b'{"info":{}}', "application/json"))
    assert urlsplit(address).path == urlsplit(again).path
    assert len(contents(store, COPIES)) == 1


def test_json(store: ObjectStore) -> None:
    """The copy of a JSON page is that page but for its links, which lead back to the index."""
    response = Copies(store).redirect_to_page(asked(), DEMO, PAGE, Format.JSON, Renderer())
    _, content_type, content = follow(response)
    assert content_type == "application/vnd.pypi.simple.v1+json"
    copied, page = json_page(content), Renderer().page(project(*FILES))
    urls = [file.pop("url") for file in copied["files"]]
    assert urls == [
        f"{SIMPLE}demo/{path}" for path in ("demo-1%212.0.tar.gz", "demo-1.0%2Blocal.1.tar.gz", FILES[0].filename)
    ]
    assert copied == json_page(orjson.dumps({**page, "files": [_without_url(file) for file in page["files"]]}))


def _without_url(file: Any) -> dict[str, Any]:
    return {name: value for name, value in file.items() if name != "url"}


@pytest.mark.parametrize("base", ["", "/at/%Y-%m-%dT%H:%M:%S.%fZ"], ids=["now", "at"])
@pytest.mark.parametrize("days", [0.0, 1.0], ids=["whole", "held back"])
@pytest.mark.parametrize("said", [True, False, {"sha256": "ab" * 32}], ids=["true", "false", "a digest"])
def test_the_legacy_key(tmp_path: Path, said: Any, days: float, base: str) -> None:
    """No copy has `dist-info-metadata`, which ends pip 22.3 to 23.1.2: of a private page or of a mirrored one."""
    store = SigningStore(tmp_path)
    with running_site(tmp_path, store=store, upstream_min_age_days=days) as site:
        assert site.upload(make_wheel("demo", "1.0")).status == 200
        for version, uploaded in (("1.0", UPLOAD_TIME), ("2.0", "2999-01-01T00:00:00Z")):
            wheel = make_wheel("six", version)
            site.upstream.add(wheel, upload_time=uploaded, dist_info_metadata=said, core_metadata=said)
        headers = {"accept": Format.JSON.content_type, "authorization": basic(*UPLOADER)}
        for name in ("demo", "six"):
            path = f"{utc_now().strftime(base)}/simple/{name}/"
            assert site.app(replace(asked(), path=path, headers=headers, response_limit=100)).status == 302
    copies = [copy.decode() for copy in contents(store, COPIES).values()]
    assert [("core-metadata" in copy, "dist-info-metadata" in copy) for copy in copies] == [(True, False)] * 2


@pytest.mark.parametrize("page_format", [Format.HTML, Format.LEGACY_HTML])
def test_html(page_format: Format, store: ObjectStore) -> None:
    """The copy of an HTML page leads back to the index, and says of each file what the page says."""
    address, content_type, content = follow(
        Copies(store).redirect_to_page(asked(), DEMO, PAGE, page_format, Renderer())
    )
    assert content_type == page_format.content_type
    copied = Links(content.decode(), address).found
    page = Links(Renderer().render_html(project(*FILES)).decode(), f"{SIMPLE}demo/").found
    assert copied == page
    assert len(copied) == len(FILES)


def test_each_address_has_its_copy(store: ObjectStore) -> None:
    """An index that is known under two addresses has a copy for each; the same again is made once."""
    copies = Copies(store)
    for root_url in (ROOT, "https://other.example", ROOT):
        _, _, content = follow(copies.redirect_to_page(asked(root_url), DEMO, PAGE, Format.JSON, Renderer()))
        assert all(file["url"].startswith(f"{root_url}/simple/demo/") for file in json_page(content)["files"])
    assert len(contents(store, COPIES)) == 2


def test_types_of_html(store: ObjectStore) -> None:
    """The two types of HTML have a copy each, that one may be asked for after the other."""
    copies = Copies(store)
    for page_format in (Format.HTML, Format.LEGACY_HTML, Format.HTML):
        page = follow(copies.redirect_to_page(asked(), DEMO, PAGE, page_format, Renderer()))
        root = follow(copies.redirect_to_root(asked(), "index/7", iter([root_html(["a"])]), page_format))
        assert (page[1], root[1]) == (page_format.content_type, page_format.content_type)


@pytest.mark.parametrize("page_format", [Format.HTML, Format.LEGACY_HTML])
def test_html_root(page_format: Format, store: ObjectStore) -> None:
    """The copy of the root listing leads back to the projects."""
    chunks = iter([root_html(["a", "b-c"])])
    address, content_type, content = follow(Copies(store).redirect_to_root(asked(), "index/7", chunks, page_format))
    assert content_type == page_format.content_type
    assert [link for link, _ in Links(content.decode(), address).found] == [f"{SIMPLE}a/", f"{SIMPLE}b-c/"]


def test_json_root(store: ObjectStore) -> None:
    """The JSON of the root listing has no links: its copy is the listing itself."""
    names = ["a", "b-c"]
    response = Copies(store).redirect_to_root(asked(), "index/7", iter([root_json(names)]), Format.JSON)
    _, content_type, content = follow(response)
    assert (content_type, content) == (Format.JSON.content_type, root_json(names))


def test_root_is_copied_once(store: ObjectStore) -> None:
    """A listing that was copied before is not read again; another listing has a copy of its own."""
    copies = Copies(store)
    first = follow(copies.redirect_to_root(asked(), "index/7", iter([root_html(["a"])]), Format.HTML))
    again = follow(copies.redirect_to_root(asked(), "index/7", iter([b"never read"]), Format.HTML))
    newer = follow(copies.redirect_to_root(asked(), "index/8", iter([root_html(["a", "b"])]), Format.HTML))
    assert first[2] == again[2] != newer[2]


def test_signature(store: ObjectStore) -> None:
    """The copy is not for everybody: without its signature the address leads nowhere."""
    address, _, _ = follow(Copies(store).redirect_to_page(asked(), DEMO, PAGE, Format.JSON, Renderer()))
    with pytest.raises(HTTPError) as raised, urlopen(address.removesuffix(f"?{urlsplit(address).query}")):
        pass
    assert raised.value.code == 403
    raised.value.close()


def test_folder(tmp_path: Path) -> None:
    """A store that signs nothing has no such way out, and says so."""
    with pytest.raises(StoreUnavailable, match="this store signs no URLs"):
        Copies(FolderStore(tmp_path)).redirect_to_page(asked(), DEMO, PAGE, Format.JSON, Renderer())
