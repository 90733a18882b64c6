"""A loopback proxy in front of an S3 server: adds the latency that loopback hides, limits requests, and lists them.

    python -m benchmarks.store_proxy --target 127.0.0.1:8333 --log FILE --port 9000 --latency 10 [--per-second 5500]

A process of its own, so that it takes no turns with whoever measures. One line of JSON for each request, with times of
CLOCK_MONOTONIC, which all processes share. The latency is added once for each request, not for each new connection:
TCP and TLS to real S3 cost two or three more before a container's first one.

RFC 9112 (HTTP/1.1 messages); "Optimizing Amazon S3 performance": 5,500 GET a second per partitioned prefix, 503
SlowDown beyond.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

import orjson

MAX_HEAD_BYTES = 65_536
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 49\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message/></Error>   "
)


class Proxy:
    """Forwards requests, one connection to the server for each of a client's."""

    def __init__(self, target: tuple[str, int], latency_seconds: float, per_second: int, log: TextIO) -> None:
        self._target = target
        self._latency_seconds = latency_seconds
        self._per_second = per_second
        self._log = log
        self._second, self._count = 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            target_reader, target_writer = await asyncio.open_connection(*self._target, limit=MAX_HEAD_BYTES)
            try:
                while True:
                    await self._forward(reader, writer, target_reader, target_writer)
            finally:
                target_writer.close()
        with suppress(ConnectionError):
            writer.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target_writer: asyncio.StreamWriter,
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        began = time.monotonic()
        method, path, _ = head.split(b" ", 2)
        body = await reader.readexactly(int(_fields(head).get("content-length", "0")))
        await asyncio.sleep(self._latency_seconds)
        if self._is_over_the_limit(began):
            writer.write(SLOW_DOWN)
            status, size = 503, 0
        else:
            target_writer.write(head + body)
            status, size = await _answer(method, target_reader, writer)
        await writer.drain()
        line = {"method": method.decode(), "path": path.decode(), "status": status, "bytes": size}
        line |= {"began": began, "ended": time.monotonic()}
        self._log.write(orjson.dumps(line).decode() + "\n")
        self._log.flush()

    def _is_over_the_limit(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._per_second > 0 and self._count > self._per_second


async def _answer(method: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, int]:
    head = await reader.readuntil(b"\r\n\r\n")
    status, fields = int(head.split(b" ", 2)[1]), _fields(head)
    writer.write(head)
    if method == b"HEAD" or status in (204, 304):
        return status, 0
    if fields.get("transfer-encoding") == "chunked":
        return status, await _chunks(reader, writer)
    left = size = int(fields["content-length"])
    while left:
        piece = await reader.read(min(left, 262_144))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        writer.write(piece)
        left -= len(piece)
    return status, size


async def _chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    size = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        length = int(line.partition(b";")[0], 16)
        writer.write(line + await reader.readexactly(length + 2))
        size += length
        if length == 0:
            return size


def _fields(head: bytes) -> Mapping[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def run(ports: list[tuple[int, float]], target: tuple[str, int], per_second: int, log: TextIO) -> None:
    """Serve on these ports, each with a latency in seconds, until the process is ended."""
    servers = [
        await asyncio.start_server(Proxy(target, latency, per_second, log).serve, "127.0.0.1", port, backlog=1_024)
        for port, latency in ports
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, action="append", required=True)
    parser.add_argument("--latency", type=float, action="append", required=True, help="milliseconds, one for each port")
    parser.add_argument("--per-second", type=int, default=0, help="requests to answer, 0 for any number")
    arguments = parser.parse_args()
    host, _, port = arguments.target.partition(":")
    ports = [(port, latency / 1e3) for port, latency in zip(arguments.port, arguments.latency, strict=True)]
    with open(arguments.log, "a", encoding="utf-8") as log:
        asyncio.run(run(ports, (host, int(port)), arguments.per_second, log))


if __name__ == "__main__":
    main()
