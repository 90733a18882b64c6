"""One index over the real public upstream for all tests here: its list of projects is read once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pypi_lambda.settings import default_upstream
from tests.e2e.costs import Cost, run_measured
from tests.integration.clients import Clients
from tests.integration.commands import Place, clean_environ
from tests.integration.running import Server, serving
from tests.servers import program


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A folder after its first reindex, and what that cost."""

    place: Place
    cost: Cost


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """An index that knows the upstream's list of projects."""
    command = [program("serverless-pypi"), "reindex"]
    place = Place(environ={"BUCKET": f"file://{tmp_path_factory.mktemp('index')}"})
    return Filled(place=place, cost=run_measured(command, clean_environ(place.environ)))


@pytest.fixture(scope="session")
def server(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on it; the list is fresh, so it is not read again."""
    with serving(filled.place, tmp_path_factory.mktemp("logs"), upstream=default_upstream()) as server:
        yield server


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    """Tools that have cached nothing yet."""
    return Clients(home=tmp_path)
