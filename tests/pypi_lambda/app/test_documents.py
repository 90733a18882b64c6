"""The legacy JSON API: which documents there are, of what they tell, and what clients are sent."""

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pip._internal.index.collector import IndexContent, parse_links

from indexer.log.events import FileRemoved, FileUnyanked, FileYanked, ProjectStatusSet
from indexer.names import Filename, ProjectName
from pypi_lambda.app.documents import MAX_SDIST_BYTES, SERIAL
from pypi_lambda.front_doors.requests import read_request
from pypi_lambda.front_doors.table import FRONT_DOORS
from pypi_lambda.server.wsgi import wsgi_application
from tests.aws.event_builders import BUILDERS
from tests.support.apps import HTML, JSON, UPLOADER, Answer, Site, call, environ, running_site
from tests.support.builders import basic, body_of
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream

DEMO = ProjectName("demo")
HOST = {"host": "pypi.example"}
METADATA = b"""Metadata-Version: 2.4
Name: Demo
Version: 1.2
Summary: What it is
Author-email: Ann <ann@example.org>
License-Expression: MIT
License-File: LICENSE
License-File: NOTICE
Classifier: Programming Language :: Python
Requires-Dist: six>=1
Requires-Dist: idna; extra == "net"
Requires-Python: >=3.9
Provides-Extra: net
Project-URL: Source, https://code.example/demo, or so
Project-URL: nothing
Keywords: a,b
Description-Content-Type: text/markdown

# D\xc3\xa9mo
"""
WHEEL = make_wheel("demo", "1.2", metadata=METADATA, requires_python=">=3.9")
SDIST = make_sdist("demo", "1.2")
OLD = make_wheel("demo", "1.0")
PATH = "/pypi/demo/json"


@pytest.fixture
def upstream() -> FakeUpstream:
    upstream = FakeUpstream()
    upstream.cache_control = "max-age=600"
    upstream.add(make_wheel("six", "1.16.0"))
    upstream.add(make_wheel("six", "1.17.0", requires=["idna"]))
    return upstream


@pytest.fixture
def site(tmp_path: Path, upstream: FakeUpstream) -> Iterator[Site]:
    with running_site(tmp_path, upstream=upstream) as site:
        for distribution in (OLD, WHEEL, SDIST):
            assert site.upload(distribution).status == 200
        yield site


def document(answer: Answer) -> dict[str, Any]:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    found: dict[str, Any] = json.loads(answer.body)
    return found


def ask(site: Site, path: str = PATH, **details: Any) -> dict[str, Any]:
    return document(site.get(path, headers=HOST, **details))


def test_a_private_project(site: Site) -> None:
    """The document tells all releases, the files of the newest, and what the metadata of its wheel says."""
    found = ask(site)
    assert list(found) == ["info", "last_serial", "urls", "vulnerabilities", "releases"]
    assert (found["last_serial"], found["vulnerabilities"]) == (3, [])
    assert {version: [file["filename"] for file in files] for version, files in found["releases"].items()} == {
        "1.0": [OLD.filename],
        "1.2": [WHEEL.filename, SDIST.filename],
    }
    assert found["urls"] == found["releases"]["1.2"]
    uploaded = found["urls"][0]["upload_time_iso_8601"]
    assert found["urls"][0] == {
        "comment_text": "",
        "digests": {"sha256": WHEEL.sha256},
        "downloads": -1,
        "filename": WHEEL.filename,
        "has_sig": False,
        "md5_digest": None,
        "packagetype": "bdist_wheel",
        "python_version": "py3",
        "requires_python": ">=3.9",
        "size": len(WHEEL.content),
        "upload_time": uploaded[:19],
        "upload_time_iso_8601": uploaded,
        "url": f"http://pypi.example/packages/demo/{WHEEL.filename}",
        "yanked": False,
        "yanked_reason": None,
    }
    assert {member: found["urls"][1][member] for member in ("packagetype", "python_version")} == {
        "packagetype": "sdist",
        "python_version": "source",
    }


