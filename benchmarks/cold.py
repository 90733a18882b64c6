"""Cold starts: the function and four baselines, as fresh processes under AWS's own runtime client, in turn.

    python -m benchmarks.cold [--quick] [--latency 0,10,30] [--cpus 0.25]
    python -m benchmarks.cold --against REVISION [--quick] [--cpus 0.29]

The store is SeaweedFS on loopback; `--latency` adds milliseconds to each request by a proxy. `--cpus` gives each
container that share of a processor by a cgroup's quota, as a smaller Lambda has; the runtime API and the store are not
limited. All take turns, so that whatever else the machine does disturbs all alike. Every sample is a new process.

Prints tables, writes `benchmarks/results/cold.json` and charts. Four minutes, under 90 seconds with `--quick` once the
inputs are there; making them takes some minutes more. Linux only.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from hashlib import pbkdf2_hmac
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.containers import (
    Start,
    StoreProxy,
    StoreRequest,
    baseline_code,
    cpu_limit,
    our_code,
    page_event,
    read_baseline_versions,
    runtime,
    sequential,
    start,
    store_environ,
    store_proxy,
)
from benchmarks.data import (
    PASSWORD,
    Shape,
    copy_store,
    make_store,
    mirrored_names,
    names_document,
    private_names,
    projects_document,
    put_mirrored_page,
    put_snapshot,
    put_user,
)
from benchmarks.report import Table, draw_bars, progress, write_results
from benchmarks.stages import measure_stages
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from pypi_lambda.access.auth import PASSWORD_ROUNDS
from tests.aws.lambda_environment import Function
from tests.support.servers import BUCKET, S3Server, running_seaweedfs

REAL = Shape()
PREFIX = "real"
BASELINES = ("fetch", "boto3_json", "fastapi_mangum")
GROWTH = {
    "1,000 names": Shape(names=1_000),
    "10,000,000 names": Shape(names=10_000_000),
    "10 projects": Shape(projects=10),
    "100,000 projects": Shape(projects=100_000),
}
MIRRORED_FILES = 400  # between the few of most projects and the thousands of the largest
ROUNDS, QUICK_ROUNDS = 25, 7
PROFILES = 3  # runs with -X importtime, of which the least counts
TRIPS_LATENCY_MS = 10.0  # makes what runs side by side overlap
SLOWEST_SHOWN = 25
STAGES = ("until the first request", "snapshot", "from it to ready")
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Something that is started."""

    name: str
    function: Function
    event: bytes | None = None
    proxy: StoreProxy | None = None
    rounds: int


@dataclass(slots=True)
class Measured:
    """The samples by contestant, one a round."""

    starts: dict[str, list[Start]] = field(default_factory=dict)

    def values(self, name: str, attribute: str) -> list[float]:
        """Return one measure of each of a contestant's starts."""
        return [getattr(start, attribute) for start in self.starts[name]]

    def beyond(self, name: str, attribute: str) -> list[float]:
        """Return the same beyond the empty handler's, round by round."""
        return [
            mine - empty
            for mine, empty in zip(self.values(name, attribute), self.values("empty", attribute), strict=False)
        ]


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    if arguments.against:
        from benchmarks.against import SHARE, compare

        print(f"\n{compare(arguments.against, quick=arguments.quick, share=arguments.cpus or SHARE)}")
        return
    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    latencies = tuple(sorted({TRIPS_LATENCY_MS, *arguments.latency} - {0.0}))
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(running_seaweedfs(folder))
        _fill(server)
        proxy = stack.enter_context(store_proxy(server, latencies, folder))
        prefix = stack.enter_context(cpu_limit(arguments.cpus))
        contestants = _contestants(server, proxy, prefix, rounds, latencies)
        measured = _measure(contestants, rounds, folder)
        profile = _profile(contestants, folder)
        steps = measure_stages(next(each for each in contestants if each.name == "ours").function, rounds)
    hash_ms = _hash_ms() / min(1.0, arguments.cpus or 1.0)
    document: dict[str, Any] = {
        "cpus": arguments.cpus,
        "latencies_ms": [0.0, *latencies],
        "password_hash_ms": hash_ms,
        "baseline_versions": read_baseline_versions(),
        "imports_us": profile,
        "steps_ms": steps,
        "samples": {name: [asdict(start) for start in starts] for name, starts in measured.starts.items()},
    }
    _print_contestants(measured)
    _print_stages(measured, hash_ms)
    rows = tuple((step, *took) for step, took in steps.items())
    print(
        f"\nInit step by step, in a process of its own\n\n{Table(columns=('', 'ms', 'CPU ms'), rows=rows).markdown()}"
    )
    _print_imports(profile)
    _print_verdict(measured)
    path = write_results(
        "cold" if arguments.cpus is None else f"cold-{arguments.cpus:g}", document, quick=arguments.quick
    )
    if not arguments.quick and arguments.cpus is None:
        _draw(measured)
    print(f"\n{path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--against", metavar="REVISION", help="measure this tree and that revision alone, in turn")
    parser.add_argument("--latency", default="0,10,30", help="of the store, in milliseconds, of %(default)s")
    parser.add_argument("--cpus", type=float, help="of one processor, for each container; all of it by default")
    arguments = parser.parse_args()
    arguments.latency = tuple(float(text) for text in arguments.latency.split(","))
    return arguments


