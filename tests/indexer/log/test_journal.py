"""A journal writes for one author, and knows how far the log was read."""

from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from indexer.errors import AlreadyExists
from indexer.log.events import Event, UserPut, UserRemoved, timestamp
from indexer.log.journal import Journal
from indexer.log.log import ORIGIN, Log, head_of
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from tests.support.adversary import Adversary
from tests.support.builders import AT, NOW, ids, journal, write_log


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def users(*names: str) -> list[UserPut]:
    return [UserPut(username=name, upload=False) for name in names]


def read(store: ObjectStore) -> list[Event]:
    return list(Log(store).read_after(ORIGIN))


def test_author(store: FolderStore) -> None:
    """Each event says who wrote it, from where and when, and has an id of its own."""
    kept = Journal(store, by="ann", client="192.0.2.1", now=lambda: NOW, new_id=ids())
    for change in users("a", "b"):
        kept.append(change)
    written = [(event.by, event.client, event.at, event.id, event.change) for event in read(store)]
    assert written == [
        ("ann", "192.0.2.1", AT, f"{number:032x}", change) for number, change in enumerate(users("a", "b"), 1)
    ]


def test_what_passed_is_not_shown_again(store: FolderStore) -> None:
    """A step sees what others wrote since the journal's head, each event once, and none of the journal's own."""
    events = write_log(store, *users("a", "b", "c"))
    kept = journal(store, new_id=ids("mine"), head=head_of(events[0]))
    seen: list[str] = []
    kept.append(UserRemoved(username="a"), step=lambda event: seen.append(event.id))
    other = journal(store, new_id=ids("other"))
    kept.append(UserRemoved(username="b"), step=lambda event: seen.append(event.id))
    other.append(UserRemoved(username="x"))
    kept.append(UserRemoved(username="c"), step=lambda event: seen.append(event.id))
    assert seen == [events[1].id, events[2].id, f"other{1:032x}"]
    assert (kept.head, kept.written) == (head_of(read(store)[-1]), 7)


def test_withdrawn(store: FolderStore) -> None:
    """An event that withdraws a change is shown to the next one too: it may speak against that as well."""
    kept = journal(store, new_id=ids("mine"))
    event = write_log(store, *users("a"))[0]
    seen: list[Event] = []

    def refuse(event: Event) -> None:
        seen.append(event)
        raise AlreadyExists("a")

    for _ in range(2):
        with pytest.raises(AlreadyExists):
            kept.append(UserRemoved(username="a"), step=refuse)
    assert (seen, kept.head, kept.written) == ([event, event], ORIGIN, 0)


def test_changes_of_one_moment(store: FolderStore) -> None:
    """Changes that are written together have one time."""
    seconds = count()
    kept = Journal(store, by="me", now=lambda: NOW + timedelta(seconds=next(seconds)), new_id=ids())
    kept.append_all(users("a", "b"))
    kept.append(UserRemoved(username="a"))
    assert [event.at for event in read(store)] == [AT, AT, timestamp(NOW + timedelta(seconds=1))]


def test_some_of_several(store: FolderStore) -> None:
    """Where a later change is withdrawn, the number of the one that was written is known."""
    write_log(store, *users("a"))

    class Busy(Adversary):
        def put_new(self, key: str, body: bytes, *, content_type: str = "", immutable: bool = False) -> str:
            etag = super().put_new(key, body, content_type=content_type, immutable=immutable)
            journal(store, new_id=ids("other")).append(UserRemoved(username="b"))
            return etag

    kept = journal(Busy(store), new_id=ids("mine"))

    def refuse(event: Event) -> None:
        if event.change == UserRemoved(username="b"):
            raise AlreadyExists("b")

    with pytest.raises(AlreadyExists):
        kept.append_all(users("b", "c"), step=refuse)
    assert (kept.written, len(read(store))) == (2, 3)


def test_a_clock_that_goes_back(store: FolderStore) -> None:
    """Events lie in the order of their times, whatever the clock says."""
    times = iter([NOW, NOW - timedelta(hours=1), NOW + timedelta(seconds=1)])
    kept = Journal(store, by="me", now=lambda: next(times), new_id=ids())
    for change in users("a", "b", "c"):
        kept.append(change)
    assert [event.at for event in read(store)] == [AT, AT, timestamp(NOW + timedelta(seconds=1))]
