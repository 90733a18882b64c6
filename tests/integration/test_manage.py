"""Managing an index from the command line while its server runs: what installers, uploaders and people see of it."""

import json
import subprocess
from pathlib import Path

from tests.integration.clients import Clients
from tests.integration.commands import Place, clean_environ, run_command
from tests.integration.running import Server, User, eventually
from tests.support.distributions import make_sdist, make_wheel
from tests.support.servers import program

OLD, NEW = make_wheel("demo-managed", "1.0"), make_wheel("demo-managed", "2.0")
SDIST = make_sdist("demo-managed", "2.0")
TOOLS = ("pip", "uv")


def _publish(server: Server) -> None:
    for distribution in (OLD, NEW):
        assert server.upload(distribution).status_code == 200


def _installed(clients: Clients, server: Server, requirement: str = "demo-managed") -> list[str]:
    """Return the versions that each tool installs, with an empty cache."""
    options = {"pip": "--no-cache-dir", "uv": "--no-cache"}
    return [clients.install(tool, server.index, options[tool], requirement)["demo-managed"] for tool in TOOLS]


def _refused(clients: Clients, server: Server, requirement: str = "demo-managed") -> None:
    """Make sure that no tool installs it."""
    options = {"pip": "--no-cache-dir", "uv": "--no-cache"}
    for tool in TOOLS:
        clients.try_install(tool, server.index, clients.new_folder("target"), options[tool], requirement).failed()


def test_yank(server: Server, place: Place, clients: Clients) -> None:
    """A yanked version is passed over from the next request on, installed where it is pinned, and comes back."""
    _publish(server)
    assert _installed(clients, server) == ["2.0", "2.0"]
    output = run_command(place, "yank", "demo-managed", "2.0", "--reason", "broken on Tuesdays").succeeded()
    assert output == f"yanked {NEW.filename}\n"
    assert _installed(clients, server) == ["1.0", "1.0"]
    assert _installed(clients, server, "demo-managed==2.0") == ["2.0", "2.0"]
    target = clients.new_folder("target")
    warned = clients.try_install("pip", server.index, target, "demo-managed==2.0").succeeded()
    assert "broken on Tuesdays" in warned
    run_command(place, "unyank", "demo-managed", "2.0").succeeded()
    assert _installed(clients, server) == ["2.0", "2.0"]


def test_remove_and_restore(server: Server, place: Place, clients: Clients) -> None:
    """A removed version is gone, for its file's address too; its name stays taken; restored, it is as it was."""
    _publish(server)
    address = f"/simple/demo-managed/{NEW.filename}"
    page = server.get_page("demo-managed")
    assert "it would remove 1 file of" in run_command(place, "remove", "demo-managed", "2.0").failed(2)
    assert server.get_page("demo-managed") == page
    run_command(place, "remove", "demo-managed", "2.0", "--yes", "--reason", "leaked").succeeded()
    assert _installed(clients, server) == ["1.0", "1.0"]
    _refused(clients, server, "demo-managed==2.0")
    assert [server.get(path).status_code for path in (address, f"{address}.metadata")] == [404, 404]
    other = make_wheel("demo-managed", "2.0", files={"other.txt": b"other"})
    assert [server.upload(distribution).status_code for distribution in (NEW, other, SDIST)] == [409, 409, 409]
    run_command(place, "restore", "demo-managed", "2.0").succeeded()
    assert _installed(clients, server) == ["2.0", "2.0"]
    assert server.get(address).content == NEW.content


def test_removed_for_good(server: Server, place: Place) -> None:
    """What was removed and is no longer stored, or was altered, is not restored."""
    _publish(server)
    run_command(place, "remove", "demo-managed", "--yes").succeeded()
    store = place.open()
    store.delete(f"projects/demo-managed/{OLD.filename}")
    store.put(f"projects/demo-managed/{NEW.filename}", NEW.content[::-1])
    gone = run_command(place, "restore", "demo-managed", "1.0").failed(2)
    altered = run_command(place, "restore", "demo-managed", NEW.filename).failed(2)
    assert "it cannot be restored: its content is no longer stored" in gone
    assert "it cannot be restored: its stored content was altered" in altered
    assert server.get_filenames("demo-managed") == []


