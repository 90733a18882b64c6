"""What may enter from the upstream, as clients see it: names, ages, and earlier moments."""

import json
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from indexer.log.events import FileRemoved, FileRestored, FileYanked, NamesReserved, ProjectStatusSet, timestamp
from indexer.log.log import ORIGIN, Log
from indexer.names import Filename, ProjectName
from indexer.store.s3 import S3Store
from indexer.value import replace
from pypi_lambda.clock import utc_now
from pypi_lambda.view.view import Standing
from tests.pypi_lambda.app.test_app import publish, refusal
from tests.support.apps import HTML, JSON, Answer, Site, running_site
from tests.support.builders import AT, added, make_app, put_user, request, upload_request
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.servers import BUCKET, S3Server

SIX = make_wheel("six", "1.0")
NEWER = make_wheel("six", "1.1")
NEWEST = make_wheel("six", "2.0")
DEMO = make_wheel("demo", "1.0")
BOTH = pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
DAY = timedelta(days=1)
YESTERDAY = utc_now() - DAY
UNTIL = timestamp(YESTERDAY + 7 * DAY)


def ago(days: float) -> str:
    return timestamp(utc_now() - days * DAY)


def path_of(distribution: Distribution, *, before: str = "") -> str:
    return f"{before}/simple/{distribution.project}/{distribution.filename}"


def page(site: Site, path: str = "/simple/six/") -> dict[str, Any]:
    answer = site.get(path, accept=JSON)
    assert answer.status == 200, answer.text
    content: dict[str, Any] = json.loads(answer.body)
    return content


def filenames(site: Site, path: str = "/simple/six/") -> list[str]:
    return [file["filename"] for file in page(site, path)["files"]]


def sites(folder: Path, site: Site, **settings: Any) -> AbstractContextManager[Site]:
    """Run another process over the same store, under other settings."""
    return running_site(folder, store=site.store, **settings)


class TestNames:
    @BOTH
    @pytest.mark.parametrize(
        ("settings", "standing"),
        [
            ({"upstream_deny": ("s*x",)}, Standing.DENIED),
            ({"upstream_allow": ("demo", "numpy*")}, Standing.NOT_ALLOWED),
            ({"upstream_allow": ("six",), "upstream_deny": ("*",)}, Standing.DENIED),
        ],
    )
    @pytest.mark.parametrize("is_listed", [True, False])
    def test_kept_out(
        self, tmp_path: Path, accept: str, settings: dict[str, Any], standing: Standing, is_listed: bool
    ) -> None:
        """A name that is denied, or not allowed, is absent, files that are stored included, and never asked for."""
        with running_site(tmp_path, **settings) as site:
            site.upstream.add(SIX)
            if is_listed:
                site.read_names()
            site.store.put(f"cache/six/{SIX.filename}", SIX.content)
            site.store.put(f"cache/six/{SIX.filename}.metadata", SIX.metadata)
            absent = refusal(404, "there is no project 'six'")
            for path in ("/simple/six/", path_of(SIX), f"{path_of(SIX)}.metadata", "/at/2026-01-01/simple/six/"):
                assert site.get(path, accept=accept) == absent
            assert site.get(path_of(SIX, before="/at/2026-01-01")) == absent
            assert site.head(path_of(SIX)).status == 404
            assert site.upstream.requests == []
            assert site.service.index.view.standing(ProjectName("six")) is standing

    @BOTH
    def test_let_in(self, tmp_path: Path, accept: str) -> None:
        """A name that is allowed and not denied is served as ever."""
        with running_site(tmp_path, upstream_allow=("s*",), upstream_deny=("six-*",)) as site:
            site.upstream.add(SIX)
            site.read_names()
            assert site.get("/simple/six/", accept=accept).status == 200
            assert site.get(path_of(SIX)).body == SIX.content

    def test_private_names_are_nobody_s_to_deny(self, tmp_path: Path) -> None:
        """The rules are about the upstream: a private project of a denied name is served."""
        with running_site(tmp_path, upstream_deny=("*",)) as site:
            publish(site, DEMO)
            assert filenames(site, "/simple/demo/") == [DEMO.filename]
            assert site.get(path_of(DEMO)).body == DEMO.content

    @pytest.mark.parametrize("path", [path_of(SIX), f"{path_of(SIX)}.metadata"])
    def test_reserving_closes_what_is_stored(self, site: Site, path: str) -> None:
        """From the moment a name is reserved, what was stored of the upstream's project is not delivered."""
        site.upstream.add(SIX)
        assert site.get(path).status == 200
        site.happen(NamesReserved(patterns=("six",)))
        assert site.get(path) == refusal(404, "there is no project 'six'")

    @BOTH
    def test_the_root_leaves_them_out(self, tmp_path: Path, accept: str) -> None:
        """The root lists what may enter, and all that is private; under other rules it is another listing."""
        with running_site(tmp_path, upstream_allow=("s*", "numpy"), upstream_deny=("numpy", "demo")) as site:
            for name in ("six", "numpy", "requests"):
                site.upstream.add(make_wheel(name, "1.0"))
            publish(site, DEMO)
            site.read_names()
            answer = site.get("/simple/", accept=accept)
            assert [name for name in ("demo", "six", "numpy", "requests") if name in answer.text] == ["demo", "six"]
            with sites(tmp_path, site) as another:
                answer = another.get("/simple/", accept=accept)
            assert all(name in answer.text for name in ("demo", "six", "numpy", "requests"))


