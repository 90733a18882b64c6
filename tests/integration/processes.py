"""The processes of a group. From /proc where there is one, as small containers have no `ps`.

proc(5), ps(1).
"""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def find_group(group: int) -> dict[int, str]:
    """Return the command lines of the processes of a group, by id.

    Zombies count, with an empty one: further threads may live on, and keep sockets open, after the first one ended.
    """
    found = _from_proc() if (_PROC / "self" / "stat").exists() else _from_ps()
    return {pid: arguments for pid, of, arguments in found if of == group}


def _from_proc() -> Iterator[tuple[int, int, str]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                # The name in parentheses may itself have some: "pid (name) state ppid pgrp …"
                _, _, group, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
                arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(folder.name), int(group), arguments


def _from_ps() -> Iterator[tuple[int, int, str]]:
    command = ["ps", "-A", "-o", "pid=,pgid=,args="]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        pid, group, arguments = line.split(maxsplit=2)
        yield int(pid), int(group), arguments
