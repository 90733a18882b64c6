"""The wheels: fetched by pip for the target, whatever machine this is, with the digests that `requirements.txt` names.

pip alone is asked, with no resolution (`--no-deps`): it would evaluate the packages' environment markers for the
interpreter it runs under, not for the target.

https://pip.pypa.io/en/stable/cli/pip_download/
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import Unbuildable
from deploy.target import Target

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEWEST_PATCH = 99  # Lambda keeps its runtimes at the newest one; without it pip takes X.Y for X.Y.0
PIP_SECONDS = 900.0  # 12 MB; this is for the slowest of lines


def fetch_wheels(target: Target, folder: Path) -> tuple[Path, ...]:
    """Fetch the function's dependencies into the folder and return them, sorted by name.

    Raises:
        Unbuildable: pip is missing, or has no such wheel for the target, or cannot get it.
    """
    _run_pip(pip_arguments(target, folder))
    return tuple(sorted(folder.glob("*.whl")))


def pip_arguments(target: Target, folder: Path) -> tuple[str, ...]:
    """Return what pip is asked for."""
    return (
        *("download", "--quiet", "--no-input", "--disable-pip-version-check", "--dest", str(folder)),
        *("--requirement", str(REQUIREMENTS), "--require-hashes", "--no-deps", "--only-binary", ":all:"),
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