def test_what_info_says(site: Site) -> None:
    """`info` has what METADATA has, and null for what it has not."""
    assert ask(site)["info"] == {
        "name": "Demo",
        "version": "1.2",
        "author": None,
        "author_email": "Ann <ann@example.org>",
        "description_content_type": "text/markdown",
        "download_url": None,
        "home_page": None,
        "keywords": "a,b",
        "license": None,
        "license_expression": "MIT",
        "maintainer": None,
        "maintainer_email": None,
        "requires_python": ">=3.9",
        "summary": "What it is",
        "dynamic": None,
        "license_files": ["LICENSE", "NOTICE"],
        "provides_extra": ["net"],
        "requires_dist": ["six>=1", 'idna; extra == "net"'],
        "classifiers": ["Programming Language :: Python"],
        "platform": None,
        "project_urls": {"Source": "https://code.example/demo, or so"},
        "description": "# Démo\n",
        "package_url": "http://pypi.example/simple/demo/",
        "project_url": "http://pypi.example/simple/demo/",
        "release_url": "http://pypi.example/simple/demo/",
        "bugtrack_url": None,
        "docs_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "yanked": False,
        "yanked_reason": None,
    }


def test_one_version(site: Site) -> None:
    """The document of a version tells of that one alone, however it is written."""
    for version in ("1.0", "1.00", "v1.0", "1", "1.0.0"):
        found = ask(site, f"/pypi/demo/{version}/json")
        assert list(found) == ["info", "last_serial", "urls", "vulnerabilities"]
        assert (found["info"]["version"], [file["filename"] for file in found["urls"]]) == ("1.0", [OLD.filename])
    for version in ("3.0", "x", "1.0.post1"):
        assert site.get(f"/pypi/demo/{version}/json").status == 404


def test_addresses(site: Site) -> None:
    """The document lies beside `simple/` as well, with or without a slash at its end."""
    for path in ("/demo/json", "/demo/json/", "//demo//json"):
        assert ask(site, path) == ask(site, "/demo/json")
    for path in ("/pypi/demo/json/", "//pypi//demo//json"):
        assert ask(site, path) == ask(site)


def test_where_files_are(site: Site) -> None:
    """Each form of the document has the addresses that its reader takes; files are at both."""
    beside, below = ask(site, "/demo/json"), ask(site)
    assert [file["url"].split("/")[3] for file in (*beside["urls"], *below["urls"])] == ["simple"] * 2 + [
        "packages"
    ] * 2
    for file in below["urls"]:
        path = file["url"].removeprefix("http://pypi.example")
        for address in (path, path.replace("packages", "simple")):
            assert len(site.get(address).body) == file["size"]
    wheel = make_wheel("demo", "3.0+local.1")
    site.upload(wheel)
    [url] = [file["url"] for file in ask(site)["urls"]]
    assert site.get(url.removeprefix("http://pypi.example")).body == wheel.content
    assert site.get("/packages/Demo/x.whl").headers["Location"] == "/simple/demo/x.whl"
    assert site.get("/packages/demo/").status == site.get("/packages/").status == 404


def test_another_spelling(site: Site) -> None:
    """Another spelling of the name leads to the normal one."""
    spellings = {
        "/Demo/json": "/demo/json",
        "/pypi/DEMO/json/": "/pypi/demo/json",
        "/pypi/d.e_M/1.0/json": "/pypi/d-e-m/1.0/json",
    }
    for path, normal in spellings.items():
        answer = site.get(path)
        assert (answer.status, answer.headers["Location"]) == (301, normal)


def test_no_document(site: Site) -> None:
    """Addresses that mean something else go on to mean it, and what is no project's is not found."""
    statuses = {
        "/simple/json": 301,
        "/project/json": 301,
        "/uploads/json": 405,
        "/at/json": 404,
        "/pypi/json": 404,
        "/health/json": 404,
        "/pypi/demo": 404,
        "/pypi/demo/": 404,
        "/pypi/demo/1.0": 404,
        "/pypi/demo/1.0/files": 404,
        "/pypi/demo/1.0/json/x": 404,
        "/demo/x/json": 404,
        "/json": 404,
        "/pypi/-/json": 404,
        "/nothing/json": 404,
    }
    assert {path: site.get(path).status for path in statuses} == statuses


