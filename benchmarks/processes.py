"""Server processes of a benchmark: started on loopback, watched through /proc, ended by their ids.

Linux only. proc(5).
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"
START_SECONDS = 40.0  # devpi's first start on a busy machine takes ten
STOP_SECONDS = 10.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class NotStarted(Exception):
    """A server ended at once, or never became ready; the text says what its log ended with."""


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], *, environ: Mapping[str, str], folder: Path, log: Path, is_ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, from when it is ready, and end it and what it started.

    Args:
        environ: what is added to this process's own environment.
        folder: where it is started.
        log: where its output goes.

    Raises:
        NotStarted: it ended, or was not ready in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that one signal reaches it and its workers, and nobody else
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{Path(command[0]).name}: {_last_line(log)}")
            time.sleep(0.05)
        yield process
    finally:
        _stop(process)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    process.wait(STOP_SECONDS)


def listens(port: int) -> bool:
    """Tell whether something accepts connections on the port."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
        return True
    return False


def family(pid: int) -> list[int]:
    """Return the ids of a process and of all that descend from it."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            found += [one for child in tasks.read_text().split() for one in family(int(child))]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its living descendants have used, in steps of 10 ms."""
    return sum(map(_ticks, family(pid))) / _TICKS_PER_SECOND


def _ticks(pid: int) -> int:
    try:
        # The second field, the name in brackets, may have blanks and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])  # utime and stime, the fields 14 and 15 of all


def resident_megabytes(pid: int) -> float:
    """Return the memory of a process and its descendants; what they share counts once for each."""
    pages = 0
    for one in family(pid):
        with suppress(OSError):
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576


def settle(pid: int, *, seconds: float) -> bool:
    """Wait until a process has nothing left to do, and tell whether it got there in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(0.2)
        if cpu_seconds(pid) - before <= 0.02:  # two ticks: timers and housekeeping
            return True
    return False
