"""Init taken apart: a process that does, one after another, what the function's init does, and times each step.

Not the function itself, which knows of no measurement: it imports the same modules from the same code in that order,
connects, and reads the snapshot. Run as a program it is that process.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tests.aws.lambda_environment import Function

T = TypeVar("T")

SECONDS = 60
_RUNTIME_S = ("awslambdaric.bootstrap",)  # what the runtime client has imported before the function's code
_IMPORTS: Mapping[str, tuple[str, ...]] = {
    "import obstore": ("obstore", "obstore.store"),
    "import zstandard, msgpack, rbloom": ("zstandard", "msgpack", "rbloom"),
    "import hashlib": ("hashlib",),
    "import indexer": ("indexer.derive.rebuild", "indexer.store.s3"),
    "import pypi_lambda": (
        *(
            "pypi_lambda.app.service",
            "pypi_lambda.front_doors.requests",
            "pypi_lambda.function.control",
            "pypi_lambda.function.remote",
        ),
        *("pypi_lambda.function.notifications", "pypi_lambda.function.certificates"),
    ),
}


def measure_stages(function: "Function", rounds: int) -> dict[str, tuple[float, float]]:
    """Return the medians of each step's wall and processor time, in milliseconds."""
    environ = {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(map(str, (*function.code, function.runtime))),
        "PYTHONDONTWRITEBYTECODE": "1",
        **function.environ,
    }
    command = [*function.prefix, function.python, "-S", "-P", __file__]
    samples = [
        json.loads(subprocess.run(command, env=environ, capture_output=True, check=True, timeout=SECONDS).stdout)
        for _ in range(rounds)
    ]
    return {
        step: (median(sample[step][0] for sample in samples), median(sample[step][1] for sample in samples))
        for step in samples[0]
    }


def _main() -> None:
    from importlib import import_module

    found: dict[str, tuple[float, float]] = {}

    def timed(step: str, work: Callable[[], T]) -> T:
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        found[step] = ((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
        return done

    for name in _RUNTIME_S:
        import_module(name)
    for step, names in _IMPORTS.items():
        timed(step, lambda names=names: [import_module(name) for name in names])  # type: ignore[misc]

    from indexer.derive.snapshot import decode_snapshot
    from indexer.keys import SNAPSHOT_KEY
    from indexer.store.open import open_store
    from pypi_lambda.function.certificates import name_bundle

    name_bundle(os.environ)
    store = open_store(os.environ["BUCKET"], os.environ["REPO_BASE_PREFIX"])
    timed("make the client", lambda: store.signed_url("key", seconds=1))
    stored = timed("fetch the snapshot", lambda: store.get(SNAPSHOT_KEY))
    timed("decode it", lambda: decode_snapshot(SNAPSHOT_KEY, stored.body))
    timed("decode it again", lambda: decode_snapshot(SNAPSHOT_KEY, stored.body))
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
