"""Cold starts of this tree and of another revision, in turn in one run: ratios, not times, which differ by machine.

    python -m benchmarks.cold --against REVISION [--quick] [--cpus 0.29]

Each is built, with its store, by its own code: this tree as it lies here, the other from a worktree of its revision in
a scratch folder. What was built is kept under `.bench-cache` by a digest of the sources. Every sample is a new process.
At full speed, at `--cpus` of a processor where a cgroup can be made, behind a store that answers late, and over TLS
from some milliseconds away, where connecting counts too (`benchmarks.tls_store`).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import orjson

from benchmarks.containers import (
    NoCpuLimit,
    Start,
    StoreProxy,
    baseline_code,
    cpu_limit,
    our_code,
    page_event,
    runtime,
    sequential,
    start,
    store_environ,
    store_proxy,
)
from benchmarks.data import CACHE, USERNAME, Shape, make_store, private_names, put_user
from benchmarks.processes import free_port, listens, running
from benchmarks.report import ROOT, Table, progress, read_machine, write_results
from benchmarks.tls_store import make_certificates
from indexer.keys import LOG, user_key
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from tests.aws.lambda_environment import Environment, Function
from tests.aws.lambda_invocations import Invocation
from tests.support.servers import BUCKET, S3Server, running_seaweedfs

SHAPE = Shape()
SHARE = 0.29  # of a processor: what 512 MB of memory buy on Lambda
LATENCY_MS = 30.0
TLS_LATENCY_MS = 10.0
TLS = f"TLS, {TLS_LATENCY_MS:g} ms"
ROUNDS, QUICK_ROUNDS = 25, 7
BUILD_SECONDS = 1_800  # the other tree's zip and its store, on a busy machine
SETTLING_SECONDS = 5.0  # for what a container writes beside its first answers
KEY = "0123456789abcdef" * 4
PROJECT = private_names(SHAPE.projects)[0]
THIS, THAT, EMPTY = "this", "that", "empty"

# Runs in the other tree, with that tree's modules.
_MAKE = "from benchmarks import containers, data; print(containers.our_code()); print(data.make_store(data.Shape()))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What a revision was built into: its unpacked zip, and a folder with an index that it made."""

    code: Path
    store: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """What takes part under one condition: at full speed, with a share of a processor, behind a slow store."""

    who: str
    condition: str
    function: Function
    proxy: StoreProxy | None = None
    flights: Path | None = None

    @property
    def name(self) -> str:
        """For the results."""
        return f"{self.who}, {self.condition}"


