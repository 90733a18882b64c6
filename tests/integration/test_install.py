"""pip and uv install what the upstream has, through the index."""

from pathlib import Path

import pytest

from tests.integration.catalog import APP, LIBRARY, PLAIN, SOURCE, publish_catalog
from tests.integration.clients import Clients, installed
from tests.integration.commands import Place
from tests.integration.running import Server, serving
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import program

on_a_folder = pytest.mark.parametrize("shared_server", ["folder"], indirect=True)
with_each_tool = pytest.mark.parametrize("tool", ["pip", "uv"])

APP_AND_ALL_IT_NEEDS = {"Demo.App": "1.0", "demo-library": "1.1", "demo-source": "1.0", "demo-plain": "1.0"}


def _file_requests(upstream: FakeUpstream, filename: str) -> list[tuple[str, str]]:
    return [(method, path) for method, path in upstream.requests if path.endswith(f"/{filename}")]


@with_each_tool
def test_dependencies_come_along(tool: str, shared_server: Server, clients: Clients) -> None:
    """A project is installed, by a name that is not normalised, with what it needs: wheels and an sdist."""
    assert clients.install(tool, shared_server.index, "demo_APP") == APP_AND_ALL_IT_NEEDS


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@with_each_tool
def test_an_upstream_with_html_alone_will_do(tool: str, place: Place, logs: Path, clients: Clients) -> None:
    """The same comes from an upstream that knows no JSON."""
    with FakeUpstream(html_only=True) as upstream:
        publish_catalog(upstream)
        with serving(place, logs, upstream=upstream.url) as server:
            assert clients.install(tool, server.index, "demo_APP") == APP_AND_ALL_IT_NEEDS


def test_a_file_comes_from_the_upstream_once(server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """Clients that have cached nothing get a file from the store once it was asked for."""
    for tool in ("pip", "uv", "pip"):
        clients.install(tool, server.index, "--no-cache-dir", "demo-library==1.0")
    assert len(_file_requests(upstream, LIBRARY["1.0"].filename)) == 1


@on_a_folder
@with_each_tool
def test_a_yanked_version_is_for_those_who_pin_it(tool: str, shared_server: Server, clients: Clients) -> None:
    """A yanked version is passed over, and installed with `==`."""
    assert clients.install(tool, shared_server.index, "demo-library") == {"demo-library": "1.1"}
    assert clients.install(tool, shared_server.index, "demo-library==2.0") == {"demo-library": "2.0"}


@on_a_folder
@with_each_tool
def test_a_version_for_another_python_is_passed_over(tool: str, shared_server: Server, clients: Clients) -> None:
    """The newest version that this Python can run is chosen."""
    assert clients.install(tool, shared_server.index, "demo-python") == {"demo-python": "1.0"}


def test_resolving_downloads_metadata_alone(server: Server, upstream: FakeUpstream, clients: Clients) -> None:
    """uv resolves a wheel's dependencies without its file: `.metadata` is enough, and the upstream's is passed on."""
    source = clients.home / "requirements.in"
    source.write_text("demo-app\n")
    output = clients.uv("pip", "compile", "--index-url", server.index, "--no-header", "--no-annotate", str(source))
    assert output.succeeded().split("\n", 1)[1].split() == [
        "demo-app==1.0",
        "demo-library==1.1",
        "demo-plain==1.0",
        "demo-source==1.0",
    ]
    assert len(_file_requests(upstream, f"{APP.filename}.metadata")) == 1
    assert _file_requests(upstream, APP.filename) == []


@on_a_folder
@with_each_tool
def test_hashes_are_those_of_the_files(tool: str, shared_server: Server, clients: Clients) -> None:
    """A file pinned by its sha256 is installed, and refused by the client with any other."""
    pinned = clients.home / "pinned.txt"
    digests = {"demo-plain": PLAIN.sha256, "demo-source": SOURCE.sha256}
    pinned.write_text("".join(f"{name}==1.0 --hash=sha256:{digest}\n" for name, digest in digests.items()))
    options = ["--require-hashes", "--requirement", str(pinned)]
    assert clients.install(tool, shared_server.index, *options) == {"demo-plain": "1.0", "demo-source": "1.0"}
    pinned.write_text(f"demo-plain==1.0 --hash=sha256:{'0' * 64}\n")
    output = clients.try_install(tool, shared_server.index, clients.new_folder("refused"), *options).failed()
    assert PLAIN.sha256 in output


@on_a_folder
def test_a_lock_of_hashes_can_be_made_and_used(shared_server: Server, clients: Clients) -> None:
    """What `uv pip compile --generate-hashes` wrote down is what is installed."""
    lock = clients.home / "lock.txt"
    source = clients.home / "requirements.in"
    source.write_text("demo-app\n")
    options = ["--generate-hashes", "--output-file", str(lock), "--index-url", shared_server.index]
    clients.uv("pip", "compile", *options, str(source)).succeeded()
    assert clients.install("pip", shared_server.index, "--require-hashes", "-r", str(lock)) == APP_AND_ALL_IT_NEEDS


def test_a_project_of_uv(shared_server: Server, clients: Clients) -> None:
    """A project is locked, with addresses that hold no secret, and installed from the lock."""
    (clients.home / "pyproject.toml").write_text(
        f"""[project]
name = "uses-demo-app"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["demo-app"]

[[tool.uv.index]]
name = "ours"
url = "{shared_server.url}/simple/"
default = true
authenticate = "always"
"""
    )
    user = {"UV_INDEX_OURS_USERNAME": shared_server.user.name, "UV_INDEX_OURS_PASSWORD": shared_server.user.password}
    for command in (("lock",), ("sync", "--frozen", "--no-cache")):
        clients.run(program("uv"), *command, cwd=clients.home, UV_NO_CONFIG="0", **user).succeeded()
    lock = (clients.home / "uv.lock").read_text()
    assert f'url = "{shared_server.url}/simple/demo-app/{APP.filename}", hash = "sha256:{APP.sha256}"' in lock
    assert shared_server.user.password not in lock
    (packages,) = (clients.home / ".venv").glob("lib/*/site-packages")
    assert installed(packages) == APP_AND_ALL_IT_NEEDS


@on_a_folder
@with_each_tool
def test_no_such_project(tool: str, shared_server: Server, clients: Clients) -> None:
    """A name that nobody has is reported as such by the client."""
    output = clients.try_install(tool, shared_server.index, clients.new_folder("none"), "demo-nothing").failed()
    sentences = {
        "pip": "No matching distribution found for demo-nothing",
        "uv": "demo-nothing was not found in the package registry",
    }
    assert sentences[tool] in output
