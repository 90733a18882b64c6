"""The log looked at as a chain: every number there, every event readable, each with the digest of the one before.

Reading for use stops at the first fault; this goes on, names every event that is missing or altered, and tells which of
two that do not fit is the altered one, where the event after them can tell. What a chain cannot prove is that its end
was not cut off, or its last event not replaced: whoever noted the head, or a snapshot made of it, knows.
"""

from collections.abc import Iterator

from indexer.errors import CorruptObject, TooLarge
from indexer.keys import LOG, find_seq, log_key
from indexer.log.events import Event, decode_event
from indexer.log.log import MAX_EVENT_BYTES, ORIGIN, Head, head_of
from indexer.store.base import ObjectStore, Stored
from indexer.verify.findings import Findings


def find_end(store: ObjectStore, known: int = 0) -> int:
    """Return the number of the last event that is listed.

    Args:
        known: one that is there.
    """
    return max((find_seq(stat.key) or 0 for stat in store.list(LOG, after=log_key(known))), default=known) or known


def walk(store: ObjectStore, last: int, findings: Findings) -> Iterator[Event]:
    """Yield every event up to this number that can be read, and report what is wrong with the chain."""
    before: Head | None = ORIGIN
    disowned: list[int] = []  # events that the one after each does not continue, one after another
    for seq, stored in _read(store, last):
        event = _find_event(seq, stored, findings)
        if before is not None and event is not None and event.prev != before.digest:
            disowned.append(seq - 1)
        else:
            _report(disowned, findings, vouched=event is not None)
            disowned.clear()
        before = None if event is None else head_of(event)
        if event is not None:
            yield event
    _report(disowned, findings, vouched=False)


def _read(store: ObjectStore, last: int) -> Iterator[tuple[int, Stored | CorruptObject | None]]:
    seq = 1
    while seq <= last:
        try:
            for _, stored in store.find_all(map(log_key, range(seq, last + 1)), limit=MAX_EVENT_BYTES):
                yield seq, stored
                seq += 1
        except TooLarge as fault:
            yield seq, CorruptObject(log_key(seq), str(fault))
            seq += 1


def _find_event(seq: int, stored: Stored | CorruptObject | None, findings: Findings) -> Event | None:
    key = log_key(seq)
    if stored is None:
        findings.lost(key, "the event is missing, and later ones are there")
        return None
    try:
        if isinstance(stored, CorruptObject):
            raise stored
        event = decode_event(key, stored.body)
        if event.seq != seq:
            raise CorruptObject(key, f"the event says it is number {event.seq}")
    except CorruptObject as fault:
        findings.lost(key, fault.reason)
        return None
    return event


def _report(disowned: list[int], findings: Findings, *, vouched: bool) -> None:
    """Report which events were altered.

    Args:
        disowned: neighbours, each of which the one after it does not continue.
        vouched: whether the event after the last of these is continued by the next: then it is what was written.
    """
    for seq in disowned[:-1]:
        problem = "the event may have been altered: the one after it, which is altered too, has another digest for it"
        _report_one(seq, problem, findings)
    for seq in disowned[-1:]:
        if vouched:
            _report_one(seq, "the event was altered: the one after it has another digest for it", findings)
        else:
            findings.lost(log_key(seq + 1), f"it does not continue event {seq}: one of the two was altered")


def _report_one(seq: int, problem: str, findings: Findings) -> None:
    if seq:
        findings.lost(log_key(seq), problem)
    else:
        findings.lost(
            log_key(1), "the first event says that it continues another: it was altered, or was not the first"
        )
