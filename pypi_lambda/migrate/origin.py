"""What is to be brought over from another index: its projects, their files, and what is known of each.

Owns no way to read one; those are the modules beside this one.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol

from indexer.digests import Hashes
from indexer.log.events import MAX_REASON_LENGTH, timestamp
from indexer.names import Filename, ProjectName
from indexer.value import value

FIRST_MOMENT = datetime(1991, 1, 1, tzinfo=UTC)  # before there was Python; of the year 1 some moments are none in UTC


@value
class OriginFile:
    """A file of another index.

    Attributes:
        where: what names it in a summary: a path or an address, without credentials.
        hashes: its digests there, by hashlib's names; empty where none is told.
        upload_time: `YYYY-MM-DDThh:mm:ss.ffffffZ`, or None where it is not known.
        yanked: the reason, which may be empty, or None.
        open: gives its content, in chunks that are read inside the `with`.
    """

    filename: Filename
    where: str
    hashes: Hashes
    upload_time: str | None
    yanked: str | None
    open: Callable[[], AbstractContextManager[Iterator[bytes]]]


@value
class Failure:
    """What could not be brought over, and why."""

    where: str
    reason: str


@value
class OriginProject:
    """A project of another index.

    Attributes:
        status: one of `indexer.log.project.STATUSES` with its reason, or None where none is told.
        failures: files that cannot even be named.
    """

    name: ProjectName
    files: tuple[OriginFile, ...]
    status: tuple[str, str] | None = None
    failures: tuple[Failure, ...] = ()


class Origin(Protocol):
    """An index to move in from."""

    def names(self) -> tuple[ProjectName, ...]:
        """Return the projects that are to be brought over, sorted.

        Raises:
            IndexerError: the index cannot be read.
        """

    def read_project(self, name: ProjectName) -> OriginProject:
        """Return one of them.

        Raises:
            IndexerError: it cannot be read.
        """


def checked_time(text: str | None, *, now: datetime) -> str | None:
    """Return an upload time in our own form, or None when it is none, one to come, or from before there was Python."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return timestamp(moment) if FIRST_MOMENT <= moment <= now else None


def checked_reason(text: str) -> str:
    """Return a reason for a yank or a status as one that is given here: a line, printable, cut where it is too long."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)[:MAX_REASON_LENGTH]
