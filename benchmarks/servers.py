"""Which WSGI server `serve` should use: speed, memory and manners of the candidates, side by side.

    pip install granian waitress && python -m benchmarks.servers

Every candidate runs alone, in a process of its own on loopback, and is stopped by its id. `wrk` is used where it is
installed. Linux only: memory is read from /proc. Prints a Markdown table; takes about a minute.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.servers_app import SERVERS

HOST = "127.0.0.1"
FILE_BYTES = 200 * 1_048_576
SECONDS = 4  # of load per page
CONNECTIONS = 4
PATIENCE_SECONDS = 10.0  # for any single answer
START_SECONDS = 20.0


@contextmanager
def running(name: str, large_file: Path, workers: int = 1) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a candidate until it answers, and stop it in the end."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.servers_app", name, HOST, str(port), str(large_file), str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ask(port, "GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200"):
            assert process.poll() is None, f"{name} ended at once"
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def connect(port: int) -> socket.socket:
    """Open a connection on which nothing lasts longer than our patience."""
    return socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the server closes, or falls silent for a second."""
    received = b""
    connection.settimeout(1.5)
    with suppress(OSError):
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def ask(port: int, request: str | bytes) -> bytes:
    """Send raw bytes and return all that comes back, nothing when the connection fails."""
    with suppress(OSError), connect(port) as connection:
        with suppress(OSError):
            connection.sendall(request.encode("latin-1") if isinstance(request, str) else request)
        return read_all(connection)
    return b""


def status(answer: bytes) -> str:
    """Return a raw answer's status line, without the protocol."""
    return answer.partition(b"\r\n")[0].partition(b" ")[2].decode("latin-1") or "closed without an answer"


def get(path: str, headers: str = "Connection: close") -> str:
    """Return the text of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n"


def body(answer: bytes) -> bytes:
    """Return what follows the head of a raw answer."""
    return answer.partition(b"\r\n\r\n")[2]


def events(port: int) -> list[str]:
    """Return what the application noted about bodies."""
    found: list[str] = json.loads(body(ask(port, get("/events"))))
    return found


def family(pid: int) -> list[int]:
    """Return a process and its children's ids."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def peak_megabytes(pid: int) -> float:
    """Return the highest resident size of the family's largest process since it was last forgotten."""
    found = [re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{one}/status").read_text()) for one in family(pid)]
    return max(int(match[1]) for match in found if match) / 1_024


def forget_peak(pid: int) -> None:
    """Begin to look for the peak anew."""
    for one in family(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")


def requests_per_second(port: int, path: str) -> float:
    """Return what a few connections get in a few seconds."""
    if wrk := shutil.which("wrk"):
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", f"http://{HOST}:{port}{path}"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 20, check=True).stdout
        return float(re.findall(r"Requests/sec:\s+([0-9.]+)", output)[0])
    from http.client import HTTPConnection

    connection, count, end = HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS), 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        connection.request("GET", path)
        connection.getresponse().read()
        count += 1
    return count / SECONDS


def download(port: int) -> float:
    """Read the large file and return the MB/s."""
    began = time.perf_counter()
    with connect(port) as connection:
        connection.sendall(get("/file").encode())
        received, buffer = 0, bytearray(262_144)
        while count := connection.recv_into(buffer):
            received += count
    assert received > FILE_BYTES
    return FILE_BYTES / 1e6 / (time.perf_counter() - began)


def upload(port: int, large_file: Path, path: str = "/upload", *, chunked: bool = False) -> float:
    """Send the large file and return the MB/s."""
    began = time.perf_counter()
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {FILE_BYTES}"
    with connect(port) as connection, large_file.open("rb") as source:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}\r\n\r\n".encode())
        while chunk := source.read(262_144):
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        connection.settimeout(PATIENCE_SECONDS)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    assert json.loads(body(answer)) == {"received": FILE_BYTES}, answer
    return FILE_BYTES / 1e6 / (time.perf_counter() - began)


def stall(port: int) -> None:
    """Ask for the large file, read its beginning and let the server wait."""
    with connect(port) as connection:
        connection.sendall(get("/file").encode())
        connection.recv(65_536)
        time.sleep(2)


def speed(name: str, large_file: Path) -> dict[str, str]:
    """Measure one worker's throughput and memory."""
    rows = {}
    with running(name, large_file) as (port, process):
        rows["memory at rest, largest process"] = f"{peak_megabytes(process.pid):,.0f} MB"
        rows["requests/s, 5 KB"] = f"{requests_per_second(port, '/small'):,.0f}"
        rows["requests/s, 500 KB"] = f"{requests_per_second(port, '/large'):,.0f}"
    works: dict[str, Callable[[int], float | None]] = {
        "200 MB download": download,
        "200 MB download, client stops reading": stall,
        "200 MB upload": lambda port: upload(port, large_file),
        "200 MB upload, chunked": lambda port: upload(port, large_file, chunked=True),
        "200 MB upload, read only 2 s later": lambda port: upload(port, large_file, "/late-upload"),
    }
    for title, work in works.items():
        with running(name, large_file) as (port, process):
            before = peak_megabytes(process.pid)
            forget_peak(process.pid)
            rate = work(port)
            growth = peak_megabytes(process.pid) - before
            rows[title] = f"{f'{rate:,.0f} MB/s, ' if rate else ''}memory +{growth:,.0f} MB"
    return rows


