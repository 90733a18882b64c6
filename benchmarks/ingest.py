"""The memory that taking in a large mirrored file needs: as little for 2 GB as for 200 MB.

    python -m benchmarks.ingest [--quick]

A process of its own takes wheels in from an upstream on loopback that makes their bytes while it sends them: into a
folder, and into SeaweedFS. First a small one, so that everything is imported and connected; then the large one. What is
told is by how much the process's largest resident memory (`VmHWM`, proc_pid_status(5)) is above what it had in between.

Prints a table and writes `benchmarks/results/ingest.json`. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import orjson

from benchmarks.report import Table, write_results
from indexer.names import Filename, ProjectName
from tests.support.servers import BUCKET, running_seaweedfs

SIZE_BYTES, QUICK_SIZE_BYTES = 2_000_000_000, 200_000_000
SMALL_BYTES = 1_000_000
PROJECT = ProjectName("large")
SMALL, LARGE = Filename("large-1.0-py3-none-any.whl"), Filename("large-2.0-py3-none-any.whl")
LIMIT_MB = 64
_BLOCK = Random(0).randbytes(1_048_576)
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What taking the large file in took; memory in bytes."""

    store: str
    size: int
    baseline: int
    peak: int
    seconds: float

    @property
    def growth_mb(self) -> float:
        """By how much the process grew."""
        return (self.peak - self.baseline) / 1e6


def blocks(size: int) -> Iterator[bytes]:
    """Yield a file's content."""
    for start in range(0, size, len(_BLOCK)):
        yield _BLOCK[: size - start]


@contextmanager
def serving_files(size: int) -> Iterator[str]:
    """Run an upstream with a small and a large wheel on loopback, and give its index URL."""
    sizes = {SMALL: SMALL_BYTES, LARGE: size}
    files = [
        {"filename": name, "url": f"/{name}", "size": size, "hashes": {"sha256": _sha256(size)}}
        for name, size in sizes.items()
    ]
    page = orjson.dumps({"meta": {"api-version": "1.4"}, "name": PROJECT, "files": files})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = sizes.get(Filename(self.path[1:]))
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(page) if size is None else size))
            self.end_headers()
            for block in [page] if size is None else blocks(size):
                self.wfile.write(block)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        server.server_close()


def _sha256(size: int) -> str:
    digest = sha256()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


def measure(store: str, environ: Mapping[str, str], *, size: int) -> Ingested:
    """Take a file of this size in, in a new process.

    Args:
        store: what it is called.
        environ: the settings of the index.
    """
    with serving_files(size) as url:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.ingest", "--here"],
            env={**os.environ, **environ, "UPSTREAM_INDEX_URL": url, "LOGGING_LEVEL": "WARNING"},
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
    return Ingested(store=store, size=size, **orjson.loads(done.stdout))


def take_in_here() -> None:
    """Take the files in, into the index that the environment names, and print what that took."""
    from pypi_lambda.app.service import make_service
    from pypi_lambda.settings import read_settings

    mirror = make_service(read_settings(os.environ)).mirror
    mirror.take_in(PROJECT, SMALL)
    baseline = _memory_bytes("VmRSS")
    began = time.perf_counter()
    mirror.take_in(PROJECT, LARGE)
    took = {"baseline": baseline, "peak": _memory_bytes("VmHWM"), "seconds": time.perf_counter() - began}
    sys.stdout.buffer.write(orjson.dumps(took))


def _memory_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kilobytes) * 1_024


def main() -> None:
    """Measure both stores and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="200 MB instead of 2 GB")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        take_in_here()
        return
    size = QUICK_SIZE_BYTES if options.quick else SIZE_BYTES
    with tempfile.TemporaryDirectory() as name, running_seaweedfs(Path(name)) as server:
        done = [
            measure("folder", {"BUCKET": f"file://{name}/data"}, size=size),
            measure("SeaweedFS", {**server.environ, "BUCKET": BUCKET}, size=size),
        ]
    rows = [(each.store, each.size / 1e6, each.baseline / 1e6, each.growth_mb, each.seconds) for each in done]
    print(f"taking a mirrored file in; at most {LIMIT_MB} MB of growth are promised")
    print(Table(columns=("store", "file, MB", "before, MB", "growth, MB", "seconds"), rows=tuple(rows)).plain())
    write_results("ingest", {"ingested": [asdict(each) for each in done]}, quick=options.quick)


if __name__ == "__main__":
    main()
