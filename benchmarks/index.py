"""What the indexer costs with the real public upstream: reindex, rebuild after one upload, root listing, loading.

    python -m benchmarks.index [--upstream URL]

Reads the upstream's list of projects once. Prints a Markdown table; takes about half a minute. POSIX only: a process's
cost comes from `wait4`.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.events import FileAdded, timestamp
from indexer.log import Head, Log, head_of
from indexer.master import MASTER_PREFIX
from indexer.names import Filename, ProjectName
from indexer.rebuild import load_snapshot, rebuild
from indexer.root import RENDERERS, put_root
from indexer.simple import Renderer
from indexer.snapshot import SNAPSHOT_KEY
from indexer.store import ObjectStore, open_store
from pypi_lambda.clock import new_id, utc_now
from tests.adversary import Adversary

REINDEX = (sys.executable, "-P", "-m", "pypi_lambda.cli", "reindex")
REBUILD = (sys.executable, "-P", "-m", "pypi_lambda.cli", "rebuild")
PRIVATE_PROJECTS = 1_000
REPEATS = 5  # of what is quick; the median is shown
# The unit of ru_maxrss (getrusage(2)): bytes on macOS, KiB elsewhere.
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What something took; `peak_bytes` is a whole process's largest resident memory, None for a part of one."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int | None = None


def run_measured(command: Sequence[str], environ: Mapping[str, str]) -> Cost:
    """Run a command to its end, as a process of its own, and return what it cost.

    Raises:
        CalledProcessError: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environ)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(
        wall_seconds=time.perf_counter() - began,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * _MAXRSS_BYTES,
    )


@contextmanager
def measured(costs: list[Cost]) -> Iterator[None]:
    """Append what the block cost this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    costs.append(Cost(wall_seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu))


def median(costs: Sequence[Cost]) -> Cost:
    """Return the one in the middle, by CPU time."""
    return sorted(costs, key=lambda cost: cost.cpu_seconds)[len(costs) // 2]


def append_file(store: ObjectStore, head: Head, project: str, version: str) -> Head:
    """Append the event of an upload to the log and return its end."""
    change = FileAdded(
        project=ProjectName(project),
        filename=Filename(f"{project.replace('-', '_')}-{version}-py3-none-any.whl"),
        version=version,
        size=12_345,
        sha256="0" * 64,
        upload_time=timestamp(utc_now()),
        requires_python=">=3.11",
        metadata_sha256="1" * 64,
    )
    return head_of(Log(store).append(head, change, by="benchmark", at=timestamp(utc_now()), id=new_id()))


def rebuild_after_uploads(store: ObjectStore, projects: Sequence[str]) -> tuple[Cost, list[str]]:
    """Rebuild after one upload to each of these projects in turn; return the median cost, and the keys it touched."""
    recorder = Adversary(store)  # without a fault it only writes down what is asked of it
    head = load_snapshot(store, Renderer()).snapshot.head
    costs: list[Cost] = []
    for number, project in enumerate(projects):
        head = append_file(store, head, project, f"2.{number}")
        with measured(costs):
            rebuild(recorder, Renderer())
    return median(costs), sorted({call.key for call in recorder.calls})


def _rows(folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Cost, str]]:
    store = open_store(environ["BUCKET"], "")
    cost = run_measured(REINDEX, environ)
    snapshot = load_snapshot(store, Renderer()).snapshot
    assert snapshot.upstream is not None
    yield "`serverless-pypi reindex`, empty folder", cost, f"{snapshot.upstream.count:,} names"
    head = snapshot.head
    for number in range(PRIVATE_PROJECTS):
        head = append_file(store, head, f"private-{number}", "1.0")
    yield f"`serverless-pypi rebuild`, {PRIVATE_PROJECTS:,} uploads", run_measured(REBUILD, environ), ""
    cost, keys = rebuild_after_uploads(store, [f"private-{number}" for number in range(REPEATS)])
    lists = [key for key in keys if key.startswith(MASTER_PREFIX)]
    yield "rebuild after one upload, in the server", cost, f"{len(lists)} lists of names read"
    append_file(store, load_snapshot(store, Renderer()).snapshot.head, "private-0", "3.0")
    yield "`serverless-pypi rebuild` after one upload", run_measured(REBUILD, environ), ""
    cost = _cost_of(lambda: load_snapshot(store, Renderer()))
    yield "load the snapshot", cost, f"{(folder / SNAPSHOT_KEY).stat().st_size:,} bytes"
    current = load_snapshot(store, Renderer()).snapshot
    for extension in RENDERERS:
        cost = _cost_of(lambda extension=extension: put_root(store, current, extension))  # type: ignore[misc]
        yield f"make the root listing, {extension}", cost, ""


def _cost_of(work: Callable[[], object]) -> Cost:
    costs: list[Cost] = []
    for _ in range(REPEATS):
        with measured(costs):
            work()
    return median(costs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the indexer.")
    parser.add_argument("--upstream", metavar="URL", help="in the place of the public index")
    upstream = parser.parse_args().upstream
    logging.basicConfig(level=logging.ERROR)
    print("| | wall | CPU | peak memory | |\n|---|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "BUCKET": f"file://{folder}", "LOGGING_LEVEL": "ERROR"}
        if upstream is not None:
            environ["UPSTREAM_INDEX_URL"] = upstream
        for title, cost, note in _rows(Path(folder), environ):
            peak = "" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:.0f} MB"
            print(f"| {title} | {_ms(cost.wall_seconds)} | {_ms(cost.cpu_seconds)} | {peak} | {note} |", flush=True)


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:,.{0 if seconds > 0.01 else 1}f} ms"


if __name__ == "__main__":
    main()
