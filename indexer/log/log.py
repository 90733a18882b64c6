"""The log: numbered objects without gaps, each written once. It is the only truth about private projects.

A writer only ever writes the number after one it has seen, so a missing `head + 1` proves that everything up to `head`
is everything there is. Each event carries the digest of the one before, so an edited or removed event is noticed by
whoever reads past it.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from indexer.errors import AlreadyExists, CorruptObject, StoreUnavailable, TooLarge
from indexer.keys import LOG, find_seq, log_key
from indexer.log.events import Change, Event, FileAdded, decode_event, encode_event
from indexer.store.base import ObjectStore, Stored
from indexer.value import replace, value

MAX_EVENT_BYTES = 262_144  # 256 KiB: an event is about 500 bytes; a long list of reserved patterns a few thousand
STEPS_BEFORE_LISTING = 4  # a tail this short is read number by number; a longer one is listed first


@value
class Head:
    """A place in the log: the last event that is known, and its digest. `ORIGIN` is before the first."""

    seq: int
    digest: str


ORIGIN = Head(seq=0, digest="")


class Log:
    """Appends to and reads from the log in one store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def find_next(self, head: Head) -> Event | None:
        """Return the event after `head`, or None: then `head` is the end, as of some moment during this call.

        Raises:
            CorruptObject: the object is no event, or does not continue from `head`.
        """
        key = log_key(head.seq + 1)
        stored = _find(self._store, key)
        return None if stored is None else _continued(head, key, stored)

    def get_event(self, seq: int) -> Event:
        """Return the event with this number, whatever the one before it says.

        Raises:
            CorruptObject: it is missing, or none.
        """
        key = log_key(seq)
        stored = _find(self._store, key)
        if stored is None:
            raise CorruptObject(key, "the event is missing")
        event = decode_event(key, stored.body)
        if event.seq != seq:
            raise CorruptObject(key, f"the event says it is number {event.seq}")
        return event

    def read_between(self, after: int, last: int) -> Iterator[Event]:
        """Yield the events after number `after` up to number `last`, both of which there are, in order.

        Raises:
            CorruptObject: one is unreadable, missing, or does not continue the one before.
        """
        head = head_of(self.get_event(after)) if after else ORIGIN
        yield from self._read_all(head, range(after + 1, last + 1))

    def read_after(self, head: Head) -> Iterator[Event]:
        """Yield the events after `head`, in order, to the end.

        Raises:
            CorruptObject: an event is unreadable, missing before a later one, or does not continue the one before.
        """
        for _ in range(STEPS_BEFORE_LISTING):
            event = self.find_next(head)
            if event is None:
                return
            yield event
            head = head_of(event)
        yield from self._read_all(head, self._listed_numbers(head.seq))

    def _listed_numbers(self, seq: int) -> Iterator[int]:
        # A listing only tells how far the log goes. One that is read while others append may lack an event and have the
        # one after it, which was written because the first was there.
        for stat in self._store.list(LOG, after=log_key(seq)):
            last = find_seq(stat.key) or seq
            yield from range(seq + 1, last + 1)
            seq = max(seq, last)

    def _read_all(self, head: Head, numbers: Iterable[int]) -> Iterator[Event]:
        try:
            for key, stored in self._store.find_all(map(log_key, numbers), limit=MAX_EVENT_BYTES):
                if stored is None:
                    raise self._gap(key)
                event = _continued(head, key, stored)
                yield event
                head = head_of(event)
        except TooLarge as fault:
            raise _too_long(log_key(head.seq + 1), fault) from None

    def _gap(self, key: str) -> CorruptObject | StoreUnavailable:
        if next(self._store.list(LOG, after=key), None) is not None:
            return CorruptObject(key, "an event is missing before a later one")
        # It was listed, so it exists: the store contradicts itself, and guessing would hide an event.
        return StoreUnavailable(key, "a listed event cannot be read")

    def append(
        self,
        last: Head | Event,
        change: Change,
        *,
        by: str,
        at: str,
        id: str,
        client: str = "",
        step: Callable[[Event], None] = lambda event: None,
    ) -> Event:
        """Write the change as the next event and return it: the commit of whatever it describes.

        No event lies before the one before it, whatever the clock of its writer says.

        Args:
            last: a place that has been seen, or the event there; being behind costs only time.
            at: the time of the event, unless the one before it has a later one: then that.
            id: random hex, new for each change.
            client: from where the change was asked for; "" where that says nothing.
            step: called with each event found on the way to the end; it may raise to withdraw the change.

        Raises:
            TooLarge: the event would be one that nobody reads.
            CorruptObject: what was seen is there no longer: the log went back.
            StoreUnavailable: the store failed; the event may or may not have been written.
        """
        before, events = self._go_on(last)
        while True:
            for event in events:
                if event.id == id:  # an earlier try was written, only its answer was lost
                    return event
                step(event)
                before = event
            seq, prev, latest = (before.seq + 1, before.digest, before.at) if before else (1, "", "")
            moment = max(at, latest)
            dated = _dated(change, moment)
            body = encode_event(seq=seq, id=id, prev=prev, at=moment, by=by, client=client, change=dated)
            if len(body) > MAX_EVENT_BYTES:
                raise TooLarge("an event", MAX_EVENT_BYTES)
            event = decode_event(log_key(seq), body)  # before it is written: what cannot be read would end the log
            try:
                self._store.put_new(log_key(seq), body, content_type="application/json")
            except AlreadyExists:
                events = self.read_after(ORIGIN if before is None else head_of(before))
                continue
            return event

    def _go_on(self, last: Head | Event) -> tuple[Event | None, Iterator[Event]]:
        """Return the event that was seen last, None at the origin, and those after it, to the end.

        Raises:
            CorruptObject: that event is there no longer.
        """
        if isinstance(last, Event):
            return last, self.read_after(head_of(last))
        if last == ORIGIN:
            return None, self.read_after(ORIGIN)
        keys = (log_key(last.seq), log_key(last.seq + 1))
        seen, following = self._store.gather(*(partial(_find, self._store, key) for key in keys))
        if seen is None:
            raise CorruptObject(keys[0], "the event was seen and is there no longer; the log went back")
        event = decode_event(keys[0], seen.body)
        if head_of(event) != last:
            raise CorruptObject(keys[0], "the event is not the one that was seen; the log was put back or altered")
        return event, self._read_from(last, keys[1], following)

    def _read_from(self, head: Head, key: str, following: Stored | None) -> Iterator[Event]:
        if following is not None:
            event = _continued(head, key, following)
            yield event
            yield from self.read_after(head_of(event))


def _dated(change: Change, at: str) -> Change:
    """Return the change with the time of its event, where it has one that was left to it."""
    return replace(change, upload_time=at) if isinstance(change, FileAdded) and not change.upload_time else change


def head_of(event: Event) -> Head:
    """Return the place in the log right after this event."""
    return Head(seq=event.seq, digest=event.digest)


def _find(store: ObjectStore, key: str) -> Stored | None:
    try:
        return store.find(key, limit=MAX_EVENT_BYTES)
    except TooLarge as fault:
        raise _too_long(key, fault) from None


def _too_long(key: str, fault: TooLarge) -> CorruptObject:
    return CorruptObject(key, f"no event has more than {fault.limit:,} bytes")


def _continued(head: Head, key: str, stored: Stored) -> Event:
    event = decode_event(key, stored.body)
    if event.seq != head.seq + 1:
        raise CorruptObject(key, f"the event says it is number {event.seq}")
    if event.prev != head.digest:
        raise CorruptObject(key, "the event does not continue the one before it; one of the two was altered")
    return event
