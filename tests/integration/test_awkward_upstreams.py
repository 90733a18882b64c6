"""Real pip and uv install what an awkward upstream lists, where without us one of them would stop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.catalog import PLAIN
from tests.integration.clients import Clients
from tests.integration.commands import Place
from tests.integration.running import Server, serving
from tests.support.fake_upstream import FakeUpstream

SHA = PLAIN.sha256
AWKWARD = {
    "times": {"upload_time": "2024-01-02 03:04:05 UTC"},
    "small-letters": {"upload_time": "2024-01-02t03:04:05z"},
    "no-zone": {"upload_time": "2024-01-02T03:04:05"},
    "order": {"hashes": {"blake2b_256": "00" * 32, "md5": "0" * 32, "sha256": SHA}},
    "capitals": {"hashes": {"SHA256": SHA.upper()}},
    "yanked": {"yanked": ""},
    "size": {"size": 1},
    "python": {"requires_python": ">=dog"},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("awkward")
    upstream.cache_control = "max-age=0"
    upstream.add(PLAIN)
    with serving(Place(environ={"BUCKET": f"file://{folder / 'data'}"}), folder, upstream=upstream.url) as server:
        server.await_reindexed()
        yield server


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize("kind", AWKWARD)
def test_installed(tool: str, kind: str, server: Server, upstream: FakeUpstream, tmp_path: Path) -> None:
    """Whatever of this the upstream says of the file, both install it."""
    (home := tmp_path / "home").mkdir()
    upstream.add(PLAIN, **AWKWARD[kind])  # type: ignore[arg-type]  # further keys of its entry
    installed = Clients(home=home).install(tool, server.index, "--no-cache-dir", "demo-plain")
    assert installed == {"demo-plain": "1.0"}
