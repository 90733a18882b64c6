"""A project's page for people: its files, its state and how to install it."""

import re

import pytest
from bs4 import Tag

from indexer.log.events import FileRemoved, FileYanked, ProjectStatusSet
from indexer.names import Filename
from pypi_lambda.browse.detail import MAX_ROWS, shown_size
from tests.support.apps import Site
from tests.support.browsing import BROWSER, DEMO, EVIL, described, lines, look, rows
from tests.support.builders import added


class TestDetail:
    """`GET /project/{name}/`."""

    def test_files(self, site: Site) -> None:
        """Files stand below their versions, the newest first, with yanks and what Python they want, but for removed."""
        filename = Filename("demo-1.0-py3-none-any.whl")
        site.happen(
            added("demo", version="1.0"),
            added("demo", "demo-1.0.tar.gz", version="1.0"),
            added("demo", version="1.10"),
            added("demo", version="1.2"),
            FileYanked(project=DEMO, filename=filename, reason="broken"),
            FileRemoved(project=DEMO, filename=Filename("demo-1.2-py3-none-any.whl")),
        )
        soup = look(site, "/project/demo/")
        assert [row[:2] for row in rows(soup)] == [
            ["1.10", "demo-1.10-py3-none-any.whl Python >=3.9"],
            ["1.0", "demo-1.0-py3-none-any.whl yanked: broken Python >=3.9"],
            ["", "demo-1.0.tar.gz Python >=3.9"],
        ]
        links = [link["href"] for link in soup.select("td a")]
        assert links[0] == "/simple/demo/demo-1.10-py3-none-any.whl"
        assert lines(soup)[0].endswith(" demo==1.10")

    def test_many_files(self, site: Site) -> None:
        """Of very many files the newest are shown, and how many there are besides."""
        site.happen(*(added("demo", version=f"1.{number}") for number in range(MAX_ROWS + 2)))
        found = rows(look(site, "/project/demo/"))
        assert (found[0][0], found[-2][0], found[-1]) == (f"1.{MAX_ROWS + 1}", "1.2", ["", "and 2 older files"])

    def test_quarantined(self, site: Site) -> None:
        """A quarantined project says so, with the reason, and offers nothing."""
        site.happen(added("demo"), ProjectStatusSet(project=DEMO, status="quarantined", reason=EVIL))
        soup = look(site, "/project/demo/")
        assert soup.select_one(".mark.bad") is not None
        assert f"quarantined: {EVIL}" in soup.get_text()
        assert (lines(soup), soup.select("td a")) == ([], [])

    def test_readme(self, site: Site) -> None:
        """The README of the latest version is shown, rendered, without its scripts."""
        site.upload(described("# Old", "text/markdown"))
        site.upload(described(f"# Hello\n\n**bold** {EVIL} [x](javascript:alert(1))", "text/markdown", version="2.0"))
        readme = look(site, "/project/demo/").select_one(".readme")
        assert isinstance(readme, Tag)
        assert readme.find(re.compile("h1|h2")).get_text(strip=True) == "Hello"  # type: ignore[union-attr]
        assert readme.find("strong") is not None
        assert (readme.find("script"), readme.select('a[href^="javascript"]')) == (None, [])

    def test_unknown(self, site: Site) -> None:
        """A project that is not private, or cannot be, has no page; another spelling leads to the page."""
        site.happen(added("demo"))
        assert site.get("/project/six/", accept=BROWSER).status == 404
        assert site.get("/project/-/", accept=BROWSER).status == 404
        answer = site.get("/project/De_mo", accept=BROWSER)
        assert (answer.status, answer.headers["Location"]) == (301, "/project/de-mo/")
        assert site.get("/project/demo/", accept=BROWSER, user=None).status == 401


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 KB"), (12_345, "12 KB"), (5_000_000_000_000, "5,000 GB")],
)
def test_sizes(size: int, shown: str) -> None:
    """Sizes are short, and say their unit."""
    assert shown_size(size) == shown
