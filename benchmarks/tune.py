"""The knobs and what each does to a cold start, to size and to cost; ends with the set to use, which is the default.

    python -m benchmarks.tune [--quick]

Every value of a knob is started in turn with the others of that knob, everything else as it is shipped. None of them is
a setting: they are constants of the code and of the packaging, and this says why they are what they are.

Prints tables and writes `benchmarks/results/tune.json`. Linux only; memory sizes need cgroups of version 1.
"""

import argparse
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import msgpack
from rbloom import Bloom

from benchmarks.containers import (
    NoCpuLimit,
    Start,
    baseline_code,
    cpu_limit,
    our_code,
    runtime,
    start,
    store_environ,
)
from benchmarks.data import Shape, code_digest, kept, make_snapshot, make_store, upstream_names
from benchmarks.report import Table, progress, write_results
from deploy.bytecode import compile_all
from deploy.contents import OUR_PACKAGES
from deploy.target import Target
from deploy.wheels import fetch_wheels
from indexer import frame
from indexer.derive import snapshot
from indexer.derive.snapshot import NameFilter, decode_snapshot, encode_snapshot
from indexer.keys import SNAPSHOT_KEY
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from indexer.value import replace as replaced
from tests.aws.lambda_environment import Function
from tests.support.servers import BUCKET, running_seaweedfs

LEVELS = (1, 3, 9, 19)
RATES = (0.05, 0.01, 0.005, 0.001)
# Of one processor, and the memory that buys it: "at 1,769 MB, a function has the equivalent of one vCPU".
MEMORY_MB = {0.29: 512, 0.58: 1_024, 1.0: 1_769}
ROUNDS, QUICK_ROUNDS = 15, 5
DECODES = 7

Starts = Mapping[str, list[Start]]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    quick = parser.parse_args().quick
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(running_seaweedfs(folder))
        bodies = _snapshots()
        for prefix, body in bodies.items():
            S3Store(BUCKET, prefix, environ=server.environ).put(SNAPSHOT_KEY, body)

        def function(prefix: str, *code: Path) -> Function:
            environ = store_environ(server, server.endpoint, prefix, BUCKET)
            return Function(code=code or (our_code(),), runtime=runtime(), environ=environ)

        shipped = function("shipped")
        variants = {
            "as shipped": (our_code(),),
            "no .pyc": (_without_bytecode(),),
            "dependencies whole": (_untrimmed(),),
            "dependencies in a layer": _layered(),
        }
        by_snapshot = _measure({prefix: function(prefix) for prefix in bodies}, rounds, folder)
        by_code = _measure({name: function("shipped", *code) for name, code in variants.items()}, rounds, folder)
        empty = replace(shipped, code=baseline_code("empty"), handler="empty.handler")
        by_memory = _measure_memory(shipped, empty, rounds, folder)
    _print_snapshots(bodies, by_snapshot)
    _print_codes(variants, by_code)
    _print_memory(by_memory)
    _print_recommended()
    results = {**by_snapshot, **by_code, **by_memory}
    samples = {name: [asdict(each) for each in starts] for name, starts in results.items()}
    print(f"\n{write_results('tune', {'samples': samples}, quick=quick)}")


def _snapshots() -> dict[str, bytes]:
    """Return the snapshot in each of its variants, by the prefix under which it is stored."""
    shipped = make_snapshot(Shape())
    content = frame.unpack(shipped, limit=snapshot.MAX_SNAPSHOT_BYTES)
    found = {"shipped": shipped}
    for level in LEVELS:
        found[f"level-{level}"] = frame.pack(content, level)
    for rate in RATES:
        digest = code_digest("indexer/derive/snapshot.py", "indexer/frame.py")
        path = kept(f"rate-{rate}-{digest}", lambda path, rate=rate: path.write_bytes(_with_rate(shipped, rate)))  # type: ignore[misc]
        found[f"rate-{rate}"] = path.read_bytes()
    found["pages inlined"] = _with_pages(shipped)
    return found


def _with_pages(body: bytes) -> bytes:
    """Return a snapshot that holds each private project's page, too; what reads it takes no notice of them."""
    store = FolderStore(make_store(Shape()))
    keys = [stat.key for stat in store.list("pages/") if stat.key.endswith(".json.gz")]
    document = msgpack.unpackb(frame.unpack(body, limit=snapshot.MAX_SNAPSHOT_BYTES))
    pages = {key: store.get(key).body for key in keys}
    return frame.pack(msgpack.packb({**document, "pages": pages}), frame.QUICK_LEVEL)


def _with_rate(body: bytes, rate: float) -> bytes:
    decoded, names = decode_snapshot(SNAPSHOT_KEY, body), upstream_names(Shape().names)
    bloom = Bloom(len(names), rate, snapshot._hash)
    bloom.update(names)
    assert decoded.upstream is not None
    return encode_snapshot(replaced(decoded, upstream=replaced(decoded.upstream, filter=NameFilter(bloom))))


