"""The Pythons of this machine: on the PATH, of pyenv, and those that uv knows."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.matrix.commands import run
from tests.support.servers import program

_SECONDS = 60


def find_python(versions: Sequence[str]) -> tuple[str, str] | None:
    """Return the first of these versions, as `3.9`, that is here, and its interpreter."""
    for version in versions:
        if (found := _find(version)) is not None:
            return version, found
    return None


@cache
def _find(version: str) -> str | None:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return str(Path(sys.prefix if sys.prefix == sys.base_prefix else sys.base_prefix, "bin", f"python{version}"))
    candidates = [shutil.which(f"python{version}"), *_of_pyenv(version), _of_uv(version)]
    return next((found for found in candidates if found is not None and _is(found, version)), None)


def _of_pyenv(version: str) -> list[str]:
    pyenv = shutil.which("pyenv")
    root = os.environ.get("PYENV_ROOT") or (pyenv and str(Path(pyenv).resolve().parent.parent)) or ""
    folders = Path(root or Path.home() / ".pyenv", "versions").glob(f"{version}.*")
    newest_first = sorted(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.name)])[::-1]
    return [str(folder / "bin" / "python") for folder in newest_first]


def _of_uv(version: str) -> str | None:
    ended = run([program("uv"), "python", "find", "--no-project", version], environ=_environ(), seconds=_SECONDS)
    return ended.output.split("\n")[0].strip() if ended.code == 0 else None


def _is(python: str, version: str) -> bool:
    """Tell whether this runs and is that version: a shim of pyenv may be neither."""
    if not Path(python).exists():
        return False
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    ended = run([python, "-c", code], environ=_environ(), seconds=_SECONDS)
    return ended.code == 0 and ended.output.strip() == version


def _environ() -> dict[str, str]:
    return {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
