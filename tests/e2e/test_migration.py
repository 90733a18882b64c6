"""Moving in from the real devpi and the real pypiserver, which come from the public index."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.integration.clients import Clients
from tests.integration.commands import Place, clean_environ, run_command
from tests.integration.running import Server, eventually
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.servers import free_ports

pytestmark = pytest.mark.e2e

QUIET = {"PYTHONWARNINGS": "ignore"}
FILES = (make_wheel("acme-core", "1.0"), make_sdist("acme-core", "1.0"), make_wheel("acme-web", "0.1"))


@pytest.fixture(scope="module")
def tools(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """devpi and pypiserver, in a virtual environment of their own: its folder of programs."""
    home = tmp_path_factory.mktemp("tools")
    clients = Clients(home=home)
    clients.uv("venv", str(home / "venv")).succeeded()
    programs = home / "venv" / "bin"
    packages = ("devpi-server", "devpi-client", "pypiserver", "setuptools<81")
    arguments = ("--python", str(programs / "python"), "--index-url", server.index, *packages)
    clients.uv("pip", "install", *arguments).succeeded()
    return programs


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder with the files."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for made in FILES:
        (folder / made.filename).write_bytes(made.content)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place for an index."""
    return Place(environ={"BUCKET": f"file://{tmp_path / 'data'}", "UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/"})


@contextmanager
def running(*command: str, url: str) -> Iterator[None]:
    """Run a server until the block ends; it begins when there is an answer at the URL."""
    with subprocess.Popen(
        command, env=clean_environ(QUIET), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    ) as done:
        try:
            eventually(lambda: answers(url))
            yield
        finally:
            done.terminate()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def run(*command: str) -> None:
    subprocess.run(command, env=clean_environ(QUIET), stdout=subprocess.DEVNULL, check=True, timeout=120)


def published(place: Place) -> dict[str, bytes]:
    return {
        stat.key.rpartition("/")[2]: place.open().get(stat.key).body
        for stat in place.open().list("projects/")
        if not stat.key.endswith(".metadata")
    }


def contents(*files: Distribution) -> dict[str, bytes]:
    return {made.filename: made.content for made in files}


def test_devpi(tools: Path, dist: Path, place: Place, tmp_path: Path) -> None:
    """A running devpi's projects come over its simple API, and all of it from what devpi-export writes."""
    (port,) = free_ports(1)
    data, export, url = tmp_path / "devpi", tmp_path / "export", f"http://127.0.0.1:{port}"
    devpi, client = str(tools / "devpi"), f"--clientdir={tmp_path / 'client'}"
    run(str(tools / "devpi-init"), "--serverdir", str(data), "--no-root-pypi")
    server = (str(tools / "devpi-server"), "--serverdir", str(data), "--host", "127.0.0.1", "--port", str(port))
    with running(*server, url=f"{url}/+api"):
        run(devpi, "use", client, url)
        run(devpi, "login", client, "root", "--password=")
        run(devpi, "index", client, "-c", "root/prod", "bases=")
        run(devpi, "use", client, "root/prod")
        run(devpi, "upload", client, *map(str, sorted(dist.iterdir())))
        index = f"{url}/root/prod/+simple/"
        run_command(place, "import", "index", "--url", index, "acme-c*").succeeded()
    assert published(place) == contents(*FILES[:2])
    run(str(tools / "devpi-export"), "--serverdir", str(data), str(export))
    output = run_command(place, "import", "devpi", str(export)).succeeded()
    assert "2 projects: 1 files published, 0 yanked, 2 here before, 0 failed" in output
    assert published(place) == contents(*FILES)


def test_pypiserver(tools: Path, dist: Path, place: Place) -> None:
    """pypiserver's projects come over its HTML alone, and its folder as it is."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/simple/"
    server = (str(tools / "pypi-server"), "run", "-i", "127.0.0.1", "-p", str(port), str(dist))
    with running(*server, url=url):
        run_command(place, "import", "index", "--url", url, "acme-web").succeeded()
    assert published(place) == contents(FILES[2])
    run_command(place, "import", "folder", str(dist)).succeeded()
    assert published(place) == contents(*FILES)