def _store(server: S3Server, prefix: str) -> S3Store:
    return S3Store(BUCKET, prefix, environ=server.environ)


def _fill(server: S3Server) -> None:
    """Put what every contestant reads into the store."""
    folder = make_store(REAL)
    store = _store(server, PREFIX)
    copy_store(folder, store)
    put_user(store)
    put_mirrored_page(store, mirrored_names(1)[0], MIRRORED_FILES)
    store.put("names.json", names_document(REAL))
    store.put("projects.json", projects_document(REAL))
    for name, shape in GROWTH.items():
        other = _store(server, _prefix(name))
        put_snapshot(other, shape, FolderStore(folder), private_names(REAL.projects)[0])
        put_user(other)


def _prefix(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def _contestants(
    server: S3Server, proxy: StoreProxy, prefix: tuple[str, ...], rounds: int, latencies: Sequence[float]
) -> list[Contestant]:
    private, fewer = page_event(private_names(REAL.projects)[0]), (rounds + 1) // 2

    def function(key: str, endpoint: str = server.endpoint) -> Function:
        environ = store_environ(server, endpoint, key, BUCKET)
        return Function(code=(our_code(),), runtime=runtime(), environ=environ, prefix=prefix)

    def baseline(name: str) -> Function:
        environ = store_environ(server, server.endpoint, PREFIX, BUCKET)
        code = baseline_code(name)
        return Function(code=code, runtime=runtime(), environ=environ, prefix=prefix, handler=f"{name}.handler")

    found = [
        Contestant(name="empty", function=baseline("empty"), rounds=rounds),
        Contestant(name="ours", function=function(PREFIX), event=private, rounds=rounds),
        *(Contestant(name=name, function=baseline(name), event=private, rounds=fewer) for name in BASELINES),
        Contestant(
            name="ours, mirrored page",
            function=function(PREFIX),
            event=page_event(mirrored_names(1)[0]),
            rounds=fewer,
        ),
    ]
    for name, shape in GROWTH.items():
        event = page_event(private_names(shape.projects)[0])
        found.append(Contestant(name=name, function=function(_prefix(name)), event=event, rounds=fewer))
    for latency in latencies:
        at = function(PREFIX, proxy.endpoint(latency))
        found.append(
            Contestant(
                name=f"ours, {latency:g} ms", function=at, event=private, proxy=proxy, rounds=max(3, rounds // 3)
            )
        )
    return found


def _measure(contestants: Sequence[Contestant], rounds: int, folder: Path) -> Measured:
    for contestant in contestants:  # what is read for the first time comes from the disk
        start(contestant.function, folder, event=contestant.event, proxy=contestant.proxy)
    measured = Measured()
    turns = [contestant for number in range(rounds) for contestant in contestants if number < contestant.rounds]
    for contestant in progress(turns, "cold starts"):
        done = start(contestant.function, folder, event=contestant.event, proxy=contestant.proxy)
        measured.starts.setdefault(contestant.name, []).append(done)
    return measured


def _profile(contestants: Sequence[Contestant], folder: Path) -> dict[str, int]:
    """Return what each module's import took by itself, in microseconds, as Python tells it, in runs of their own."""
    ours, empty = (next(each for each in contestants if each.name == name) for name in ("ours", "empty"))
    least: dict[str, int] = {}
    runtimes: set[str] = set()
    for contestant in (empty, ours):
        environ = {**contestant.function.environ, "PYTHONPROFILEIMPORTTIME": "1"}
        for _ in range(PROFILES):
            log = start(replace(contestant.function, environ=environ), folder).log
            for took, _, _, name in _IMPORT.findall(log):
                least[name] = min(int(took), least.get(name, int(took)))
        if contestant is empty:
            runtimes, least = set(least), {}
    return {name: took for name, took in least.items() if name not in runtimes}


def _hash_ms() -> float:
    """Return what checking one password takes, which is slow on purpose."""
    samples = []
    for _ in range(5):
        began = time.thread_time()
        pbkdf2_hmac("sha512", PASSWORD.encode(), b"0123456789abcdef", PASSWORD_ROUNDS)
        samples.append((time.thread_time() - began) * 1e3)
    return min(samples)


def _print_contestants(measured: Measured) -> None:
    rows = []
    for name in measured.starts:
        init, cpu = measured.values(name, "init_ms"), measured.values(name, "init_cpu_ms")
        beyond, beyond_cpu = measured.beyond(name, "init_ms"), measured.beyond(name, "init_cpu_ms")
        memory = [kb / 1_024 for kb in measured.beyond(name, "rss_kb")]
        firsts = [each for each in measured.values(name, "first_ms") if each is not None]
        rows.append(
            (
                name,
                median(init),
                min(init),
                median(beyond),
                min(init) - min(measured.values("empty", "init_ms")),
                median(cpu),
                median(beyond_cpu),
                median(firsts) if firsts else None,
                median(memory),
                len(init),
            )
        )
    columns = (
        "",
        "init ms",
        "least",
        "beyond empty",
        "of the least",
        "CPU ms",
        "beyond empty",
        "first answer ms",
        "MB over empty",
        "runs",
    )
    print(Table(columns=columns, rows=tuple(rows)).markdown())


def _print_stages(measured: Measured, hash_ms: float) -> None:
    """Tell where the time goes, by when requests came to the store and were answered."""
    rows = []
    for name, starts in measured.starts.items():
        if not starts[0].requests:
            continue
        before = _requests_in_init(starts)
        trips = [sequential(start.requests) for start in starts]
        init_trips = [sequential(tuple(first)) for first in before]
        cpu = [start.first_cpu_ms or 0.0 for start in starts]
        firsts = (median(init_trips), median(trips), median(map(float, (len(start.requests) for start in starts))))
        spans = (median(span) for span in zip(*_stages(measured, name), strict=True))
        rows.append((name, *spans, *firsts, median(cpu) - hash_ms))
    columns = (
        "",
        *(f"{stage} ms" for stage in STAGES),
        "trips in init",
        "until the first page",
        "requests",
        "first answer's CPU ms less the hash",
    )
    print(f"\nThe password's hash takes {hash_ms:.0f} ms of the first answer, on purpose.\n")
    print(Table(columns=columns, rows=tuple(rows)).markdown())
    requests = next(starts[-1].requests for starts in measured.starts.values() if starts[0].requests)
    zero = requests[0].began
    for each in requests:
        path = each.path.partition("?")[0]
        print(f"  {(each.began - zero) * 1e3:7.1f} {(each.ended - zero) * 1e3:7.1f} {each.method} {path} {each.status}")


def _requests_in_init(starts: Sequence[Start]) -> list[list[StoreRequest]]:
    return [[each for each in start.requests if each.began < start.ready] for start in starts]


def _stages(measured: Measured, name: str) -> list[tuple[float, float, float]]:
    """Return how long each of `STAGES` took in each start."""
    starts = measured.starts[name]
    return [
        (
            (first[0].began - start.spawned) * 1e3,
            (first[0].ended - first[0].began) * 1e3,
            (start.ready - first[0].ended) * 1e3,
        )
        for start, first in zip(starts, _requests_in_init(starts), strict=True)
    ]


def _print_imports(profile: Mapping[str, int]) -> None:
    total = sum(profile.values()) / 1e3
    print(f"\nImports beyond the runtime's own: {len(profile)} modules, {total:.1f} ms; the slowest by themselves:\n")
    slowest = sorted(profile.items(), key=lambda item: -item[1])[:SLOWEST_SHOWN]
    print(Table(columns=("module", "ms"), rows=tuple((name, took / 1e3) for name, took in slowest)).markdown())


def _print_verdict(measured: Measured) -> None:
    """Set the figures beside what is wanted: by medians, by the least, which others disturb least, and by CPU time."""
    trips = [sequential(start.requests) for starts in measured.starts.values() for start in starts if start.requests]
    memory = median(measured.beyond("ours", "rss_kb")) / 1_024
    rows = (
        ("init beyond the empty handler, ms", "≤ 40", *_each(measured, _beyond_empty)),
        ("boto3 + JSON ÷ ours, beyond the empty handler", "≥ 8", *_each(measured, _ratio("boto3_json", "ours"))),
        ("boto3 + JSON ÷ ours, whole", "", *_each(measured, _whole("boto3_json", "ours"))),
        ("FastAPI + Mangum + boto3 ÷ ours, beyond", "≥ 15", *_each(measured, _ratio("fastapi_mangum", "ours"))),
        ("FastAPI + Mangum + boto3 ÷ ours, whole", "", *_each(measured, _whole("fastapi_mangum", "ours"))),
        ("10,000,000 ÷ 1,000 names, whole", "≤ 2", *_each(measured, _whole("10,000,000 names", "1,000 names"))),
        ("10,000,000 ÷ 1,000 names, beyond", "", *_each(measured, _ratio("10,000,000 names", "1,000 names"))),
        ("100,000 ÷ 10 projects, whole", "≤ 2", *_each(measured, _whole("100,000 projects", "10 projects"))),
        ("100,000 ÷ 10 projects, beyond", "", *_each(measured, _ratio("100,000 projects", "10 projects"))),
        ("store round trips in sequence until the first page", "≤ 2", max(trips), None, None),
        ("memory over the empty handler, MB", "≤ 30", memory, None, None),
    )
    print(f"\n{REAL}; every ratio is how many times as long the first takes\n")
    print(Table(columns=("figure", "wanted", "median", "of the least", "CPU"), rows=rows).markdown())


Figure = Callable[[Callable[[str], float]], float]


def _each(measured: Measured, figure: Figure) -> tuple[float, float, float]:
    return (
        figure(lambda name: median(measured.values(name, "init_ms"))),
        figure(lambda name: min(measured.values(name, "init_ms"))),
        figure(lambda name: median(measured.values(name, "init_cpu_ms"))),
    )


def _beyond_empty(took: Callable[[str], float]) -> float:
    return took("ours") - took("empty")


def _ratio(above: str, below: str) -> Figure:
    return lambda took: (took(above) - took("empty")) / (took(below) - took("empty"))


def _whole(above: str, below: str) -> Figure:
    return lambda took: took(above) / took(below)


def _draw(measured: Measured) -> None:
    def least(attribute: str, names: Sequence[str], unit: float = 1.0) -> list[float | None]:
        return [min(measured.values(name, attribute)) / unit for name in names]

    def draw(name: str, title: str, groups: Sequence[str]) -> None:
        series: dict[str, Sequence[float | None]] = {
            "init, ms": least("init_ms", groups),
            "its processor time, ms": least("init_cpu_ms", groups),
            "memory, MB": least("rss_kb", groups, 1_024),
        }
        draw_bars(name, title, groups=groups, series=series, unit="the least of all runs")

    draw("cold", f"A cold container, {REAL}", ["empty", "ours", *BASELINES])
    draw("cold-growth", f"A cold container over sizes; ours is {REAL}", ["empty", "ours", *GROWTH])
    slow = [name for name, starts in measured.starts.items() if starts[0].requests]
    stages = [_stages(measured, name) for name in slow]
    series = {label: [min(stage[place] for stage in each) for each in stages] for place, label in enumerate(STAGES)}
    draw_bars(
        "cold-stages",
        "Where init goes, by what the store sees; the least of all runs",
        groups=slow,
        series=series,
        unit="ms",
    )


if __name__ == "__main__":
    main()
