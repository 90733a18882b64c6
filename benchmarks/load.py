"""Requests as a client sends them, one by one to see what comes back, and as many as possible to see how fast.

The load comes from wrk (Debian's package) where it is installed: it is written in C and takes little of the machine
that it shares with the server. Else a few threads send what they can; they are slower than most of the servers, so the
results say which it was.
"""

import gzip
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from benchmarks.processes import HOST
from benchmarks.stats import quantile

CONNECTIONS = 4
PATIENCE_SECONDS = 15.0  # for any single answer; the slowest server here takes one second

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class BadAnswer(Exception):
    """A server answered something else than what its speed is to be measured with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; the body without its compression."""

    content_type: str
    encoding: str
    bytes_sent: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What a server did under load; latencies in milliseconds, None where there were too few requests to tell."""

    requests: int
    seconds: float
    p50: float | None
    p90: float | None
    p99: float | None

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def ask(port: int, path: str, headers: Mapping[str, str], *, seconds: float = PATIENCE_SECONDS) -> Answer:
    """Return the answer to one GET request.

    Args:
        seconds: for how long a silent server is waited for.

    Raises:
        BadAnswer: it is not a success, or none came.
    """
    connection = HTTPConnection(HOST, port, timeout=seconds)
    try:
        connection.request("GET", path, headers={**headers})
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise BadAnswer(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    encoding = response.headers.get("Content-Encoding", "")
    if response.status != 200:
        raise BadAnswer(f"{path}: {response.status} {body[:200]!r}")
    return Answer(
        content_type=response.headers.get("Content-Type", ""),
        encoding=encoding or "none",
        bytes_sent=len(body),
        body=gzip.decompress(body) if encoding == "gzip" else body,
    )


def client() -> str:
    """Return what sends the load, with its version."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return "threads"
    # It prints its version with its usage and calls that a failure.
    said = subprocess.run([wrk, "-v"], capture_output=True, text=True, timeout=10, check=False).stdout
    return " ".join(said.split()[:2])


def load(port: int, path: str, headers: Mapping[str, str], *, seconds: float) -> Throughput:
    """Ask for one page for so long, over a few connections that are kept open.

    Raises:
        BadAnswer: an answer was not a success, or none came in time.
    """
    wrk = shutil.which("wrk")
    return _threads(port, path, headers, seconds) if wrk is None else _wrk(wrk, port, path, headers, seconds)


def wrk_command(wrk: str, port: int, path: str, headers: Mapping[str, str], seconds: float) -> list[str]:
    """Return the command line of the load."""
    written = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    limits = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", f"--timeout={PATIENCE_SECONDS:.0f}s", "--latency"]
    return [wrk, *limits, *written, f"http://{HOST}:{port}{path}"]


def _wrk(wrk: str, port: int, path: str, headers: Mapping[str, str], seconds: float) -> Throughput:
    command = wrk_command(wrk, port, path, headers, seconds)
    limit = seconds + 2 * PATIENCE_SECONDS
    said = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False).stdout
    counted = re.search(r"(\d+) requests in ([0-9.]+)(us|ms|s|m),", said)
    faults = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", said)
    # Whether a read error is a fault: a server that closes each connection after its answer gives wrk some.
    if counted is None or (faults and not faults[0].startswith("Socket")) or int(counted[1]) == 0:
        raise BadAnswer(f"{path}: {faults[0] if faults else 'no answer under load'}")
    latencies = {share: float(value) * _UNITS[unit] for share, value, unit in _LATENCY.findall(said)}
    return Throughput(
        requests=int(counted[1]),
        seconds=float(counted[2]) * _UNITS[counted[3]] / 1e3,
        p50=latencies.get("50"),
        p90=latencies.get("90"),
        p99=latencies.get("99"),
    )


_LATENCY = re.compile(r"^\s+(50|90|99)%\s+([0-9.]+)(us|ms|s|m)$", re.MULTILINE)


def _threads(port: int, path: str, headers: Mapping[str, str], seconds: float) -> Throughput:
    began = time.perf_counter()
    latencies: list[float] = []
    faults: list[str] = []

    def work() -> None:
        connection = HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS)
        while time.perf_counter() < began + seconds and not faults:
            sent = time.perf_counter()
            try:
                connection.request("GET", path, headers={**headers})
                response = connection.getresponse()
                response.read()
            except (OSError, HTTPException) as error:
                faults.append(f"{path}: {type(error).__name__}: {error}")
                return
            if response.status != 200:
                faults.append(f"{path}: {response.status}")
            latencies.append((time.perf_counter() - sent) * 1e3)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if faults:
        raise BadAnswer(faults[0])
    p50, p90, p99 = (quantile(latencies, share) for share in (0.5, 0.9, 0.99))
    return Throughput(requests=len(latencies), seconds=time.perf_counter() - began, p50=p50, p90=p90, p99=p99)
