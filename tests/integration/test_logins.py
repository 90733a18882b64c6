"""The right password is never too much, however many requests begin with it on servers that have not seen it yet."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, local

import pytest
import requests

from tests.integration.clients import Clients
from tests.integration.commands import Place
from tests.integration.running import Server, User, serving
from tests.support.builders import upload_form
from tests.support.distributions import Distribution, make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.mirrors import PATIENCE_SECONDS

pytestmark = pytest.mark.parametrize("place", ["folder"], indirect=True)

THREADS = 16
NAMES = [f"own-{number}" for number in range(24)]
WHEELS = [make_wheel(NAMES[number % len(NAMES)], f"1.{number // len(NAMES)}") for number in range(200)]


@pytest.fixture
def fresh_server(place: Place, upstream: FakeUpstream, logs: Path) -> "Fresh":
    return Fresh(place, upstream, logs)


class Fresh:
    """Starts servers of three processes, none of which has seen a password yet."""

    def __init__(self, place: Place, upstream: FakeUpstream, logs: Path) -> None:
        self._place, self._upstream, self._logs = place, upstream, logs
        self._user: User | None = None

    @contextmanager
    def start(self) -> Iterator[Server]:
        options = ["--workers", "3"]
        place, logs, url = self._place, self._logs, self._upstream.url
        # json: that logs each request
        with serving(place, logs, upstream=url, user=self._user, options=options, LOGGING_FORMAT="json") as server:
            self._user = server.user
            yield server


class Uploader:
    """Uploads files, with a connection for each thread, all of which begin at once."""

    def __init__(self, server: Server, user: User) -> None:
        self._server, self._user = server, user
        self._gate = Barrier(THREADS, timeout=PATIENCE_SECONDS)
        self._own = local()

    def upload_all(self, wheels: list[Distribution]) -> Counter[int]:
        """Return how often which status came."""
        with ThreadPoolExecutor(THREADS, initializer=self._begin) as threads:
            return Counter(threads.map(self._upload, wheels))

    def _begin(self) -> None:
        self._own.session = requests.Session()
        self._own.session.trust_env = False
        self._own.session.auth = (self._user.name, self._user.password)
        self._gate.wait()

    def _upload(self, wheel: Distribution) -> int:
        body, content_type = upload_form(wheel)
        session: requests.Session = self._own.session
        headers = {"Content-Type": content_type}
        return session.post(f"{self._server.url}/", data=body, headers=headers, timeout=300).status_code


def _statuses(server: Server) -> set[int]:
    """Return what the server answered, by its log."""
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return {line["status"] for line in lines if "status" in line and line["path"] != "/health"}


def test_many_at_once(fresh_server: Fresh, clients: Clients) -> None:
    """16 threads upload 200 files, and uv installs 24 projects, with the password in the URL and with the name alone
    there, each at a server that has not seen it yet: not one of the answers is 429."""
    with fresh_server.start() as server:
        assert Uploader(server, server.user).upload_all(WHEELS) == {200: 200}
        assert _statuses(server) == {200}
    with fresh_server.start() as server:
        assert set(clients.install("uv", server.index, *NAMES)) == set(NAMES)
        assert _statuses(server) == {200}
    with fresh_server.start() as server:
        netrc = clients.home / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login {server.user.name} password {server.user.password}\n")
        index = server.index.replace(f":{server.user.password}@", "@")
        options = ["--index-url", index, "--target", str(clients.new_folder("target"))]
        names_alone = clients.run("uv", "pip", "install", *options, *NAMES, NETRC=str(netrc), UV_NO_CACHE="1")
        names_alone.succeeded()
        assert _statuses(server) == {200, 401}
