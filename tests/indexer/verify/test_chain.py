"""Of a damaged log exactly the events are named that are damaged, where the others can tell."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from indexer.keys import log_key
from indexer.store.base import AT_ONCE, ObjectStore
from indexer.store.folder import FolderStore
from indexer.verify.chain import find_end, walk
from indexer.verify.findings import Finding, Findings
from tests.support.builders import added, write_log

LENGTH = 7


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path)
    write_log(store, *(added("demo", version=f"1.{number}") for number in range(LENGTH)))
    return store


def look(store: ObjectStore) -> tuple[list[int], list[int]]:
    """Walk the log; return the numbers of the events that were read, and of those that are reported."""
    found: list[Finding] = []
    last = find_end(store)
    read = [event.seq for event in walk(store, last, Findings(found.append))]
    return read, [int(finding.key.removeprefix("log/").removesuffix(".json")) for finding in found]


def change(store: ObjectStore, seq: int, old: bytes, new: bytes) -> None:
    body = store.get(log_key(seq)).body
    assert old in body
    store.put(log_key(seq), body.replace(old, new, 1))


def alter(store: ObjectStore, *numbers: int) -> None:
    for seq in numbers:
        change(store, seq, b'"by":"me"', b'"by":"you"')


def without(*numbers: int) -> list[int]:
    return [seq for seq in range(1, LENGTH + 1) if seq not in numbers]


def test_whole_log(store: FolderStore) -> None:
    """A whole log is read to its end, and nothing is reported."""
    assert look(store) == (without(), [])


def test_empty_log(tmp_path: Path) -> None:
    """A log without events is whole."""
    assert look(FolderStore(tmp_path)) == ([], [])


@pytest.mark.parametrize("numbers", [(1,), (4,), (5,), (2, 5), (3, 4), (1, 2, 3), (2, 3, 4, 5)])
def test_altered_events(store: FolderStore, numbers: Sequence[int]) -> None:
    """The altered events are named and no other, as far as an event that is whole comes after them."""
    alter(store, *numbers)
    assert look(store) == (without(), [*numbers])


def test_altered_last_event_proves_nothing(store: FolderStore) -> None:
    """Nothing comes after the last event that could tell; a head that was noted can."""
    alter(store, LENGTH)
    assert look(store) == (without(), [])


def test_last_two_at_odds(store: FolderStore) -> None:
    """Of the last two nobody can tell which one was altered; both are said, under the later one's key."""
    change(store, LENGTH, b'"prev":"', b'"prev":"0')
    assert look(store) == (without(), [LENGTH])
    change(store, LENGTH, b'"prev":"0', b'"prev":"')
    alter(store, LENGTH - 1)
    assert look(store) == (without(), [LENGTH])


@pytest.mark.parametrize("seq", [1, 4, 6])
def test_missing_event(store: FolderStore, seq: int) -> None:
    """A gap is named, and what comes after it is still looked at."""
    store.delete(log_key(seq))
    alter(store, 3)
    assert look(store) == (without(seq), sorted({seq, 3}) if seq != 4 else [4])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"v":1}', b"x" * 300_000], ids=len)
def test_unreadable_event(store: FolderStore, body: bytes) -> None:
    """An event that cannot be read, or is too long to be one, is named."""
    store.put(log_key(4), body)
    assert look(store) == (without(4), [4])


def test_event_under_another_number(store: FolderStore) -> None:
    """An event that was copied to another place says who it is."""
    store.put(log_key(4), store.get(log_key(3)).body)
    assert look(store) == (without(4), [4])


def test_first_event_that_continues_another(store: FolderStore) -> None:
    """A log whose beginning was cut off does not pass for a whole one."""
    for seq in range(1, LENGTH + 1):
        body = store.get(log_key(seq)).body
        if seq > 1:
            store.put(log_key(seq - 1), body.replace(b'"seq":%d' % seq, b'"seq":%d' % (seq - 1)))
    store.delete(log_key(LENGTH))
    read, reported = look(store)
    assert read == without(LENGTH)
    assert 1 in reported


def test_long_log(tmp_path: Path) -> None:
    """Batches of reading leave no seam."""
    store = FolderStore(tmp_path)
    count = 2 * AT_ONCE + 3
    write_log(store, *(added("demo", version=f"1.{number}") for number in range(count)))
    assert look(store) == (list(range(1, count + 1)), [])
    alter(store, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE)
    assert look(store)[1] == [AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE]
