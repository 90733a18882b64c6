"""What the indexer costs, and how that grows: reindex, rebuild, root listings and loading, over sizes up to ten million
upstream names, a hundred thousand private projects and a million files.

    python -m benchmarks.index [--quick | --largest]

Every measurement is a process of its own, over a folder that another process filled; the upstream is a third one, on
loopback. Reindex and rebuild from zero are the commands, whole, from Python's start to its end; the rest is the work
alone, in a process that has it loaded. The folder is in memory where the machine has such a place, so that wall time is
not the disk's. Linux only. It takes some minutes; with `--largest`, which adds what takes longest, half an hour and 6
GB there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Table, draw_lines, progress, write_results
from benchmarks.stats import growth_exponent
from tests.support.builders import MEMORY

REAL_NAMES = 927_000  # what the public index listed in November 2026
REAL_PROJECTS = 1_000

NAMES = (1_000, 10_000, 100_000, REAL_NAMES, 2_500_000, 10_000_000)
PROJECTS = (10, 100, 1_000, 10_000, 100_000)
LISTED = (1_000, 10_000, 100_000, REAL_NAMES, 2_500_000)  # read from an upstream
LOGS = ((10, 50), (100, 500), (1_000, 5_000), (10_000, 50_000))  # projects and files
LARGEST_LOGS = (*LOGS, (100_000, 1_000_000))

QUICK_NAMES = (1_000, 10_000, 100_000, REAL_NAMES)
QUICK_LOGS = ((10, 50), (100, 500), (1_000, 5_000))

FITTED = 3  # points at the end of a curve, where what is the same at every size no longer hides how it grows
STEP_SECONDS = 3_600.0  # folding a million events from a folder takes a quarter of that

Taken = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What something took over sizes; None where it could not be done at a size, and `faults` say why."""

    title: str
    unit: str
    sizes: tuple[int, ...]
    taken: tuple[Taken | None, ...]
    faults: tuple[str, ...] = ()

    def points(self, what: str) -> list[tuple[float, float]]:
        """Return sizes with what was taken of this kind."""
        return [(size, taken[what]) for size, taken in zip(self.sizes, self.taken, strict=True) if taken is not None]

    def exponent(self, what: str) -> float:
        """Return e where what was taken grows as size**e, at the curve's end."""
        sizes, costs = zip(*self.points(what)[-FITTED:], strict=True)
        return growth_exponent(sizes, costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A figure that the indexer must show, and what it shows."""

    title: str
    limit: float
    found: float
    unit: str


class Failed(Exception):
    """A step failed; the text is the last line of what it said."""


def take(step: str, folder: Path, *sizes: int, environ: Mapping[str, str] | None = None) -> Taken:
    """Take a step in a process of its own and return what it took; nothing, where the step only prepares.

    Raises:
        Failed: it did not end well.
    """
    command = _command(step, folder, sizes)
    done = subprocess.run(
        command,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"{step} {' '.join(map(str, sizes))}: {done.stderr.strip().splitlines()[-1]}")
    said = done.stdout.splitlines()
    taken: Taken = json.loads(said[-1]) if said else {}
    return taken


@contextmanager
def upstream(names: int, form: str = "json") -> Iterator[Mapping[str, str]]:
    """Run an upstream that lists so many names, as JSON or as HTML, and give the environment that leads there."""
    command = _command(f"serve_{form}", Path(), (names,))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield {"UPSTREAM_INDEX_URL": json.loads(process.stdout.readline())["url"]}
        finally:
            process.stdin.close()


def _command(step: str, folder: Path, sizes: Sequence[int]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.index_steps", step, str(folder), *map(str, sizes)]


def measure_reindex(sizes: Sequence[int], form: str) -> Curve:
    """Measure a reindex into an empty folder, from an upstream that answers in this form."""
    taken: list[Taken | None] = []
    faults = []
    for size in progress(sizes, f"reindex over names, {form}"):
        with upstream(size, form) as environ, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            try:
                taken.append(take("reindex", Path(folder), environ=environ))
            except Failed as fault:
                taken.append(None)
                faults.append(str(fault))
    return Curve(
        title=f"reindex from {form.upper()}",
        unit="upstream names",
        sizes=tuple(sizes),
        taken=tuple(taken),
        faults=tuple(faults),
    )


# What is measured over a snapshot's sizes, and what it is called.
_OVER_SNAPSHOT = {
    "rebuild_after_uploads": "rebuild after one upload",
    "load": "load the snapshot",
    "root_json": "root listing, JSON",
    "root_html": "root listing, HTML",
}


def measure_snapshots(unit: str, shapes: Sequence[tuple[int, int]], sizes: Sequence[int]) -> list[Curve]:
    """Measure what begins with a snapshot.

    Args:
        shapes: upstream names and private projects.
        sizes: which of the two it is that grows.
    """
    found: dict[str, list[Taken]] = {step: [] for step in _OVER_SNAPSHOT}
    for names, projects in progress(shapes, f"snapshots over {unit}"):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            take("fill_snapshot", Path(folder), names, projects)
            for step, taken in found.items():
                taken.append(take(step, Path(folder)))
    return [
        Curve(title=_OVER_SNAPSHOT[step], unit=unit, sizes=tuple(sizes), taken=tuple(taken))
        for step, taken in found.items()
    ]


def measure_logs(shapes: Sequence[tuple[int, int]]) -> list[Curve]:
    """Measure a rebuild from zero, and a reindex after it that finds every file published and no new names."""
    found: list[list[Taken]] = [[], []]
    with upstream(1_000) as environ:
        for projects, files in progress(shapes, "logs over files"):
            with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
                take("fill_log", Path(folder), projects, files)
                found[0].append(take("rebuild_from_zero", Path(folder)))
                found[1].append(take("reindex", Path(folder), environ=environ))
    sizes = tuple(files for _, files in shapes)
    titles = ("rebuild from zero", "reindex, 1,000 names")
    return [
        Curve(title=title, unit="private files", sizes=sizes, taken=tuple(taken))
        for title, taken in zip(titles, found, strict=True)
    ]


def _promises(curves: Sequence[Curve]) -> list[Promise]:
    found = {(curve.title, curve.unit): dict(zip(curve.sizes, curve.taken, strict=True)) for curve in curves}
    promises = []
    for form in ("JSON", "HTML"):  # the public index sends JSON to those who ask for it, as we do
        title, reindex = f"reindex from {form}, {REAL_NAMES:,} names", found[f"reindex from {form}", "upstream names"]
        taken = reindex[REAL_NAMES] or {}
        promises += [
            Promise(title=title, limit=8, found=taken["process_cpu"], unit="s CPU"),
            Promise(title=title, limit=350, found=taken["peak"] / 1e6, unit="MB at its peak"),
        ]
    rebuild = found["rebuild after one upload", "private projects"]
    most = max(rebuild)
    title, taken = f"rebuild after one upload, {REAL_NAMES:,} names, {most:,} projects", rebuild[most] or {}
    return [
        *promises,
        Promise(title=title, limit=0.5, found=taken["wall"], unit="s"),
        Promise(title=title, limit=150, found=taken["cpu"] * 1e3, unit="ms CPU"),
        Promise(title=title, limit=0, found=taken["names_lists_read"], unit="lists of names read"),
    ]


def _promise_table(promises: Sequence[Promise]) -> Table:
    rows = [
        (promise.title, promise.found, promise.limit, promise.unit, "yes" if promise.found <= promise.limit else "no")
        for promise in promises
    ]
    return Table(columns=("figure", "found", "at most", "unit", "reached"), rows=tuple(rows))


def _curve_table(curves: Sequence[Curve]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for curve in curves:
        for size, taken in zip(curve.sizes, curve.taken, strict=True):
            is_last = size == curve.sizes[-1]
            costs = (None,) * 3 if taken is None else (taken["wall"], taken["cpu"], taken["peak"] / 1e6)
            exponents = (curve.exponent("cpu"), curve.exponent("peak")) if is_last else ("", "")
            rows.append((curve.title, f"{size:,} {curve.unit}", *costs, *exponents))
    columns = ("what", "size", "wall s", "CPU s", "peak MB", "CPU grows as size^", "memory as size^")
    return Table(columns=columns, rows=tuple(rows))


def main() -> None:
    """Measure, print the tables, and leave the results behind."""
    parser = argparse.ArgumentParser(description="Measure the indexer.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="without the large sizes; not to be cited")
    how.add_argument("--largest", action="store_true", help="reindex ten million names, too, and fold a million files")
    arguments = parser.parse_args()
    quick = arguments.quick
    names = QUICK_NAMES if quick else NAMES
    listed = NAMES if arguments.largest else QUICK_NAMES if quick else LISTED
    logs = LARGEST_LOGS if arguments.largest else QUICK_LOGS if quick else LOGS
    curves = [
        measure_reindex(listed, "json"),
        measure_reindex(listed, "html"),
        *measure_snapshots("upstream names", [(size, REAL_PROJECTS) for size in names], names),
        *measure_snapshots("private projects", [(REAL_NAMES, size) for size in PROJECTS], PROJECTS),
        *measure_logs(logs),
    ]
    promises = _promises(curves)
    print(_promise_table(promises).plain(), "", _curve_table(curves).plain(), sep="\n")
    for fault in (fault for curve in curves for fault in curve.faults):
        print(f"\n{fault}")
    path = write_results("index", {"promises": promises, "curves": curves}, quick=quick)
    print(f"\n{path}")
    if not quick:
        _draw(curves)


def _draw(curves: Sequence[Curve]) -> None:
    for unit in dict.fromkeys(curve.unit for curve in curves):
        shown = [curve for curve in curves if curve.unit == unit]
        for what, label in (("cpu", "CPU seconds"), ("peak", "bytes at the peak")):
            series = {curve.title: curve.points(what) for curve in shown}
            name = f"index-{unit.replace(' ', '-')}-{what}"
            draw_lines(name, f"The indexer over {unit}", series=series, x_label=unit, y_label=label)


if __name__ == "__main__":
    main()