def test_a_project_of_that_name(site: Site) -> None:
    """A project that is called as one of our own addresses has a document, too."""
    for name in ("simple", "pypi", "json", "at"):
        site.upload(make_wheel(name, "1.0"))
        assert ask(site, f"/pypi/{name}/json")["info"]["name"] == name
    assert ask(site, "/pypi/json")["info"]["name"] == "pypi"
    assert ask(site, "/json/json")["info"]["name"] == "json"


def test_who_may_read(site: Site) -> None:
    """Nobody reads it without credentials, nor learns what there is; nothing but GET and HEAD is possible."""
    for path in (PATH, "/demo/json", "/pypi/demo/9/json", "/nothing/json", "/at/2026-01-01/demo/json"):
        assert site.get(path, user=None).status == 401
    assert (site.request("POST", PATH).status, site.request("POST", PATH).headers["Allow"]) == (405, "GET, HEAD")


def test_conditions(site: Site) -> None:
    """The document has an entity tag of its content, and is not sent again to who has it."""
    first = site.get(PATH, headers=HOST)
    assert first.headers["Cache-Control"] == "private, max-age=0"
    again = site.get(PATH, headers={**HOST, "if-none-match": first.headers["ETag"]})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    elsewhere = site.get(PATH, headers={"host": "other.example", "if-none-match": first.headers["ETag"]})
    assert elsewhere.status == 200
    site.upload(make_wheel("demo", "2.0"))
    changed = site.get(PATH, headers={**HOST, "if-none-match": first.headers["ETag"]})
    assert (changed.status, document(changed)["info"]["version"]) == (200, "2.0")


def test_head_and_compression(site: Site) -> None:
    """HEAD has the headers of GET; the document goes out compressed to who takes that."""
    plain, packed = site.get(PATH, headers=HOST), site.get(PATH, headers={**HOST, "accept-encoding": "gzip"})
    assert (packed.headers["Content-Encoding"], gzip.decompress(packed.body)) == ("gzip", plain.body)
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert site.head(PATH, headers=HOST).headers == plain.headers


def test_the_serial(site: Site) -> None:
    """bandersnatch finds the number of the last event in a header, also where nothing changed."""
    first = site.get(PATH)
    site.happen(FileYanked(project=DEMO, filename=Filename(OLD.filename), reason="broken"))
    second = site.get(PATH)
    assert (first.headers[SERIAL], second.headers[SERIAL], document(second)["last_serial"]) == ("3", "4", 4)
    same = site.get(PATH, headers={"if-none-match": second.headers["ETag"]})
    assert (same.status, same.headers[SERIAL]) == (304, "4")


def test_yanked(site: Site) -> None:
    """What is yanked says so, with its reason; the newest release is one that is not."""
    for filename in (WHEEL.filename, SDIST.filename):
        site.happen(FileYanked(project=DEMO, filename=Filename(filename), reason="leaks"))
    found = ask(site)
    assert found["info"]["version"] == "1.0"
    assert [(file["yanked"], file["yanked_reason"]) for file in found["releases"]["1.2"]] == [(True, "leaks")] * 2
    info = ask(site, "/pypi/demo/1.2/json")["info"]
    assert (info["yanked"], info["yanked_reason"]) == (True, "leaks")
    site.happen(FileUnyanked(project=DEMO, filename=Filename(SDIST.filename)))
    info = ask(site, "/pypi/demo/1.2/json")["info"]
    assert (info["yanked"], info["yanked_reason"]) == (False, None)


def test_removed(site: Site) -> None:
    """What is removed is in no document."""
    for filename in (WHEEL.filename, SDIST.filename):
        site.happen(FileRemoved(project=DEMO, filename=Filename(filename), reason=""))
    assert list(ask(site)["releases"]) == ["1.0"]
    assert site.get("/pypi/demo/1.2/json").status == 404
    site.happen(FileRemoved(project=DEMO, filename=Filename(OLD.filename), reason=""))
    assert site.get(PATH).status == 404


@pytest.mark.parametrize(("status", "answered"), [("quarantined", 404), ("archived", 200), ("deprecated", 200)])
def test_status(site: Site, status: str, answered: int) -> None:
    """A quarantined project has no document: it offers nothing."""
    site.happen(ProjectStatusSet(project=DEMO, status=status, reason="because"))
    assert site.get(PATH).status == site.get("/pypi/demo/1.0/json").status == answered


