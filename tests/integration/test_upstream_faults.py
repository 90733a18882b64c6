"""pip and uv and an upstream that misbehaves: what was fetched once is installed, what was not comes in the end."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.integration.catalog import LIBRARY, PLAIN
from tests.integration.clients import Clients
from tests.integration.commands import Place
from tests.integration.running import Server, eventually, serving
from tests.support.fake_upstream import JSON_TYPE, LOGIN_PAGE, FakeUpstream

PAGE = "/simple/demo-library/"
FAILURES: dict[str, dict[str, Any]] = {
    "server error": {"status": 500},
    "throttled": {"status": 429, "headers": {"Retry-After": "120"}},
    "truncated": {
        "headers": {"Content-Type": JSON_TYPE},
        "body": b'{"name": "demo-library", "files": [',
        "announced": 900,
    },
    "login page": {"headers": {"Content-Type": "text/html"}, "body": LOGIN_PAGE},
    "gone for a moment": {"status": 404},
    "cut": {"cut": True},
}
with_each_tool = pytest.mark.parametrize("tool", ["pip", "uv"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(environ={"BUCKET": f"file://{tmp_path / 'data'}"})


@pytest.fixture
def server(place: Place, upstream: FakeUpstream, logs: Path) -> Iterator[Server]:
    upstream.cache_control = "max-age=0"
    with serving(place, logs, upstream=upstream.url) as server:
        server.await_reindexed()
        yield server


def install(clients: Clients, tool: str, server: Server, *requirements: str) -> dict[str, str]:
    return clients.install(tool, server.index, "--no-cache-dir", *requirements)


@with_each_tool
def test_what_was_fetched_is_installed(tool: str, server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """Whatever the upstream does wrong after that, clients see nothing of it; the page says since when it is stale."""
    assert install(clients, tool, server, "demo-library") == {"demo-library": "1.1"}
    # Starting pip takes seconds, and what differs from failure to failure is shown with uv.
    failures = FAILURES.values() if tool == "uv" else [FAILURES["throttled"]]
    for failure in failures:
        upstream.override(PAGE, **failure)
        assert install(clients, tool, server, "demo-library") == {"demo-library": "1.1"}
    upstream.stop()
    assert install(clients, tool, server, "demo-library") == {"demo-library": "1.1"}
    assert server.get(PAGE).headers["Warning"].startswith('111 serverless-pypi "Revalidation Failed: page of ')
    assert "serving the page of demo-library as of" in server.log


@with_each_tool
@pytest.mark.parametrize(
    "failure",
    [
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 503, "headers": {"Retry-After": "1"}},
        FAILURES["login page"],
        FAILURES["truncated"],
    ],
    ids=["throttled", "busy", "login page", "truncated"],
)
def test_a_moment_s_failure(
    tool: str, server: Server, upstream: FakeUpstream, clients: Clients, failure: dict[str, Any]
) -> None:
    """What was never fetched is installed as soon as the upstream is itself again: clients come back by themselves."""
    upstream.override("/simple/demo-plain/", times=1, **failure)
    assert install(clients, tool, server, "demo-plain") == {"demo-plain": "1.0"}
    assert upstream.requests.count(("GET", "/simple/demo-plain/")) >= 2


def test_a_login_page_for_good(server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """An upstream that answers with a login page is named as the cause, and nothing of that page is kept."""
    upstream.override("/simple/demo-plain/", **FAILURES["login page"])
    answer = server.get("/simple/demo-plain/")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (502, True)
    assert answer.text.endswith("answered with something that is no page of the project demo-plain\n")
    clients.try_install("pip", server.index, clients.new_folder("none"), "--retries", "0", "demo-plain").failed()
    assert list(server.place.open().list("upstream/pages/")) == []


def test_slow(server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """An upstream that does not come to an answer holds nobody up for longer than a client waits."""
    assert install(clients, "uv", server, "demo-plain") == {"demo-plain": "1.0"}
    release = Event()
    upstream.override("/simple/demo-plain/", release=release, **upstream.page("demo-plain"))
    assert install(clients, "uv", server, "demo-plain") == {"demo-plain": "1.0"}
    assert not release.is_set()
    assert "it takes longer than 5 s to answer for demo-plain; serving the page" in server.log


@with_each_tool
def test_a_truncated_file(tool: str, server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """A file that breaks off never reaches a client; the next try begins afresh and comes through."""
    path = upstream.add(PLAIN)
    upstream.override(path, times=1, body=PLAIN.content[:300], announced=len(PLAIN.content))
    assert install(clients, tool, server, "demo-plain") == {"demo-plain": "1.0"}
    assert server.place.open().get(f"cache/demo-plain/{PLAIN.filename}").body == PLAIN.content


def test_throttled_for_longer(server: Server, upstream: FakeUpstream) -> None:
    """An upstream that asks to be left alone is: clients are told for how long, and it hears nothing of them."""
    upstream.override("/simple/demo-plain/", status=429, headers={"Retry-After": "60"})
    upstream.forget()
    answers = [server.get("/simple/demo-plain/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert all(50 < int(answer.headers["Retry-After"]) <= 60 for answer in answers)
    assert upstream.requests == [("GET", "/simple/demo-plain/")]


def test_removed_for_good(server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """A pinned version that was installed once can be installed by its hash when the upstream has lost it."""
    assert install(clients, "uv", server, "demo-library==1.0") == {"demo-library": "1.0"}
    upstream.remove("demo-library")
    server.place.open().delete("upstream/pages/demo-library.check")  # as after the second 404
    url = f"/simple/demo-library/{LIBRARY['1.0'].filename}"
    eventually(lambda: server.get(PAGE).status_code in (200, 404))
    assert server.get(url).content == LIBRARY["1.0"].content
    address = server.index.removesuffix("/simple/") + url
    assert clients.install("uv", server.index, f"demo-library @ {address}#sha256={LIBRARY['1.0'].sha256}") == {
        "demo-library": "1.0"
    }
