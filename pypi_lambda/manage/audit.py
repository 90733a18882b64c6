"""The command that reads the log: every change with when, who, from where and what.

An answer is bounded, whatever the log's length: in events, in bytes, and in how many events were looked at for it. It
says where to go on.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

from indexer.errors import InvalidValue
from indexer.json_bytes import encode_json
from indexer.log.events import Event, ProjectChange, TokenCreated, TokenRevoked, UserPut, UserRemoved, timestamp
from indexer.log.log import Log
from indexer.names import ProjectName
from indexer.value import value, values_of
from pypi_lambda.command.context import Context, Result
from pypi_lambda.cooldown.moments import ACCEPTED, parse_moment
from pypi_lambda.manage.projects import get_private

DEFAULT_EVENTS = 50
MAX_EVENTS = 5_000  # in one answer
MAX_ANSWER_BYTES = 4_194_304  # 4 MiB: an answer of Lambda has at most 6 MB, and one more event up to 256 KiB
MAX_LOOKED_AT = 5_000  # for one answer: 80 round trips, some seconds on S3
BLOCK = 512  # events read at a time, backwards, where not all of them are wanted

_AGE = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime, *, field: str) -> str:
    """Return the moment that is meant, as events have it.

    Args:
        text: a date, a time with a zone, or an age such as `7d`, `24h`, `90m` or `2w`.

    Raises:
        InvalidValue: it is something else.
    """
    try:
        if age := _AGE.fullmatch(text):
            return timestamp(now - timedelta(**{_UNITS[age[2]]: int(age[1])}))
        return timestamp(parse_moment(text, now))
    except (InvalidValue, OverflowError):
        raise InvalidValue(field, text, f"an age such as '7d' or '24h', {ACCEPTED}, and not in the future") from None


def _parse_limit(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_EVENTS:
        raise InvalidValue(field, value, f"a number from 1 to {MAX_EVENTS:,}")
    return value


@value
class ReadLog:
    """Return events, in their order: the last ones, or, with `after`, the next ones.

    Attributes:
        after: the number after which to begin; None for the last events.
        before: the number before which the last events are to be; None for the end.
        limit: how many, at most.
        project: only events about this project.
        user: only events by, or about, this user.
        since: only events from this moment on; see `parse_since`.
    """

    after: int | None = None
    before: int | None = None
    limit: Annotated[int, _parse_limit] = DEFAULT_EVENTS
    project: ProjectName | None = None
    user: str | None = None
    since: str | None = None

    def run(self, context: Context) -> Result:
        """Carry it out.

        Returns:
            `events`; `head`, the number of the last event; `next`, to be given as `after` for what follows, and
            `earlier`, to be given as `before` for what comes before, each None when there is nothing.
        """
        if self.after is not None and self.before is not None:
            raise InvalidValue("log.before", self.before, "after and before exclude each other")
        log = Log(context.service.store)
        head = context.service.index.refresh().current.head.seq
        floor = 0
        if self.since is not None:
            since = parse_since(self.since, context.now(), field="log.since")
            floor = _count_before(log, head, since)
        last = head
        if self.project is not None:
            last = get_private(context, self.project, field="log.project").seq
        if self.after is not None:
            return {"head": head, "earlier": None, **self._read_on(log, max(self.after, floor), last)}
        upper = last if self.before is None else min(last, self.before - 1)
        return {"head": head, "next": None, **self._read_back(log, floor, upper)}

    def _read_on(self, log: Log, after: int, last: int) -> Result:
        if after >= last:
            return {"events": [], "next": None}
        documents: list[dict[str, Any]] = []
        size, stop = 0, min(last, after + MAX_LOOKED_AT)
        for event in log.read_between(after, stop):
            if self._wants(event):
                documents.append(document_of(event))
                size += len(encode_json(documents[-1]))
            if len(documents) >= self.limit or size >= MAX_ANSWER_BYTES:
                return {"events": documents, "next": event.seq if event.seq < last else None}
        return {"events": documents, "next": stop if stop < last else None}

    def _read_back(self, log: Log, floor: int, upper: int) -> Result:
        documents: list[dict[str, Any]] = []
        size, stop = 0, max(floor, upper - MAX_LOOKED_AT)
        for event in self._backwards(log, stop, upper):
            if self._wants(event):
                documents.append(document_of(event))
                size += len(encode_json(documents[-1]))
            if len(documents) >= self.limit or size >= MAX_ANSWER_BYTES:
                return {"events": documents[::-1], "earlier": event.seq if event.seq > floor + 1 else None}
        return {"events": documents[::-1], "earlier": stop + 1 if stop > floor else None}

    def _backwards(self, log: Log, after: int, last: int) -> Iterator[Event]:
        block = self.limit if self.project is None and self.user is None else BLOCK
        while last > after:
            start = max(after, last - block)
            yield from reversed(list(log.read_between(start, last)))
            last = start

    def _wants(self, event: Event) -> bool:
        change = event.change
        if self.project is not None and not (isinstance(change, ProjectChange) and change.project == self.project):
            return False
        about = change.username if isinstance(change, UserPut | UserRemoved | TokenCreated | TokenRevoked) else None
        return self.user is None or self.user in (event.by, about)


def document_of(event: Event) -> dict[str, Any]:
    """Return an event as JSON has it, with its digest, which the next event's `prev` repeats."""
    return {
        "seq": event.seq,
        "id": event.id,
        "prev": event.prev,
        "digest": event.digest,
        "at": event.at,
        "by": event.by,
        "client": event.client,
        "kind": type(event.change).__name__,
        **values_of(event.change),
    }


def _count_before(log: Log, head: int, since: str) -> int:
    """Return the number of the last event before a moment; the writers' clocks are taken at their word."""
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        if log.get_event(middle).at < since:
            low = middle
        else:
            high = middle - 1
    return low
