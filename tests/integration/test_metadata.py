"""Resolving without downloading: what pip and uv need of a heavy wheel comes from its metadata alone."""

from pathlib import Path
from random import Random

import pytest

from tests.distributions import make_wheel
from tests.fake_upstream import FakeUpstream
from tests.integration.clients import Clients
from tests.integration.commands import Finished, Place
from tests.integration.running import Server, serving

HEAVY = make_wheel(
    "heavy", "1.0", files={"heavy_data.bin": Random(1).randbytes(50_000_000)}, requires=("demo-library<2",)
)
FEW_BYTES = 400_000  # pages, ends of archives, and no wheel
with_each_tool = pytest.mark.parametrize("tool", ["pip", "uv"])


def resolve(clients: Clients, tool: str, server: Server, *requirements: str) -> Finished:
    """Resolve what is needed, without installing anything."""
    options = ["--index-url", server.index, "--no-cache-dir"]
    if tool == "pip":
        return clients.pip("install", "--dry-run", "--ignore-installed", *options, *requirements)
    source = clients.new_folder("requirements") / "requirements.in"
    source.write_text("\n".join(requirements))
    return clients.uv("pip", "compile", *options, str(source))


@with_each_tool
def test_heavy_wheel(place: Place, logs: Path, clients: Clients, tool: str) -> None:
    """Of a wheel of 50 MB whose upstream has no metadata for it, kilobytes move, and for the second client none."""
    with FakeUpstream() as upstream:
        upstream.add(HEAVY, metadata=None)
        upstream.add(make_wheel("demo-library", "1.0"), metadata=None)
        with serving(place, logs, upstream=upstream.url) as server:
            server.await_reindexed()
            upstream.forget()
            output = resolve(clients, tool, server, "heavy").succeeded()
            assert "heavy-1.0" in output or "heavy==1.0" in output
            assert "demo-library-1.0" in output or "demo-library==1.0" in output
            assert upstream.sent < FEW_BYTES
            upstream.forget()
            resolve(clients, tool, server, "heavy").succeeded()
            assert [path for _, path in upstream.requests if path.startswith("/files/")] == []
    assert [stat.key.rpartition(".")[2] for stat in place.open().list("cache/")] == ["metadata"] * 2


@with_each_tool
def test_no_ranges(place: Place, logs: Path, clients: Clients, tool: str) -> None:
    """From an upstream without ranges, too, pip and uv get their metadata, and the wheel when they install it."""
    with FakeUpstream() as upstream:
        path = upstream.add(HEAVY, metadata=None)
        upstream.add(make_wheel("demo-library", "1.0"), metadata=None)
        upstream.odd_ranges[path] = {"body": HEAVY.content}
        with serving(place, logs, upstream=upstream.url) as server:
            server.await_reindexed()
            resolve(clients, tool, server, "heavy").succeeded()
            assert clients.install(tool, server.index, "heavy") == {"heavy": "1.0", "demo-library": "1.0"}
            whole = [seen for seen in upstream.seen if seen.path == path and "range" not in seen.headers]
            assert len(whole) == 1


@with_each_tool
def test_wheel_without_metadata(place: Place, logs: Path, clients: Clients, tool: str) -> None:
    """A wheel that nobody can install stops nobody from installing an older one, once that is known."""
    with FakeUpstream() as upstream:
        upstream.add(make_wheel("demo", "1.0"), metadata=None)
        upstream.add_file("demo", "demo-2.0-py3-none-any.whl", b"no wheel at all")
        with serving(place, logs, upstream=upstream.url) as server:
            server.await_reindexed()
            resolve(clients, tool, server, "demo").failed()
            page = {file["filename"]: file["core-metadata"] for file in server.get_page("demo")["files"]}
            assert page["demo-2.0-py3-none-any.whl"] is False
            assert clients.install(tool, server.index, "demo<2") == {"demo": "1.0"}