class TestUnknownNames:
    def test_a_stored_file_stays(self, site: Site) -> None:
        """A project that left the list has no page, and the files that were taken in stay, for locks name them."""
        for distribution in (SIX, make_wheel("numpy", "1.0")):
            site.upstream.add(distribution)
        assert (site.get(path_of(SIX)).status, site.get(f"{path_of(SIX)}.metadata").status) == (200, 200)
        site.upstream.remove("six")
        site.read_names()
        assert site.get("/simple/six/") == refusal(404, "there is no project 'six'")
        assert site.get(path_of(SIX)).body == SIX.content
        assert site.get(f"{path_of(SIX)}.metadata").body == SIX.metadata
        assert site.get(path_of(NEWER)) == refusal(404, "there is no project 'six'")
        assert site.upstream.requests == []

    @BOTH
    def test_asked_where_that_is_set(self, tmp_path: Path, accept: str) -> None:
        """Where it is wished the upstream is asked for what its list does not have, and a 404 is not asked twice."""
        with running_site(tmp_path, upstream_ask_unknown=True) as site:
            site.upstream.names.append("numpy")
            site.read_names()
            site.upstream.add(SIX)
            assert site.get("/simple/six/", accept=accept).status == 200
            site.upstream.forget()
            for _ in range(2):
                assert site.get("/simple/demo/", accept=accept).status == 404
            assert site.upstream.requests == [("GET", "/simple/demo/")]


@pytest.fixture
def cool(tmp_path: Path) -> Iterator[Site]:
    """A site where files must be a week old, with three files: of nine days, of one day, and of an unknown age."""
    with running_site(tmp_path, upstream_min_age_days=7.0, upstream_min_age_exempt=("acme-*",)) as site:
        site.upstream.add(SIX, upload_time=ago(9))
        site.upstream.add(NEWER, upload_time=timestamp(YESTERDAY))
        site.upstream.add(NEWEST, upload_time=None)
        yield site


