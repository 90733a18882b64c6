"""Cold containers: the function's code as its zip unpacks, AWS's runtime client, and what /proc tells of a process.

Everything is read from outside: no handler knows that it is measured. Linux only. proc(5), cgroups(7).
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import orjson

from benchmarks.data import PASSWORD, USERNAME, code_digest, kept
from benchmarks.processes import free_port, listens, running
from benchmarks.report import ROOT
from deploy.bytecode import compile_all
from tests.aws.event_builders import function_url
from tests.aws.lambda_code import build_code
from tests.aws.lambda_environment import Environment, Function, make_runtime
from tests.aws.lambda_invocations import Invocation
from tests.support.builders import basic
from tests.support.servers import S3Server

BASELINES = ROOT / "benchmarks" / "baselines"
FASTAPI = ROOT / ".venv-bench" / "fastapi-mangum"
INSTALL_SECONDS = 300
PERIOD_MICROSECONDS = 20_000  # what quota and period are set to in Lambda's own sandboxes, as guests can see
_CPU_GROUP = Path("/sys/fs/cgroup/cpu")


class NoCpuLimit(Exception):
    """This machine does not let this process limit another's processor time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A request that came to the store, by the clock that `time.monotonic` reads."""

    method: str
    path: str
    status: int
    bytes: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One cold container until its first answer.

    Attributes:
        init_ms: from the start of the process until it asked for work.
        init_cpu_ms: processor time of all of its threads until then.
        first_ms: from the first event until its answer; None without one.
        rss_kb: the most memory it ever held resident until then.
        requests: what came to the store, where a proxy looked on.
    """

    init_ms: float
    init_cpu_ms: float
    rss_kb: int
    spawned: float
    ready: float
    first_ms: float | None = None
    first_cpu_ms: float | None = None
    status: int | None = None
    log: str = ""
    requests: tuple[StoreRequest, ...] = ()


@dataclass(slots=True)
class StoreProxy:
    """A running `benchmarks.store_proxy`; its `ports` are by latency in milliseconds."""

    ports: Mapping[float, int]
    log: Path
    _offset: int = field(default=0)

    def endpoint(self, latency_ms: float) -> str:
        """Return the URL of the store behind this latency."""
        return f"http://127.0.0.1:{self.ports[latency_ms]}"

    def read_new(self) -> tuple[StoreRequest, ...]:
        """Return the requests since the last call."""
        with self.log.open("rb") as file:
            file.seek(self._offset)
            lines = file.read()
        self._offset += len(lines)
        return tuple(StoreRequest(**orjson.loads(line)) for line in lines.splitlines())


@contextmanager
def store_proxy(
    server: S3Server, latencies_ms: tuple[float, ...], folder: Path, *, per_second: int = 0
) -> Iterator[StoreProxy]:
    """Run a proxy in front of a store."""
    ports = {latency: free_port() for latency in latencies_ms}
    log = folder / "store-requests.jsonl"
    log.touch()
    command = [sys.executable, "-m", "benchmarks.store_proxy", "--target", server.endpoint.removeprefix("http://")]
    command += ["--log", str(log), "--per-second", str(per_second)]
    for latency, port in ports.items():
        command += ["--port", str(port), "--latency", str(latency)]
    last = max(ports.values(), key=list(ports.values()).index)
    with running(command, environ={}, folder=ROOT, log=folder / "proxy.txt", is_ready=lambda: listens(last)):
        yield StoreProxy(ports=ports, log=log)


def sequential(requests: tuple[StoreRequest, ...]) -> int:
    """Return how many round trips one after another these are: the longest chain in which none overlaps the next."""
    count, end = 0, float("-inf")
    for request in sorted(requests, key=lambda request: request.ended):
        if request.began >= end:
            count, end = count + 1, request.ended
    return count


def our_code() -> Path:
    """Return the unpacked zip of the product, built for this interpreter."""
    digest = code_digest("indexer", "pypi_lambda", "deploy", "tests/aws/lambda_code.py")

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.move(build_code(Path(folder)), path)

    return kept(f"code-{digest}", make)


def runtime() -> Path:
    """Return a folder with what the managed runtime brings, compiled as it is there."""
    digest = code_digest("tests/aws/lambda_environment.py")

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(make_runtime(Path(folder)), path, ignore=shutil.ignore_patterns("__pycache__"))
        compile_all(sys.executable, path)

    return kept(f"runtime-{digest}", make)


def baseline_code(name: str) -> tuple[Path, ...]:
    """Return the folders of a baseline's code."""
    digest = code_digest("benchmarks/baselines")

    def make(path: Path) -> None:
        path.mkdir()
        shutil.copy(BASELINES / f"{name}.py", path)
        if name == "fetch":
            shutil.copytree(our_code() / "obstore", path / "obstore")
        compile_all(sys.executable, path)

    code = kept(f"baseline-{name}-{digest}", make)
    return (code, _fastapi()) if name == "fastapi_mangum" else (code,)


