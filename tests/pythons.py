"""`make pythons`: the suite under each Python that is found here, each in an environment of its own, one after another.

Writes `docs/pythons.md`, where each run replaces the rows of what it ran.
"""

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.bytecode import find_compiler
from deploy.target import PYTHONS, Target
from pypi_lambda.clock import utc_now

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "pythons.md"
ENVIRONMENTS = ROOT / ".venv-pythons"
MINORS = ("3.11", *PYTHONS)

_INTEGRATION = "tests/integration"
# The zip, and the zip under AWS's own runtime client.
_FUNCTION = ("tests/aws/test_lambda_runtime.py", "tests/deploy/test_ldist.py", f"{_INTEGRATION}/test_lambda.py")
# What is asked of pytest for each part of the suite.
PARTS: Mapping[str, tuple[str, ...]] = {
    "units": ("tests", f"--ignore={_INTEGRATION}", "--ignore=tests/e2e", *(f"--ignore={path}" for path in _FUNCTION)),
    "function": _FUNCTION,
    "integration": (_INTEGRATION, f"--ignore={_FUNCTION[-1]}"),
}
_ROW = re.compile(r"\| (?P<python>3\.\d+\.\d+\S*) \| (?P<part>\w+) \|.*\|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of one part under one Python."""

    python: str
    part: str
    passed: int
    failed: int
    skipped: int
    minutes: float
    day: str

    def row(self) -> str:
        """Return its row of the table."""
        cells = (self.python, self.part, self.passed, self.failed, self.skipped, f"{self.minutes:.0f}", self.day)
        return f"| {' | '.join(map(str, cells))} |"


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for and return how many tests failed."""
    options = _parse(arguments)
    failed = 0
    for interpreter in options.pythons or _find_pythons():
        python, version = _make_environment(interpreter)
        for part in options.part or PARTS:
            done = _run(python, version, part, options.day)
            print(done.row(), flush=True)  # noqa: T201
            DOCUMENT.write_text(replace_row(DOCUMENT.read_text("utf-8"), done), "utf-8")
            failed += done.failed
    return min(failed, 1)


def replace_row(document: str, run: Run) -> str:
    """Return the document with the run's row, in the place of an earlier one of the same part and Python."""
    lines = document.splitlines()
    rows = [line for line in lines if _ROW.fullmatch(line)]
    start = lines.index(next(line for line in lines if line.startswith("|---"))) + 1
    kept = [row for row in rows if (found := _ROW.fullmatch(row)) and (found["python"], found["part"]) != _key(run)]
    table = sorted([*kept, run.row()], key=_order)
    rest = [line for line in lines[start:] if line not in rows]
    return "\n".join([*lines[:start], *table, *rest]) + "\n"


def _key(run: Run) -> tuple[str, str]:
    return run.python, run.part


def _order(row: str) -> tuple[list[int], int]:
    _, python, part, *_ = (cell.strip() for cell in row.split("|"))
    return [int(number) for number in re.findall(r"\d+", python)], list(PARTS).index(part)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pythons", description="Run the suite under several Pythons.")
    parser.add_argument("--part", action="append", choices=tuple(PARTS), help="of the suite; all, if none is named")
    parser.add_argument("--day", default=utc_now().date().isoformat(), help="what the table says of when")
    parser.add_argument("pythons", nargs="*", help="interpreters; those that are found, if none is named")
    return parser.parse_args(arguments)


def _find_pythons() -> Iterator[str]:
    for minor in MINORS:
        if found := find_compiler(Target(python=minor), os.environ):
            yield found


def _make_environment(interpreter: str) -> tuple[str, str]:
    """Return the environment's interpreter, with everything installed, and its version."""
    probe = "import platform; print(platform.python_version())"
    version = subprocess.run(
        [interpreter, "-I", "-c", probe], check=True, capture_output=True, text=True
    ).stdout.strip()
    folder = ENVIRONMENTS / version
    python = str(folder / "bin" / "python")
    if not Path(python).exists():
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[serve,test]"]
    subprocess.run([python, *install], check=True, cwd=ROOT)
    return python, version


def _run(python: str, version: str, part: str, day: str) -> Run:
    report = ENVIRONMENTS / f"{version}-{part}.xml"
    command = [python, "-m", "pytest", "-q", "-m", "not e2e", f"--junitxml={report}", *PARTS[part]]
    report.unlink(missing_ok=True)
    with report.with_suffix(".log").open("wb") as log:
        subprocess.run(command, cwd=ROOT, check=False, stdout=log, stderr=log)
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    failed, skipped = _sum(suites, "failures", "errors"), _sum(suites, "skipped")
    return Run(
        python=version,
        part=part,
        passed=_sum(suites, "tests") - failed - skipped,
        failed=failed,
        skipped=skipped,
        minutes=sum(float(suite.get("time", 0)) for suite in suites) / 60,
        day=day,
    )


def _sum(suites: Iterable[ElementTree.Element], *names: str) -> int:
    return sum(int(suite.get(name, 0)) for suite in suites for name in names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
