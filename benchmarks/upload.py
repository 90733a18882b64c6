"""The memory that uploading a large file needs, at the client and at the server: as little for 2 GB as for 200 MB.

    python -m benchmarks.upload [--quick]

`serverless-pypi upload` sends a wheel in parts to a local server over a folder, and over SeaweedFS, where the parts go
to signed URLs. A small one goes first, so that everything is imported and connected; then the large one. Told is the
client's largest resident memory, and by how much that of the server's worker is above what it had in between
(`VmHWM`, proc_pid_status(5)).

Prints a table and writes `benchmarks/results/upload.json`. Linux only.
"""

import argparse
import os
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from benchmarks.report import Table, write_results
from tests.integration.commands import Place, clean_environ
from tests.integration.running import Server, serving
from tests.support.distributions import add_record, make_metadata
from tests.support.servers import BUCKET, program, running_seaweedfs

SIZE_BYTES, QUICK_SIZE_BYTES = 2_000_000_000, 200_000_000
SMALL_BYTES = 1_000_000
NO_UPSTREAM = "http://127.0.0.1:9/simple/"  # where nothing listens
_BLOCK = Random(0).randbytes(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What uploading the large file took; memory in bytes."""

    store: str
    size: int
    client_peak: int
    server_growth: int
    seconds: float


def write_wheel(folder: Path, version: str, *, size: int) -> Path:
    """Write a wheel with so many bytes in it."""
    path = folder / f"large-{version}-py3-none-any.whl"
    info = f"large-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("large/data.bin"), "w", force_zip64=True) as content:
            for _ in range(size // len(_BLOCK)):
                content.write(_BLOCK)
        archive.writestr(f"{info}/METADATA", make_metadata("large", version))
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
    add_record(path, info)
    return path


def upload(server: Server, path: Path) -> int:
    """Upload a file; return the client's largest resident memory in bytes."""
    command = [program("serverless-pypi"), "upload", "--repository-url", server.url, str(path)]
    environ = clean_environ({"TWINE_USERNAME": server.user.name, "TWINE_PASSWORD": server.user.password})
    client = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode:
        raise SystemExit(f"the upload ended with {client.returncode}")
    return usage.ru_maxrss * 1_024


def measure(store: str, environ: Mapping[str, str], folder: Path, *, size: int) -> Uploaded:
    """Upload a file of this size to a new server.

    Args:
        store: what it is called.
        environ: the settings of the index.
    """
    small, large = write_wheel(folder, "1.0", size=SMALL_BYTES), write_wheel(folder, "2.0", size=size)
    logs = folder / "logs"
    logs.mkdir()
    with serving(Place(environ=environ), logs, upstream=NO_UPSTREAM) as server:
        upload(server, small)
        (worker,) = server.find_workers()
        before = _peak_bytes(worker)
        began = time.perf_counter()
        peak = upload(server, large)
        seconds = time.perf_counter() - began
        growth = _peak_bytes(worker) - before
    return Uploaded(store=store, size=size, client_peak=peak, server_growth=growth, seconds=seconds)


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1_024


def main() -> None:
    """Measure both stores and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="200 MB instead of 2 GB")
    options = parser.parse_args()
    size = QUICK_SIZE_BYTES if options.quick else SIZE_BYTES
    with tempfile.TemporaryDirectory() as name, running_seaweedfs(Path(name)) as s3:
        folders = [Path(name, store) for store in ("folder", "seaweedfs")]
        for folder in folders:
            folder.mkdir()
        done = [
            measure("folder", {"BUCKET": f"file://{name}/data"}, folders[0], size=size),
            measure("SeaweedFS", {**s3.environ, "BUCKET": BUCKET}, folders[1], size=size),
        ]
    rows = [
        (each.store, each.size / 1e6, each.client_peak / 1e6, each.server_growth / 1e6, each.seconds) for each in done
    ]
    columns = ("store", "file, MB", "client's peak, MB", "server's growth, MB", "seconds")
    print(Table(columns=columns, rows=tuple(rows)).plain())
    write_results("upload", {"uploaded": [asdict(each) for each in done]}, quick=options.quick)


if __name__ == "__main__":
    main()