class TestAge:
    def test_the_page(self, cool: Site) -> None:
        """A page has the files that are old enough, their versions, and word of the others."""
        content = page(cool)
        assert ([file["filename"] for file in content["files"]], content["versions"]) == ([SIX.filename], ["1.0"])
        assert content["_held-back"] == {"files": 2, "until": UNTIL}

    def test_html(self, cool: Site) -> None:
        """The same in HTML, where a comment says it."""
        text = cool.get("/simple/six/", accept=HTML).text
        assert (SIX.filename in text, NEWER.filename in text, NEWEST.filename in text) == (True, False, False)
        assert f"<!-- 2 more files are held back, the next until {UNTIL} -->" in text

    @BOTH
    def test_its_tag(self, cool: Site, accept: str) -> None:
        """Who has the page as it is offered is told so, and the tag is not that of the whole page."""
        etag = cool.get("/simple/six/", accept=accept).headers["ETag"]
        assert cool.get("/simple/six/", accept=accept, headers={"if-none-match": etag}).status == 304
        with sites(Path("unused"), cool) as another:
            assert another.get("/simple/six/", accept=accept).headers["ETag"] != etag

    @pytest.mark.parametrize("suffix", ["", ".metadata"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_file_that_is_held_back(self, cool: Site, suffix: str, method: str) -> None:
        """A file that is too young, or of unknown age, is refused with the date, and not taken in; its metadata too."""
        rule = "files must be 7 days old (UPSTREAM_MIN_AGE_DAYS)"
        sentences = {
            NEWER: f"{NEWER.filename} is held back until {UNTIL}: {rule}",
            NEWEST: f"{NEWEST.filename} is held back: its upload time is not known, and {rule}",
        }
        for distribution, sentence in sentences.items():
            expected = refusal(403, sentence)
            body = expected.body if method == "GET" else b""
            answer = cool.request(method, path_of(distribution) + suffix)
            assert answer == Answer(status=403, headers=expected.headers, body=body)
        assert list(cool.store.list("cache/")) == []

    def test_a_file_that_is_old_enough(self, cool: Site) -> None:
        """A file that is old enough is delivered, with its metadata."""
        assert cool.get(path_of(SIX)).body == SIX.content
        assert cool.get(f"{path_of(SIX)}.metadata").body == SIX.metadata
        assert cool.get("/simple/six/six-9.9.tar.gz") == refusal(404, "project 'six' has no file 'six-9.9.tar.gz'")

    def test_stored_before_the_rule(self, site: Site, tmp_path: Path) -> None:
        """What was taken in before there was a rule is held back by it, too."""
        site.upstream.add(NEWER, upload_time=ago(1))
        assert site.get(path_of(NEWER)).status == 200
        with running_site(tmp_path, store=site.store, upstream_min_age_days=7.0) as another:
            another.upstream.add(NEWER, upload_time=ago(1))
            assert another.get(path_of(NEWER)).status == 403

    def test_a_project_that_is_gone(self, site: Site, tmp_path: Path) -> None:
        """Of a project that left the list, a stored file is delivered when its page said that it is old enough."""
        site.upstream.add(SIX, upload_time=ago(9))
        site.upstream.add(NEWER, upload_time=ago(1))
        site.upstream.names.append("numpy")
        assert [site.get(path_of(each)).status for each in (SIX, NEWER)] == [200, 200]
        site.upstream.remove("six")
        site.read_names()
        with running_site(tmp_path, store=site.store, upstream_min_age_days=7.0) as another:
            assert [another.get(path_of(each)).status for each in (SIX, NEWER)] == [200, 403]
            assert another.upstream.requests == []

    def test_exempt_and_private(self, cool: Site) -> None:
        """Files of exempt projects, and private files, may be of any age."""
        young = make_wheel("acme-six", "1.0")
        cool.upstream.add(young, upload_time=ago(0))
        cool.upload(DEMO)
        for distribution in (young, DEMO):
            content = page(cool, f"/simple/{distribution.project}/")
            assert ([file["filename"] for file in content["files"]]) == [distribution.filename]
            assert "_held-back" not in content
            assert cool.get(path_of(distribution)).body == distribution.content

    def test_a_warm_page_asks_nobody(self, cool: Site) -> None:
        """The second request for a page, and for a file, sends nothing to the upstream."""
        for path in ("/simple/six/", path_of(SIX)):
            cool.get(path)
        cool.upstream.forget()
        for path in ("/simple/six/", path_of(SIX), path_of(NEWER)):
            cool.get(path)
        assert cool.upstream.requests == []


BEFORE, THEN, AFTER = "2024-11-23T10:20:30.000039Z", AT, "2024-11-24"


class TestEarlierMoments:
    @pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
    def test_private_projects(self, site: Site, accept: str) -> None:
        """A private project is as the log had it: a file is there from its upload on."""
        publish(site, DEMO)
        site.upload(make_wheel("demo", "2.0"))
        assert site.get(f"/at/{BEFORE}/simple/demo/", accept=accept).status == 404
        for moment in (THEN, AFTER):
            answer = site.get(f"/at/{moment}/simple/demo/", accept=accept)
            assert (answer.status, DEMO.filename in answer.text, "demo-2.0" in answer.text) == (200, True, False)
        assert len(filenames(site, "/simple/demo/")) == 2

    def test_private_files(self, site: Site) -> None:
        """A private file, and its metadata, is delivered for the moments at which it was there."""
        newer = make_wheel("demo", "2.0")
        publish(site, DEMO)
        site.upload(newer)
        for suffix, content in (("", DEMO.content), (".metadata", DEMO.metadata)):
            assert site.get(path_of(DEMO, before=f"/at/{AFTER}") + suffix).body == content
            assert site.get(path_of(DEMO, before=f"/at/{BEFORE}") + suffix).status == 404
            assert site.get(path_of(newer, before=f"/at/{AFTER}") + suffix).status == 404

    def test_yanked_since(self, site: Site) -> None:
        """A file that was yanked later is not yanked."""
        publish(site, DEMO)
        yanked = FileYanked(project=ProjectName("demo"), filename=Filename(DEMO.filename), reason="broken")
        Log(site.store).append(ORIGIN, yanked, by="ann", at=ago(2), id="1d")
        moments = (f"/at/{AFTER}", f"/at/{ago(1)}", "")
        assert [page(site, f"{at}/simple/demo/")["files"][0]["yanked"] for at in moments] == [False, "broken", "broken"]

    def test_removed_since(self, site: Site) -> None:
        """What is removed today is neither listed nor delivered at any moment, until it is restored."""
        sdist = make_sdist("demo", "1.0")
        publish(site, DEMO)
        publish(site, sdist)
        name, filename = ProjectName("demo"), Filename(DEMO.filename)
        at = f"/at/{AFTER}"
        site.happen(FileRemoved(project=name, filename=filename))
        assert filenames(site, f"{at}/simple/demo/") == [sdist.filename]
        assert site.get(path_of(DEMO, before=at)).status == 404
        site.happen(FileRestored(project=name, filename=filename))
        assert site.get(path_of(DEMO, before=at)).body == DEMO.content

    def test_quarantined_now(self, site: Site) -> None:
        """A project that is quarantined today offers nothing at any moment."""
        publish(site, DEMO)
        site.happen(ProjectStatusSet(project=ProjectName("demo"), status="quarantined", reason="stolen token"))
        for at in ("", f"/at/{AFTER}"):
            content = page(site, f"{at}/simple/demo/")
            assert content["files"] == []
            assert content["project-status"] == {"status": "quarantined", "reason": "stolen token"}
            for suffix in ("", ".metadata"):
                assert site.get(path_of(DEMO, before=at) + suffix) == refusal(
                    403, "project 'demo' is quarantined: stolen token"
                )

    def test_a_private_name_is_never_the_upstream_s(self, site: Site) -> None:
        """Also for the time before its first upload, the upstream is not asked for a private name."""
        publish(site, DEMO)
        site.upstream.add(make_wheel("demo", "9.0"))
        for path in ("/simple/demo/", "/simple/demo/demo-9.0-py3-none-any.whl"):
            assert site.get(f"/at/2020-01-01{path}").status == 404
        assert site.upstream.requests == []

    @BOTH
    def test_mirrored_projects(self, site: Site, accept: str) -> None:
        """A mirrored project has the files uploaded by then; one without an upload time was not there."""
        site.upstream.add(SIX, upload_time="2024-05-06T07:08:09Z")
        site.upstream.add(NEWER, upload_time="2025-05-06T07:08:09Z")
        site.upstream.add(NEWEST, upload_time=None)
        listed = {
            moment: [
                each.filename
                for each in (SIX, NEWER, NEWEST)
                if each.filename in site.get(f"/at/{moment}/simple/six/", accept=accept).text
            ]
            for moment in ("2024-01-01", "2025-01-01", "2026-01-01")
        }
        assert listed == {
            "2024-01-01": [],
            "2025-01-01": [SIX.filename],
            "2026-01-01": [SIX.filename, NEWER.filename],
        }
        assert page(site, "/at/2025-01-01/simple/six/")["versions"] == ["1.0"]
        assert site.get("/at/2024-01-01/simple/six/") == refusal(404, "there was no project 'six' then")

    @pytest.mark.parametrize("suffix", ["", ".metadata"])
    def test_mirrored_files(self, site: Site, suffix: str) -> None:
        """A mirrored file is delivered for the moments at which it was there, and before that not taken in."""
        site.upstream.add(NEWER, upload_time="2025-05-06T07:08:09Z")
        path = path_of(NEWER) + suffix
        assert site.get(f"/at/2025-01-01{path}") == refusal(404, f"project 'six' had no file '{NEWER.filename}' then")
        assert list(site.store.list("cache/")) == []
        assert site.get(f"/at/2026-01-01{path}").body == (NEWER.metadata if suffix else NEWER.content)

    def test_a_project_that_is_gone(self, site: Site) -> None:
        """A stored file of a project that left the list stays at its moment's address, which locks name."""
        site.upstream.add(SIX, upload_time="2024-05-06T07:08:09Z")
        site.upstream.names.append("numpy")
        path = path_of(SIX, before="/at/2026-01-01")
        assert site.get(path).status == 200
        site.upstream.remove("six")
        site.read_names()
        with sites(Path("unused"), site) as another:
            assert another.get(path).body == SIX.content
            assert another.get(path_of(SIX, before="/at/2024-01-01")).status == 404
            assert another.get("/at/2026-01-01/simple/six/").status == 404
            assert another.upstream.requests == []

    def test_the_age_counts_from_now(self, cool: Site) -> None:
        """Also at an earlier moment, files must have the age today."""
        moment = ago(0.5)
        content = page(cool, f"/at/{moment}/simple/six/")
        assert ([file["filename"] for file in content["files"]], content["_held-back"]["files"]) == ([SIX.filename], 1)
        assert cool.get(path_of(NEWER, before=f"/at/{moment}")).status == 403

    @pytest.mark.parametrize("path", ["/simple/six/", "/simple/", f"/simple/six/{SIX.filename}"])
    @pytest.mark.parametrize(
        ("moment", "reason"),
        [
            ("yesterday", "a date as '2026-11-01', its first moment in UTC, or a time as '2026-11-01T12:00:00Z'"),
            ("2026-02-30", "a date as "),
            ("9999-01-01", "it lies in the future, and what will be listed then nobody knows"),
        ],
    )
    def test_no_moment(self, site: Site, moment: str, reason: str, path: str) -> None:
        """A malformed date, or one in the future, is refused with a sentence; without credentials nothing is said."""
        answer = site.get(f"/at/{moment}{path}")
        assert (answer.status, answer.text.startswith(f"invalid date '{moment}': {reason}")) == (400, True)
        assert site.get(f"/at/{moment}{path}", user=None).status == 401

    @pytest.mark.parametrize(
        "moment",
        [
            "2024-11-23T12:20:31%2B02:00",
            "2024-11-23T12:20:31+02:00",
            "2024-11-23T12%3A20%3A31%2B02%3A00",
            "2024-11-23T10:20:31Z",
        ],
    )
    def test_however_it_is_encoded(self, site: Site, moment: str) -> None:
        """Colons and pluses may be encoded or not."""
        publish(site, DEMO)
        assert filenames(site, f"/at/{moment}/simple/demo/") == [DEMO.filename]

    @pytest.mark.parametrize(
        ("path", "location"),
        [
            ("/at/2024-11-24/simple/Demo", "/pypi/at/2024-11-24/simple/demo/"),
            ("/at/2024-11-24/simple/demo", "/pypi/at/2024-11-24/simple/demo/"),
            ("/at/2024-11-24/%2Bsimple/demo", "/pypi/at/2024-11-24/simple/demo/"),
            ("/at/2024-11-24/simple/De.Mo/demo-1.0.tar.gz", "/pypi/at/2024-11-24/simple/de-mo/demo-1.0.tar.gz"),
            ("/at/2024-11-24T12:00:00+02:00/simple/demo", "/pypi/at/2024-11-24T12%3A00%3A00%2B02%3A00/simple/demo/"),
        ],
    )
    def test_redirects_stay(self, tmp_path: Path, path: str, location: str) -> None:
        """Redirects stay at the moment, and below the base path."""
        with running_site(tmp_path, api_gateway_base_path="/pypi") as site:
            answer = site.get(f"/pypi{path}")
            assert answer == Answer(status=301, headers={"Location": location, "Content-Length": "0"})
            publish(site, DEMO)
            assert filenames(site, "/pypi/at/2024-11-24/simple/demo/") == [DEMO.filename]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/at/2024-11-24/simple/", 404),
            ("GET", "/at/2024-11-24/", 404),
            ("GET", "/at/", 404),
            ("GET", "/at/2024-11-24/legacy/", 404),
            ("GET", "/at/2024-11-24/at/2024-11-24/simple/demo/", 404),
            ("GET", "/at/2024-11-24/simple/-/", 404),
            ("GET", "/at/2024-11-24/simple/demo/demo-1.0.tar.gz/", 404),
            ("POST", "/at/2024-11-24/simple/", 405),
            ("GET", "/at/2024-11-24/simple/demo/", 401),
        ],
    )
    def test_refusals(self, site: Site, method: str, path: str, status: int) -> None:
        """There are project pages and files, for those who may read, and nothing else: no list, no upload."""
        user = None if status == 401 else site.user
        assert site.request(method, path, user=user).status == status
        if status != 401:
            assert site.request(method, path, user=None).status == 401

    @BOTH
    def test_tags(self, site: Site, accept: str) -> None:
        """A page at a moment has a tag of its own, which a later upload does not change."""
        publish(site, DEMO)
        path = f"/at/{AFTER}/simple/demo/"
        before = site.get(path, accept=accept)
        site.happen(added("demo", "demo-3.0.tar.gz", version="3.0", upload_time=ago(0)))
        assert site.get(path, accept=accept) == before
        assert site.get(path, accept=accept, headers={"if-none-match": before.headers["ETag"]}).status == 304


@BOTH
def test_a_page_too_long_for_its_front_door(seaweedfs: S3Server, accept: str) -> None:
    """The copy of a moment's page, that a redirect leads to, has links that stay at the moment."""
    store = S3Store(BUCKET, uuid.uuid4().hex, environ=seaweedfs.environ)
    put_user(store)
    app = make_app(store)
    assert app(upload_request(DEMO)).status == 200
    asked = request("GET", f"/at/{AT}/simple/demo/", headers={"accept": accept})
    response = app(replace(asked, root_url="https://pypi.example/base", response_limit=10))
    assert response.status == 302
    with urlopen(dict(response.headers)["Location"]) as answer:
        text = answer.read().decode()
    moment = AT.replace(":", "%3A")
    assert f'"https://pypi.example/base/at/{moment}/simple/demo/{DEMO.filename}' in text