def test_an_sdist_alone(site: Site) -> None:
    """Where a release has no wheel, its sdist is looked into; one that is very long is not."""
    site.upload(make_sdist("other", "1.0", requires=["six"]))
    assert ask(site, "/pypi/other/json")["info"]["requires_dist"] == ["six"]
    assert MAX_SDIST_BYTES > 1_000_000


def test_lost_metadata(site: Site) -> None:
    """Without the metadata the document tells what the page does."""
    site.store.delete(f"projects/demo/{WHEEL.filename}.metadata")
    found = ask(site)
    assert (found["info"]["summary"], found["info"]["requires_python"]) == (None, ">=3.9")
    assert len(found["urls"]) == 2


def test_a_mirrored_project(site: Site, upstream: FakeUpstream) -> None:
    """A project of the upstream has a document with our addresses; only metadata is fetched for it, and once."""
    found = ask(site, "/six/json")
    assert found["info"]["requires_dist"] == ["idna"]
    assert list(found["releases"]) == ["1.16.0", "1.17.0"]
    assert [file["url"] for file in found["urls"]] == ["http://pypi.example/simple/six/six-1.17.0-py3-none-any.whl"]
    assert found["last_serial"] >= 1
    assert sorted(path.rpartition("/")[2] for _, path in upstream.requests) == [
        "",
        "six-1.17.0-py3-none-any.whl.metadata",
    ]
    upstream.forget()
    below = ask(site, "/pypi/six/json")
    assert (below["info"], list(below["releases"])) == (found["info"], list(found["releases"]))
    assert ask(site, "/pypi/six/1.17.0/json")["urls"] == below["urls"]
    assert upstream.requests == []


def test_metadata_that_cannot_be_had(site: Site, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture) -> None:
    """Where the upstream has no metadata beside the file, or fails, the document goes without; no file is fetched."""
    upstream.add(make_wheel("idna", "3.0"), metadata=None)
    upstream.add(make_sdist("attrs", "1.0"))
    found = [ask(site, f"/{name}/json")["info"] for name in ("idna", "attrs")]
    assert [info["summary"] for info in found] == [None, None]
    wheel = make_wheel("six", "1.17.0", requires=["idna"])
    path = upstream.add(wheel) + ".metadata"
    upstream.override(path, status=500)
    with caplog.at_level(logging.WARNING):
        assert ask(site, "/six/json")["info"]["summary"] is None
    upstream.restore(path)
    assert ask(site, "/six/json")["info"]["summary"] == "A test distribution"
    assert not any(path.endswith((".whl", ".tar.gz")) for _, path in upstream.requests)


def test_an_upstream_that_is_down(site: Site, upstream: FakeUpstream) -> None:
    """A document that cannot be made is answered as the page is; one of a page that outlived a failure is marked."""
    upstream.stop()
    assert site.get("/six/json").status == 503
    assert ask(site)["info"]["version"] == "1.2"


def test_a_stale_page(tmp_path: Path, upstream: FakeUpstream) -> None:
    """A document of a page that outlived a failure has that page's warning."""
    upstream.cache_control = "max-age=0"
    with running_site(tmp_path, upstream=upstream) as site:
        assert "Warning" not in site.get("/six/json").headers
        upstream.override("/simple/six/", status=500)
        assert site.get("/six/json").headers["Warning"].startswith("111 ")


def test_held_back(tmp_path: Path, upstream: FakeUpstream) -> None:
    """Files that are too young are in no document; one with nothing else is not found."""
    upstream.add(make_wheel("six", "2.0"), upload_time="2026-11-26T00:00:00.000000Z")
    upstream.add(make_wheel("young", "1.0"), upload_time=None)
    with running_site(tmp_path, upstream=upstream, upstream_min_age_days=30_000.0) as site:
        assert site.get("/six/json").status == site.get("/young/json").status == 404
    with running_site(
        tmp_path, upstream=upstream, upstream_min_age_days=300.0, upstream_min_age_exempt=("y*",)
    ) as site:
        assert list(ask(site, "/six/json")["releases"]) == ["1.16.0", "1.17.0"]
        assert list(ask(site, "/young/json")["releases"]) == ["1.0"]


