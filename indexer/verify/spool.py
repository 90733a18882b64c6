"""Rows grouped by project that are more than memory should hold: they go to temporary files, and come back project by
project, one file's worth at a time.

Knows nothing of what the rows say.
"""

from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self
from zlib import crc32

import msgpack

PARTS = 64  # of a million rows, 16,000 are in memory at a time; as many files are open


class Spool:
    """Takes rows in any order; gives them back by project, within a project in the order in which they came."""

    def __init__(self) -> None:
        self._files: list[IO[bytes]] = [TemporaryFile() for _ in range(PARTS)]  # noqa: SIM115 - see `__exit__`

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()

    def add(self, project: str, *row: object) -> None:
        """Take a row of what msgpack can hold."""
        self._files[_part(project)].write(msgpack.packb((project, row)))

    def groups(self) -> Iterator[tuple[str, list[list[Any]]]]:
        """Yield each project with its rows, in the order of `place`."""
        for file in self._files:
            file.seek(0)
            groups: dict[str, list[list[Any]]] = {}
            for project, row in msgpack.Unpacker(file):
                groups.setdefault(project, []).append(row)
            yield from sorted(groups.items())


def place(project: str) -> tuple[int, str]:
    """Return what projects are ordered by; the same in every process."""
    return _part(project), project


def _part(project: str) -> int:
    return crc32(project.encode()) % PARTS
