"""Pages and files that are too long for their front door, followed by real tools to where they can be had.

As in tests/integration/test_lambda.py, the front doors are ours, with the limits that AWS documents.
"""

import gzip
import json
import random
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from indexer.store.base import ObjectStore
from indexer.store.s3 import S3Store
from pypi_lambda.front_doors.table import (
    ALB,
    ALB_MULTI_VALUE,
    EDGE_ORIGIN,
    EDGE_VIEWER,
    FUNCTION_URL,
    REST_API,
    FrontDoor,
)
from tests.aws.lambda_front import Front
from tests.aws.lambda_site import Answer, LambdaSite, running_function
from tests.integration.clients import Clients
from tests.pypi_lambda.app.test_copies import Links
from tests.pypi_lambda.function.test_notifications import notification
from tests.support.builders import added as file_added
from tests.support.builders import put_user, upload_form, write_log
from tests.support.distributions import make_metadata, make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, S3Server

HTML, LEGACY = "application/vnd.pypi.simple.v1+html", "text/html"
JSON = "application/vnd.pypi.simple.v1+json"
MANY = 4_500  # files; the public index's longest pages have as many
SOME = 400  # enough for a compressed page to exceed what a viewer request carries
OWN = make_wheel("own-project", "9.0", requires=("upstream-project",))
UPSTREAM = make_wheel("upstream-project", "9.0")
NAMES = [f"project-{number}" for number in range(200_000)]  # 12 MB of HTML


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        upstream.add(UPSTREAM)
        for number in range(SOME):
            upstream.add(make_wheel("upstream-project", f"1.{number}"))
        for number in range(MANY):
            upstream.add(make_wheel("upstream-many", f"1.{number}"))
        upstream.names = NAMES
        yield upstream


@pytest.fixture(scope="module")
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def store(seaweedfs: S3Server, prefix: str) -> ObjectStore:
    """A store with a private project of many files, one of which is there."""
    store = S3Store(BUCKET, prefix, environ=seaweedfs.environ)
    put_user(store)
    store.put(f"projects/own-project/{OWN.filename}", OWN.content)
    write_log(store, *(file_added("own-project", version=f"1.{number}") for number in range(SOME)))
    return store


@pytest.fixture(scope="module")
def site(
    seaweedfs: S3Server,
    store: ObjectStore,
    prefix: str,
    upstream: FakeUpstream,
    function_code: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LambdaSite]:
    """A site that has read the upstream's list and adopted the file that is there."""
    environ = {
        **seaweedfs.environ,
        "BUCKET": BUCKET,
        "REPO_BASE_PREFIX": prefix,
        "UPSTREAM_INDEX_URL": upstream.url,
        "LOGGING_LEVEL": "WARNING",
    }
    with running_function(function_code, tmp_path_factory.mktemp("limits"), environ=environ) as site:
        done = site.service.call("reindex")
        assert (done["upstream"], done["adopted"]) == (len(NAMES) + 2, [f"projects/own-project/{OWN.filename}"])
        yield site


@contextmanager
def front_of(site: LambdaSite, door: FrontDoor) -> Iterator[Front]:
    with Front(site.service, door) as front:
        yield front


def follow(answer: Answer) -> tuple[str, bytes]:
    """Follow a redirect to a signed copy, as clients do without the credentials."""
    assert answer.status == 302, answer.text
    with requests.Session() as session:
        session.trust_env = False
        found = session.get(answer.headers["location"], timeout=300)
    assert found.status_code == 200
    return found.headers["Content-Type"], found.content


def page_links(content: bytes, accept: str, address: str) -> list[str]:
    if accept == JSON:
        return [urljoin(address, file["url"]) for file in json.loads(content)["files"]]
    return [link.partition("#")[0] for link, _ in Links(content.decode(), address).found]


@pytest.mark.parametrize("door", [ALB, ALB_MULTI_VALUE, EDGE_ORIGIN], ids=lambda door: door.name)
@pytest.mark.parametrize("accept", [JSON, HTML, LEGACY])
def test_long_page(accept: str, door: FrontDoor, site: LambdaSite) -> None:
    """A page of 4,500 files is sent compressed to those who take that, and by redirect to a signed copy to others."""
    packed = site.ask(door, "GET", "/simple/upstream-many/", headers=[("Accept", accept), ("Accept-Encoding", "gzip")])
    assert (packed.status, packed.headers["content-encoding"]) == (200, "gzip")
    base = "https://index.example/simple/upstream-many/"
    listed = page_links(gzip.decompress(packed.body), accept, base)
    assert len(set(listed)) == MANY
    plain = site.ask(
        door, "GET", "/simple/upstream-many/", headers=[("Accept", accept), ("X-Forwarded-Host", "index.example")]
    )
    content_type, copied = follow(plain)
    assert content_type.partition(";")[0] == accept
    assert page_links(copied, accept, "https://elsewhere.example/") == listed


