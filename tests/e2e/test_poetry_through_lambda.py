"""poetry, which comes from the public index, against the function in its real runtime behind a narrow front door."""

from pathlib import Path

import pytest

from pypi_lambda.front_doors.table import EDGE_VIEWER
from tests.aws.lambda_site import LambdaSite
from tests.integration.clients import Clients
from tests.integration.running import Server
from tests.integration.test_lambda_limits import front_of, prefix, site, store, upstream  # noqa: F401  # fixtures
from tests.support.builders import PASSWORD, USERNAME

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def poetry(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """poetry, in a virtual environment of its own."""
    home = tmp_path_factory.mktemp("poetry")
    clients = Clients(home=home)
    clients.uv("venv", str(home / "venv")).succeeded()
    python = str(home / "venv" / "bin" / "python")
    clients.uv("pip", "install", "--python", python, "--index-url", server.index, "poetry").succeeded()
    return home / "venv" / "bin" / "poetry"


def test_long_pages(poetry: Path, site: LambdaSite, clients: Clients) -> None:  # noqa: F811
    """poetry installs from pages that the front door carries only by a redirect to a signed copy."""
    folder = clients.new_folder("project")
    with front_of(site, EDGE_VIEWER) as front:
        (folder / "pyproject.toml").write_text(
            f"""[project]
name = "consumer"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["own-project"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "ours"
url = "{front.url}/simple/"
priority = "primary"
"""
        )
        environ = {
            "POETRY_HTTP_BASIC_OURS_USERNAME": USERNAME,
            "POETRY_HTTP_BASIC_OURS_PASSWORD": PASSWORD,
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        }
        clients.run(str(poetry), "install", "--no-interaction", cwd=folder, **environ).succeeded()
        statuses = {status for _, target, status in front.seen if target.endswith("/own-project/")}
    installed = clients.run(str(folder / ".venv" / "bin" / "python"), "-c", "import own_project, upstream_project")
    installed.succeeded()
    assert statuses >= {302}
