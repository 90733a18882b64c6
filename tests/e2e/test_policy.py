"""Earlier moments of the real public index, through ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pypi_lambda.settings import default_upstream
from tests.e2e.conftest import Filled, copy_of
from tests.integration.clients import Clients
from tests.integration.running import Server, serving

pytestmark = pytest.mark.e2e

MOMENT = "2023-03-01"


@pytest.fixture(scope="module")
def server(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without private projects, which other tests name after public ones."""
    logs = tmp_path_factory.mktemp("policy")
    with serving(copy_of(filled, logs / "data"), logs, upstream=default_upstream()) as server:
        yield server


def _index_at(server: Server) -> str:
    return server.index.replace("/simple/", f"/at/{MOMENT}/simple/")


def test_uv_resolves_as_of_then(server: Server, clients: Clients) -> None:
    """uv resolves through the index of a moment to exactly what it finds itself when it passes over what is newer."""
    source = clients.home / "requirements.in"
    source.write_text("requests\nflask\nsphinx\nnumpy\npandas\n")
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet", str(source)]
    ours = clients.uv("pip", "compile", "--index-url", _index_at(server), *options).succeeded()
    newer = ["--exclude-newer", f"{MOMENT}T00:00:00Z", "--index-url", default_upstream()]
    assert ours == clients.uv("pip", "compile", *newer, *options).succeeded()
    assert "\nflask==2.2.3 " in ours


def test_pip_installs_what_there_was(server: Server, clients: Clients) -> None:
    """pip installs the newest version of then."""
    found = clients.install("pip", _index_at(server), "flask")
    assert (found["Flask"], found["Werkzeug"]) == ("2.2.3", "2.2.3")


@pytest.fixture
def poetry(server: Server, clients: Clients) -> Path:
    """poetry, in a virtual environment of its own."""
    clients.uv("venv", str(clients.home / "venv")).succeeded()
    python = str(clients.home / "venv" / "bin" / "python")
    clients.uv("pip", "install", "--python", python, "--index-url", server.index, "poetry").succeeded()
    return clients.home / "venv" / "bin" / "poetry"


def test_poetry_locks_what_there_was(server: Server, poetry: Path, clients: Clients) -> None:
    """poetry locks against a moment, the same twice, and installs from the lock."""
    locks = []
    environ = {
        "POETRY_HTTP_BASIC_OURS_USERNAME": server.user.name,
        "POETRY_HTTP_BASIC_OURS_PASSWORD": server.user.password,
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
    }
    for _ in range(2):
        folder = clients.new_folder("project")
        (folder / "pyproject.toml").write_text(
            f"""[project]
name = "consumer"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["flask"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "ours"
url = "{server.url}/at/{MOMENT}/simple/"
priority = "primary"
"""
        )
        cache = {"POETRY_CACHE_DIR": str(clients.new_folder("cache"))}
        clients.run(str(poetry), "install", "--no-interaction", cwd=folder, **environ, **cache).succeeded()
        locks.append((folder / "poetry.lock").read_text())
    assert locks[0] == locks[1]
    assert 'name = "flask"\nversion = "2.2.3"' in locks[0]