def compare(revision: str, *, quick: bool, share: float = SHARE) -> Path:
    """Measure this tree and the other, print ratios, and return the file of results.

    Args:
        share: of a processor, for the second condition.
    """
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    trees = {THIS: Tree(code=our_code(), store=make_store(SHAPE)), THAT: _build_other(commit)}
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(running_seaweedfs(folder))
        for who, tree in trees.items():
            _fill(S3Store(BUCKET, who, environ=server.environ), FolderStore(tree.store))
        entrants = list(_entrants(stack, server, trees, folder, share))
        for entrant in entrants:
            _settle(entrant, S3Store(BUCKET, entrant.who, environ=server.environ), folder)
        samples, tls_trips = _measure(entrants, rounds, folder)
    rows = list(_rows(samples))
    columns = ("", "this", "that", "this ÷ that", "of the least", "least CPU this", "that", "this ÷ that, CPU")
    print(f"\n{SHAPE}; beyond an empty handler; that is {commit[:7]}; {read_machine()}\n")
    print(Table(columns=columns, rows=tuple(rows)).markdown())
    print(f"\nround trips of init over TLS, connecting included: {tls_trips}")
    document = {
        "against": commit,
        "share": share,
        "columns": columns,
        "rows": rows,
        "tls_trips_in_init": tls_trips,
        "trips": {name: [sequential(each.requests) for each in starts] for name, starts in samples.items()},
        "samples": {name: [_compact(each) for each in starts] for name, starts in samples.items()},
    }
    return write_results("cold-against", document, quick=quick)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _build_other(commit: str) -> Tree:
    with _worktree(commit) as tree:
        command = [sys.executable, "-c", _MAKE]
        environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=tree, env=environ, stdout=subprocess.PIPE, text=True, timeout=BUILD_SECONDS, check=True
        )
    code, store = (CACHE / Path(line).name for line in done.stdout.splitlines()[-2:])
    return Tree(code=code, store=store)


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """Check the revision out in a scratch folder, which shares this tree's cache."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            (tree / CACHE.name).symlink_to(CACHE)
            yield tree
        finally:
            (tree / CACHE.name).unlink(missing_ok=True)
            _git("worktree", "remove", "--force", str(tree))


def _fill(store: S3Store, source: FolderStore) -> None:
    """Copy what a container may read until its first page: neither the log before the snapshot nor other pages."""
    for stat in source.list(""):
        if not stat.key.startswith(LOG) and (not stat.key.startswith("pages/") or PROJECT in stat.key):
            store.put(stat.key, source.get(stat.key).body)
    put_user(store)


def _entrants(
    stack: ExitStack, server: S3Server, trees: Mapping[str, Tree], folder: Path, share: float
) -> Iterator[Entrant]:
    proxy = stack.enter_context(store_proxy(server, (LATENCY_MS,), folder))

    def function(who: str, endpoint: str = server.endpoint, prefix: tuple[str, ...] = ()) -> Function:
        environ = {**store_environ(server, endpoint, who, BUCKET), "PASSWORD_KEY": KEY}
        if who == EMPTY:
            code = baseline_code(EMPTY)
            return Function(code=code, runtime=runtime(), environ=environ, prefix=prefix, handler="empty.handler")
        return Function(code=(trees[who].code,), runtime=runtime(), environ=environ, prefix=prefix)

    for who in (EMPTY, THIS, THAT):
        yield Entrant(who=who, condition="full speed", function=function(who))
    late = f"{LATENCY_MS:g} ms"
    for who in (THIS, THAT):
        yield Entrant(who=who, condition=late, function=function(who, proxy.endpoint(LATENCY_MS)), proxy=proxy)
    endpoint, log, root = _tls_store(stack, server, folder)
    for who in (THIS, THAT):
        over_tls = function(who, endpoint)
        over_tls = replace(over_tls, environ={**over_tls.environ, "SSL_CERT_FILE": str(root)})
        yield Entrant(who=who, condition=TLS, function=over_tls, flights=log)
    try:
        prefix = stack.enter_context(cpu_limit(share))
    except NoCpuLimit as fault:
        print(f"no share of a processor: {fault}", file=sys.stderr)
        return
    for who in (EMPTY, THIS, THAT):
        yield Entrant(who=who, condition=f"{share:g} CPU", function=function(who, prefix=prefix))


def _tls_store(stack: ExitStack, server: S3Server, folder: Path) -> tuple[str, Path, Path]:
    """Run the store over TLS; return its URL, the log of round trips and the certificate to trust."""
    root, certificate = make_certificates(folder)
    port, log = free_port(), folder / "flights.jsonl"
    log.touch()
    command = [sys.executable, "-m", "benchmarks.tls_store", "--target", server.endpoint.removeprefix("http://")]
    command += ["--port", str(port), "--certificate", str(certificate), "--log", str(log)]
    command += ["--latency", str(TLS_LATENCY_MS)]
    ready = running(command, environ={}, folder=ROOT, log=folder / "tls.txt", is_ready=lambda: listens(port))
    stack.enter_context(ready)
    return f"https://localhost:{port}", log, root


def _settle(entrant: Entrant, store: S3Store, folder: Path) -> None:
    """Have everything read from the disk once, and written what a container leaves for those after it."""
    if entrant.who == EMPTY:
        start(entrant.function, folder)
        return
    key, began = user_key(USERNAME), time.monotonic()
    before = store.get(key).etag
    environment = Environment(entrant.function, id="settling", generation=1, log=folder / "settling.txt")
    environment.start()
    try:
        while store.get(key).etag == before and time.monotonic() - began < SETTLING_SECONDS:
            outcome = environment.invoke(Invocation(id="1", payload=page_event(PROJECT)))
            if outcome.error is not None:
                raise RuntimeError(f"{entrant.name}: {outcome.payload[:500]!r}\n{environment.read_log()}")
    finally:
        environment.close()
    if entrant.proxy is not None:
        entrant.proxy.read_new()


def _measure(
    entrants: Sequence[Entrant], rounds: int, folder: Path
) -> tuple[dict[str, list[Start]], dict[str, list[int]]]:
    trips: dict[str, list[int]] = {}
    samples: dict[str, list[Start]] = {entrant.name: [] for entrant in entrants}
    event = page_event(PROJECT)
    for entrant in progress([entrant for _ in range(rounds) for entrant in entrants], "cold starts"):
        done = start(entrant.function, folder, event=None if entrant.who == EMPTY else event, proxy=entrant.proxy)
        samples[entrant.name].append(done)
        if entrant.flights is not None:
            trips.setdefault(entrant.who, []).append(_count_trips(entrant.flights, done))
    return samples, trips


def _count_trips(log: Path, done: Start) -> int:
    """Return the round trips until the container was ready: a connection's own, and those of bytes."""
    flights = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    in_init = [flight["connection"] for flight in flights if done.spawned <= flight["at"] < done.ready]
    return len(set(in_init)) + len(in_init)


