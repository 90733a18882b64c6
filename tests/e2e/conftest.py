"""One index over the real public upstream for all tests here: its list of projects is read once."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.names import ProjectName
from indexer.upstream.client import Fetched, Upstream
from indexer.upstream.listing import parse_listing
from indexer.upstream.reach import is_public_host
from indexer.upstream.url import origin
from pypi_lambda.settings import default_upstream
from tests.e2e.costs import Cost, run_measured
from tests.integration.clients import Clients
from tests.integration.commands import Place, clean_environ
from tests.integration.running import Server, serving
from tests.support.servers import program


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A folder after its first reindex, and what that cost."""

    place: Place
    cost: Cost


def find_private_hosts() -> str:
    """Return the hosts of the upstream's files that are at private addresses here, as where a network has a mirror."""
    upstream = Upstream(default_upstream(), user_agent="tests")
    project = ProjectName("pip")
    page = upstream.fetch_page(project)
    upstream.close()
    assert isinstance(page, Fetched)
    listing = parse_listing(project, page.content, content_type=page.content_type, url=page.url)
    hosts = {origin(source.url)[1:] for source in listing.sources.values()}
    return ",".join(host for host, port in sorted(hosts) if not is_public_host(host, port))


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """An index that knows the upstream's list of projects."""
    command = [program("serverless-pypi"), "reindex"]
    bucket = f"file://{tmp_path_factory.mktemp('index')}"
    place = Place(environ={"BUCKET": bucket, "UPSTREAM_PRIVATE_HOSTS": find_private_hosts()})
    return Filled(place=place, cost=run_measured(command, clean_environ(place.environ)))


def copy_of(filled: Filled, folder: Path) -> Place:
    """Return an index that knows the names and nothing else, in a folder that is not there yet."""
    shutil.copytree(filled.place.environ["BUCKET"].removeprefix("file://"), folder)
    return Place(environ={**filled.place.environ, "BUCKET": f"file://{folder}"})


@pytest.fixture(scope="session")
def server(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for many tests; the list of names is fresh, so it is not read again."""
    logs = tmp_path_factory.mktemp("logs")
    with serving(copy_of(filled, logs / "data"), logs, upstream=default_upstream()) as server:
        yield server


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    """Tools that have cached nothing yet."""
    return Clients(home=tmp_path)
