"""Resolving without downloading: what pip and uv need of a heavy wheel comes from its metadata alone."""

from pathlib import Path
from random import Random

import pytest

from tests.integration.clients import Clients
from tests.integration.commands import Finished, Place
from tests.integration.running import Server, serving
from tests.pypi_lambda.mirror.test_metadata import NO_METADATA
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.odd_wheels import INSTALLABLE, REFUSED_BY_UV, installable

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
    """A wheel that nobody can install stops nobody from installing an older one, from the first try on."""
    with FakeUpstream() as upstream:
        upstream.add(make_wheel("demo", "1.0"), metadata=None)
        upstream.add_file("demo", "demo-2.0-py3-none-any.whl", b"no wheel at all")
        with serving(place, logs, upstream=upstream.url) as server:
            server.await_reindexed()
            assert clients.install(tool, server.index, "demo") == {"demo": "1.0"}
            page = {file["filename"]: file["core-metadata"] for file in server.get_page("demo")["files"]}
            assert page["demo-2.0-py3-none-any.whl"] is False
            assert clients.install(tool, server.index, "demo<2") == {"demo": "1.0"}


@with_each_tool
def test_odd_wheels(place: Place, logs: Path, clients: Clients, tool: str) -> None:
    """Every wheel that a tool installs from the upstream itself is installed through us, on the first try."""
    rows = [row for row in INSTALLABLE if tool == "pip" or row not in REFUSED_BY_UV]
    projects = [f"odd{chr(ord('a') + number)}" for number in range(len(rows))]
    with FakeUpstream() as upstream:
        for row, project in zip(rows, projects, strict=True):
            upstream.add_file(project, f"{project}-2.0-py3-none-any.whl", installable(project)[row])
        with serving(place, logs, upstream=upstream.url) as server:
            server.await_reindexed()
            target = clients.new_folder("target")
            clients.try_install(tool, server.index, target, "--no-cache-dir", *projects).succeeded()
            assert {path.stem for path in target.glob("*.py")} == set(projects)


@with_each_tool
@pytest.mark.parametrize("html_only", [False, True], ids=["JSON", "HTML"])
def test_something_else(place: Place, logs: Path, clients: Clients, tool: str, html_only: bool) -> None:
    """What an upstream sends in the place of metadata keeps nobody from the wheel, at first or later."""
    with FakeUpstream() as upstream:
        upstream.html_only = html_only
        projects = [f"odd{chr(ord('a') + number)}" for number in range(len(NO_METADATA))]
        for project, answer in zip(projects, NO_METADATA.values(), strict=True):
            path = upstream.add(make_wheel(project, "2.0"), core_metadata=True, dist_info_metadata=True)
            upstream.override(f"{path}.metadata", **answer)
        with serving(place, logs, upstream=upstream.url) as server:
            server.await_reindexed()
            expected = dict.fromkeys(projects, "2.0")
            assert clients.install(tool, server.index, "--no-cache-dir", *projects) == expected
            upstream.stop()
            assert clients.install(tool, server.index, "--no-cache-dir", *projects) == expected