def _compact(start: Start) -> dict[str, float]:
    names = ("init_ms", "init_cpu_ms", "first_ms", "first_cpu_ms", "rss_kb")
    return {name: round(took, 2) for name, took in asdict(start).items() if name in names and took is not None}


def _rows(samples: Mapping[str, Sequence[Start]]) -> Iterator[tuple[str | float | None, ...]]:
    """Yield a row for each measure: medians, and the least, which others disturb least, of time and of CPU time."""
    conditions = list(dict.fromkeys(name.partition(", ")[2] for name in samples))
    for condition in conditions:
        empty = samples.get(f"{EMPTY}, {condition}") or samples[f"{EMPTY}, {conditions[0]}"]
        mine, theirs = samples[f"{THIS}, {condition}"], samples[f"{THAT}, {condition}"]
        for measure, wall, cpu in (("init", _init, _init_cpu), ("first page", _page, _page_cpu)):
            base, base_cpu = [_init(each) for each in empty], [_init_cpu(each) for each in empty]
            walls = [[wall(each) for each in starts] for starts in (mine, theirs)]
            cpus = [[cpu(each) for each in starts] for starts in (mine, theirs)]
            this, that = (median(values) - median(base) for values in walls)
            least_this, least_that = (min(values) - min(base) for values in walls)
            cpu_this, cpu_that = (min(values) - min(base_cpu) for values in cpus)
            ratios = this / that, least_this / least_that
            yield f"{measure}, {condition}, ms", this, that, *ratios, cpu_this, cpu_that, cpu_this / cpu_that
    late = f"{LATENCY_MS:g} ms"
    added = [
        median(map(_init, samples[f"{who}, {late}"])) - median(map(_init, samples[f"{who}, {conditions[0]}"]))
        for who in (THIS, THAT)
    ]
    yield f"what {late} of the store add to init, ms", *added, added[0] / added[1], None, None, None, None
    memory = [median(each.rss_kb for each in samples[f"{who}, {conditions[0]}"]) / 1_024 for who in (EMPTY, THIS, THAT)]
    this, that = memory[1] - memory[0], memory[2] - memory[0]
    yield "memory after init, MB", this, that, this / that, None, None, None, None


def _init(start: Start) -> float:
    return start.init_ms


def _init_cpu(start: Start) -> float:
    return start.init_cpu_ms


def _page(start: Start) -> float:
    return start.init_ms + (start.first_ms or 0.0)


def _page_cpu(start: Start) -> float:
    return start.init_cpu_ms + (start.first_cpu_ms or 0.0)
