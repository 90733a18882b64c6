"""A browser's look at a site."""

from bs4 import BeautifulSoup

from indexer.names import ProjectName
from tests.support.apps import Site
from tests.support.distributions import Distribution, make_metadata, make_wheel

DEMO = ProjectName("demo")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
EVIL = '"><script>alert(1)</script>'


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
