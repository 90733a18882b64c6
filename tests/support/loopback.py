"""An HTTP server on 127.0.0.1 whose answers are a function: for what tests and benchmarks stand in for."""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Lock, Thread
from typing import Self

MAX_BODY_BYTES = 134_217_728  # 128 MiB: far above every limit that is to be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it came.

    Attributes:
        target: path and query, as sent.
        headers: as sent, in their order and case.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The path as sent, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as sent."""
        return self.target.partition("?")[2]

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers by lower-case name, repeated ones joined by commas."""
        fields: dict[str, str] = {}
        for name, value in self.headers:
            lower = name.lower()
            fields[lower] = f"{fields[lower]},{value}" if lower in fields else value
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response; its Content-Length is added."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Loopback:
    """Listens while it is entered.

    Args:
        answer: returns the response to a request, or None to break the connection; called in a thread per connection.
    """

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse | None]) -> None:
        self._handler = _handler(answer)
        self._open: set[socket.socket] = set()
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        _shut(self._listener)
        self._thread.join()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return f"http://{self.address}"

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:  # shut down
                return
            with self._lock:
                self._open.add(connection)
            Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            with suppress(OSError):  # clients that give up, or are killed, are part of the tests
                self._handler(connection, address, None)  # type: ignore[arg-type]  # it asks nothing of its server
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _handler(answer: Callable[[HttpRequest], HttpResponse | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY_BYTES:
                raise ConnectionError("a body too long for any test")
            request = HttpRequest(
                method=self.command,
                target=self.path,
                headers=tuple(self.headers.items()),
                body=self.rfile.read(length),
            )
            response = answer(request)
            if response is None:
                self.close_connection = True
                return
            self.send_response_only(response.status)
            for name, value in response.headers:
                self.send_header(name, value)
            if not any(name.lower() == "content-length" for name, _ in response.headers):
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD" and response.status != 304:
                self.wfile.write(response.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815  # names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    return Handler
