"""A small WSGI application that does what the index does to a server, and the two servers that can run it.

    python -m benchmarks.servers_app granian 127.0.0.1 8080 some-large-file

PEP 3333.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

THREADS = 8
CHUNK_BYTES = 1_048_576
SMALL, LARGE = b"s" * 5_000, b"l" * 500_000


def build(large_file: Path) -> "WSGIApplication":
    """Return the application; what happened to bodies is kept, and shown by `/events`."""
    events: list[str] = []

    def file() -> Iterator[bytes]:
        sent = 0
        try:
            with large_file.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    yield chunk
                    sent += len(chunk)
        finally:
            events.append(f"download closed after {'all' if sent == large_file.stat().st_size else 'some'}")

    def slow() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * 1_000
            time.sleep(0.2)

    def upload(environ: "WSGIEnvironment", pause_seconds: float) -> bytes:
        time.sleep(pause_seconds)
        received = 0
        try:
            while chunk := environ["wsgi.input"].read(CHUNK_BYTES):
                received += len(chunk)
        except Exception as error:
            events.append(f"upload raised {type(error).__name__}")
            raise
        whole = str(received) == environ.get("CONTENT_LENGTH", str(received))
        events.append(f"upload ended {'whole' if whole else 'short, without an error'}")
        return json.dumps({"received": received}).encode()

    def echo(environ: "WSGIEnvironment") -> bytes:
        keys = (
            "REQUEST_METHOD",
            "SCRIPT_NAME",
            "PATH_INFO",
            "QUERY_STRING",
            "CONTENT_LENGTH",
            "REMOTE_ADDR",
            "HTTP_X_TWICE",
        )
        shown = {key: environ.get(key) for key in keys}
        return json.dumps({**shown, "pid": os.getpid(), "threads": threading.active_count()}).encode()

    bodies: dict[str, Callable[[WSGIEnvironment], bytes | Iterator[bytes]]] = {
        "/small": lambda _: SMALL,
        "/large": lambda _: LARGE,
        "/file": lambda _: file(),
        "/slow": lambda _: slow(),
        "/upload": partial(upload, pause_seconds=0.0),
        "/late-upload": partial(upload, pause_seconds=2.0),
        "/events": lambda _: json.dumps(events).encode(),
        "/refuse": lambda _: b"no",
    }
    lengths = {"/file": large_file.stat().st_size, "/slow": 10_000}

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        body = bodies.get(path, echo)(environ)
        length = len(body) if isinstance(body, bytes) else lengths[path]
        status = "413 Content Too Large" if path == "/refuse" else "200 OK"
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(length))])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [body] if isinstance(body, bytes) else body

    return app


def serve_granian(host: str, port: int, large_file: Path, workers: int) -> None:
    """Serve until SIGTERM."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    server: Any = Granian(
        "servers_app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=workers,
        blocking_threads=THREADS,
        websockets=False,
    )
    server.serve(target_loader=partial(build, large_file), wrap_loader=False)


def serve_waitress(host: str, port: int, large_file: Path, workers: int) -> None:
    """Serve until SIGTERM; it has no workers."""
    from waitress import serve

    assert workers == 1
    serve(build(large_file), host=host, port=port, threads=THREADS)


SERVERS: dict[str, Callable[[str, int, Path, int], None]] = {"granian": serve_granian, "waitress": serve_waitress}

if __name__ == "__main__":
    name, host, port, path, *rest = sys.argv[1:]
    SERVERS[name](host, int(port), Path(path), int(rest[0]) if rest else 1)