def test_denied(tmp_path: Path, upstream: FakeUpstream) -> None:
    """A name that may not enter has no document."""
    with running_site(tmp_path, upstream=upstream, upstream_deny=("six",)) as site:
        assert site.get("/six/json").status == 404


def test_an_earlier_moment(site: Site, upstream: FakeUpstream) -> None:
    """Below `/at/` the document tells what was there then, with addresses that stay there."""
    upstream.add(make_wheel("six", "2.0"), upload_time="2025-01-01T00:00:00.000000Z")
    base = "/at/2024-06-01"
    found = ask(site, f"{base}/pypi/six/json")
    assert list(found["releases"]) == ["1.16.0", "1.17.0"]
    assert found["urls"][0]["url"] == f"http://pypi.example{base}/packages/six/six-1.17.0-py3-none-any.whl"
    assert site.get(f"{base}/packages/six/six-1.17.0-py3-none-any.whl").status == 200
    beside = ask(site, f"{base}/six/json")["urls"][0]["url"]
    assert beside == f"http://pypi.example{base}/simple/six/six-1.17.0-py3-none-any.whl"
    assert ask(site, f"{base}/pypi/six/1.16.0/json")["info"]["version"] == "1.16.0"
    for path in ("pypi/six/2.0/json", "demo/json", "pypi/demo/json", "pypi/six", "json", "pypi/six/1.0/x/json"):
        assert site.get(f"{base}/{path}").status == 404
    assert site.get("/at/never/six/json").status == 400
    assert site.get(f"{base}/Six/json").headers["Location"] == f"{base}/six/json"


def test_base_path(tmp_path: Path, upstream: FakeUpstream) -> None:
    """Behind a base path the addresses have it; a host that is none is not repeated."""
    with running_site(tmp_path, upstream=upstream, api_gateway_base_path="/base") as site:
        found = ask(site, "/base/six/json")["urls"][0]["url"]
        assert found == "http://pypi.example/base/simple/six/six-1.17.0-py3-none-any.whl"
        odd = document(site.get("/base/six/json", headers={"host": 'x"y'}))["urls"][0]["url"]
        assert odd == "/base/simple/six/six-1.17.0-py3-none-any.whl"
        application = wsgi_application(site.app, base_path="/base")
        proxied = environ("GET", "/base/six/json", headers={**HOST, "x-forwarded-proto": "https"}, script_name="/app")
        url = document(call(application, proxied))["urls"][0]["url"]
        assert url == "https://pypi.example/app/base/simple/six/six-1.17.0-py3-none-any.whl"


@pytest.mark.parametrize("accept", [JSON, HTML])
def test_addresses_are_those_that_pip_has(site: Site, accept: str) -> None:
    """A file's address beside `simple/` is the one that pip makes of its link: pip-tools compares the two."""
    wheel = make_wheel("demo", "3.0+local.1")
    site.upload(wheel)
    found = ask(site, "/demo/json")
    page = site.get("/simple/demo/", accept=accept)
    address = "http://pypi.example/simple/demo/"
    content = IndexContent(page.body, page.headers["Content-Type"], "utf-8", address, cache_link_parsing=False)
    links = {link.url_without_fragment for link in parse_links(content)}
    assert {file["url"] for files in found["releases"].values() for file in files} == links
    assert list(found["releases"])[-1] == "3.0+local.1"
    assert found["urls"][0]["url"].endswith("/simple/demo/demo-3.0%2Blocal.1-py3-none-any.whl")


def test_each_front_door(site: Site) -> None:
    """Through every front door the addresses are those that its client can ask."""
    for door in FRONT_DOORS:
        event = BUILDERS[door](path="/demo/json", headers=[("Authorization", basic(*UPLOADER))])
        request = read_request(door, event, base_path="")
        answer = site.app(request)
        url = json.loads(body_of(answer))["urls"][0]["url"]
        assert (answer.status, url) == (200, f"{request.root_url}/simple/demo/{WHEEL.filename}"), door.name
        assert url.startswith("https://")
