"""Writing what happens into the log, for one author: who, from where, when, and how far the log was read."""

from collections.abc import Callable, Iterable
from datetime import datetime

from indexer.log.events import Change, Event, timestamp
from indexer.log.log import ORIGIN, Head, Log, head_of
from indexer.store.base import ObjectStore

Step = Callable[[Event], None]
"""Called with each event that others wrote meanwhile; it may raise to withdraw the change."""


def pass_by(_event: Event) -> None:
    """Let the change stand, whatever happened meanwhile."""


class Journal:
    """Appends to the log of one store.

    Args:
        by: who asks for the changes.
        client: from where; "" where that says nothing.
        now: the current time.
        new_id: 128 random bits as hex.
        head: a place in the log that was seen; being far behind costs time.

    Attributes:
        written: the number of the last event that was written here; 0 while there is none.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        by: str,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        client: str = "",
        head: Head = ORIGIN,
    ) -> None:
        self.by = by
        self.now = now
        self.new_id = new_id
        self.written = 0
        self._client = client
        self._log = Log(store)
        self._last: Head | Event = head

    @property
    def head(self) -> Head:
        """How far the log was read."""
        return head_of(self._last) if isinstance(self._last, Event) else self._last

    def append(self, change: Change, *, step: Step = pass_by) -> Event:
        """Write a change and return its event: the commit of whatever it describes.

        Args:
            step: called with each event after `head`, in order; what it lets pass is not shown again.

        Raises:
            IndexerError: as `Log.append` does.
        """
        return self._append(change, timestamp(self.now()), step)

    def append_all(self, changes: Iterable[Change], *, step: Step = pass_by) -> tuple[Event, ...]:
        """Write changes of one moment, one after another, and return their events; see `append`."""
        at = timestamp(self.now())
        return tuple([self._append(change, at, step) for change in changes])

    def _append(self, change: Change, at: str, step: Step) -> Event:
        def look(event: Event) -> None:
            step(event)
            self._last = event

        id_ = self.new_id()
        event = self._log.append(self._last, change, by=self.by, at=at, id=id_, client=self._client, step=look)
        self._last = event
        self.written = event.seq
        return event
