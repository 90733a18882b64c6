"""What a browser shows of the index: private projects, and nothing foreign as anything but text."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from indexer.keys import user_key
from indexer.log.events import FileRemoved, FileYanked, ProjectStatusSet
from indexer.names import Filename, ProjectName
from pypi_lambda.access.auth import hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from pypi_lambda.browse.detail import MAX_ROWS, shown_size
from pypi_lambda.browse.readme import MAX_MARKUP_BYTES, render_description
from tests.support.apps import READER, Answer, Site, running_site
from tests.support.builders import added
from tests.support.distributions import Distribution, make_metadata, make_wheel

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
DEMO = ProjectName("demo")
EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as site:
        yield site


def described(description: str, content_type: str, *, version: str = "1.0") -> Distribution:
    head = make_metadata("demo", version).decode().rstrip("\n")
    metadata = f"{head}\nDescription-Content-Type: {content_type}\n\n{description}\n".encode()
    return make_wheel("demo", version, metadata=metadata)


def look(site: Site, path: str = "/", **details: object) -> BeautifulSoup:
    answer = site.get(path, accept=BROWSER, **details)
    assert answer.status == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def rows(soup: BeautifulSoup) -> list[list[str]]:
    """Return the cells of the page's table."""
    return [[" ".join(cell.get_text(" ").split()) for cell in row.find_all("td")] for row in soup.find_all("tr")[1:]]


def lines(soup: BeautifulSoup) -> list[str]:
    return [code.get_text() for code in soup.select(".line code")]


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


def check_policy(answer: Answer) -> None:
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_no_script_but_our_own(site: Site) -> None:
    """A browser runs the one script of the page and loads nothing but pictures, whatever a README contains."""
    site.upload(described("x", "text/plain"))
    for path in ("/", "/project/demo/"):
        answer = site.get(path, accept=BROWSER)
        check_policy(answer)
        soup = BeautifulSoup(answer.text, "html.parser")
        assert (len(soup.find_all("script")), soup.find_all(["link", "iframe", "object"])) == (1, [])


def test_foreign_text_stays_text(site: Site) -> None:
    """What users and uploaders say is text wherever it is shown."""
    site.happen(
        added("demo", "demo-1.0.tar.gz", requires_python=EVIL, version=EVIL),
        FileYanked(project=DEMO, filename=Filename("demo-1.0.tar.gz"), reason=EVIL),
        ProjectStatusSet(project=DEMO, status="archived", reason=EVIL),
    )
    for path, query in (("/", f"q={EVIL}"), ("/", ""), ("/project/demo/", "")):
        answer = site.get(path, query=query, accept=BROWSER, headers={"host": EVIL, "x-forwarded-proto": EVIL})
        assert "<script>alert" not in answer.text
        assert len(BeautifulSoup(answer.text, "html.parser").find_all("script")) == 1


@pytest.mark.parametrize(
    ("content_type", "description", "expected"),
    [
        ("text/markdown", "*a* <b onclick=x>b</b>", "<em>a</em>"),
        ("text/markdown; variant=GFM", "~~a~~", "<del>a</del>"),
        ("text/x-rst", "*a*", "<em>a</em>"),
        ("", "*a*", "<em>a</em>"),
        ("text/x-rst", "Title\n=\n\n.. unknown:: x", '<pre class="plain">'),
        ("text/plain", "<b>a</b>", '<pre class="plain">&lt;b&gt;a&lt;/b&gt;'),
        ("text/unheard-of", "<b>a</b>", '<pre class="plain">&lt;b&gt;a&lt;/b&gt;'),
    ],
)
def test_descriptions(content_type: str, description: str, expected: str) -> None:
    """Each kind of description is rendered as what it is, or shown as it is written."""
    kind = f"Description-Content-Type: {content_type}\n" if content_type else ""
    rendered = render_description(f"Metadata-Version: 2.1\nName: x\n{kind}\n{description}\n".encode())
    assert rendered is not None
    assert expected in rendered
    assert "onclick" not in rendered


def test_description_in_every_script() -> None:
    """A description is UTF-8, whatever letters it has."""
    rendered = render_description("Name: x\nDescription-Content-Type: text/markdown\n\ngrüße 日本\n".encode())
    assert rendered == "<p>grüße 日本</p>\n"


@pytest.mark.parametrize(
    ("content_type", "description"),
    [
        ("text/markdown", "<table><tr><td>" * 30_000),
        ("text/markdown", "[^1]: x\n" + "[^1] " * 90_000),
        (
            "text/x-rst",
            "".join(f".. |a{n}| replace:: {f'|a{n + 1}| ' * 8}\n" for n in range(9)) + ".. |a9| replace:: x\n\n|a0|",
        ),
    ],
    ids=["nested tags", "long result", "substitutions of substitutions"],
)
def test_description_made_to_take_for_ever(content_type: str, description: str) -> None:
    """A description that would keep its renderer busy for hours, or make a page too long to send, is shown as it is."""
    metadata = f"Name: x\nDescription-Content-Type: {content_type}\n\n{description}\n".encode()
    rendered = render_description(metadata)
    assert rendered is not None
    assert rendered.startswith('<pre class="plain">')
    assert len(rendered.encode()) <= MAX_MARKUP_BYTES + 100


@pytest.mark.parametrize("metadata", [b"", b"Name: x\n", b"Name: x\n\n \n"])
def test_no_description(metadata: bytes) -> None:
    """Metadata without a description gives none."""
    assert render_description(metadata) is None


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 KB"), (12_345, "12 KB"), (5_000_000_000_000, "5,000 GB")],
)
def test_sizes(size: int, shown: str) -> None:
    """Sizes are short, and say their unit."""
    assert shown_size(size) == shown