def _packages(environment: Path) -> str:
    return sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})


def _fastapi() -> Path:
    packages = Path(_packages(FASTAPI))
    if not (packages / "mangum").exists():
        venv.create(FASTAPI, with_pip=True)
        command = [str(FASTAPI / "bin" / "python"), "-m", "pip", "install", "--quiet", "fastapi", "mangum"]
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS)
        compile_all(sys.executable, packages)
    return packages


def read_baseline_versions() -> Mapping[str, str]:
    """Return the versions of what the baselines import, wherever each takes it from."""
    _fastapi()
    found = {}
    for folder, packages in {
        FASTAPI: ("fastapi", "mangum", "starlette", "pydantic"),
        None: ("boto3", "botocore"),
    }.items():
        path = [_packages(folder)] if folder else sys.path
        for package in packages:
            found[package] = next(iter(metadata.distributions(name=package, path=path))).version
    return found


def store_environ(server: S3Server, endpoint: str, prefix: str, bucket: str) -> Mapping[str, str]:
    """Return the settings of a function over this store."""
    return {**server.environ, "AWS_ENDPOINT_URL": endpoint, "BUCKET": bucket, "REPO_BASE_PREFIX": prefix}


def page_event(project: str) -> bytes:
    """Return the event of pip asking for a project's page, with a password."""
    headers = [
        ("Authorization", basic(USERNAME, PASSWORD)),
        (
            "Accept",
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
        ),
        ("Accept-Encoding", "gzip, deflate"),
    ]
    return json.dumps(function_url(path=f"/simple/{project}/", headers=headers)).encode()


@contextmanager
def cpu_limit(cpus: float | None) -> Iterator[tuple[str, ...]]:
    """Yield a command's prefix under which it gets this share of a processor, by a cgroup's quota.

    Raises:
        NoCpuLimit: no cgroup of version 1 can be made here.
    """
    if cpus is None:
        yield ()
        return
    group = _CPU_GROUP / f"cold-start-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(round(PERIOD_MICROSECONDS * cpus)))
    except OSError as fault:
        raise NoCpuLimit(str(fault)) from fault
    try:
        yield ("/bin/sh", "-c", f'echo $$ > {group / "cgroup.procs"}; exec "$@"', "sh")
    finally:
        group.rmdir()


_numbers = itertools.count(1)


def start(function: Function, folder: Path, *, event: bytes | None = None, proxy: StoreProxy | None = None) -> Start:
    """Start a container, have it answer an event, and end it."""
    log = folder / f"container-{next(_numbers)}.txt"
    environment = Environment(function, id="1", generation=1, log=log)
    spawned = time.monotonic()
    environment.start()
    try:
        ready = time.monotonic()
        if environment.init_seconds is None:
            raise RuntimeError(log.read_text("utf-8", "replace"))
        done = Start(
            init_ms=environment.init_seconds * 1e3,
            init_cpu_ms=_cpu_ms(environment.pid),
            rss_kb=_peak_kb(environment.pid),
            spawned=spawned,
            ready=ready,
        )
        if event is not None:
            done = _answered(environment, event, done)
    finally:
        environment.close()
    return replace(done, log=log.read_text("utf-8", "replace"), requests=proxy.read_new() if proxy else ())


def _answered(environment: Environment, event: bytes, done: Start) -> Start:
    began = time.perf_counter()
    outcome = environment.invoke(Invocation(id="1", payload=event))
    elapsed = time.perf_counter() - began
    answer = json.loads(outcome.payload)
    if outcome.error is not None or answer["statusCode"] >= 400:
        raise RuntimeError(f"{outcome.payload[:500]!r}\n{environment.read_log()}")
    return replace(
        done,
        first_ms=elapsed * 1e3,
        first_cpu_ms=_cpu_ms(environment.pid) - done.init_cpu_ms,
        status=answer["statusCode"],
    )


def _cpu_ms(pid: int) -> float:
    # What clock_getcpuclockid(3) returns on Linux: the time of all the process's threads, ended ones included.
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e6


def _peak_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
