"""Indexes on a folder and on a real S3 server, each with a server of its own, and an upstream on loopback.

`server` is for one test alone; `shared_server` is for many that leave each other's projects alone: starting one takes
longer than most of them.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.catalog import publish_catalog
from tests.integration.clients import Clients
from tests.integration.commands import Place
from tests.integration.running import Server, serving
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, S3Server

STORES = ("folder", "seaweedfs")


def _place(request: pytest.FixtureRequest, folder: Path) -> Place:
    if request.param == "folder":
        return Place(environ={"BUCKET": f"file://{folder / 'data'}"})
    server: S3Server = request.getfixturevalue("seaweedfs")
    return Place(environ={**server.environ, "BUCKET": BUCKET, "REPO_BASE_PREFIX": uuid.uuid4().hex})


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place for an index."""
    return _place(request, tmp_path)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder for what servers print."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    """Tools that have cached nothing yet."""
    home = tmp_path / "home"
    home.mkdir()
    return Clients(home=home)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """The upstream, with its catalog."""
    with FakeUpstream() as upstream:
        publish_catalog(upstream)
        yield upstream


@pytest.fixture
def server(place: Place, upstream: FakeUpstream, logs: Path) -> Iterator[Server]:
    """A server on an index that was empty."""
    with serving(place, logs, upstream=upstream.url) as server:
        yield server


@pytest.fixture(scope="session")
def shared_upstream() -> Iterator[FakeUpstream]:
    """The upstream of the shared servers, with its catalog."""
    with FakeUpstream() as upstream:
        publish_catalog(upstream)
        yield upstream


@pytest.fixture(scope="session", params=STORES)
def shared_server(
    request: pytest.FixtureRequest, shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for many tests."""
    folder = tmp_path_factory.mktemp("shared")
    with serving(_place(request, folder), folder, upstream=shared_upstream.url) as server:
        server.await_reindexed()
        yield server
