"""Heavy projects resolved through our index, by their metadata alone; what that costs, beside the upstream directly.

The figures are printed, for whoever runs this: `pytest -m e2e tests/e2e/test_metadata.py`.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Self

import pytest

from pypi_lambda.settings import default_upstream
from tests.e2e.conftest import Filled, copy_of
from tests.integration.clients import Clients
from tests.integration.commands import Place
from tests.integration.running import Server, serving

pytestmark = pytest.mark.e2e

HEAVY = ("torch", "tensorflow", "scipy", "pandas")
MAX_HEAD_BYTES = 65_536


class Tunnels:
    """A proxy on loopback that leads anywhere (CONNECT) or, with a target, to that only; counts what comes back.

    Args:
        target: host and port, for clients that do not know that they talk to a proxy.
    """

    def __init__(self, target: tuple[str, int] | None = None) -> None:
        self.received = 0
        self._target = target
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._connected(client) as server:
            Thread(target=self._copy, args=(client, server), daemon=True).start()
            self._copy(server, client, counted=True)

    def _connected(self, client: socket.socket) -> socket.socket:
        server = socket.create_connection(self._target or self._asked_for(client), timeout=60)
        if self._target is None:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return server

    def _asked_for(self, client: socket.socket) -> tuple[str, int]:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            head += client.recv(4_096) or b"\r\n\r\n"
        host, _, port = head.split()[1].decode().rpartition(":")
        return host, int(port)

    def _copy(self, source: socket.socket, to: socket.socket, *, counted: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if counted:
                    with self._lock:
                        self.received += len(data)
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)


@pytest.fixture
def place(filled: Filled, tmp_path: Path) -> Place:
    """An index that knows the names and nothing else."""
    return copy_of(filled, tmp_path / "data")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def internet() -> Iterator[Tunnels]:
    """What our server, or a client without it, gets from outside."""
    with Tunnels() as internet:
        yield internet


UV = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-cache")
PIP = ("--dry-run", "--ignore-installed", "--no-cache-dir", "--report=-")


def resolve(clients: Clients, tool: str, index: str, proxy: str) -> str:
    """Resolve the set for this Python, without anything that was cached, and return what the tool says."""
    source = clients.new_folder("requirements") / "requirements.in"
    source.write_text("\n".join(HEAVY))
    command = ["uv", "pip", "compile", *UV, str(source)] if tool == "uv" else ["pip", "install", *PIP, f"-r{source}"]
    options = ["--quiet", "--only-binary", ":all:", "--index-url", index]
    return clients.run(*command, *options, https_proxy=proxy).succeeded()


class Meter:
    """Runs a tool and notes what it took."""

    def __init__(self, clients: Clients, tool: str, internet: Tunnels) -> None:
        self.lines = [f"{tool}: {', '.join(HEAVY)}"]
        self._clients = clients
        self._tool = tool
        self._internet = internet

    def resolve(self, what: str, index: str, through: Tunnels, *, proxy: str = "") -> str:
        """Resolve the set.

        Args:
            through: what stands before the index.
        """
        began, outside, received = time.perf_counter(), self._internet.received, through.received
        output = resolve(self._clients, self._tool, index, proxy)
        seconds, received = time.perf_counter() - began, through.received - received
        outside = self._internet.received - outside
        self.lines.append(f"{what}: {seconds:.1f} s, {received:,} B to the client, {outside:,} B from the internet")
        return output


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_heavy_projects(
    tool: str, place: Place, logs: Path, clients: Clients, internet: Tunnels, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch, tensorflow, scipy and pandas are resolved, as uv does it without us, and no wheel is taken in for that."""
    meter, proxy = Meter(clients, tool, internet), f"http://{internet.address}"
    with serving(place, logs, upstream=default_upstream(), https_proxy=proxy) as server:
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        with Tunnels((host, int(port))) as ours:
            index = server.index.replace(f"{host}:{port}", ours.address)
            outputs = [meter.resolve(f"ours, {state}", index, ours) for state in ("cold", "warm")]
        if tool == "uv":
            outputs.append(meter.resolve("the upstream directly", default_upstream(), internet, proxy=proxy))
        else:
            # From an upstream without metadata pip would fetch all of these, which is no test's business.
            meter.lines.append(f"these wheels have {wheel_bytes(server, outputs[0]):,} B")
    with capsys.disabled():
        print("", *meter.lines, sep="\n  ")  # noqa: T201  # figures for whoever reads the output
    assert set(outputs) == {outputs[0]}
    stored = [stat.key for stat in place.open().list("cache/")]
    assert len(stored) > len(HEAVY)
    assert [key for key in stored if not key.endswith(".metadata")] == []


def wheel_bytes(server: Server, report: str) -> int:
    """Return how long the wheels of pip's report are together."""
    chosen = [(each["metadata"]["name"], each["download_info"]["url"]) for each in json.loads(report)["install"]]
    sizes = [
        file.get("size", 0)
        for name, url in chosen
        for file in server.get_page(re.sub(r"[-_.]+", "-", name).lower())["files"]
        if url.endswith(f"/{file['url'].rpartition('/')[2]}")
    ]
    assert len(sizes) == len(chosen)
    return sum(sizes)
