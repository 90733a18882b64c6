"""What a command, or a part of this process, costs. POSIX only: a process's cost comes from `wait4`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# The unit of ru_maxrss (getrusage(2)): bytes on macOS, KiB elsewhere.
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What something took; `peak_bytes` is a whole process's largest resident memory, 0 for a part of one."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int = 0

    def __str__(self) -> str:
        peak = f", {self.peak_bytes / 1e6:,.0f} MB" if self.peak_bytes else ""
        return f"{self.wall_seconds:.3f} s, of these {self.cpu_seconds:.3f} s CPU{peak}"


def run_measured(command: Sequence[str], environ: Mapping[str, str]) -> Cost:
    """Run a command to its end, as a process of its own, and return what it cost.

    Raises:
        CalledProcessError: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environ)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(
        wall_seconds=time.perf_counter() - began,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * _MAXRSS_BYTES,
    )


def measure(work: Callable[[], object]) -> Cost:
    """Return what the work costs this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(wall_seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu)
