"""What clients are told when the upstream fails, and what they still get when it has lost a project."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.log.events import NamesReserved
from indexer.value import replace
from pypi_lambda.mirror.check import CONFIRM_SECONDS, decode_check, encode_check
from tests.support.apps import HTML, JSON, Site, running_site
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import LOGIN_PAGE, FakeUpstream

SIX = make_wheel("six", "1.17.0")
NEVER_ASKED_FOR = make_wheel("six", "1.16.0")
PAGE = "/simple/six/"
FILE = f"/simple/six/{SIX.filename}"
CHECK = "upstream/pages/six.check"


@pytest.fixture
def upstream() -> FakeUpstream:
    upstream = FakeUpstream()
    upstream.cache_control = "max-age=0"
    upstream.add(SIX)
    upstream.add(NEVER_ASKED_FOR)
    return upstream


@pytest.fixture
def site(tmp_path: Path, upstream: FakeUpstream) -> Iterator[Site]:
    with running_site(tmp_path, upstream=upstream) as site:
        yield site


@pytest.mark.parametrize("accept", [JSON, HTML])
def test_a_stale_page_is_marked(
    site: Site, upstream: FakeUpstream, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that outlived a failure of the upstream comes with a warning, also where it has not changed."""
    fresh = site.get(PAGE, accept=accept)
    assert "Warning" not in fresh.headers
    upstream.override(PAGE, status=500)
    with caplog.at_level(logging.WARNING):
        stale = site.get(PAGE, accept=accept)
    unchanged = site.get(PAGE, accept=accept, headers={"if-none-match": fresh.headers["ETag"]})
    assert (stale.status, stale.body, unchanged.status) == (200, fresh.body, 304)
    assert stale.headers["Warning"] == unchanged.headers["Warning"]
    assert stale.headers["Warning"].startswith('111 serverless-pypi "Revalidation Failed: page of 20')
    assert "answered 500; serving the page of six as of" in caplog.text


@pytest.mark.parametrize(
    ("failure", "status", "retry_after"),
    [
        ({"body": LOGIN_PAGE, "headers": {"Content-Type": "text/html"}}, 502, "5"),
        ({"body": b"{", "headers": {"Content-Type": JSON}}, 502, "5"),
        ({"status": 500}, 503, "5"),
        ({"status": 429, "headers": {"Retry-After": "7"}}, 503, "7"),
        ({"cut": True}, 503, "5"),
    ],
)
def test_nothing_to_fall_back_on(
    site: Site, upstream: FakeUpstream, failure: dict[str, Any], status: int, retry_after: str
) -> None:
    """Without a stored page the answer says in one sentence whether the upstream is away or answers nonsense."""
    upstream.override(PAGE, **failure)
    answer = site.get(PAGE)
    assert (answer.status, answer.headers["Retry-After"]) == (status, retry_after)
    assert answer.text.startswith("the upstream index failed: ")
    assert answer.text.count("\n") == 1


class TestGone:
    """A project that the upstream has no longer."""

    @pytest.fixture
    def taken(self, site: Site) -> Site:
        """A site that has taken in one of two files, with its metadata."""
        assert [site.get(path).status for path in (FILE, f"{FILE}.metadata")] == [200, 200]
        return site

    def check_left(self, site: Site) -> None:
        """Check that what was taken in is there, and nothing else."""
        assert (site.get(FILE).body, site.get(f"{FILE}.metadata").body) == (SIX.content, SIX.metadata)
        assert site.head(FILE).status == 200
        assert site.get(PAGE).status == 404
        assert site.get(f"/simple/six/{NEVER_ASKED_FOR.filename}").status == 404
        assert site.get(f"/simple/six/{NEVER_ASKED_FOR.filename}.metadata").status == 404

    def test_files_stay(self, taken: Site, tmp_path: Path, upstream: FakeUpstream) -> None:
        """Once its removal is confirmed the page is gone, and files that lock files may name stay."""
        upstream.remove("six")
        assert (taken.get(PAGE).status, "Warning" in taken.get(PAGE).headers) == (200, True)
        doubtful = decode_check(CHECK, taken.store.get(CHECK).body)
        assert doubtful.missing_since is not None
        taken.store.put(CHECK, encode_check(replace(doubtful, missing_since=doubtful.missing_since - CONFIRM_SECONDS)))
        with running_site(tmp_path, store=taken.store, upstream=FakeUpstream()) as another:
            self.check_left(another)

    def test_after_a_reindex(self, taken: Site, upstream: FakeUpstream) -> None:
        """They stay when the list of the upstream's projects has lost the name as well."""
        upstream.remove("six")
        upstream.names = [f"project-{number}" for number in range(100)]
        taken.read_names()
        self.check_left(taken)
        assert upstream.requests == []

    def test_reserved(self, taken: Site, upstream: FakeUpstream) -> None:
        """A name that was reserved since then is private: nothing of the upstream is left under it."""
        taken.happen(NamesReserved(patterns=("six",)))
        assert [taken.get(path).status for path in (PAGE, FILE, f"{FILE}.metadata")] == [404] * 3
