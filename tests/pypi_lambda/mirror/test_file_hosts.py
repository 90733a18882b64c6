"""A file host with a private address is found when the list is read, and named with the cure before anybody asks."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pytest

from indexer.errors import CorruptObject, UpstreamUnavailable
from indexer.keys import HOSTS_KEY
from indexer.names import ProjectName
from indexer.upstream.client import Upstream
from indexer.value import replace
from pypi_lambda.app.health import find_advice
from pypi_lambda.cli.why import lines_of
from pypi_lambda.mirror.file_hosts import find_hosts, look, within
from tests.support.apps import Site, running_site
from tests.support.contexts import run_command
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

WHEEL = make_wheel("six", "1.0")
HOST = "127.0.0.2"  # loopback, and not where the index is
ADVICE = (
    f"the upstream's files are at {HOST!r}, whose address is private, and none is fetched from there: "
    f"set UPSTREAM_PRIVATE_HOSTS={HOST} to allow that"
)


@pytest.fixture
def upstream() -> FakeUpstream:
    upstream = FakeUpstream()
    upstream.add(WHEEL, url=f"http://{HOST}:9/files/{WHEEL.filename}")
    return upstream


@pytest.fixture
def site(tmp_path: Path, upstream: FakeUpstream) -> Iterator[Site]:
    with running_site(tmp_path, upstream=upstream) as site:
        yield site


def reindex(site: Site) -> dict[str, Any]:
    return run_command(site.store, "reindex", None, upstream=site.upstream.url)


def reasons(site: Site) -> list[str]:
    found: list[str] = orjson.loads(site.get("/health", user=None).body)["reasons"]
    return found


def test_it_is_said_at_the_first_list(site: Site) -> None:
    """The reindex that reads the first list names the host; from then on health and the banner do, with the cure."""
    done = reindex(site)
    assert done["privateHosts"] == [HOST]
    assert ADVICE in reasons(site)
    assert find_advice(site.store, site.settings) == ADVICE


def test_why_says_it(site: Site) -> None:
    """A file that would be refused is not said to be delivered."""
    reindex(site)
    done = run_command(site.store, "why", {"project": "six", "filename": WHEEL.filename}, upstream=site.upstream.url)
    assert (done["file"]["delivered"], done["file"]["because"]) == (False, ADVICE)
    assert ADVICE in lines_of(done)
    assert site.get(f"/simple/six/{WHEEL.filename}").status == 502


def test_the_cure(site: Site) -> None:
    """Once the host is named in the setting nothing is said any more, before the next reindex, too."""
    reindex(site)
    assert find_advice(site.store, replace(site.settings, upstream_private_hosts=frozenset({HOST}))) is None


def test_once_a_day(site: Site) -> None:
    """While all is well a page is looked at once; another upstream is looked at again."""
    site.upstream.add(WHEEL)
    assert reindex(site)["privateHosts"] == []
    site.upstream.forget()
    assert reindex(site)["privateHosts"] == []
    assert site.upstream.requests == [("GET", "/simple/")]
    assert find_hosts(site.store, "https://another.example/simple/", frozenset()) == ((), 0.0)


def test_projects_without_files(upstream: FakeUpstream) -> None:
    """What has no page, no file, or a page that is refused or broken tells nothing; the next name is asked for."""
    upstream.override("/simple/five/", status=500)
    upstream.override("/simple/four/", status=403, body=b"blocked", headers={"Content-Type": "text/plain"})
    upstream.override("/simple/three/", body=b"no page", headers={"Content-Type": "text/plain"})
    with upstream:
        client = Upstream(upstream.url, user_agent="tests")
        assert look(client, [ProjectName("seven"), ProjectName("six")]) == (HOST,)
        assert look(client, [ProjectName("seven")]) is None
        for name in ("five", "four", "three"):
            assert look(client, [ProjectName(name), ProjectName("six")]) == (HOST,)
            assert look(client, [ProjectName(name)]) is None
        client.close()


def test_nobody_waits_for_ever() -> None:
    """What takes longer than its deadline, or fails, is as if it had not been asked."""
    release = Event()
    assert within(0.01, release.wait) is None
    release.set()

    def fail() -> None:
        raise UpstreamUnavailable("down")

    assert within(30.0, fail) is None


def test_what_is_no_list_of_hosts(site: Site) -> None:
    """A damaged object is named, and health goes on without it."""
    site.store.put(HOSTS_KEY, b"{}")
    with pytest.raises(CorruptObject, match=HOSTS_KEY):
        find_advice(site.store, site.settings)
    assert site.get("/health", user=None).status == 200