@pytest.mark.parametrize("door", [FUNCTION_URL, REST_API], ids=lambda door: door.name)
def test_long_page_that_fits(door: FrontDoor, site: LambdaSite) -> None:
    """Through a front door of 6 MB the same page comes as it is."""
    answer = site.ask(door, "GET", "/simple/upstream-many/", headers=[("Accept", JSON)])
    assert (answer.status, len(answer.json()["files"])) == (200, MANY)


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize("door", [EDGE_VIEWER, FUNCTION_URL], ids=lambda door: door.name)
def test_install(door: FrontDoor, tool: str, site: LambdaSite, clients: Clients) -> None:
    """pip and uv install a private project and what it needs from the upstream, also where the door carries 40 KB."""
    with front_of(site, door) as front:
        found = clients.install(tool, site.index_of(front), "own-project")
        pages = [(target, status) for _, target, status in front.seen if target.endswith("-project/")]
    assert found == {"own-project": "9.0", "upstream-project": "9.0"}
    expected = 302 if door is EDGE_VIEWER else 200
    assert {target: status for target, status in pages if status != 401} == {
        "/simple/own-project/": expected,
        "/simple/upstream-project/": expected,
    }


@pytest.mark.parametrize("accept", [JSON, HTML, LEGACY])
@pytest.mark.parametrize("door", [EDGE_VIEWER, FUNCTION_URL], ids=lambda door: door.name)
def test_root(door: FrontDoor, accept: str, site: LambdaSite) -> None:
    """The root listing, too long for every front door, is complete in its copy, whose links lead back."""
    host = ("X-Forwarded-Host", "index.example")
    headers = [("Accept", accept), host]
    if door is EDGE_VIEWER:
        headers.append(("Accept-Encoding", "gzip"))
    content_type, content = follow(site.ask(door, "GET", "/simple/", headers=headers))
    assert content_type.partition(";")[0] == accept
    expected = ["own-project", "upstream-many", "upstream-project", *NAMES]
    if accept == JSON:
        assert sorted(project["name"] for project in json.loads(content)["projects"]) == sorted(expected)
    else:
        base, *links = re.findall(r'href="([^"]*)"', content.decode())
        assert base == "https://index.example/simple/"
        assert sorted(links) == sorted(f"{name}/" for name in expected)


def test_head_of_a_long_page(site: LambdaSite) -> None:
    """HEAD is answered directly, however long the page is: a signed URL is good for GET alone."""
    answer = site.ask(EDGE_VIEWER, "HEAD", "/simple/own-project/", headers=[("Accept", JSON)])
    assert (answer.status, answer.body) == (200, b"")


def test_long_metadata(site: LambdaSite, store: ObjectStore) -> None:
    """Metadata that is too long for a viewer request comes by redirect, to the byte."""
    metadata = make_metadata("own-long", "1.0") + b"\n" + b"a long description\n" * 3_000
    wheel = make_wheel("own-long", "1.0", metadata=metadata)
    body, content_type = upload_form(wheel)
    uploaded = site.ask(FUNCTION_URL, "POST", "/", headers=[("Content-Type", content_type)], body=body)
    assert uploaded.status == 200
    path = f"/simple/own-long/{wheel.filename}.metadata"
    assert site.ask(FUNCTION_URL, "GET", path).body == metadata
    assert follow(site.ask(EDGE_VIEWER, "GET", path))[1] == metadata


def test_large_upload(site: LambdaSite, store: ObjectStore, prefix: str, clients: Clients) -> None:
    """A file that is too large to be uploaded is refused, goes through the drop box, and is installed from there."""
    wheel = make_wheel("own-large", "1.0", files={"data.bin": _noise(7_000_000)})
    body, content_type = upload_form(wheel)
    with front_of(site, FUNCTION_URL) as front, requests.Session() as session:
        session.trust_env = False
        response = session.post(f"{front.url}/", data=body, headers={"Content-Type": content_type}, timeout=300)
        assert response.status_code == 413
    key = f"incoming/{wheel.filename}"
    store.put(key, wheel.content)
    assert site.service.call(notification(f"{prefix}/{key}", bucket=BUCKET)) == {
        "incoming": [f"{wheel.filename} is published"]
    }
    with front_of(site, EDGE_VIEWER) as front:
        assert clients.install("pip", site.index_of(front), "own-large") == {"own-large": "1.0"}


def _noise(size: int) -> bytes:
    """Return bytes that no compression makes shorter, the same each time."""
    return random.Random(size).randbytes(size)


def test_unauthenticated(site: LambdaSite) -> None:
    """No copy is made for somebody unknown, and none can be had."""
    answer: Any = site.ask(EDGE_VIEWER, "GET", "/simple/own-project/", authorization=None)
    assert (answer.status, answer.headers.get("location")) == (401, None)