def two_workers(name: str, large_file: Path) -> dict[str, str]:
    """Measure what a second process gains."""
    if name != "granian":
        return {"requests/s, 5 KB, two workers": "has no workers"}
    with running(name, large_file, workers=2) as (port, _):
        pids = {json.loads(body(ask(port, get("/who"))))["pid"] for _ in range(20)}
        return {"requests/s, 5 KB, two workers": f"{requests_per_second(port, '/small'):,.0f}, {len(pids)} answered"}


def cut_short(port: int) -> dict[str, str]:
    """Break off an upload and a download in the middle."""
    before = len(events(port))
    with connect(port) as connection:
        connection.sendall(f"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {FILE_BYTES}\r\n\r\n".encode())
        connection.sendall(b"x" * 1_000_000)
    time.sleep(1)
    uploads = events(port)[before:]
    with connect(port) as connection:
        connection.sendall(get("/file").encode())
        connection.recv(65_536)
    time.sleep(1)
    downloads = events(port)[before + len(uploads) :]
    return {
        "client leaves during an upload": "; ".join(uploads) or "the application is never called",
        "client leaves during a download": "; ".join(downloads) or "the iterator is not closed",
    }


def manners(name: str, large_file: Path) -> dict[str, str]:
    """Ask odd things and tell what happened."""
    put = "PUT /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    with running(name, large_file) as (port, _):
        paths = ["/a%2Bb", "/a%2Fb", "/a%zz", "/a%ff", "/a%C3%A9", "//a/../b", "http://h/a"]
        echoes = {path: ask(port, get(path)) for path in paths}
        twice = ask(port, get("/small", "X: 1") + get("/small"))
        small = ask(port, get("/small"))
        refused = ask(port, f"PUT /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: {FILE_BYTES}\r\n\r\n{'x' * 300_000}")
        named = ", ".join(sorted(set(re.findall(r"(?im)^(date|server):", small.decode().lower()))))
        return {
            "HEAD": "no body" if not body(ask(port, "HEAD /small HTTP/1.1\r\nHost: x\r\n\r\n")) else "sends a body",
            "keep-alive, two requests at once": f"{twice.count(b'HTTP/1.1 200')} answers",
            "headers of its own": named,
            "malformed request line": status(ask(port, "NONSENSE\r\n\r\n")),
            "no Host": status(ask(port, "GET /small HTTP/1.1\r\nConnection: close\r\n\r\n")),
            "one header of 100 KB": status(ask(port, get("/small", f"X: {'x' * 100_000}\r\nConnection: close"))),
            "one header of 1 MB": status(ask(port, get("/small", f"X: {'x' * 1_000_000}\r\nConnection: close"))),
            "200 headers": status(ask(port, get("/small", "X: x\r\n" * 200 + "Connection: close"))),
            "path of 100 KB": status(ask(port, get(f"/{'x' * 100_000}"))),
            "Expect: 100-continue": status(ask(port, f"{put}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")),
            "chunked body": body(ask(port, f"{put}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")).decode(),
            "Content-Length and chunked": status(
                ask(port, f"{put}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            ),
            "malformed chunk": status(ask(port, f"{put}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")),
            "Content-Length: -1": status(ask(port, f"{put}Content-Length: -1\r\n\r\n")),
            "answer before the body was read": status(refused),
            **cut_short(port),
            **{f"PATH_INFO of `{path}`": shown_path(echo) for path, echo in echoes.items()},
        }


def shown_path(echo: bytes) -> str:
    """Return the PATH_INFO that the application saw, or the status when it was not asked."""
    if not echo.startswith(b"HTTP/1.1 200"):
        return status(echo)
    return f"`{json.loads(body(echo))['PATH_INFO']!r}`"


def stopping(name: str, large_file: Path) -> dict[str, str]:
    """Send SIGTERM while an answer of two seconds is on its way."""
    with running(name, large_file) as (port, process), connect(port) as connection:
        connection.sendall(get("/slow").encode())
        answer = connection.recv(65_536)
        os.kill(process.pid, signal.SIGTERM)
        began = time.perf_counter()
        answer += read_all(connection)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        seconds = time.perf_counter() - began
        whole = "whole" if len(body(answer)) == 10_000 else f"cut at {len(body(answer)):,} of 10,000 bytes"
        return {"SIGTERM during an answer of 2 s": f"answer {whole}; exit {process.poll()} after {seconds:.1f} s"}


def started_twice(name: str, large_file: Path) -> dict[str, str]:
    """Start a second server on a port that is taken."""
    with running(name, large_file) as (port, _):
        command = [sys.executable, "-m", "benchmarks.servers_app", name, HOST, str(port), str(large_file)]
        second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            outcome = f"exit {second.wait(3)}"
        except subprocess.TimeoutExpired:
            outcome = "both run and share the connections"
            second.terminate()
            second.wait(PATIENCE_SECONDS)
        return {"a second one on the same port": outcome}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        large_file = Path(folder) / "large"
        with large_file.open("wb") as target:
            for _ in range(200):
                target.write(os.urandom(1_048_576))
        parts = (speed, two_workers, manners, stopping, started_twice)
        columns = {name: {k: v for part in parts for k, v in part(name, large_file).items()} for name in SERVERS}
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for row in next(iter(columns.values())):
        print(f"| {row} | {' | '.join(column[row] for column in columns.values())} |")


if __name__ == "__main__":
    main()
