"""`serverless-pypi serve`: what it prints, where the index lies, and what stops it."""

import os
import re
import signal
import venv
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from tests.integration.clients import Clients, installed
from tests.integration.commands import Place, run_command
from tests.integration.running import Server, eventually, serving, starting
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, FaultProxy, HttpFault, S3Server, free_ports

on_a_folder = pytest.mark.parametrize("place", ["folder"], indirect=True)


def _printed_commands(server: Server) -> list[str]:
    return re.findall(r"^    ((?:pip|uv|twine) .*)$", server.output, re.MULTILINE)


@on_a_folder
def test_the_readme_has_the_printed_commands(server: Server) -> None:
    """The README shows the commands that the first start prints."""
    readme = Path(__file__).parent.parent.parent / "README.md"
    origin = server.url.removeprefix("http://")
    shown = [
        command.replace(server.user.password, "PASSWORD").replace(origin, "127.0.0.1:8080")
        for command in _printed_commands(server)
    ]
    assert len(shown) == 4
    assert set(shown) <= {line.strip() for line in readme.read_text().splitlines()}


@on_a_folder
def test_the_printed_commands_work_as_they_are(server: Server, clients: Clients) -> None:
    """The commands that the first start prints install and upload, pasted into a shell."""
    (clients.home / "dist").mkdir()
    for made in (make_wheel("pasted", "1.0"), make_sdist("pasted", "1.0")):
        (clients.home / "dist" / made.filename).write_bytes(made.content)
    commands = _printed_commands(server)
    assert [command.split(" ", 1)[0] for command in commands] == ["pip", "uv", "twine", "uv"]
    results = []
    for command in commands:
        fresh = clients.new_folder("venv")
        venv.create(fresh)
        python = str(fresh / "bin" / "python")
        clients.run("sh", "-c", command, cwd=clients.home, PIP_PYTHON=python, UV_PYTHON=python).succeeded()
        (packages,) = fresh.glob("lib/*/site-packages")
        results.append(installed(packages))
    assert results == [{"requests": "99.0"}, {"requests": "99.0"}, {}, {}]
    assert len(server.get_filenames("pasted")) == 2


@pytest.mark.parametrize(
    ("origin", "option"),
    [
        ("http://index.example:8080", "--trusted-host index.example "),
        ("http://192.0.2.7:80", "--trusted-host 192.0.2.7 "),
        ("http://localhost:8080", ""),
        ("http://[::1]:8080", ""),
    ],
)
def test_what_is_printed_for_another_host(origin: str, option: str, tmp_path: Path) -> None:
    """For an address that is not this machine's the pip command has the option without which pip ignores plain http."""
    output = run_command(Place(environ={"BUCKET": f"file://{tmp_path}"}), "set-up", origin).succeeded()
    assert f"\n    pip install {option}--index-url http://" in output


