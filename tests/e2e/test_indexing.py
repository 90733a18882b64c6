"""What the indexer may cost with the whole public index."""

import pytest

from benchmarks.index import rebuild_after_uploads
from indexer.master import MASTER_PREFIX
from indexer.rebuild import load_snapshot
from indexer.simple import Renderer
from tests.e2e.conftest import Filled
from tests.integration.running import Server

pytestmark = pytest.mark.e2e

NAMES = 900_000  # there were 927,088 in November 2026


def test_reindex(filled: Filled) -> None:
    """A reindex from nothing reads all names in at most 15 s of CPU and 400 MB of memory."""
    upstream = load_snapshot(filled.place.open(), Renderer()).snapshot.upstream
    assert upstream is not None
    assert upstream.count > NAMES
    assert filled.cost.peak_bytes is not None
    assert filled.cost.peak_bytes < 400e6
    assert filled.cost.cpu_seconds < 15


def test_rebuild_after_one_upload(filled: Filled) -> None:
    """A rebuild after one upload takes at most 0.5 s and does not touch the list of names."""
    cost, keys = rebuild_after_uploads(filled.place.open(), ["private-one"])
    assert [key for key in keys if key.startswith(MASTER_PREFIX)] == []
    assert any(key.startswith("pages/private-one/") for key in keys)
    assert cost.wall_seconds < 0.5


@pytest.mark.parametrize("accept", ["application/vnd.pypi.simple.v1+json", "text/html"])
def test_root_listing(accept: str, server: Server) -> None:
    """The root listing names every project, in both formats."""
    body = server.get("/simple/", headers={"Accept": accept}).content
    assert body.count(b'{"name":' if "json" in accept else b"<a href=") > NAMES
