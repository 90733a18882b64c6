"""The first page for people: private projects, a search, and what to copy."""

import re
import shlex
from pathlib import Path

from bs4 import Tag

from indexer.keys import user_key
from indexer.log.events import FileYanked, ProjectStatusSet
from indexer.names import Filename, ProjectName
from pypi_lambda.access.auth import hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from tests.support.apps import READER, Site, running_site
from tests.support.browsing import BROWSER, DEMO, EVIL, lines, look, rows
from tests.support.builders import added
from tests.support.distributions import make_wheel


class TestOverview:
    """`GET /`."""

    def test_projects(self, site: Site) -> None:
        """Each private project stands there with its latest version, when it came, and how many files it has."""
        site.happen(
            added("demo", version="1.0"),
            added("demo", version="1.10"),
            added("demo", version="2.0rc1"),
            added("other", version="1.9"),
            ProjectStatusSet(project=ProjectName("other"), status="deprecated", reason="old"),
        )
        assert rows(look(site)) == [["demo", "1.10", "2024-11-23", "3"], ["other deprecated", "1.9", "2024-11-23", "1"]]

    def test_search(self, site: Site) -> None:
        """A search finds parts of names, however they are written, and says how many there are."""
        site.happen(added("acme-core"), added("acme-web"), added("other"))
        soup = look(site, query="q=Acme_")
        assert [row[0] for row in rows(soup)] == ["acme-core", "acme-web"]
        assert "2 private projects that match “Acme_”" in soup.get_text()
        assert rows(look(site, query="q=nothing")) == []

    def test_pages(self, site: Site) -> None:
        """More projects than fit go onto further pages, which are linked; a page that is not there is the nearest."""
        site.happen(*(added(f"p{number:03}") for number in range(51)))
        first, last = look(site, query="q=p"), look(site, query="q=p&page=9999")
        assert ([row[0] for row in rows(first)][-1], [row[0] for row in rows(last)]) == ("p049", ["p050"])
        assert [link["href"] for link in first.select("p a")] == ["/?q=p&page=2"]
        assert next(row[0] for row in rows(look(site, query="q=p&page=x"))) == "p000"

    def test_lines_to_copy(self, site: Site) -> None:
        """Install lines name the index as this client knows it and the user; upload lines are for uploaders."""
        host = {"host": "pypi.example:8443", "x-forwarded-proto": "https"}
        assert lines(look(site, headers=host)) == [
            "pip install --index-url https://uploader@pypi.example:8443/simple/ PROJECT",
            "uv pip install --index-url https://uploader@pypi.example:8443/simple/ PROJECT",
            "twine upload --repository-url https://pypi.example:8443/ -u uploader dist/*",
            "uv publish --publish-url https://pypi.example:8443/ -u uploader dist/*",
        ]
        assert len(lines(look(site, headers=host, user=READER))) == 2

    def test_lines_are_for_a_shell(self, site: Site) -> None:
        """A username with spaces and worse is one word of the line."""
        name = "ann & bob; $(x)"
        site.store.put(user_key(name), encode_user(UserRecord(hash=hash_password("secret"), upload=True)))
        shown = lines(look(site, headers={"host": "pypi.example"}, user=(name, "secret")))
        assert shlex.split(shown[2])[-2:] == [name, "dist/*"]
        assert shlex.split(shown[0])[-2] == "http://ann%20%26%20bob%3B%20%24%28x%29@pypi.example/simple/"

    def test_recent_events(self, site: Site) -> None:
        """Uploaders see what happened last, the newest first; readers do not."""
        site.upload(make_wheel("demo", "1.0"))
        site.happen(FileYanked(project=DEMO, filename=Filename("demo-1.0-py3-none-any.whl"), reason=EVIL))
        events = [item.get_text() for item in look(site).select("ul.events li")]
        assert [re.sub(r"^\S+ \S+ ", "", text) for text in events] == [
            f"another process yanked demo-1.0-py3-none-any.whl of demo: {EVIL}",
            f"uploader published demo-1.0-py3-none-any.whl of demo, {len(make_wheel('demo', '1.0').content):,} bytes",
        ]
        assert look(site, user=READER).select("ul.events") == []

    def test_for_browsers_only(self, site: Site) -> None:
        """Whoever does not ask for HTML is sent to the simple index, and nobody gets in without credentials."""
        assert (site.get("/").status, site.get("/").headers["Location"]) == (301, "/simple/")
        assert site.get("/", accept=BROWSER, user=None).status == 401
        assert site.head("/", accept=BROWSER).status == 200

    def test_below_a_base_path(self, tmp_path: Path) -> None:
        """All links stay below the base path."""
        with running_site(tmp_path, api_gateway_base_path="/pypi") as site:
            site.happen(added("demo"))
            soup = look(site, "/pypi/")
        assert [link["href"] for link in soup.find_all("a")] == ["/pypi/", "/pypi/project/demo/"]
        form = soup.find("form")
        assert isinstance(form, Tag)
        assert form["action"] == "/pypi/"
