"""What two clients ask of a real server, request by request: nothing that they could have known without."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.matrix.cases import URL, Case
from tests.matrix.downstream import DOWNSTREAM, Place
from tests.matrix.environments import get_environment
from tests.matrix.installers import install
from tests.matrix.scenarios import HASHES, MIRRORED
from tests.matrix.site import Site, running_site
from tests.matrix.table import find_client
from tests.support.distributions import make_wheel

pytestmark = pytest.mark.e2e

ARCHIVES = (".whl", ".tar.gz")
OTHERS = [make_wheel("up-library", "1.1", tag=f"cp{number}-none-any") for number in range(350, 360)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An index of one client, that logs each request; a version of its upstream has ten files more."""
    (tmp_path / "site").mkdir()
    with running_site(tmp_path / "site", logging_format="json") as site:
        for wheel in OTHERS:
            site.upstream.add(wheel)
        yield site


def asked(site: Site) -> list[tuple[str, str, int]]:
    """Return method, file and status of the requests for archives."""
    lines = [json.loads(line) for line in site.server.log.splitlines() if line.startswith("{")]
    found = [(line["method"], Path(line["path"]).name, line["status"]) for line in lines if "path" in line]
    return [each for each in found if each[1].endswith(ARCHIVES)]


def test_pip_compile(site: Site, tmp_path: Path) -> None:
    """`pip-compile --generate-hashes` locks all files of a version, and downloads none of them."""
    client = find_client("installer", "pip-tools")
    environment = get_environment(client, tmp_path / "clients")
    case = Case(client=client, environment=environment, site=site, scenario=HASHES, way=URL, folder=tmp_path / "case")
    source = case.write("requirements.in", f"{HASHES.requirement}\n")
    arguments = ["--generate-hashes", "--index-url", case.index, "--output-file", "lock.txt", source]
    case.run("pip-compile", *arguments).succeeded()
    locked = (case.project / "lock.txt").read_text()
    assert [each.filename for each in (*OTHERS, *HASHES.installs) if f"sha256:{each.sha256}" not in locked] == []
    assert asked(site) == []


def test_peryx(site: Site, tmp_path: Path) -> None:
    """peryx fetches the wheels that a client asks it for, and no part of any, once we know their metadata's digests."""
    pip, client = find_client("installer", "pip"), find_client("downstream", "peryx")
    environment = get_environment(pip, tmp_path / "clients")
    case = Case(client=pip, environment=environment, site=site, scenario=MIRRORED, way=URL, folder=tmp_path / "case")
    install(case)
    before = len(asked(site))
    (tmp_path / "peryx").mkdir()
    place = Place(environment=get_environment(client, tmp_path / "clients"), site=site, folder=tmp_path / "peryx")
    with DOWNSTREAM[client.driver](place) as index:
        install(replace(case, through=index, folder=tmp_path / "through"))
    wheels = [("GET", each.filename, 200) for each in MIRRORED.installs]
    assert sorted(asked(site)[before:]) == sorted(wheels)