def test_the_password_is_shown_once(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """A second start on the same index prints nothing, and the user is still known."""
    with serving(place, logs, upstream=upstream.url) as first:
        user = first.user
    with serving(place, logs, upstream=upstream.url, user=user) as second:
        assert second.output == ""
        assert second.get("/simple/requests/").status_code == 200


@on_a_folder
def test_before_the_list_is_read(place: Place, upstream: FakeUpstream, logs: Path, clients: Clients) -> None:
    """Installing works from the first second: until the upstream's list was read, unknown names are asked upstream."""
    listed = Event()
    body = b'<!DOCTYPE html><a href="/simple/requests/">requests</a>'
    upstream.override("/simple/", release=listed, headers={"Content-Type": "text/html"}, body=body)
    with serving(place, logs, upstream=upstream.url) as server:
        assert clients.install("pip", server.index, "demo-app")["Demo.App"] == "1.0"
        assert clients.install("uv", server.index, "demo-shared") == {"demo-shared": "9.0"}
        assert "reindexed: " not in server.log
        listed.set()
        server.await_reindexed()
        assert server.get("/simple/demo-shared/").status_code == 404  # as the list does not have it
        assert server.get("/simple/requests/").status_code == 200


@on_a_folder
def test_the_list_is_not_read_again_by_a_restart(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """A server that starts within an hour of the last reading of the upstream's list leaves the upstream alone."""
    with serving(place, logs, upstream=upstream.url) as first:
        first.await_reindexed()
        user = first.user
    asked = list(upstream.requests)
    assert asked.count(("GET", "/simple/")) == 1
    with serving(place, logs, upstream=upstream.url, user=user) as second:
        assert "demo-shared" in second.get("/simple/").text
    assert upstream.requests == asked


@on_a_folder
def test_files_at_a_private_address(place: Place, logs: Path) -> None:
    """The reading of the first list says it, with the cure; so do the next start and health, until it is set."""
    wheel, host = make_wheel("six", "1.0"), "127.0.0.2"  # loopback, and not where the upstream is
    advice = f"set UPSTREAM_PRIVATE_HOSTS={host} to allow that"
    with FakeUpstream() as upstream:
        upstream.add(wheel, url=f"http://{host}:9/files/{wheel.filename}")
        with serving(place, logs, upstream=upstream.url) as first:
            first.await_reindexed()
            eventually(lambda: advice in first.log)
            user = first.user
        with serving(place, logs, upstream=upstream.url, user=user) as second:
            assert advice in second.log
            assert advice in second.get("/health").text
        with serving(place, logs, upstream=upstream.url, user=user, UPSTREAM_PRIVATE_HOSTS=host) as third:
            assert advice not in third.log + third.get("/health").text


def test_without_settings_the_index_lies_in_data(tmp_path: Path, upstream: FakeUpstream, logs: Path) -> None:
    """With no BUCKET the index is the folder `data` of the working directory."""
    with serving(Place(environ={}), logs, upstream=upstream.url, cwd=tmp_path) as server:
        assert server.upload(make_wheel("own", "1.0")).status_code == 200
    assert (tmp_path / "data" / "projects" / "own" / "own-1.0-py3-none-any.whl").is_file()


def test_options_win_over_the_environment(tmp_path: Path, upstream: FakeUpstream, logs: Path) -> None:
    """`--bucket` and `--upstream` decide, whatever the variables say."""
    place = Place(environ={"BUCKET": f"file://{tmp_path / 'not-this'}"})
    options = ["--bucket", f"file://{tmp_path / 'this'}", "--upstream", upstream.url, "--host", "127.0.0.1"]
    with serving(place, logs, upstream="http://127.0.0.1:9/simple/", options=options) as server:
        assert server.get("/simple/requests/").status_code == 200
    assert (tmp_path / "this" / "users").is_dir()
    assert not (tmp_path / "not-this").exists()


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_a_base_path_and_a_prefix(
    tool: str, tmp_path: Path, upstream: FakeUpstream, logs: Path, clients: Clients
) -> None:
    """Behind a base path and below a prefix everything works, and nothing lies beside the prefix."""
    place = Place(environ={"BUCKET": f"file://{tmp_path / 'data'}", "REPO_BASE_PREFIX": "teams/one/"})
    with serving(place, logs, upstream=upstream.url, API_GATEWAY_BASE_PATH="/pypi/v1") as server:
        assert server.url.endswith("/pypi/v1")
        assert f"{server.url}/simple/" in server.output.replace(f"{server.user.name}:{server.user.password}@", "")
        clients.upload(tool, server, make_wheel("own", "1.0", requires=["demo-library"]))
        for installer in ("pip", "uv"):
            assert clients.install(installer, server.index, "Own") == {"own": "1.0", "demo-library": "1.1"}
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["teams"]
    assert (tmp_path / "data" / "teams" / "one" / "projects" / "own").is_dir()


@on_a_folder
def test_two_workers(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Two worker processes answer as one: what one of them published, every later answer shows."""
    with serving(place, logs, upstream=upstream.url, options=["--workers", "2"]) as server:
        assert len(server.find_workers()) == 2
        for count, wheel in enumerate((make_wheel("own", f"{number}.0") for number in range(10)), start=1):
            assert server.upload(wheel).status_code == 200
            assert [len(server.get_filenames("own")) for _ in range(4)] == [count] * 4


@on_a_folder
def test_a_dead_worker_is_replaced(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """The server outlives a worker that the system killed."""
    with serving(place, logs, upstream=upstream.url, options=["--workers", "2"]) as server:
        eventually(lambda: len(server.find_workers()) == 2)  # one of them is enough to answer
        victim, other = server.find_workers()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in server.find_workers())
        eventually(lambda: len(server.find_workers()) == 2)
        assert other in server.find_workers()
        eventually(lambda: server.answers("/simple/requests/"))  # the other one may have been starting, too


@on_a_folder
@pytest.mark.parametrize("workers", ["1", "2"])
def test_interrupted(workers: str, place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Ctrl-C, which reaches the main process and its workers, ends a server that answers; nothing is waited for."""
    with serving(place, logs, upstream=upstream.url, options=["--workers", workers]) as server:
        eventually(lambda: server.answers("/simple/requests/"))
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(timeout=29) == 0  # granian would wait for 30


def test_stopped_while_it_starts(seaweedfs: S3Server, upstream: FakeUpstream, logs: Path) -> None:
    """SIGTERM ends a server whose worker is still loading: it does not go on until the store answers or fails."""
    with FaultProxy(seaweedfs) as proxy:
        answers = Event()
        answers.set()
        slow = HttpFault(method="GET", path="snapshot", hold=answers, forward=True, instead_of=599)  # for all of them
        proxy.inject(slow)
        place = Place(environ={**proxy.front.environ, "BUCKET": BUCKET, "REPO_BASE_PREFIX": uuid4().hex})
        with starting(place, logs, upstream=upstream.url) as started:
            eventually(lambda: "serving " in started.log_file.read_text())
            answers.clear()
            before = len(proxy.requests)
            eventually(lambda: sum("snapshot" in path for _, path in proxy.requests[before:]) >= 2)
            started.process.send_signal(signal.SIGTERM)
            assert started.process.wait(timeout=29) == 0  # granian would wait for 30
            answers.set()


@on_a_folder
def test_a_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    """A second server on a port ends with one sentence, and leaves an empty place empty."""
    port = server.url.rpartition(":")[2]
    other = Place(environ={"BUCKET": f"file://{tmp_path / 'other'}"})
    sentence = f"Error: invalid address '127.0.0.1:{port}': it cannot be listened on: Address already in use\n"
    assert run_command(other, "serve", "--port", port).failed(2) == sentence
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("BUCKET", "a/b", "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'"),
        ("BUCKET", "s3://", "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'"),
        ("BUCKET", "file://data", "a folder is 'file:///folder'"),
        ("REPO_BASE_PREFIX", "a/../b", "folders separated by '/', none of which is empty or begins with '.'"),
        ("UPSTREAM_INDEX_URL", "ftp://upstream.example/", "an http:// or https:// URL without query or fragment"),
        ("LOGGING_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("API_GATEWAY_BASE_PATH", "/a?b", "a path such as '/pypi'"),
        ("HASH_DIST_INFO_METADATA", "maybe", "one of 0, false, no, off, 1, true, yes, on"),
        ("MAX_STALENESS_SECONDS", "-1", "a number of seconds from 0 to 86,400"),
        ("MAX_STALENESS_SECONDS", "nan", "a number of seconds from 0 to 86,400"),
    ],
)
def test_an_invalid_setting(name: str, value: str, accepted: str, tmp_path: Path) -> None:
    """It stops the start with one sentence that names the variable, the value and what is accepted."""
    place = Place(environ={"BUCKET": f"file://{tmp_path}", name: value})
    (port,) = free_ports(1)
    output = run_command(place, "serve", f"--port={port}").failed(2)
    assert output.startswith(f"Error: invalid {name} {value!r}: ")
    assert accepted in output
    assert output.count("\n") == 1


def test_an_invalid_upstream_is_not_shown_with_its_password(tmp_path: Path) -> None:
    """A value that may hold a password is shown without it."""
    place = Place(environ={"BUCKET": f"file://{tmp_path}", "UPSTREAM_INDEX_URL": "ftp://user:secret@upstream.example/"})
    output = run_command(place, "serve").failed(2)
    assert output.startswith("Error: invalid UPSTREAM_INDEX_URL ")
    assert "secret" not in output


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that cannot be made ends the start with one sentence."""
    (tmp_path / "file").write_text("")
    (port,) = free_ports(1)
    place = Place(environ={"BUCKET": f"file://{tmp_path / 'file' / 'data'}"})
    output = run_command(place, "serve", f"--port={port}").failed(1)
    assert output.startswith("Error: the store failed: ")
    assert output.count("\n") == 1


def test_a_store_that_drops_conditions(rclone: S3Server, tmp_path: Path) -> None:
    """A store on which two uploads could overwrite each other is refused with one sentence, and left without a user."""
    (port,) = free_ports(1)
    place = Place(environ={**rclone.environ, "BUCKET": BUCKET, "REPO_BASE_PREFIX": "refused"})
    output = run_command(place, "serve", f"--port={port}").failed(1)
    assert "it ignores If-None-Match, so two uploads could overwrite each other" in output
    assert output.count("\n") == 1
    assert list(place.open().list("users/")) == []


def test_nothing_is_imported_from_the_working_directory(tmp_path: Path, upstream: FakeUpstream, logs: Path) -> None:
    """A module of a library's name, where the server is started, does no harm to any of its processes."""
    (tmp_path / "click.py").write_text("raise SystemExit('imported from the working directory')\n")
    with serving(Place(environ={}), logs, upstream=upstream.url, cwd=tmp_path) as server:
        server.await_reindexed()
        assert server.get("/simple/requests/").status_code == 200
