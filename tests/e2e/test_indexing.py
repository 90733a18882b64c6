"""What the indexer may cost with the whole public index."""

import pytest

from indexer.derive.rebuild import load_snapshot, rebuild
from indexer.keys import LISTS
from indexer.log.events import FileAdded
from indexer.log.log import Log
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from tests.e2e.conftest import Filled
from tests.e2e.costs import measure
from tests.integration.running import Server
from tests.support.adversary import Adversary

pytestmark = pytest.mark.e2e

NAMES = 900_000  # there were 927,088 in November 2026
AT = "2026-11-23T10:20:30.000040Z"


def _append_upload(store: ObjectStore, project: str, version: str) -> None:
    change = FileAdded(
        project=ProjectName(project),
        filename=Filename(f"{project}-{version}.tar.gz"),
        version=version,
        size=12_345,
        sha256="0" * 64,
        upload_time=AT,
        requires_python=None,
        metadata_sha256=None,
    )
    head = load_snapshot(store, Renderer()).snapshot.head
    Log(store).append(head, change, by="test", at=AT, id=f"{project} {version}".encode().hex())


def test_reindex(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    """A reindex from nothing reads all names in at most 15 s of CPU and 400 MB of memory."""
    upstream = load_snapshot(filled.place.open(), Renderer()).snapshot.upstream
    assert upstream is not None
    with capsys.disabled():
        print(f"\nreindex of {upstream.count:,} names: {filled.cost}")  # noqa: T201  # for the record
    assert upstream.count > NAMES
    assert 0 < filled.cost.peak_bytes < 400e6
    assert filled.cost.cpu_seconds < 15


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_rebuild_after_one_upload(version: str, filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    """A rebuild after one upload, to a new project or a known one, takes at most 0.5 s and leaves the names unread."""
    recorder = Adversary(filled.place.open())  # without a fault it only writes down what is asked of it
    _append_upload(recorder.inner, "private", version)
    cost = measure(lambda: rebuild(recorder, Renderer()))
    with capsys.disabled():
        print(f"\nrebuild after one upload: {cost}")  # noqa: T201  # for the record
    keys = [call.key for call in recorder.calls]
    assert [key for key in keys if key.startswith(LISTS)] == []
    assert any(key.startswith("pages/private/") for key in keys)
    assert cost.cpu_seconds < 0.5


@pytest.mark.parametrize("accept", ["application/vnd.pypi.simple.v1+json", "text/html"])
def test_root_listing(accept: str, server: Server) -> None:
    """The root listing names every project, in both formats."""
    body = server.get("/simple/", headers={"Accept": accept}).content
    assert body.count(b'{"name":' if "json" in accept else b"<a href=") > NAMES
