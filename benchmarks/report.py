"""What every benchmark leaves behind: its results as JSON with all that is needed to judge them, tables, and charts.

Knows nothing of what is measured. A benchmark gives JSON values and every sample; the machine, the commit and the
versions are added here. matplotlib is loaded when a chart is drawn.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import orjson

from benchmarks.stats import shown
from pypi_lambda.clock import utc_now

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHARTS = ROOT / "docs" / "charts"

# What decides on how fast this project's own code is.
PACKAGES = ("boto3", "granian", "msgpack", "obstore", "orjson", "rbloom", "zstandard")

LINE_LENGTH = 240  # characters of a value in a file of results; what was measured once fits

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a benchmark ran."""

    cores: int
    cpu: str
    memory_megabytes: int
    kernel: str
    load_average: float


def read_machine() -> Machine:
    """Return this machine, with how busy it was in the last minute. Linux only."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    kilobytes = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal:"))
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=cpus[0] if cpus else platform.machine(),
        memory_megabytes=kilobytes // 1_024,
        kernel=platform.release(),
        load_average=os.getloadavg()[0],
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines()


def read_commit() -> str:
    """Return the commit that is checked out, with a plus sign when the product's files differ, or ""."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()

    return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", "indexer", "pypi_lambda") else "")


def read_versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed here."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_results(benchmark: str, results: Mapping[str, Any], *, quick: bool = False) -> Path:
    """Write a run's results with what they depend on, and return the file.

    Args:
        results: JSON values; every sample, not only what was made of them.
        quick: a run too short to be cited; it goes beside the full one, never over it, and is not committed.
    """
    document = {
        "benchmark": benchmark,
        "quick": quick,
        "at": utc_now().isoformat(timespec="seconds"),
        "commit": read_commit(),
        "command": [f"python -m benchmarks.{benchmark}", *sys.argv[1:]],
        "machine": asdict(read_machine()),
        "versions": read_versions(),
        **results,
    }
    path = RESULTS / f"{benchmark}{'-quick' if quick else ''}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{layout_json(document)}\n", "utf-8")
    return path


def layout_json(document: Any, *, indent: int = 0) -> str:
    """Return JSON text with a line for each short value and each innermost one: a thousand samples are one line."""
    line = orjson.dumps(document).decode()
    if len(line) <= LINE_LENGTH or not any(isinstance(member, dict | list) for member in _members(document)):
        return line
    margin = "\n" + " " * (indent + 1)
    if isinstance(document, dict):
        items = [
            f"{orjson.dumps(name).decode()}: {layout_json(member, indent=indent + 1)}"
            for name, member in document.items()
        ]
    else:
        items = [layout_json(member, indent=indent + 1) for member in document]
    opening, closing = "{}" if isinstance(document, dict) else "[]"
    return f"{opening}{margin}{f',{margin}'.join(items)}{margin[:-1]}{closing}"


def _members(document: Any) -> Iterable[Any]:
    if isinstance(document, dict):
        return document.values()
    return document if isinstance(document, list) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a heading each; numbers are rounded when they are shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]

    def markdown(self) -> str:
        """Return the table as Markdown, numbers on the right."""
        rules = ["---:" if self._is_numeric(place) else "---" for place in range(len(self.columns))]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.columns, rules, *self._texts()))

    def plain(self) -> str:
        """Return the table for a terminal."""
        texts = [self.columns, *self._texts()]
        widths = [max(len(row[place]) for row in texts) for place in range(len(self.columns))]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if self._is_numeric(place) else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in texts
        )

    def _texts(self) -> list[tuple[str, ...]]:
        return [tuple(_cell(value) for value in row) for row in self.rows]

    def _is_numeric(self, place: int) -> bool:
        return any(isinstance(row[place], int | float) for row in self.rows)


def _cell(value: str | float | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else shown(value)


def progress(items: Sequence[Item], description: str) -> Iterable[Item]:
    """Yield the items while a bar on standard error tells how many are left; nothing is shown where nobody watches."""
    from tqdm import tqdm

    return tqdm(items, desc=description, disable=None, leave=False)


def draw_bars(
    name: str, title: str, *, groups: Sequence[str], series: Mapping[str, Sequence[float | None]], unit: str
) -> Path:
    """Draw bars, on a logarithmic scale and with their values, and return the PNG file.

    Args:
        groups: what stands beside each group of bars.
        series: for each colour, a value a group; None for one that could not be measured.
    """
    axes, figure = _axes(title, height=1.2 + 0.32 * len(groups) * len(series))
    thickness = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        places = [place + (number - (len(series) - 1) / 2) * thickness for place in range(len(groups))]
        bars = axes.barh(places, [value or 0 for value in values], thickness * 0.92, label=label)
        axes.bar_label(bars, [_cell(value) for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(groups)), groups)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(unit)
    axes.margins(x=0.15)
    figure.legend(loc="outside lower center", ncols=len(series), fontsize=8, frameon=False)
    return _saved(figure, name)


def draw_lines(
    name: str, title: str, *, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str
) -> Path:
    """Draw one line a series through its points, both axes logarithmic, and return the PNG file."""
    axes, figure = _axes(title, height=4.0)
    for label, points in series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(fontsize=8, frameon=False)
    return _saved(figure, name)


def _axes(title: str, *, height: float) -> tuple[Any, Any]:
    # Not through pyplot, which would look for a window system and remember every figure.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return axes, figure


def _saved(figure: Any, name: str) -> Path:
    path = CHARTS / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in it, the same values give the same bytes.
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path
