"""What the app answers on its routes: pages, redirects, refusals."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pytest

from indexer.derive.rebuild import rebuild
from indexer.keys import file_key
from indexer.log.events import FileRemoved, FileYanked, NamesReserved
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, decompress
from indexer.store.folder import FolderStore
from pypi_lambda.app.service import make_service
from pypi_lambda.http.model import Request
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.apps import HTML, JSON, LEGACY, READER, UPLOADER, Answer, Site, running_site
from tests.support.builders import AT, added, basic, body_of, make_app, put_user, request, upload_request
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.fake_upstream import UPLOAD_TIME, FakeUpstream

DEMO = make_wheel("demo", "1.0", requires_python=">=3.9, <4")
DEMO_SDIST = make_sdist("demo", "1.0")
LOCAL = make_wheel("demo", "2.0+local")
SIX = make_wheel("six", "1.17.0", requires_python=">=2.7")
FILE = f"/simple/demo/{DEMO.filename}"
LATEST = "application/vnd.pypi.simple.latest"

FORMATS = [
    pytest.param(JSON, JSON, id="json"),
    pytest.param(f"{LATEST}+json", JSON, id="latest json"),
    pytest.param(HTML, HTML, id="html"),
    pytest.param(f"{LATEST}+html", HTML, id="latest html"),
    pytest.param(LEGACY, "text/html; charset=utf-8", id="legacy"),
    pytest.param(None, "text/html; charset=utf-8", id="no Accept"),
]
ONE_OF_EACH = [pytest.param(JSON, id="json"), pytest.param(HTML, id="html")]

DEMO_HTML = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="1.4">
<title>Links for demo</title>
</head>
<body>
<h1>Links for demo</h1>
<a href="{DEMO.filename}#sha256={DEMO.sha256}" data-requires-python="&gt;=3.9, &lt;4" \
data-core-metadata="sha256={DEMO.metadata_sha256}" \
data-dist-info-metadata="sha256={DEMO.metadata_sha256}" \
data-upload-time="{AT}" data-size="{len(DEMO.content)}">{DEMO.filename}</a><br>
<a href="{DEMO_SDIST.filename}#sha256={DEMO_SDIST.sha256}" \
data-upload-time="{AT}" data-size="{len(DEMO_SDIST.content)}">{DEMO_SDIST.filename}</a><br>
<a href="demo-2.0%2Blocal-py3-none-any.whl#sha256={LOCAL.sha256}" \
data-core-metadata="sha256={LOCAL.metadata_sha256}" \
data-dist-info-metadata="sha256={LOCAL.metadata_sha256}" \
data-yanked="broken" data-upload-time="{AT}" data-size="{len(LOCAL.content)}">{LOCAL.filename}</a><br>
</body>
</html>
"""
DEMO_JSON = {
    "meta": {"api-version": "1.4", "_last-serial": 4},
    "name": "demo",
    "versions": ["1.0", "2.0+local"],
    "files": [
        {
            "filename": DEMO.filename,
            "url": DEMO.filename,
            "hashes": {"sha256": DEMO.sha256},
            "size": len(DEMO.content),
            "upload-time": AT,
            "yanked": False,
            "_version": "1.0",
            "requires-python": ">=3.9, <4",
            "core-metadata": {"sha256": DEMO.metadata_sha256},
        },
        {
            "filename": DEMO_SDIST.filename,
            "url": DEMO_SDIST.filename,
            "hashes": {"sha256": DEMO_SDIST.sha256},
            "size": len(DEMO_SDIST.content),
            "upload-time": AT,
            "yanked": False,
            "_version": "1.0",
        },
        {
            "filename": LOCAL.filename,
            "url": "demo-2.0%2Blocal-py3-none-any.whl",
            "hashes": {"sha256": LOCAL.sha256},
            "size": len(LOCAL.content),
            "upload-time": AT,
            "yanked": "broken",
            "_version": "2.0+local",
            "_turns": [[AT, "broken", False]],
            "core-metadata": {"sha256": LOCAL.metadata_sha256},
        },
    ],
    "_seq": 4,
}
SIX_HTML = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="1.4">
<meta name="pypi:project-status" content="archived">
<title>Links for six</title>
</head>
<body>
<h1>Links for six</h1>
<a href="{SIX.filename}#sha256={SIX.sha256}" data-requires-python="&gt;=2.7" \
data-core-metadata="sha256={SIX.metadata_sha256}" \
data-dist-info-metadata="sha256={SIX.metadata_sha256}" \
data-provenance="https://upstream.example/six.provenance" \
data-upload-time="{UPLOAD_TIME}" data-size="{len(SIX.content)}">{SIX.filename}</a><br>
</body>
</html>
"""
SIX_JSON = {
    "meta": {"api-version": "1.4"},
    "name": "six",
    "versions": ["1.17.0"],
    "project-status": {"status": "archived"},
    "files": [
        {
            "filename": SIX.filename,
            "url": SIX.filename,
            "hashes": {"sha256": SIX.sha256},
            "size": len(SIX.content),
            "requires-python": ">=2.7",
            "yanked": False,
            "upload-time": "2024-05-06T07:08:09.123456Z",
            "provenance": "https://upstream.example/six.provenance",
            "core-metadata": {"sha256": SIX.metadata_sha256},
        }
    ],
}


def publish(site: Site, distribution: Distribution) -> None:
    """Have a file published at a time that is known."""
    key = file_key(ProjectName(distribution.project), Filename(distribution.filename))
    site.store.put(key, distribution.content)
    metadata = distribution.metadata_sha256 if distribution.filename.endswith(".whl") else None
    if metadata is not None:
        site.store.put(f"{key}.metadata", distribution.metadata)
    site.happen(
        added(
            distribution.project,
            distribution.filename,
            version=distribution.filename.split("-")[1].removesuffix(".tar.gz"),
            size=len(distribution.content),
            sha256=distribution.sha256,
            requires_python=distribution.requires_python,
            metadata_sha256=metadata,
        )
    )


def furnish(site: Site) -> None:
    for distribution in (DEMO, DEMO_SDIST, LOCAL):
        publish(site, distribution)
    site.happen(FileYanked(project=ProjectName("demo"), filename=Filename(LOCAL.filename), reason="broken"))
    site.happen(NamesReserved(patterns=("acme-*",)))
    site.upstream.add(SIX, provenance="https://upstream.example/six.provenance")
    site.upstream.add(make_wheel("acme-tools", "1.0"))
    site.upstream.set_status("six", "archived")
    site.read_names()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with three private files, a reserved pattern and an upstream, that no test changes."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        furnish(site)
        yield site


def page_headers(answer: Answer, content_type: str, **more: str) -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "ETag": answer.headers["ETag"],
        "Vary": "Accept, Accept-Encoding",
        "Cache-Control": "private, max-age=0",
        "X-Content-Type-Options": "nosniff",
        **more,
    }


def refusal(status: int, message: str, **headers: str) -> Answer:
    """Build a plain text answer."""
    body = f"{message}\n".encode()
    plain = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return Answer(status=status, headers={**plain, **headers, "Content-Length": str(len(body))}, body=body)


class TestProjectPage:
    @pytest.mark.parametrize(("accept", "content_type"), FORMATS)
    @pytest.mark.parametrize(
        ("name", "as_json", "as_html"), [("demo", DEMO_JSON, DEMO_HTML), ("six", SIX_JSON, SIX_HTML)]
    )
    def test_whole_answer(
        self,
        furnished: Site,
        accept: str | None,
        content_type: str,
        name: str,
        as_json: object,
        as_html: str,
    ) -> None:
        """A page, private or mirrored, comes in the format asked for, with all that clients need to know about it."""
        answer = furnished.get(f"/simple/{name}/", accept=accept)
        length = {"Content-Length": str(len(answer.body))}
        assert (answer.status, answer.headers) == (200, page_headers(answer, content_type, **length))
        assert (json.loads(answer.body) if content_type == JSON else answer.text) == (
            as_json if content_type == JSON else as_html
        )

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    @pytest.mark.parametrize("name", ["demo", "six"])
    def test_gzip(self, furnished: Site, accept: str, name: str) -> None:
        """To a client that takes gzip the same page is sent compressed, under the same tag."""
        plain = furnished.get(f"/simple/{name}/", accept=accept)
        answer = furnished.get(f"/simple/{name}/", accept=accept, headers={"accept-encoding": "gzip, deflate"})
        assert plain.headers["Content-Length"] == str(len(plain.body))
        encoding = {"Content-Encoding": "gzip", "Content-Length": str(len(answer.body))}
        assert answer.headers == plain.headers | encoding
        assert gzip.decompress(answer.body) == plain.body

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    @pytest.mark.parametrize("path", ["/simple/demo/", "/simple/six/", "/simple/", "/simple", "/simple/Demo", "/"])
    def test_head(self, furnished: Site, accept: str, encoding: str, path: str) -> None:
        """HEAD has the status and the headers of GET, and no body."""
        details = {"accept": accept, "headers": {"accept-encoding": encoding}}
        get = furnished.get(path, **details)
        assert furnished.head(path, **details) == Answer(status=get.status, headers=get.headers)

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    @pytest.mark.parametrize("path", ["/simple/demo/", "/simple/six/", "/simple/"])
    def test_not_modified(self, furnished: Site, method: str, accept: str, path: str) -> None:
        """Who has the page is told so, without a body, and that it varies and must be asked for again."""
        etag = furnished.get(path, accept=accept).headers["ETag"]
        conditional = {"if-none-match": f'"other", {etag}', "accept-encoding": "gzip"}
        assert furnished.request(method, path, accept=accept, headers=conditional) == Answer(
            status=304,
            headers={"ETag": etag, "Vary": "Accept, Accept-Encoding", "Cache-Control": "private, max-age=0"},
        )

    @pytest.mark.parametrize("path", ["/simple/demo/", "/simple/six/", "/simple/"])
    def test_formats_have_tags_of_their_own(self, furnished: Site, path: str) -> None:
        """The tag of one format is not the other's, so nobody is told that HTML is the JSON he has."""
        as_json = furnished.get(path, accept=JSON)
        answer = furnished.get(path, accept=HTML, headers={"if-none-match": as_json.headers["ETag"]})
        assert answer.status == 200

    def test_stale_tag(self, site: Site) -> None:
        """The tag of a page before an upload is not the tag after it."""
        publish(site, DEMO)
        etag = site.get("/simple/demo/", accept=JSON).headers["ETag"]
        publish(site, LOCAL)
        answer = site.get("/simple/demo/", accept=JSON, headers={"if-none-match": etag})
        assert (answer.status, json.loads(answer.body)["versions"]) == (200, ["1.0", "2.0+local"])

    @pytest.mark.parametrize("path", ["/simple/demo/", "/simple/"])
    def test_not_acceptable(self, furnished: Site, path: str) -> None:
        """Who accepts no format that there is gets 406 and is told which there are."""
        assert furnished.get(path, accept="application/vnd.pypi.simple.v2+json") == refusal(
            406,
            "Accept 'application/vnd.pypi.simple.v2+json' names nothing that is available; "
            f"available are {JSON}, {HTML}, {LEGACY}",
        )

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    def test_the_alias_that_hatch_reads(self, furnished: Site, accept: str) -> None:
        """`+simple` stands for `simple`."""
        assert furnished.get("/%2Bsimple/demo/", accept=accept) == furnished.get("/simple/demo/", accept=accept)

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    def test_rebuilding_changes_no_page(self, site: Site, accept: str) -> None:
        """A page that was rendered on request and one that was stored by a rebuild are the same, tag included."""
        furnish(site)
        before = site.get("/simple/demo/", accept=accept)
        site.rebuild()
        assert len(list(site.store.list("pages/demo/"))) == 2
        assert site.get("/simple/demo/", accept=accept) == before

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    @pytest.mark.parametrize("damage", [None, b"", b"\x1f\x8b\x08 no gzip", b"half"])
    def test_a_lost_page_is_made_anew(self, site: Site, accept: str, damage: bytes | None) -> None:
        """A stored page that is missing or damaged is rendered from the log, and the store gets it back."""
        publish(site, DEMO)
        site.rebuild()
        intact = site.get("/simple/demo/", accept=accept)
        stored = {stat.key: site.store.get(stat.key).body for stat in site.store.list("pages/")}
        for key, body in stored.items():
            site.store.delete(key)
            if damage is not None:
                site.store.put(key, body[: len(body) // 2] if damage == b"half" else damage)
        with running_site(Path("unused"), store=site.store) as another:
            assert another.get("/simple/demo/", accept=accept) == intact
            another.service.rebuilder.wait()
        assert {stat.key: site.store.get(stat.key).body for stat in site.store.list("pages/")} == stored

    @pytest.mark.parametrize("private", [True, False])
    @pytest.mark.parametrize("hashed", [True, False])
    def test_the_digest_of_metadata(self, tmp_path: Path, private: bool, hashed: bool) -> None:
        """HTML has it in both attributes alike, or as it is set in none; JSON has it under `core-metadata` alone."""
        with running_site(tmp_path, hash_dist_info_metadata=hashed) as site:
            if private:
                publish(site, DEMO)
            else:
                site.upstream.add(DEMO)
            page = json.loads(site.get("/simple/demo/", accept=JSON).body)
            html = site.get("/simple/demo/", accept=HTML).text
        [file] = page["files"]
        assert (file["core-metadata"], "dist-info-metadata" in file) == ({"sha256": DEMO.metadata_sha256}, False)
        said = f"sha256={DEMO.metadata_sha256}" if hashed else "true"
        assert f' data-core-metadata="{said}" data-dist-info-metadata="{said}"' in html


@pytest.mark.parametrize("hashed", [True, False])
class TestTheLegacyKey:
    """`dist-info-metadata` in JSON ends pip 22.3 to 23.1.2, whatever its value is."""

    AGED: ClassVar[dict[str, Any]] = {"upstream_min_age_days": 1.0}

    @pytest.fixture
    def upstream(self) -> FakeUpstream:
        """One that says whatever can be said of metadata."""
        upstream = FakeUpstream()
        for number, said in enumerate([True, False, {"sha256": "ab" * 32}, None, "odd"]):
            wheel = make_wheel("six", f"1.{number}", files={f"{number}.py": b""})
            upstream.add(wheel, dist_info_metadata=said, core_metadata=said)
            upstream.add(make_sdist("six", f"1.{number}"), dist_info_metadata=said, core_metadata=said)
        upstream.add(make_wheel("six", "2.0"), upload_time="2999-01-01T00:00:00.000000Z")
        return upstream

    @pytest.mark.parametrize("settings", [{}, AGED], ids=["whole", "held back"])
    @pytest.mark.parametrize("base", ["", f"/at/{AT}"])
    def test_pages(
        self, tmp_path: Path, upstream: FakeUpstream, hashed: bool, base: str, settings: dict[str, Any]
    ) -> None:
        """No page has it: private or mirrored, held back in part, of an earlier moment, or stored."""
        with running_site(tmp_path, upstream=upstream, hash_dist_info_metadata=hashed, **settings) as site:
            publish(site, DEMO)
            site.rebuild()
            pages = [site.get(f"{base}/simple/{name}/", accept=JSON) for name in ("demo", "six")]
            stored = [site.store.get(stat.key).body for stat in site.store.list("") if stat.key.endswith(".json.gz")]
        assert [page.status for page in pages] == [200, 200]
        assert all('"core-metadata"' in page.text for page in pages)
        # What is too young was not there then.
        assert ("_held-back" in pages[1].text) is (settings == self.AGED and base == "")
        assert "dist-info-metadata" not in "".join(page.text for page in pages)
        assert all(b"dist-info-metadata" not in decompress("", body) for body in stored)

    def test_html(self, tmp_path: Path, upstream: FakeUpstream, hashed: bool) -> None:
        """HTML has both attributes, or none, with equal values, whatever was said of the files."""
        with running_site(tmp_path, upstream=upstream, hash_dist_info_metadata=hashed) as site:
            publish(site, DEMO)
            html = "".join(site.get(f"/simple/{name}/", accept=HTML).text for name in ("demo", "six"))
        found = re.findall(r' data-core-metadata="([^"]*)" data-dist-info-metadata="([^"]*)"', html)
        assert [new for new, old in found] == [old for new, old in found]
        assert html.count("core-metadata=") == html.count("dist-info-metadata=") == len(found) >= 6
        assert any(new.startswith("sha256=") for new, _ in found) is hashed


class TestRedirects:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize(
        ("path", "location"),
        [
            ("/simple/Demo/", "/simple/demo/"),
            ("/simple/demo", "/simple/demo/"),
            ("/simple/De__.-mo", "/simple/de-mo/"),
            ("/", "/simple/"),
            ("/simple", "/simple/"),
            ("/%2Bsimple", "/simple/"),
            ("/simple/De.Mo/de.mo-1.0%2Bl.tar.gz", "/simple/de-mo/de.mo-1.0%2Bl.tar.gz"),
            ("/simple/De.Mo/demo-1%211.0.whl.metadata", "/simple/de-mo/demo-1%211.0.whl.metadata"),
        ],
    )
    def test_to_the_normalised_address(self, furnished: Site, method: str, path: str, location: str) -> None:
        """An address that is not the normalised one, with its slash, leads there."""
        expected = Answer(status=301, headers={"Location": location, "Content-Length": "0"})
        assert furnished.request(method, path) == expected

    def test_base_path_and_query_are_kept(self, tmp_path: Path) -> None:
        """Below a base path the redirect stays there, and keeps what was asked."""
        with running_site(tmp_path, api_gateway_base_path="/te am/pypi") as site:
            answer = site.get("/te%20am/pypi/simple/De.Mo", query="a=b%20c&d")
        location = "/te%20am/pypi/simple/de-mo/?a=b%20c&d"
        assert answer == Answer(status=301, headers={"Location": location, "Content-Length": "0"})

    def test_mounted_below_a_path(self, furnished: Site) -> None:
        """What a WSGI server has as SCRIPT_NAME stays in front, too."""
        answer = furnished.get("/simple/Demo", script_name="/mounted")
        assert answer.headers["Location"] == "/mounted/simple/demo/"

    def test_no_header_begins_in_a_query(self, furnished: Site) -> None:
        """Line breaks, spaces, quotes and bytes above ASCII in a query are encoded."""
        answer = furnished.get("/simple/Demo", query='a\r\nSet-Cookie: b="\xe9')
        assert answer.headers == {
            "Location": "/simple/demo/?a%0D%0ASet-Cookie:%20b=%22%E9",
            "Content-Length": "0",
        }

    @pytest.mark.parametrize("path", ["//upstream.example/", "//upstream.example/simple", "/\\upstream.example/simple"])
    def test_never_elsewhere(self, furnished: Site, path: str) -> None:
        """No path makes a redirect to another host."""
        assert furnished.get(path).status == 404


class TestRoot:
    @pytest.mark.parametrize(("accept", "content_type"), FORMATS)
    def test_private_and_upstream_names(self, furnished: Site, accept: str | None, content_type: str) -> None:
        """The root lists every name that can be asked for, once, and no reserved one of the upstream."""
        answer = furnished.get("/simple/", accept=accept)
        length = {"Content-Length": str(len(answer.body))}
        assert (answer.status, answer.headers) == (200, page_headers(answer, content_type, **length))
        if content_type == JSON:
            page = json.loads(answer.body)
            serials = [project.pop("_last-serial", None) for project in page["projects"]]
            assert page["projects"] == [{"name": "demo"}, {"name": "six"}]
            assert page["meta"].pop("_last-serial") >= serials[0] > 0
            assert (page["meta"], serials[1]) == ({"api-version": "1.4"}, None)
        else:
            assert answer.text.partition("<body>\n")[2] == (
                '<a href="demo/">demo</a>\n<a href="six/">six</a>\n</body>\n</html>\n'
            )

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    def test_gzip(self, furnished: Site, accept: str) -> None:
        """Compressed it is the same listing, with its length."""
        plain = furnished.get("/simple/", accept=accept)
        answer = furnished.get("/simple/", accept=accept, headers={"accept-encoding": "gzip"})
        encoding = {"Content-Encoding": "gzip", "Content-Length": str(len(answer.body))}
        assert answer.headers == plain.headers | encoding
        assert gzip.decompress(answer.body) == plain.body

    def test_a_new_project_is_listed_at_once(self, site: Site) -> None:
        """The first upload of a project shows in the next listing."""
        assert json.loads(site.get("/simple/", accept=JSON).body)["projects"] == []
        publish(site, DEMO)
        assert json.loads(site.get("/simple/", accept=JSON).body)["projects"] == [{"name": "demo", "_last-serial": 1}]

    @pytest.mark.parametrize("accept", ONE_OF_EACH)
    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    @pytest.mark.parametrize("damage", ["half", "flipped", "followed", "empty"])
    def test_damaged(self, site: Site, accept: str, encoding: str, damage: str) -> None:
        """Damaged entries of the upstream's names never pass for whole ones: they are made anew."""
        publish(site, DEMO)
        site.upstream.add(SIX)
        site.read_names()
        details: dict[str, Any] = {"accept": accept, "headers": {"accept-encoding": encoding}}
        whole = site.get("/simple/", **details)
        [stat] = [stat for stat in site.store.list("index/") if (".json" in stat.key) == (accept == JSON)]
        body = site.store.get(stat.key).body
        middle = len(body) // 2
        damaged = {
            "half": body[:middle],
            "flipped": body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :],
            "followed": body + b"more",
            "empty": b"",
        }
        site.store.put(stat.key, damaged[damage])
        fresh = replace(site, service=make_service(site.settings, store=site.store))
        assert fresh.get("/simple/", **details) == whole
        assert site.store.get(stat.key).body == body

    def test_a_reserved_name_is_listed_no_more(self, site: Site) -> None:
        """Reserving a name takes the upstream's project out of the next listing."""
        site.upstream.add(SIX)
        site.read_names()
        assert json.loads(site.get("/simple/", accept=JSON).body)["projects"] == [{"name": "six"}]
        site.happen(NamesReserved(patterns=("six",)))
        assert json.loads(site.get("/simple/", accept=JSON).body)["projects"] == []


class TestStanding:
    @pytest.mark.parametrize("path", ["/simple/acme-tools/", "/simple/acme-new/", "/simple/acme-tools/a-1.0.tar.gz"])
    def test_reserved(self, furnished: Site, path: str) -> None:
        """A reserved name has no project until the first upload, and the upstream is never asked about it."""
        furnished.upstream.forget()
        name = path.split("/")[2]
        assert furnished.get(path, accept=JSON) == refusal(404, f"there is no project '{name}'")
        assert furnished.upstream.requests == []

    @pytest.mark.parametrize("path", ["/simple/unheard-of/", "/simple/unheard-of/unheard_of-1.0.tar.gz"])
    def test_unknown_to_the_list(self, furnished: Site, path: str) -> None:
        """Once the upstream's list was read, a name that is not on it is not asked for."""
        furnished.upstream.forget()
        assert furnished.get(path) == refusal(404, "there is no project 'unheard-of'")
        assert furnished.upstream.requests == []

    def test_unknown_before_any_list(self, site: Site) -> None:
        """Until a list was read the upstream is asked for an unknown name, and its 404 is ours."""
        assert site.get("/simple/unheard-of/") == refusal(404, "there is no project 'unheard-of'")
        assert site.upstream.requests == [("GET", "/simple/unheard-of/")]

    def test_private_hides_upstream(self, site: Site) -> None:
        """From the first private file on, nothing of the upstream's project of that name is served."""
        site.upstream.add(make_wheel("demo", "9.0"))
        theirs = "/simple/demo/demo-9.0-py3-none-any.whl"
        assert site.get(theirs).status == 200
        publish(site, DEMO)
        site.upstream.forget()
        page = json.loads(site.get("/simple/demo/", accept=JSON).body)
        assert (page["versions"], site.get(theirs).status, site.get(f"{theirs}.metadata").status) == (["1.0"], 404, 404)
        assert site.upstream.requests == []

    def test_removed_file(self, site: Site) -> None:
        """A removed file is gone from the page and from its address, its metadata too."""
        publish(site, DEMO)
        publish(site, DEMO_SDIST)
        site.happen(FileRemoved(project=ProjectName("demo"), filename=Filename(DEMO.filename)))
        page = json.loads(site.get("/simple/demo/", accept=JSON).body)
        assert [file["filename"] for file in page["files"]] == [DEMO_SDIST.filename]
        path = f"/simple/demo/{DEMO.filename}"
        assert site.get(path) == refusal(404, f"project 'demo' has no file '{DEMO.filename}'")
        assert site.get(f"{path}.metadata") == refusal(404, f"project 'demo' has no file '{DEMO.filename}.metadata'")

    def test_yanked_file(self, furnished: Site) -> None:
        """A yanked file can still be fetched by who names it."""
        assert furnished.get("/simple/demo/demo-2.0%2Blocal-py3-none-any.whl").body == LOCAL.content

    def test_an_orphan_is_not_served(self, site: Site) -> None:
        """What lies in the store and was not published is at no address, in no page."""
        publish(site, DEMO_SDIST)
        site.store.put(f"projects/demo/{DEMO.filename}", DEMO.content)
        site.store.put(f"projects/demo/{DEMO.filename}.metadata", DEMO.metadata)
        path = f"/simple/demo/{DEMO.filename}"
        assert [site.get(path).status, site.head(path).status, site.get(f"{path}.metadata").status] == [404] * 3
        assert [file["filename"] for file in json.loads(site.get("/simple/demo/", accept=JSON).body)["files"]] == [
            DEMO_SDIST.filename
        ]

    @pytest.mark.parametrize(("seconds", "seen"), [(0.0, 200), (86_400.0, 404)])
    def test_staleness(self, tmp_path: Path, seconds: float, seen: int) -> None:
        """What another process published shows at once, or where that is permitted, later."""
        with running_site(tmp_path, max_staleness_seconds=seconds) as site:
            site.read_names()
            site.get("/simple/")
            publish(site, DEMO)
            assert site.get("/simple/demo/").status == seen


class TestRefusals:
    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Basic",
            "Basic ====",
            "Basic bm9jb2xvbg==",
            "Bearer secret",
            basic("uploader", "wrong"),
            basic("uploader", ""),
            basic("nobody", UPLOADER[1]),
            basic("", ""),
            basic("uploader", "p" * 5_000),
            basic("uploader\0", UPLOADER[1]),
            "Basic " + "x" * 20_000,
            "\xff",
        ],
        ids=lambda text: repr(text)[:30],
    )
    def test_credentials(self, furnished: Site, authorization: str | None) -> None:
        """Missing, broken and wrong credentials are refused with a challenge, and nothing is said about the user."""
        answer = furnished.get("/simple/demo/", user=None, headers={"authorization": authorization})
        reason = "the username or the password is wrong"
        assert answer in (
            unauthorized(reason),
            unauthorized("a username and password are needed"),
        )

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            (method, path)
            for path in (
                "/",
                "/legacy/",
                "/simple",
                "/simple/",
                "/simple/demo",
                "/simple/demo/",
                "/simple/Demo/",
                "/simple/-/",
                "/simple/demo/demo-1.0.tar.gz",
                "/simple/demo/demo-1.0.tar.gz/",
                f"/simple/demo/{DEMO.filename}.metadata",
                "/simple/demo/-",
                "/simple/six/",
                f"/simple/six/{SIX.filename}",
                "/%2Bsimple/demo/",
                "/no/such/path",
                "/users/",
                "/health/more",
            )
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
        ]
        + [("POST", "/health"), ("DELETE", "/health")],
    )
    def test_nothing_is_anonymous(self, furnished: Site, method: str, path: str) -> None:
        """Without credentials every route refuses, whatever is there and whether or not the method is possible."""
        answer = furnished.request(method, path, user=None, accept="no/thing")
        expected = unauthorized("a username and password are needed")
        assert (answer.status, answer.headers) == (401, expected.headers)

    @pytest.mark.parametrize("path", ["/simple/-/", "/simple/demo/-", "/simple/demo/"])
    def test_wrong_credentials_come_first(self, furnished: Site, path: str) -> None:
        """Also what could be refused for other reasons is refused for the credentials."""
        assert furnished.get(path, user=("uploader", "wrong"), accept="no/thing").status == 401

    def test_health(self, furnished: Site) -> None:
        """Anybody may ask whether the service is there."""
        assert json.loads(furnished.get("/health", user=None).text)["status"] == "degraded"
        assert furnished.head("/health", user=None).status == 200

    @pytest.mark.parametrize("path", ["/", "/simple/", "/legacy/", "/legacy", "/simple"])
    def test_a_reader_may_not_upload(self, furnished: Site, path: str) -> None:
        """An upload by a reader is refused, on every address that takes uploads."""
        assert furnished.upload(DEMO, path=path, user=READER) == refusal(
            403, "'reader' may read but not upload; ask the administrator for the upload role"
        )

    @pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", ""])
    def test_no_page_uploads(self, furnished: Site, origin: str) -> None:
        """A web page cannot have the browser of somebody who may upload publish a file."""
        refused = refusal(403, "uploads from web pages are not taken")
        assert furnished.upload(SIX, headers={"origin": origin}) == refused
        for method, path in (("POST", "/uploads/"), ("PUT", "/uploads/ab/1"), ("POST", "/uploads/ab/")):
            assert furnished.request(method, path, headers={"origin": origin}) == refused

    def test_a_reader_reads(self, furnished: Site) -> None:
        """A reader gets pages and files, whatever characters his password has."""
        assert furnished.get("/simple/demo/", user=READER).status == 200
        assert furnished.get(f"/simple/demo/{DEMO.filename}", user=READER).body == DEMO.content

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "/", "GET, HEAD, POST"),
            ("DELETE", "/simple/", "GET, HEAD, POST"),
            ("GET", "/legacy/", "POST"),
            ("POST", "/simple/demo/", "GET, HEAD"),
            ("OPTIONS", f"/simple/demo/{DEMO.filename}", "GET, HEAD"),
            ("POST", "/health", "GET, HEAD"),
            ("get", "/simple/", "GET, HEAD, POST"),
            ("X" * 1_000, "/simple/", "GET, HEAD, POST"),
        ],
    )
    def test_methods(self, furnished: Site, method: str, path: str, allowed: str) -> None:
        """A method that a route does not have is refused by name, with those that it has."""
        assert furnished.request(method, path) == refusal(
            405, f"{method[:40]!r} is not possible here, only {allowed}", Allow=allowed
        )

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/nothing", "there is nothing at '/nothing'"),
            ("/simple/a/b/c", "there is nothing at '/simple/a/b/c'"),
            ("/legacy/demo/", "there is nothing at '/legacy/demo/'"),
            (
                f"/simple/demo/{DEMO.filename}/",
                f"a file's address has no slash at its end: '/simple/demo/{DEMO.filename}/'",
            ),
            ("/simple/demo/demo-3.0.tar.gz", "project 'demo' has no file 'demo-3.0.tar.gz'"),
            ("/simple/demo/demo-1.0.tar.gz.metadata", "project 'demo' has no file 'demo-1.0.tar.gz.metadata'"),
            ("/simple/six/six-0.tar.gz", "project 'six' has no file 'six-0.tar.gz'"),
            ("/simple/six/six-0.whl.metadata", "project 'six' has no file 'six-0.whl'"),
        ],
    )
    def test_absent(self, furnished: Site, path: str, message: str) -> None:
        """What is not there is 404 with a sentence that names it."""
        assert furnished.get(path) == refusal(404, message)

    @pytest.mark.parametrize(
        "path",
        [
            "/simple/../users/",
            "/simple/..%2Fusers/",
            "/simple/%2E%2E/",
            "/simple/demo/..",
            "/simple/demo/..%5C..",
            "/simple/demo/.tmp",
            "/simple/<script>/",
            "/simple/d%C3%A9mo/",
            "/simple/demo%20/",
            "/simple/a" + "b" * 300 + "/",
            "/simple/demo/a" + "b" * 300,
            "/simple/demo/%zz",
            "/simple/demo/a%20b.whl",
            "/.tmp/lock",
            "/users/x.json",
        ],
    )
    def test_odd_paths(self, furnished: Site, path: str) -> None:
        """Names that cannot be are nowhere."""
        assert furnished.get(path).status == 404

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/simple/%FF/", 400),
            ("/simple/%C3%28/", 400),
            ("/simple/a%00b/", 400),
            ("/simple/a%0Ab/", 400),
            ("/simple/a%7Fb/", 400),
            ("/" + "a" * 3_000, 414),
        ],
    )
    def test_unreadable_paths(self, furnished: Site, path: str, status: int) -> None:
        """A path that is no text, has control characters, or is too long is refused for that."""
        assert furnished.get(path).status == status

    @pytest.mark.parametrize(
        "headers",
        [
            {"accept": "," * 9_000},
            {"accept": "\xff;q=\xfe"},
            {"accept": "text/html;q=" + "9" * 400},
            {"accept-encoding": "gzip;q=x, \xff" * 400},
            {"if-none-match": '"' * 9_000},
            {"if-none-match": "W/" * 100},
            {"range": "bytes=" + "9" * 5_000 + "-"},
            {"range": "bytes=0-0,5-" * 100, "if-range": "\x80"},
            {"cookie": "a" * 60_000},
            {"host": "a b\xff"},
            {"expect": "the unexpected"},
            {"x-forwarded-proto": "gopher"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("path", ["/simple/", "/simple/demo/", f"/simple/demo/{DEMO.filename}"])
    def test_absurd_headers(self, furnished: Site, headers: dict[str, str], path: str) -> None:
        """No header's value is a fault of ours."""
        assert furnished.get(path, headers=headers).status in (200, 206, 304, 406, 416)


def unauthorized(message: str) -> Answer:
    challenge = {"WWW-Authenticate": 'Basic realm="serverless-pypi", charset="UTF-8"'}
    body = f"{message}\n".encode()
    plain = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return Answer(status=401, headers={**plain, **challenge, "Content-Length": str(len(body))}, body=body)


def asking(path: str | None, count: int = 0) -> Request:
    # What one upload left behind would spare the next one some calls, so each is of another version.
    return upload_request(make_wheel("demo", f"2.{count}")) if path is None else request("GET", path)


class _Elements(HTMLParser):
    """The elements and the text of a page, as a browser has them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "\"'><script>alert(1)</script><!-- &lt; ]]> </a>"


class TestMarkup:
    def check(self, page: Answer, *attributes: tuple[str, str]) -> None:
        elements = _Elements()
        elements.feed(page.text)
        assert set(elements.tags) <= {"html", "head", "meta", "title", "body", "h1", "a", "br"}
        assert set(attributes) <= set(elements.attributes)
        assert "alert" not in elements.text

    def test_of_a_private_file(self, site: Site) -> None:
        """Markup in requires-python, a version or a reason stays text."""
        site.happen(added("demo", "demo-1.0.tar.gz", version=HOSTILE, requires_python=HOSTILE))
        site.happen(FileYanked(project=ProjectName("demo"), filename=Filename("demo-1.0.tar.gz"), reason=HOSTILE))
        page = site.get("/simple/demo/", accept=LEGACY)
        self.check(page, ("data-requires-python", HOSTILE), ("data-yanked", HOSTILE))

    def test_of_the_upstream(self, site: Site) -> None:
        """Markup in whatever an upstream says stays text."""
        site.upstream.add(SIX, yanked=HOSTILE, provenance=f"https://upstream.example/{HOSTILE}")
        site.upstream.add_file("six", f"six-{HOSTILE}.whl", b"")
        site.upstream.set_status("six", HOSTILE, HOSTILE)
        page = site.get("/simple/six/", accept=LEGACY)
        self.check(page, ("data-yanked", HOSTILE), ("content", HOSTILE))

    def test_of_a_path(self, furnished: Site) -> None:
        """Markup in a path comes back as plain text that no browser takes for more."""
        answer = furnished.get("/simple/<script>alert(1)<%2Fscript>/", accept=LEGACY)
        assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


class TestStoreFailures:
    """A store that fails is a 503 that says when to come back, at whatever call it fails."""

    @pytest.fixture
    def inner(self, tmp_path: Path) -> FolderStore:
        store = FolderStore(tmp_path / "data")
        put_user(store)
        return store

    @pytest.mark.parametrize("mischief", [Mischief.UNAVAILABLE, Mischief.LOST_ANSWER])
    @pytest.mark.parametrize("path", ["/simple/", "/simple/demo/", FILE, f"{FILE}.metadata", None])
    def test_at_every_call(self, inner: FolderStore, mischief: Mischief, path: str | None) -> None:
        """Pages, files and uploads: each single failing call gives 503 with Retry-After, and the next try works."""
        make_app(inner)(upload_request(DEMO))
        for count in range(100):
            if path is None:  # else the uploads before this one would be so many calls more
                rebuild(inner, Renderer())
            store = Adversary(inner)
            app = make_app(store)
            at = len(store.calls) + count
            store.faults = (Fault(mischief, at=at),)
            response = app(asking(path, count))
            body_of(response)
            if len(store.calls) <= at:
                break
            assert (response.status, dict(response.headers)["Retry-After"]) == (503, "5")
            again = app(asking(path, count))
            assert (again.status, bool(body_of(again))) == (200, True)
        assert response.status == 200
        assert count >= 2

    @pytest.mark.parametrize(
        "record", [b"", b"{}", b"[]", b'{"hash": 5}', b'{"hash": "x", "upload": true}', b"x" * 70_000]
    )
    def test_a_damaged_user_record(self, inner: FolderStore, record: bytes, caplog: pytest.LogCaptureFixture) -> None:
        """A user's record that is none is a 503, and the log names its key, not its content."""
        [stat] = inner.list("users/")
        inner.put(stat.key, record)
        response = make_app(inner)(asking("/simple/"))
        assert (response.status, dict(response.headers)["Retry-After"]) == (503, "5")
        assert stat.key in caplog.text

    def test_a_damaged_event(self, inner: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
        """An event that cannot be read stops the answers that would have to guess, and the log names it."""
        app = make_app(inner)
        inner.put("log/00000000000000000001.json", b'{"v": 99}')
        assert app(request("GET", "/simple/demo/")).status == 503
        assert "log/00000000000000000001.json" in caplog.text

    @pytest.mark.parametrize("damage", [None, b"other"])
    def test_damaged_metadata(self, inner: FolderStore, damage: bytes | None) -> None:
        """Metadata that is not what was published is never sent."""
        app = make_app(inner)
        app(upload_request(DEMO))
        key = f"projects/demo/{DEMO.filename}.metadata"
        inner.delete(key)
        if damage is not None:
            inner.put(key, damage)
        assert app(request("GET", f"/simple/demo/{DEMO.filename}.metadata")).status == 503


def test_pages_follow_the_renderer(tmp_path: Path) -> None:
    """A process that renders otherwise than the one that stored the pages serves its own."""
    store = FolderStore(tmp_path)
    put_user(store)
    with running_site(tmp_path, store=store) as site:
        publish(site, DEMO)
        site.rebuild()
    app = make_app(store, renderer=Renderer(hash_dist_info_metadata=False))
    response = app(request("GET", "/simple/demo/", headers={"accept": HTML}))
    assert isinstance(response.body, bytes)
    assert b' data-core-metadata="true" data-dist-info-metadata="true"' in response.body
