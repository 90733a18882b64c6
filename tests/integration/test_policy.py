"""pip and uv with rules on what may enter, and with an index URL that names an earlier moment."""

import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.log.events import timestamp
from pypi_lambda.clock import utc_now
from tests.integration.clients import Clients
from tests.integration.commands import Place, run_command
from tests.integration.running import Server, serving
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import program

pytestmark = pytest.mark.parametrize("place", ["folder"], indirect=True)
with_each_tool = pytest.mark.parametrize("tool", ["pip", "uv"])

OLD, YOUNG = make_wheel("demo-library", "1.0"), make_wheel("demo-library", "1.1")
EVIL = make_wheel("evil-library", "1.0")
OURS = make_wheel("our-app", "1.0", requires=("demo-library",))


def _ago(days: float) -> str:
    return timestamp(utc_now() - timedelta(days=days))


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """An upstream with a release of long ago, one of yesterday, and something that nobody wants."""
    with FakeUpstream() as upstream:
        upstream.add(OLD, upload_time=_ago(400))
        upstream.add(YOUNG, upload_time=_ago(1))
        upstream.add(EVIL, upload_time=_ago(400))
        upstream.cache_control = "max-age=0"  # so that what happens there shows at once
        yield upstream


@pytest.fixture
def guarded(place: Place, upstream: FakeUpstream, logs: Path) -> Iterator[Server]:
    """A server with rules."""
    with serving(place, logs, upstream=upstream.url, UPSTREAM_MIN_AGE_DAYS="7", UPSTREAM_DENY="evil-*") as server:
        server.await_reindexed()
        yield server


@with_each_tool
def test_a_young_release_is_passed_over(tool: str, guarded: Server, clients: Clients) -> None:
    """The newest version that is old enough is chosen, and of our own the newest at all."""
    assert guarded.upload(OURS).status_code == 200
    assert clients.install(tool, guarded.index, "our-app") == {"our-app": "1.0", "demo-library": "1.0"}
    output = clients.try_install(tool, guarded.index, clients.new_folder("none"), "demo-library==1.1").failed()
    assert "demo-library==1.1" in output


@with_each_tool
def test_a_young_file_cannot_be_had_by_its_address(tool: str, guarded: Server, clients: Clients) -> None:
    """Who names a young file's address gets 403 with the date."""
    address = f"{guarded.index}demo-library/{YOUNG.filename}"
    output = clients.try_install(tool, guarded.index, clients.new_folder("none"), f"demo-library @ {address}").failed()
    assert "403" in output
    answer = guarded.get(f"/simple/demo-library/{YOUNG.filename}")
    assert answer.status_code == 403
    assert re.fullmatch(rf"{YOUNG.filename} is held back until \d{{4}}-.*Z: files must be 7 days old.*\n", answer.text)


@with_each_tool
def test_a_denied_project(tool: str, guarded: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """A denied project is absent to clients, and the upstream never hears of it."""
    clients.try_install(tool, guarded.index, clients.new_folder("none"), "evil-library").failed()
    assert not [path for _, path in upstream.requests if "evil" in path]


def test_why(guarded: Server, clients: Clients) -> None:
    """The command line says which rule applied."""
    environ = {"UPSTREAM_INDEX_URL": "", "UPSTREAM_MIN_AGE_DAYS": "7", "UPSTREAM_DENY": "evil-*"}
    clients.install("uv", guarded.index, "demo-library")
    denied = run_command(guarded.place, "why", "Evil.Library", **environ)
    assert denied.failed(1) == "evil-library is denied: the pattern 'evil-*' of UPSTREAM_DENY covers it\n"
    held = run_command(guarded.place, "why", "demo-library", YOUNG.filename, **environ).failed(1)
    assert f"{YOUNG.filename} is not delivered: {YOUNG.filename} is held back until " in held
    passed = run_command(guarded.place, "why", "demo-library", OLD.filename, **environ).succeeded()
    assert f"{OLD.filename} is delivered: it is old enough\n" in passed
    assert f"  sha256: {OLD.sha256}\n  stored: yes\n" in passed


@pytest.fixture
def server(place: Place, upstream: FakeUpstream, logs: Path) -> Iterator[Server]:
    """A server without rules, on which our application was published."""
    with serving(place, logs, upstream=upstream.url) as server:
        server.await_reindexed()
        assert server.upload(OURS).status_code == 200
        yield server


def _index_at(server: Server, moment: str) -> str:
    return server.index.replace("/simple/", f"/at/{moment}/simple/")


@with_each_tool
def test_an_index_of_an_earlier_moment(tool: str, server: Server, clients: Clients) -> None:
    """An index URL with a date gives what was there: nothing of ours yet, and the upstream's release of then."""
    index = _index_at(server, "2020-01-01T00:00:00+02:00")
    clients.try_install(tool, index, clients.new_folder("none"), "our-app").failed()
    before = _index_at(server, _ago(2))
    assert clients.install(tool, before, "demo-library") == {"demo-library": "1.0"}
    now = _index_at(server, _ago(0))
    assert server.upload(make_wheel("our-app", "2.0")).status_code == 200
    assert clients.install(tool, now, "our-app") == {"our-app": "1.0", "demo-library": "1.1"}
    assert clients.install(tool, server.index, "our-app") == {"our-app": "2.0"}


@with_each_tool
def test_no_such_moment(tool: str, server: Server, clients: Clients) -> None:
    """A future date stops the client."""
    index = _index_at(server, "2999-01-01")
    output = clients.try_install(tool, index, clients.new_folder("none"), "our-app").failed()
    assert "400" in output or "No matching distribution" in output


def _lock(server: Server, clients: Clients, moment: str) -> str:
    folder = clients.new_folder("project")
    (folder / "pyproject.toml").write_text(
        f"""[project]
name = "uses-our-app"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["our-app", "demo-library"]

[[tool.uv.index]]
name = "ours"
url = "{server.url}/at/{moment}/simple/"
default = true
authenticate = "always"
"""
    )
    user = {"UV_INDEX_OURS_USERNAME": server.user.name, "UV_INDEX_OURS_PASSWORD": server.user.password}
    # Each time as on another machine, which has cached nothing.
    options = {"UV_NO_CONFIG": "0", "UV_PYTHON": sys.executable, "UV_CACHE_DIR": str(clients.new_folder("cache"))}
    clients.run(program("uv"), "lock", cwd=folder, **user, **options).succeeded()
    clients.run(program("uv"), "sync", "--frozen", cwd=folder, **user, **options).succeeded()
    return (folder / "uv.lock").read_text()


def test_the_same_date_gives_the_same_lock(server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """Locked twice against a moment, it is the same lock, whatever was uploaded in between, and it installs."""
    moment = _ago(0)
    first = _lock(server, clients, moment)
    assert server.upload(make_wheel("our-app", "2.0", requires=("demo-library",))).status_code == 200
    upstream.add(make_wheel("demo-library", "3.0"), upload_time=_ago(0))
    assert _lock(server, clients, moment) == first
    assert f'/at/{moment}/simple/our-app/{OURS.filename}", hash = "sha256:{OURS.sha256}"' in first
    assert f'hash = "sha256:{YOUNG.sha256}"' in first
    later = _lock(server, clients, _ago(0))
    assert 'name = "our-app"\nversion = "2.0"' in later
    assert 'name = "demo-library"\nversion = "3.0"' in later
