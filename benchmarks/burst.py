"""Many cold containers at once: what a `pip install` of 30 packages meets when nothing is warm.

    python -m benchmarks.burst [--quick]

So many clients ask for 30 pages, ten of private projects and twenty mirrored ones, one after another as pip does. Each
has a container of its own, which starts with its first request. The store answers after 10 ms and no more than 5,500
requests a second, as S3 does of one prefix. On Lambda, every container has its own processor; here all share this
machine's, so that with more containers than cores the time is mostly that of waiting for one of them: what carries over
is the number of requests, and the CPU time of each.

Prints a table and writes `benchmarks/results/burst.json`. Linux only.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.containers import StoreProxy, our_code, page_event, runtime, store_environ, store_proxy
from benchmarks.data import Shape, copy_store, make_store, mirrored_names, private_names, put_mirrored_page, put_user
from benchmarks.report import Table, draw_bars, progress, write_results
from benchmarks.stats import summarize
from indexer.store.s3 import S3Store
from tests.aws.lambda_environment import Environment, Function
from tests.aws.lambda_invocations import Invocation
from tests.support.servers import BUCKET, running_seaweedfs

COUNTS, QUICK_COUNTS = (1, 10, 100), (1, 10)
PRIVATE, MIRRORED = 10, 20
FILES = 60  # of a mirrored page
LATENCY_MS = 10.0  # S3's first byte within a region
PER_SECOND = 5_500  # "at least [...] 5,500 GET/HEAD requests per second per partitioned Amazon S3 prefix"
INIT_SECONDS = 120.0  # a hundred containers on two cores are no hundred containers
PREFIX = "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One client's 30 pages; times in seconds since all were told to begin."""

    ready: float
    first_page: float
    last_page: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What became of so many at once."""

    containers: int
    installs: tuple[Install, ...]
    store_requests: int
    refused: int
    megabytes: float


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to ten containers")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(running_seaweedfs(folder))
        store = S3Store(BUCKET, PREFIX, environ=server.environ)
        copy_store(make_store(Shape()), store)
        put_user(store)
        for project in mirrored_names(MIRRORED):
            put_mirrored_page(store, project, FILES)
        proxy = stack.enter_context(store_proxy(server, (LATENCY_MS,), folder, per_second=PER_SECOND))
        function = Function(
            code=(our_code(),),
            runtime=runtime(),
            environ=store_environ(server, proxy.endpoint(LATENCY_MS), PREFIX, BUCKET),
            init_seconds=INIT_SECONDS,
            timeout_seconds=INIT_SECONDS,
        )
        events = [page_event(project) for project in _projects()]
        _burst(function, 1, events, proxy, folder)  # what is read for the first time comes from the disk
        counts = progress(QUICK_COUNTS if quick else COUNTS, "containers at once")
        bursts = [_burst(function, count, events, proxy, folder) for count in counts]
    print(_table(bursts).markdown())
    path = write_results("burst", {"bursts": [asdict(burst) for burst in bursts], "cores": os.cpu_count()}, quick=quick)
    if not quick:
        _draw(bursts)
    print(f"\n{path}")


def _projects() -> list[str]:
    return [*private_names(Shape().projects)[:PRIVATE], *mirrored_names(MIRRORED)]


def _burst(function: Function, count: int, events: Sequence[bytes], proxy: StoreProxy, folder: Path) -> Burst:
    proxy.read_new()
    began = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        installs = list(pool.map(lambda number: _install(function, number, events, began, folder), range(count)))
    requests = proxy.read_new()
    return Burst(
        containers=count,
        installs=tuple(installs),
        store_requests=len(requests),
        refused=sum(request.status == 503 for request in requests),
        megabytes=sum(request.bytes for request in requests) / 1e6,
    )


def _install(function: Function, number: int, events: Sequence[bytes], began: float, folder: Path) -> Install:
    environment = Environment(function, id=str(number), generation=1, log=folder / f"burst-{number}.txt")
    environment.start()
    try:
        times = [time.perf_counter() - began]
        for place, event in enumerate(events):
            outcome = environment.invoke(Invocation(id=str(place), payload=event))
            if outcome.error is not None or json.loads(outcome.payload)["statusCode"] != 200:
                raise RuntimeError(f"{outcome.payload[:500]!r}\n{environment.read_log()}")
            times.append(time.perf_counter() - began)
    finally:
        environment.close()
    return Install(ready=times[0], first_page=times[1], last_page=times[-1])


def _table(bursts: Sequence[Burst]) -> Table:
    rows = tuple(
        (
            burst.containers,
            summarize([install.ready for install in burst.installs]).median,
            summarize([install.first_page for install in burst.installs]).median,
            summarize([install.last_page for install in burst.installs]).median,
            max(install.last_page for install in burst.installs),
            burst.store_requests / burst.containers,
            burst.refused,
            burst.megabytes / burst.containers,
        )
        for burst in bursts
    )
    columns = (
        "containers",
        "ready s",
        "first page s",
        "last byte s",
        "the slowest's",
        "store requests each",
        "refused in all",
        "MB each",
    )
    return Table(columns=columns, rows=rows)


def _draw(bursts: Sequence[Burst]) -> None:
    groups = [f"{burst.containers} at once" for burst in bursts]
    series: dict[str, Sequence[float | None]] = {
        label: [summarize([getattr(install, what) for install in burst.installs]).median for burst in bursts]
        for what, label in {"ready": "ready", "first_page": "first page", "last_page": "last byte of 30"}.items()
    }
    cores = f"containers of {PRIVATE + MIRRORED} pages each on {os.cpu_count()} cores"
    draw_bars("burst", f"Cold {cores}, medians", groups=groups, series=series, unit="seconds")


if __name__ == "__main__":
    main()
