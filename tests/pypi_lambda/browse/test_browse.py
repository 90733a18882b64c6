"""What a browser shows of the index: private projects, and nothing foreign as anything but text."""

import re

from bs4 import BeautifulSoup

from indexer.log.events import FileYanked, ProjectStatusSet
from indexer.names import Filename
from tests.support.apps import Answer, Site
from tests.support.browsing import BROWSER, DEMO, EVIL, described
from tests.support.builders import added


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
