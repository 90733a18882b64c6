"""Two of these indexes in a row: the second one's upstream is the first one, with a user's name and password."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.catalog import PLAIN, YANK_REASON
from tests.integration.clients import Clients
from tests.integration.commands import Place, run_command
from tests.integration.running import Server, serving
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream

OWN = {version: make_wheel("own", version, requires=("demo-plain",)) for version in ("1.0", "2.0")}
OWN_SDIST = make_sdist("own", "1.0")
PROVENANCE = "https://upstream.example/demo-library.provenance"


@pytest.fixture
def first(place: Place, upstream: FakeUpstream, logs: Path) -> Iterator[Server]:
    """The first index, with a private project of which one version is yanked."""
    with serving(place, logs, upstream=upstream.url) as server:
        for distribution in (*OWN.values(), OWN_SDIST):
            assert server.upload(distribution).status_code == 200
        run_command(place, "yank", "own", "2.0", "--reason", YANK_REASON).succeeded()
        run_command(place, "project", "status", "own", "deprecated", "--reason", "use theirs").succeeded()
        server.await_reindexed()
        yield server


@pytest.fixture
def second(first: Server, tmp_path: Path) -> Iterator[Server]:
    """The second index, over a folder of its own."""
    folder = tmp_path / "second"
    folder.mkdir()
    place = Place(environ={"BUCKET": f"file://{folder / 'data'}"})
    # The first one may lead to an S3 server on loopback.
    with serving(place, folder, upstream=first.index, UPSTREAM_PRIVATE_HOSTS="127.0.0.1") as server:
        server.await_reindexed()
        yield server


def public(page: dict[str, Any]) -> dict[str, Any]:
    """Return a page without what is private to an index."""
    files = [_public_keys(file) for file in page["files"]]
    return _public_keys(page) | {"files": files, "meta": _public_keys(page["meta"])}


def _public_keys(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if not key.startswith("_")}


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_private_project_of_the_first(tool: str, second: Server, clients: Clients) -> None:
    """pip and uv install it through the second, the yanked version only when it is pinned, with what it needs."""
    assert clients.install(tool, second.index, "own") == {"own": "1.0", "demo-plain": "1.0"}
    assert clients.install(tool, second.index, "own==2.0") == {"own": "2.0", "demo-plain": "1.0"}
    output = clients.try_install(tool, second.index, clients.new_folder("sdist"), "--no-binary", "own", "own==1.0")
    output.succeeded()


def test_what_is_said_of_it(first: Server, second: Server) -> None:
    """Status, yanks, metadata, upload times, sizes and digests are the same through both."""
    page = second.get_page("own")
    assert public(page) == public(first.get_page("own"))
    assert page["project-status"] == {"status": "deprecated", "reason": "use theirs"}
    assert {file["filename"]: file["yanked"] for file in page["files"]} == {
        OWN["1.0"].filename: False,
        OWN["2.0"].filename: YANK_REASON,
        OWN_SDIST.filename: False,
    }
    for wheel in OWN.values():
        assert second.get(f"/simple/own/{wheel.filename}.metadata").content == wheel.metadata
    html = [server.get("/simple/own/", headers={"Accept": "text/html"}).text for server in (first, second)]
    assert html[0] == html[1]


def test_a_mirrored_project_of_the_first(first: Server, second: Server, upstream: FakeUpstream) -> None:
    """What the first one mirrors says the same through both, and what the first one has filled in comes along."""
    bare = make_wheel("bare", "1.0")
    upstream.set_status("demo-plain", "archived", "no longer needed")
    upstream.add(PLAIN, provenance=PROVENANCE)
    assert second.get(f"/simple/demo-plain/{PLAIN.filename}").content == PLAIN.content
    page = second.get_page("demo-plain")
    assert public(page) == public(first.get_page("demo-plain"))
    assert (page["project-status"]["status"], page["files"][0]["provenance"]) == ("archived", PROVENANCE)
    assert bare.project not in second.get("/simple/").text
    assert "s3cret" not in second.log + first.log


def test_no_secret_of_the_first_is_seen(first: Server, second: Server) -> None:
    """The password for the first one is in no page and in no log of the second."""
    page = second.get("/simple/own/").text
    assert first.user.password not in page + second.log
    assert second.get("/simple/own/missing-1.0.tar.gz").status_code == 404
    assert first.user.password not in second.log
