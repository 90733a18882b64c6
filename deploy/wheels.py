"""The wheels: fetched by pip for the target, whatever machine this is, with the digests that `requirements.txt` names.

pip alone is asked, with no resolution (`--no-deps`), for what the file names for the target: it would evaluate
environment markers, those of the file among them, for the interpreter it runs under.

https://pip.pypa.io/en/stable/cli/pip_download/
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import Unbuildable
from deploy.target import Target

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEWEST_PATCH = 99  # Lambda keeps its runtimes at the newest one; without it pip takes X.Y for X.Y.0
PIP_SECONDS = 900.0  # 12 MB; this is for the slowest of lines

_PIN = re.compile(r"^(?=[a-z0-9-]+==)", re.MULTILINE)
# The one kind that `make lock` writes for what setup.py asks for.
_MARKER = re.compile(r"python_full_version (?P<sign><|>=) '3\.(?P<minor>\d+)'")


def fetch_wheels(target: Target, folder: Path) -> tuple[Path, ...]:
    """Fetch the function's dependencies into the folder and return them, sorted by name.

    Raises:
        Unbuildable: pip is missing, or has no such wheel for the target, or cannot get it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder / REQUIREMENTS.name
    requirements.write_text(select_pins(REQUIREMENTS.read_text("utf-8"), target), "utf-8")
    _run_pip(pip_arguments(target, folder, requirements))
    return tuple(sorted(folder.glob("*.whl")))


def select_pins(requirements: str, target: Target) -> str:
    """Return the pins that are meant for the target, without their markers.

    Raises:
        Unbuildable: a marker says something else than this reads.
    """
    selected = []
    for pin in _PIN.split(requirements)[1:]:
        head, _, digests = pin.partition("\n")
        what, _, marker = head.removesuffix("\\").partition(";")
        if _is_meant(what.strip(), marker.strip(), target):
            selected.append(f"{what.strip()} \\\n{digests}")
    return "".join(selected)


def _is_meant(what: str, marker: str, target: Target) -> bool:
    if not marker:
        return True
    found = _MARKER.fullmatch(marker)
    if found is None:
        raise Unbuildable(f"{REQUIREMENTS.name}: the marker of {what} is not understood: {marker!r}")
    is_older = target.minor < int(found["minor"])
    return is_older if found["sign"] == "<" else not is_older


def pip_arguments(target: Target, folder: Path, requirements: Path) -> tuple[str, ...]:
    """Return what pip is asked for."""
    return (
        *("download", "--quiet", "--no-input", "--disable-pip-version-check", "--dest", str(folder)),
        *("--requirement", str(requirements), "--require-hashes", "--no-deps", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", f"{target.python}.{NEWEST_PATCH}"),
        *("--abi", target.abi, "--abi", "abi3", "--abi", "none"),
        *(argument for platform in target.platforms for argument in ("--platform", platform)),
    )


def _run_pip(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise Unbuildable(f"pip fetched no wheels within {PIP_SECONDS:.0f} s") from None
    if done.returncode:
        raise Unbuildable(f"pip could not fetch the wheels: {_last_words(done.stderr)}")


def _last_words(output: str) -> str:
    lines = output.splitlines()
    said = [line for line in lines if line.startswith("ERROR")] or lines or ["it did not say why"]
    return said[-1].removeprefix("ERROR: ")