def test_status(server: Server, place: Place, clients: Clients) -> None:
    """An archived project takes no uploads, a quarantined one offers no file either; both say why, and go back."""
    _publish(server)
    run_command(place, "project", "status", "demo-managed", "archived", "--reason", "see elsewhere").succeeded()
    assert server.get_page("demo-managed")["project-status"] == {"status": "archived", "reason": "see elsewhere"}
    assert _installed(clients, server) == ["2.0", "2.0"]
    assert "is archived and takes no uploads: see elsewhere" in clients.try_upload(
        "twine", server, make_wheel("demo-managed", "3.0"), arguments=("--verbose",)
    ).failed(1)
    run_command(place, "project", "status", "demo-managed", "quarantined", "--reason", "malware?").succeeded()
    page = server.get_page("demo-managed")
    assert (page["project-status"], page["files"], page["versions"]) == (
        {"status": "quarantined", "reason": "malware?"},
        [],
        [],
    )
    _refused(clients, server)
    assert server.get(f"/simple/demo-managed/{NEW.filename}").status_code == 403
    run_command(place, "project", "status", "demo-managed", "active").succeeded()
    assert "project-status" not in server.get_page("demo-managed")
    assert _installed(clients, server) == ["2.0", "2.0"]


def test_reserve(server: Server, place: Place) -> None:
    """A reserved name is not the upstream's from the next request on, and is again when it is unreserved."""
    assert server.get("/simple/requests/").status_code == 200
    run_command(place, "reserve", "Req*ts").succeeded()
    assert server.get("/simple/requests/").status_code == 404
    assert run_command(place, "reserved").succeeded() == "req*ts\n"
    run_command(place, "unreserve", "req*ts").succeeded()
    assert server.get("/simple/requests/").status_code == 200


def test_limited_user(server: Server, place: Place, clients: Clients) -> None:
    """A user whose uploads are limited uploads such projects, and is told the patterns for others."""
    user = User(name="limited", password="password")
    arguments = ("user", "add", user.name, "--upload", "--projects", "Acme.*")
    run_command(place, *arguments, input=f"{user.password}\n").succeeded()
    clients.try_upload("twine", server, make_wheel("acme-tool", "1.0"), user=user).succeeded()
    refused = clients.try_upload("twine", server, OLD, user=user, arguments=("--verbose",)).failed(1)
    assert "'limited' may not upload 'demo-managed'; it may upload acme-*" in refused


def test_the_log(server: Server, place: Place, tmp_path: Path) -> None:
    """The log says who did what and from where; followed, it shows what happens at once."""
    _publish(server)
    lines = [
        json.loads(line)
        for line in run_command(place, "log", "--json", "--project", "demo-managed").succeeded().splitlines()
    ]
    uploads = [(line["kind"], line["by"], line["client"]) for line in lines]
    assert uploads == [("FileAdded", server.user.name, "127.0.0.1")] * 2
    output = tmp_path / "followed"
    with output.open("wb") as file:
        followed = subprocess.Popen(
            [program("serverless-pypi"), "log", "--follow", "--limit", "1", "--project", "demo-managed"],
            env=clean_environ(place.environ),
            stdout=file,
            stderr=file,
        )
        try:
            eventually(lambda: f"published {NEW.filename}" in output.read_text())
            run_command(place, "yank", "demo-managed", "1.0").succeeded()
            eventually(lambda: f"yanked {OLD.filename}" in output.read_text())
        finally:
            followed.terminate()
            followed.wait(timeout=300)
    assert [line.rpartition("  ")[2].split()[0] for line in output.read_text().splitlines()] == ["published", "yanked"]


def test_project_show(server: Server, place: Place) -> None:
    """What a project has is shown from what the server published."""
    _publish(server)
    shown = json.loads(run_command(place, "project", "show", "demo-managed", "--json").succeeded())
    assert [(file["filename"], file["sha256"]) for file in shown["files"]] == [
        (OLD.filename, OLD.sha256),
        (NEW.filename, NEW.sha256),
    ]
    assert run_command(place, "project", "list").succeeded() == "demo-managed\n"


def test_completion(place: Place) -> None:
    """The shell is taught the commands as the README says."""
    script = run_command(place, _SERVERLESS_PYPI_COMPLETE="bash_source").succeeded()
    assert "complete -o nosort -F _serverless_pypi_completion serverless-pypi" in script
    words = {"COMP_WORDS": "serverless-pypi un", "COMP_CWORD": "1", "_SERVERLESS_PYPI_COMPLETE": "bash_complete"}
    assert run_command(place, **words).succeeded() == "plain,unyank\nplain,unreserve\n"