def _without_bytecode() -> Path:
    digest = our_code().name
    return kept(
        f"no-bytecode-{digest}",
        lambda path: shutil.copytree(our_code(), path, ignore=shutil.ignore_patterns("__pycache__")),
    )


def _layered() -> tuple[Path, Path]:
    """Return our code and what it depends on, each in a folder of its own: what a layer brings comes second."""
    whole, digest = our_code(), our_code().name
    dependencies = {path.name for path in whole.iterdir()} - set(OUR_PACKAGES)

    def part(name: str, left_out: Collection[str]) -> Path:
        def ignore(folder: str, names: list[str]) -> Collection[str]:
            return left_out if Path(folder) == whole else ()

        return kept(f"{name}-{digest}", lambda path: shutil.copytree(whole, path, ignore=ignore))

    return part("ours-alone", dependencies), part("dependencies-alone", OUR_PACKAGES)


def _untrimmed() -> Path:
    """Return our code with everything that its dependencies' wheels hold."""

    def make(path: Path) -> None:
        shutil.copytree(our_code(), path)
        target = Target(python=f"{sys.version_info.major}.{sys.version_info.minor}")
        with tempfile.TemporaryDirectory() as folder:
            for wheel in fetch_wheels(target, Path(folder)):
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(path)
        compile_all(sys.executable, path)

    return kept(f"untrimmed-{our_code().name}", make)


def _measure(functions: Mapping[str, Function], rounds: int, folder: Path) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {name: [] for name in functions}
    turns = [name for _ in range(rounds + 1) for name in functions]
    for name in progress(turns, "cold starts"):
        found[name].append(start(functions[name], folder))
    return {name: starts[1:] for name, starts in found.items()}  # the first reads from the disk


def _measure_memory(shipped: Function, empty: Function, rounds: int, folder: Path) -> dict[str, list[Start]]:
    found = {}
    for cpus, megabytes in MEMORY_MB.items():
        try:
            with cpu_limit(cpus) as prefix:
                pair = {f"{megabytes} MB": shipped, f"{megabytes} MB, empty handler": empty}
                limited = {name: replace(each, prefix=prefix, memory_mb=megabytes) for name, each in pair.items()}
                found.update(_measure(limited, rounds, folder))
        except NoCpuLimit as fault:
            print(f"no memory sizes: {fault}", file=sys.stderr)
            return {}
    return found


def _decode_ms(body: bytes) -> float:
    samples = []
    for _ in range(DECODES):
        began = time.thread_time()
        decode_snapshot(SNAPSHOT_KEY, body)
        samples.append((time.thread_time() - began) * 1e3)
    return min(samples)


def _times(starts: list[Start]) -> tuple[float, float, float]:
    init = [each.init_ms for each in starts]
    return median(init), min(init), median([each.init_cpu_ms for each in starts])


def _print_snapshots(bodies: Mapping[str, bytes], starts: Starts) -> None:
    print(
        "The snapshot: zstd's level; the share of unknown names for which the filter asks the upstream in vain; pages\n"
    )
    rows = tuple((name, len(body) / 1e6, _decode_ms(body), *_times(starts[name])) for name, body in bodies.items())
    print(Table(columns=("", "MB", "decode ms", "init ms", "least", "CPU ms"), rows=rows).markdown())


def _print_codes(variants: Mapping[str, Sequence[Path]], starts: Starts) -> None:
    print("\nThe zip's contents\n")
    rows = tuple((name, sum(map(_megabytes, code)), *_times(starts[name])) for name, code in variants.items())
    print(Table(columns=("", "MB unpacked", "init ms", "least", "CPU ms"), rows=rows).markdown())


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _print_memory(starts: Starts) -> None:
    print("\nMemory, which buys processor time; Lambda bills memory times time\n")
    rows = []
    for cpus, megabytes in MEMORY_MB.items():
        if found := starts.get(f"{megabytes} MB"):
            times, empty = _times(found), _times(starts[f"{megabytes} MB, empty handler"])
            rows.append((f"{megabytes} MB", cpus, *times, times[0] - empty[0], times[0] / 1e3 * megabytes / 1_024))
    columns = ("", "vCPU", "init ms", "least", "CPU ms", "beyond empty ms", "GB-seconds of init")
    print(Table(columns=columns, rows=tuple(rows)).markdown())


def _print_recommended() -> None:
    level, rate = frame.QUICK_LEVEL, snapshot.FALSE_POSITIVE_RATE
    print("\nRecommended, and the defaults: ", end="")
    pages = "pages beside the snapshot, not in it"
    print(f"zstd level {level}, filter at {rate:.1%}, {pages}, unchecked-hash .pyc, dependencies in the zip, trimmed")


if __name__ == "__main__":
    main()
