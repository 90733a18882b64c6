"""A store over TLS, some milliseconds away: what connecting costs, which loopback hides.

    python -m benchmarks.tls_store --target 127.0.0.1:8333 --port 9443 --certificate FILE --log FILE --latency 10

Ends TLS in front of a server, behind a relay that holds back every flight of bytes by half of the latency each way, and
a connection's first by a whole one more, as TCP's own handshake does. One line of JSON for each flight of a client's:
bytes that follow the server's, so each is a round trip. A process of its own, as `benchmarks.store_proxy`.
"""

import argparse
import asyncio
import itertools
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import orjson

PIECE_BYTES = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Holds back what goes between clients and a server."""

    target: tuple[str, int]
    latency_seconds: float
    log: TextIO
    numbers: Iterator[int]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        number, is_servers_turn = next(self.numbers), [True]
        server_reader, server_writer = await asyncio.open_connection(*self.target)

        def note_client() -> None:
            if is_servers_turn[0]:
                line = orjson.dumps({"connection": number, "at": time.monotonic()}).decode()
                self.log.write(f"{line}\n")
                self.log.flush()
            is_servers_turn[0] = False

        def note_server() -> None:
            is_servers_turn[0] = True

        half = self.latency_seconds / 2
        with suppress(ConnectionError):
            await asyncio.gather(
                _carry(reader, server_writer, note_client, half, first=self.latency_seconds),
                _carry(server_reader, writer, note_server, half),
            )


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    note: Callable[[], None],
    delay: float,
    *,
    first: float = 0.0,
) -> None:
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def receive() -> None:
        extra, data = first, b"begin"
        while data:
            data = await reader.read(PIECE_BYTES)
            if data:
                note()
            waiting.put_nowait((time.monotonic() + delay + extra, data))
            extra = 0.0

    async def send() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    await asyncio.gather(receive(), send())


async def run(target: tuple[str, int], port: int, certificate: str, log: TextIO, latency_seconds: float) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def end_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            server_reader, server_writer = await asyncio.open_connection(*target)
            await asyncio.gather(
                _carry(reader, server_writer, lambda: None, 0.0), _carry(server_reader, writer, lambda: None, 0.0)
            )

    inner = await asyncio.start_server(end_tls, "127.0.0.1", 0, ssl=context)
    address = ("127.0.0.1", inner.sockets[0].getsockname()[1])
    relay = Relay(target=address, latency_seconds=latency_seconds, log=log, numbers=itertools.count(1))
    outer = await asyncio.start_server(relay.serve, "127.0.0.1", port)
    await asyncio.gather(inner.serve_forever(), outer.serve_forever())


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Return the files of an own authority's certificate, and of this machine's with its key."""
    import trustme

    own = trustme.CA()
    root, server = folder / "authority.pem", folder / "server.pem"
    own.cert_pem.write_to_path(str(root))
    own.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server))
    return root, server


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--target", "--certificate", "--log"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, required=True, help="of a round trip, in milliseconds")
    arguments = parser.parse_args()
    host, _, port = arguments.target.partition(":")
    with open(arguments.log, "a", encoding="utf-8") as log:
        asyncio.run(run((host, int(port)), arguments.port, arguments.certificate, log, arguments.latency / 1e3))


if __name__ == "__main__":
    main()
