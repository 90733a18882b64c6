"""Bytecode: `.pyc` files that the function's interpreter takes as they are.

Lambda unpacks the zip with its own modification times, so that ordinary `.pyc` files would count as stale, and its file
system is read-only, so that what is compiled instead would be thrown away: every cold start would compile every module
anew. With `unchecked-hash` the interpreter loads a `.pyc` without looking at its source. The format belongs to one
minor version, so an interpreter of that very version must do it.

PEP 552 (deterministic pycs), https://docs.python.org/3/library/compileall.html
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.errors import Unbuildable
from deploy.target import Target

CODE_ROOT = "/var/task"  # where Lambda unpacks the zip; tracebacks name it
PROBE_SECONDS = 20.0  # an interpreter starts in 20 ms; a version manager's stand-in may think for a while
COMPILE_SECONDS = 300.0  # it takes 5

# Before its first release, a version's bytecode may still change.
_PROBE = "import sys; v = sys.version_info; print(sys.implementation.name, '%d.%d' % v[:2], v.releaselevel)"


def find_compiler(target: Target, environ: Mapping[str, str]) -> str | None:
    """Return the path of a released interpreter of the target's minor version, or None when this machine has none."""
    expected = f"cpython {target.python} final"
    return next((found for found in _candidates(target, environ) if _probe(found) == expected), None)


def compile_all(compiler: str, folder: Path) -> None:
    """Write a `.pyc` for every module below the folder, the same bytes each time.

    Raises:
        Unbuildable: a module does not compile.
    """
    # The hash seed decides in which order a constant set is written.
    environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "", "PYTHONOPTIMIZE": ""}
    command = [compiler, "-s", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    paths = ["-s", str(folder), "-p", CODE_ROOT, str(folder)]
    done = subprocess.run(  # noqa: S603
        [*command, *paths], env=environ, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False
    )
    if done.returncode:
        raise Unbuildable(f"{compiler} could not compile the code: {done.stdout.strip() or done.stderr.strip()}")


def _candidates(target: Target, environ: Mapping[str, str]) -> Iterator[str]:
    yield sys.executable
    # Each folder of its own: a version manager's stand-in, which may lead nowhere, hides what comes behind it.
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        if found := shutil.which(f"python{target.python}", path=folder or os.curdir):
            yield found
    yield from _found_by_uv(target, environ)
    pyenv = Path(environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(map(str, pyenv.glob(f"versions/{target.python}.*/bin/python{target.python}")))


def _found_by_uv(target: Target, environ: Mapping[str, str]) -> Iterator[str]:
    if uv := shutil.which("uv", path=environ.get("PATH")):
        yield _output(uv, "python", "find", "--no-project", "--no-python-downloads", target.python)


def _probe(interpreter: str) -> str:
    return _output(interpreter, "-I", "-c", _PROBE) if interpreter else ""


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
