"""When the upstream is down: what was fetched before goes on, the rest is refused with a sentence that says why."""

from pathlib import Path

import pytest

from tests.integration.catalog import LIBRARY, SHARED
from tests.integration.clients import Clients
from tests.integration.commands import Place
from tests.integration.running import Server, serving
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream


@pytest.fixture
def stale(upstream: FakeUpstream) -> FakeUpstream:
    """The upstream, with pages that must be asked for again every time."""
    upstream.cache_control = "max-age=0"
    return upstream


def _check_down(server: Server, clients: Clients) -> None:
    for tool in ("pip", "uv"):
        assert clients.install(tool, server.index, "--no-cache-dir", "demo-library==1.0") == {"demo-library": "1.0"}
    assert len(server.get_filenames("demo-library")) == len(LIBRARY)
    for path in (f"/simple/demo-library/{LIBRARY['1.1'].filename}", "/simple/demo-shared/"):
        answer = server.get(path)
        assert answer.status_code in (502, 503)
        assert "the upstream" in answer.text
    assert server.upload(make_wheel("own", "1.0")).status_code == 200
    assert clients.install("uv", server.index, "own") == {"own": "1.0"}


def test_what_was_fetched_goes_on(place: Place, stale: FakeUpstream, logs: Path, clients: Clients) -> None:
    """Cached pages and files are served while the upstream is down, by a server that started meanwhile too."""
    with serving(place, logs, upstream=stale.url) as server:
        server.await_reindexed()
        clients.install("uv", server.index, "demo-library==1.0")
        stale.stop()
        _check_down(server, clients)
        user = server.user
    with serving(place, logs, upstream=stale.url, user=user) as server:
        _check_down(server, clients)
        stale.start()
        assert server.get("/simple/demo-shared/").status_code == 200


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_upstream_that_was_never_there(place: Place, upstream: FakeUpstream, logs: Path, clients: Clients) -> None:
    """A server that starts on an empty folder with the upstream down takes uploads, and mirrors as soon as it is up."""
    upstream.stop()
    with serving(place, logs, upstream=upstream.url) as server:
        assert server.upload(make_wheel("own", "1.0")).status_code == 200
        assert clients.install("pip", server.index, "own") == {"own": "1.0"}
        answer = server.get("/simple/demo-shared/")
        assert (answer.status_code, "the upstream" in answer.text) == (503, True)
        assert int(answer.headers["Retry-After"]) > 0
        upstream.start()
        assert clients.install("pip", server.index, "demo-shared") == {"demo-shared": "9.0"}


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_upstream_that_sends_something_else(
    place: Place, upstream: FakeUpstream, logs: Path, clients: Clients
) -> None:
    """A file that is not what the upstream lists never reaches a client, and comes through once it is right."""
    path = upstream.add(SHARED)
    upstream.override(path, body=SHARED.content[:-1] + b"!")
    with serving(place, logs, upstream=upstream.url) as server:
        answer = server.get(f"/simple/demo-shared/{SHARED.filename}")
        assert answer.status_code == 502
        assert SHARED.sha256 in answer.text
        upstream.restore(path)
        assert clients.install("pip", server.index, "demo-shared") == {"demo-shared": "9.0"}
