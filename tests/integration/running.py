"""The real server as a process of its own, and what a test does to it from outside."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.commands import Place, clean_environ
from tests.integration.processes import find_group
from tests.support.distributions import Distribution
from tests.support.servers import free_ports, program

START_SECONDS = 300  # it takes half a second, on a machine that runs nothing else
EVENTUALLY_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of the index."""

    name: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server of the index at `place`; `url` has the base path and no slash at its end, `user` may upload."""

    place: Place
    url: str
    user: User
    process: "subprocess.Popen[bytes]"
    output_file: Path
    log_file: Path

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def index(self) -> str:
        """The index URL, with the user's credentials."""
        return self.index_of(self.user)

    def index_of(self, user: User) -> str:
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{user.name}:{user.password}@{rest}/simple/"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """GET as the user."""
        return self.request("GET", path, user=self.user, **arguments)

    def answers(self, path: str) -> bool:
        """Tell whether a GET of the user succeeds."""
        try:
            return self.get(path).status_code == 200
        except requests.ConnectionError:
            return False

    def request(self, method: str, path: str, *, user: User | None, **arguments: Any) -> requests.Response:
        """Send a request and follow redirects; `path` is below the base path."""
        with requests.Session() as session:
            session.trust_env = False
            auth = (user.name, user.password) if user else None
            return session.request(method, self.url + path, auth=auth, timeout=300, **arguments)

    def get_page(self, name: str) -> dict[str, Any]:
        """Return a project's page."""
        response = self.get(f"/simple/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        return page

    def get_filenames(self, name: str) -> list[str]:
        """Return the names of a project's files."""
        return [file["filename"] for file in self.get_page(name)["files"]]

    def upload(self, distribution: Distribution) -> requests.Response:
        """Upload a file as a client does, but at once."""
        form = {
            ":action": "file_upload",
            "protocol_version": "1",
            "metadata_version": "2.1",
            "name": distribution.project,
            "version": distribution.filename.split("-")[1].removesuffix(".tar.gz"),
            "filetype": "sdist" if distribution.filename.endswith(".tar.gz") else "bdist_wheel",
            "sha256_digest": distribution.sha256,
        }
        files = {"content": (distribution.filename, distribution.content)}
        return self.request("POST", "/", user=self.user, data=form, files=files)

    def find_processes(self) -> dict[int, str]:
        """Return the command lines of its processes, by id."""
        return find_group(self.process.pid)

    def find_workers(self) -> list[int]:
        """Return the ids of the processes that answer."""
        others = ("reindex", "resource_tracker")
        return [
            pid
            for pid, arguments in self.find_processes().items()
            if pid != self.process.pid and not any(other in arguments for other in others)
        ]

    def await_reindexed(self) -> None:
        """Return when the upstream's list of projects has been read."""
        eventually(lambda: "reindexed: " in self.log)

    def kill(self) -> None:
        """SIGKILL all of its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A server process that may not answer yet."""

    url: str
    process: "subprocess.Popen[bytes]"
    output_file: Path
    log_file: Path


@contextmanager
def starting(
    place: Place, logs: Path, *, upstream: str, options: Sequence[str] = (), cwd: Path | None = None, **environ: str
) -> Iterator[Started]:
    """Run `serverless-pypi serve` while the block runs, then end it and make sure that it reported no bug.

    Args:
        logs: an existing folder for what it prints.
        upstream: the URL of the upstream.
        options: more options of the command.
        environ: more environment variables.
    """
    (port,) = free_ports(1)
    folder = Path(tempfile.mkdtemp(dir=logs, prefix="serve-"))
    command = [program("serverless-pypi"), "serve", f"--port={port}", *options]
    with (folder / "output").open("wb") as output, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            cwd=cwd,
            env=clean_environ({**place.environ, "UPSTREAM_INDEX_URL": upstream, **environ}),
            start_new_session=True,  # so that its children can be ended with it
        )
        try:
            yield Started(
                url=f"http://127.0.0.1:{port}{environ.get('API_GATEWAY_BASE_PATH', '')}",
                process=process,
                output_file=folder / "output",
                log_file=folder / "log",
            )
        finally:
            _end(process)
            # pytest shows this with a test that failed.
            print((folder / "output").read_text(), (folder / "log").read_text())  # noqa: T201
    assert process.returncode in (0, -signal.SIGKILL)
    assert "Traceback" not in (folder / "log").read_text()


@contextmanager
def serving(
    place: Place,
    logs: Path,
    *,
    upstream: str,
    user: User | None = None,
    options: Sequence[str] = (),
    cwd: Path | None = None,
    **environ: str,
) -> Iterator[Server]:
    """Like `starting`, but the block begins when the server answers.

    Args:
        user: who it knows from an earlier start; without, the password that it prints is read.
    """
    with starting(place, logs, upstream=upstream, options=options, cwd=cwd, **environ) as started:
        _await_answer(started)
        yield Server(
            place=place,
            url=started.url,
            user=user or _printed_user(started.output_file.read_text()),
            process=started.process,
            output_file=started.output_file,
            log_file=started.log_file,
        )


def _await_answer(started: Started) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with requests.Session() as session:
                session.trust_env = False
                assert session.get(f"{started.url}/health", timeout=START_SECONDS).json()["seq"] >= 0
        except requests.ConnectionError:
            if started.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{started.log_file.read_text()}")
            time.sleep(0.02)
        else:
            return


def _printed_user(output: str) -> User:
    found = re.search(r"^    username  (\S+)\n    password  (\S+)$", output, re.MULTILINE)
    assert found is not None, output
    return User(name=found[1], password=found[2])


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=40)
    finally:
        with suppress(ProcessLookupError):  # as it should be: nothing is left of it
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def eventually(condition: Callable[[], bool]) -> None:
    """Return when the condition, on what another process does, is true."""
    deadline = time.monotonic() + EVENTUALLY_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
