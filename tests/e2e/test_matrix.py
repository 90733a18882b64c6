"""The short form of the matrix of clients; `make matrix` is the long one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.matrix.rows import try_client
from tests.matrix.site import Site, running_site
from tests.matrix.table import Client, read_table

pytestmark = pytest.mark.e2e

SHORT = [client for client in read_table() if client.short]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The index of all of them."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clients are installed."""
    return tmp_path_factory.mktemp("clients")


@pytest.mark.parametrize("client", SHORT, ids=lambda client: client.title)
def test_a_client(client: Client, site: Site, cache: Path, tmp_path: Path) -> None:
    """A client does with the index all that it can do: each scenario, and each way to give the password."""
    row = try_client(client, site, cache=cache, folder=tmp_path, short=True)
    if row.absent is not None:
        pytest.skip(row.absent)  # pip before 23.2 does not run on Python 3.12
    assert row.cells
    assert row.red == []
