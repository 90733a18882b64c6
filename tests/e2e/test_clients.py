"""Real clients and the real public index, through ours."""

from pathlib import Path

import pytest
from packaging.version import Version

from pypi_lambda.settings import default_upstream
from tests.integration.clients import Clients
from tests.integration.running import Server
from tests.support.distributions import make_wheel

pytestmark = pytest.mark.e2e
with_each_tool = pytest.mark.parametrize("tool", ["pip", "uv"])

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@with_each_tool
def test_projects_with_dependencies(tool: str, server: Server, clients: Clients) -> None:
    """requests, numpy and a project whose name is not normalised are installed, with what they need."""
    found = clients.install(tool, server.index, "requests", "numpy", "Zope_Interface")
    names = {name.lower().replace("_", "-") for name in found}
    assert {"requests", "urllib3", "certifi", "idna", "charset-normalizer", "numpy", "zope.interface"} <= names


@with_each_tool
def test_a_project_with_thousands_of_files(tool: str, server: Server, clients: Clients) -> None:
    """One of several thousand files is listed whole in both formats, and installed."""
    page = server.get("/simple/boto3/", headers=JSON).json()
    assert len(page["files"]) > 4_000
    assert server.get("/simple/boto3/", headers={"Accept": "text/html"}).text.count("<a href=") == len(page["files"])
    newest = str(max(map(Version, page["versions"])))
    assert clients.install(tool, server.index, "--no-deps", "boto3") == {"boto3": newest}


@with_each_tool
def test_a_project_with_yanked_files(tool: str, server: Server, clients: Clients) -> None:
    """attrs 21.1.0 is yanked: passed over, and installed by those who pin it."""
    yanked = {file["filename"] for file in server.get_page("attrs")["files"] if file["yanked"]}
    assert "attrs-21.1.0-py2.py3-none-any.whl" in yanked
    assert clients.install(tool, server.index, "attrs>=20.3,<21.2") == {"attrs": "20.3.0"}
    assert clients.install(tool, server.index, "attrs==21.1.0") == {"attrs": "21.1.0"}


def test_resolving_many(server: Server, clients: Clients) -> None:
    """uv resolves a large set through the index to exactly what it resolves without it, hashes included."""
    source = clients.home / "requirements.in"
    source.write_text("jupyterlab\nscikit-learn\nboto3\nfastapi[standard]\ncelery[redis]\nsphinx\n")
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet", str(source)]
    ours, theirs = (
        clients.uv("pip", "compile", "--index-url", index, *options).succeeded()
        for index in (server.index, default_upstream())
    )
    assert ours == theirs
    assert ours.count("==") > 100


@with_each_tool
def test_a_private_project_replaces_the_public_one(tool: str, server: Server, clients: Clients) -> None:
    """A name that exists upstream is private from its first upload on."""
    name = {"pip": "six", "uv": "toml"}[tool]
    assert clients.install(tool, server.index, name)[name] != "0.0.1"
    uploader = {"pip": "twine", "uv": "uv"}[tool]
    clients.upload(uploader, server, make_wheel(name, "0.0.1"))
    assert clients.install(tool, server.index, name) == {name: "0.0.1"}


@pytest.fixture(scope="module")
def builders(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment with the other clients that upload, installed through the index."""
    home = tmp_path_factory.mktemp("builders")
    clients = Clients(home=home)
    clients.uv("venv", str(home / "venv")).succeeded()
    python = str(home / "venv" / "bin" / "python")
    clients.uv("pip", "install", "--python", python, "--index-url", server.index, "poetry", "flit", "hatch").succeeded()
    return home / "venv" / "bin"


def _write_project(folder: Path, name: str, backend: str) -> None:
    """Write a project that needs nothing but its build backend."""
    (folder / f"{name.replace('-', '_')}.py").write_text('"""A test project."""\n\n__version__ = "1.0"\n')
    requires = {
        "flit_core.buildapi": "flit_core",
        "hatchling.build": "hatchling",
        "poetry.core.masonry.api": "poetry-core",
    }
    (folder / "pyproject.toml").write_text(
        f"""[build-system]
requires = ["{requires[backend]}"]
build-backend = "{backend}"

[project]
name = "{name}"
version = "1.0"
description = "A test project"
requires-python = ">=3.11"
"""
    )


def test_poetry(server: Server, builders: Path, clients: Clients) -> None:
    """poetry publishes, and again without an error."""
    folder = clients.new_folder("project")
    _write_project(folder, "own-poetry", "poetry.core.masonry.api")
    environ = {"POETRY_REPOSITORIES_OURS_URL": f"{server.url}/"}
    clients.run(str(builders / "poetry"), "build", cwd=folder).succeeded()
    options = ["--no-interaction", "--repository", "ours", "-u", server.user.name, "-p", server.user.password]
    for _ in range(2):
        clients.run(str(builders / "poetry"), "publish", *options, cwd=folder, **environ).succeeded()
    _check_published(server, clients, "own-poetry")


def test_flit(server: Server, builders: Path, clients: Clients) -> None:
    """flit publishes, and again without an error."""
    folder = clients.new_folder("project")
    _write_project(folder, "own-flit", "flit_core.buildapi")
    environ = {
        "FLIT_INDEX_URL": f"{server.url}/",
        "FLIT_USERNAME": server.user.name,
        "FLIT_PASSWORD": server.user.password,
    }
    for _ in range(2):
        clients.run(str(builders / "flit"), "publish", cwd=folder, **environ).succeeded()
    _check_published(server, clients, "own-flit")


def test_hatch(server: Server, builders: Path, clients: Clients) -> None:
    """hatch publishes, and leaves out what is there when it is told to again."""
    folder = clients.new_folder("project")
    _write_project(folder, "own-hatch", "hatchling.build")
    environ = {
        "HATCH_INDEX_REPO": f"{server.url}/",
        "HATCH_INDEX_USER": server.user.name,
        "HATCH_INDEX_AUTH": server.user.password,
        "PIP_INDEX_URL": server.index,  # where it gets its build backend
        "UV_INDEX_URL": server.index,
    }
    clients.run(str(builders / "hatch"), "--no-interactive", "build", cwd=folder, **environ).succeeded()
    outputs = [
        clients.run(str(builders / "hatch"), "--no-interactive", "publish", cwd=folder, **environ) for _ in range(2)
    ]
    assert "success" in outputs[0].succeeded()
    assert outputs[1].succeeded().count("already exists") == 2
    _check_published(server, clients, "own-hatch")


def _check_published(server: Server, clients: Clients, name: str) -> None:
    escaped = name.replace("-", "_")
    assert server.get_filenames(name) == [f"{escaped}-1.0-py3-none-any.whl", f"{escaped}-1.0.tar.gz"]
    assert clients.install("uv", server.index, name) == {name: "1.0"}
