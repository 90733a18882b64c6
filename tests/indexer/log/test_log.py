"""The log has no gaps and loses nothing, whoever writes at the same time and whatever answers are lost."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread

import orjson
import pytest

from indexer.errors import AlreadyExists, CorruptObject, StoreUnavailable, TooLarge
from indexer.keys import log_key
from indexer.log.events import Event, NamesReserved, UserPut
from indexer.log.log import MAX_EVENT_BYTES, ORIGIN, STEPS_BEFORE_LISTING, Head, Log, head_of
from indexer.store.base import AT_ONCE, ObjectStore, Stat
from indexer.store.folder import FolderStore
from tests.support.adversary import Adversary, Call, Fault, Mischief
from tests.support.builders import AT, added, chain, contents, event_bytes, sha256, write_log

ROOT = Path(__file__).parents[3]
# What a process of its own does: append so many events, without knowing of the others.
APPENDER = """
import sys
from pathlib import Path
from indexer.log.events import UserPut
from indexer.store.folder import FolderStore
from indexer.log.log import ORIGIN, Log

folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = Log(FolderStore(Path(folder)))
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    id = f"{name}-{number}"
    log.append(ORIGIN, UserPut(username=id, upload=False), by=name, at="2024-11-23T10:20:30.000040Z", id=id)
"""


def users(count: int, *, first: int = 1) -> list[UserPut]:
    return [UserPut(username=f"user-{number}", upload=False) for number in range(first, first + count)]


def append(store: ObjectStore, id: str, *, head: Head = ORIGIN) -> Event:
    return Log(store).append(head, UserPut(username=id, upload=False), by="me", at=AT, id=id)


def read(store: ObjectStore, head: Head = ORIGIN) -> list[Event]:
    return list(Log(store).read_after(head))


def check_whole(store: ObjectStore, ids: Sequence[str]) -> None:
    """Check that the log has just the events with these ids, each once, tied together and without a gap."""
    events = read(store)
    assert sorted(event.id for event in events) == sorted(ids)
    assert list(contents(store, "log/")) == [log_key(number + 1) for number in range(len(events))]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert all(later.prev == earlier.digest for earlier, later in pairwise(events))


def test_key_orders_as_numbers_do() -> None:
    """Keys sort like the events' numbers, so that a listing is in their order."""
    assert [log_key(9), log_key(10), log_key(10**12)] == [
        "log/00000000000000000009.json",
        "log/00000000000000000010.json",
        "log/00000001000000000000.json",
    ]
    assert log_key(9) < log_key(10) < log_key(10**12)


def test_append_continues_the_log(store: FolderStore) -> None:
    """An event lies under its number and carries the digest of the bytes before it."""
    first = append(store, "1")
    second = append(store, "2", head=head_of(first))
    assert contents(store) == {
        log_key(1): event_bytes(UserPut(username="1", upload=False), seq=1, id="1"),
        log_key(2): event_bytes(
            UserPut(username="2", upload=False), seq=2, id="2", prev=sha256(store.get(log_key(1)).body)
        ),
    }
    assert read(store) == [first, second]


@pytest.mark.parametrize("count", [0, 1, STEPS_BEFORE_LISTING, STEPS_BEFORE_LISTING + 1, 2 * AT_ONCE + 7])
@pytest.mark.parametrize("seen", [0, 3])
def test_every_length_is_read(store: FolderStore, count: int, seen: int) -> None:
    """A tail is read whole and in order, whatever its length, from wherever it is read."""
    events = write_log(store, *users(seen + count))
    head = head_of(events[seen - 1]) if seen else ORIGIN
    assert read(store, head) == events[seen:]


def test_long_tail_costs_one_call_an_event(store: FolderStore) -> None:
    """A long tail is read with one call for each event, and one listing."""
    write_log(store, *users(200))
    adversary = Adversary(store)
    assert len(read(adversary)) == 200
    assert [call.method for call in adversary.calls] == ["find"] * STEPS_BEFORE_LISTING + ["list"] + ["find"] * 196


def test_end_is_one_call(store: FolderStore) -> None:
    """That there is nothing new costs a single call."""
    events = write_log(store, *users(5))
    adversary = Adversary(store)
    assert Log(adversary).find_next(head_of(events[-1])) is None
    assert adversary.calls == [Call(index=0, method="find", key=log_key(6))]


def test_append_from_far_behind(store: FolderStore) -> None:
    """A writer that saw nothing yet finds the end, passes each event once, in order, and writes after it."""
    events = write_log(store, *users(100))
    passed: list[Event] = []
    event = Log(store).append(ORIGIN, added(), by="me", at=AT, id="new", step=passed.append)
    assert passed == events
    assert (event.seq, event.prev) == (101, events[-1].digest)


def test_append_can_be_withdrawn(store: FolderStore) -> None:
    """What is found on the way to the end can take the change back, and then nothing is written."""

    def refuse(event: Event) -> None:
        raise AlreadyExists(f"user of event {event.seq}")

    write_log(store, *users(3))
    before = contents(store)
    with pytest.raises(AlreadyExists, match="user of event 1"):
        Log(store).append(ORIGIN, added(), by="me", at=AT, id="new", step=refuse)
    assert contents(store) == before


def test_withdrawn_after_a_lost_race(store: FolderStore) -> None:
    """A writer that lost the race for a number sees the winner's event before it tries the next."""

    class Overtaken(Adversary):
        def put_new(self, key: str, body: bytes, *, content_type: str = "", immutable: bool = False) -> str:
            if not any(call.method == "put_new" for call in self.calls):
                append(self.inner, "winner")
            return super().put_new(key, body, content_type=content_type, immutable=immutable)

    passed: list[str] = []
    event = Log(Overtaken(store)).append(
        ORIGIN, added(), by="me", at=AT, id="loser", step=lambda event: passed.append(event.id)
    )
    assert (passed, event.seq) == (["winner"], 2)
    check_whole(store, ["winner", "loser"])


def test_lost_answer_is_found(store: FolderStore) -> None:
    """A writer that tries again after its answer was lost finds its own event, and others are not in the way."""
    write_log(store, *users(2))
    flaky = Adversary(store, Fault(Mischief.LOST_ANSWER, when=lambda call: call.method == "put_new"))
    with pytest.raises(StoreUnavailable):
        append(flaky, "mine")
    append(store, "other")
    passed: list[str] = []
    event = Log(store).append(
        ORIGIN,
        UserPut(username="mine", upload=False),
        by="me",
        at=AT,
        id="mine",
        step=lambda event: passed.append(event.id),
    )
    assert event.seq == 3
    assert passed == [f"{1:032x}", f"{2:032x}"]
    check_whole(store, [f"{1:032x}", f"{2:032x}", "mine", "other"])


EARLY, LATE = "2024-11-23T10:20:29.000000Z", "2024-11-23T10:20:31.000000Z"


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("at", [EARLY, AT, LATE])
def test_time_never_goes_back(store: FolderStore, at: str, behind: bool) -> None:
    """An event is of its writer's time, but never of one before the last event's, wherever the writer begins."""
    events = write_log(store, *users(3))
    last = ORIGIN if behind else head_of(events[-1])
    event = Log(store).append(last, UserPut(username="x", upload=False), by="me", at=at, id="x")
    assert event.at == max(at, AT)
    assert read(store)[-1] == event


def test_time_after_a_lost_race(store: FolderStore) -> None:
    """A writer that lost a number is no earlier than the one that won it, nor is the file that it publishes."""

    class Overtaken(Adversary):
        def put_new(self, key: str, body: bytes, *, content_type: str = "", immutable: bool = False) -> str:
            if not any(call.method == "put_new" for call in self.calls):
                Log(self.inner).append(ORIGIN, *users(1), by="other", at=LATE, id="winner")
            return super().put_new(key, body, content_type=content_type, immutable=immutable)

    event = Log(Overtaken(store)).append(ORIGIN, added(upload_time=""), by="me", at=AT, id="loser")
    assert (event.at, event.change) == (LATE, added(upload_time=LATE))
    brought = Log(store).append(event, added(version="2.0", upload_time=EARLY), by="me", at=AT, id="later")
    assert (brought.at, brought.change) == (LATE, added(version="2.0", upload_time=EARLY))


@pytest.mark.parametrize("count", [1, 3])
def test_log_that_went_back(store: FolderStore, count: int) -> None:
    """A writer that saw more than there is, or something else, writes nothing: it would end the log for good."""
    events = write_log(store, *users(5))
    store.delete(log_key(5))
    other = Head(seq=count, digest="0" * 64)
    before = contents(store)
    for last, told in ((head_of(events[-1]), "is there no longer; the log went back"), (other, "is not the one")):
        with pytest.raises(CorruptObject, match=told) as caught:
            append(store, "new", head=last)
        assert caught.value.key == log_key(last.seq)
    assert contents(store) == before


def test_append_costs_one_trip(store: FolderStore) -> None:
    """The last event that was seen and the next one are asked for side by side; a writer's own is not read again."""
    events = write_log(store, *users(5))
    adversary = Adversary(store)
    event = append(adversary, "6", head=head_of(events[-1]))
    assert [(call.method, call.key) for call in adversary.calls] == [
        ("find", log_key(5)),
        ("find", log_key(6)),
        ("put_new", log_key(6)),
    ]
    Log(adversary).append(event, UserPut(username="7", upload=False), by="me", at=AT, id="7")
    assert [(call.method, call.key) for call in adversary.calls[3:]] == [("find", log_key(7)), ("put_new", log_key(7))]


def test_threads_race(store: FolderStore) -> None:
    """Many threads append at once: none of their events is lost, and there is no gap."""
    barrier = Barrier(8)

    def work(name: str) -> None:
        barrier.wait()
        for number in range(15):
            append(store, f"{name}-{number}")

    threads = [Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_whole(store, [f"{name}-{number}" for name in range(8) for number in range(15)])


def test_processes_race(tmp_path: Path) -> None:
    """Several processes append at once, while another reads: no event is lost, no gap is ever seen."""
    folder = str(tmp_path / "data")
    store = FolderStore(Path(folder))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, folder, str(number), "40"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        seen = [0]
        while seen[-1] < 160 and any(process.poll() is None for process in processes):
            seen.append(len(read(store)))
        for process in processes:
            process.communicate(timeout=300)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * 4
    assert seen == sorted(seen)
    check_whole(store, [f"{name}-{number}" for name in range(4) for number in range(40)])


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("position", [0.0, 0.5])
def test_altered_event_is_noticed(store: FolderStore, count: int, position: float) -> None:
    """An event that was altered, though it still reads well, is noticed by whoever reads the next one."""
    write_log(store, *users(count))
    seq = 1 + int(position * count)
    altered = json.loads(store.get(log_key(seq)).body)
    store.put(log_key(seq), orjson.dumps({**altered, "upload": True}))
    with pytest.raises(CorruptObject) as caught:
        read(store)
    assert (caught.value.key, caught.value.reason) == (
        log_key(seq + 1),
        "the event does not continue the one before it; one of the two was altered",
    )


def test_every_altered_byte_is_noticed(store: FolderStore) -> None:
    """Whichever byte of an event is altered, reading past it fails and names it or the next."""
    write_log(store, *users(2))
    body = store.get(log_key(1)).body
    for index in range(len(body)):
        store.put(log_key(1), body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :])
        with pytest.raises(CorruptObject) as caught:
            read(store)
        assert caught.value.key in (log_key(1), log_key(2))


@pytest.mark.parametrize("count", [STEPS_BEFORE_LISTING + 2, 3 * AT_ONCE])
def test_removed_event_is_noticed(store: FolderStore, count: int) -> None:
    """A gap in a listed log is refused: nothing behind it can be trusted."""
    write_log(store, *users(count))
    store.delete(log_key(count - 1))
    with pytest.raises(CorruptObject) as caught:
        read(store)
    assert (caught.value.key, caught.value.reason) == (log_key(count - 1), "an event is missing before a later one")


def test_swapped_event_is_noticed(store: FolderStore) -> None:
    """An event under another's number is refused."""
    write_log(store, *users(3))
    store.put(log_key(2), store.get(log_key(3)).body)
    with pytest.raises(CorruptObject) as caught:
        read(store)
    assert (caught.value.key, caught.value.reason) == (log_key(2), "the event says it is number 3")


def test_another_log_is_noticed(store: FolderStore, tmp_path: Path) -> None:
    """A reader that has seen one log does not go on with another one's events."""
    write_log(store, *users(3))
    other = chain(*users(2, first=50))
    with pytest.raises(CorruptObject) as caught:
        read(store, head_of(other[-1]))
    assert caught.value.key == log_key(3)


def test_huge_event_is_not_read(store: FolderStore) -> None:
    """An object that is far too long for an event is refused unread."""
    store.put(log_key(1), b" " * (MAX_EVENT_BYTES + 1))
    with pytest.raises(CorruptObject) as caught:
        read(store)
    assert str(caught.value) == (
        "corrupt object: no event has more than 262,144 bytes, at 'log/00000000000000000001.json'"
    )


def test_huge_event_is_not_written(store: FolderStore) -> None:
    """An event that could not be read is not written: it would end the log for good."""
    reserved = NamesReserved(patterns=("x" * MAX_EVENT_BYTES,))
    with pytest.raises(TooLarge, match="an event is larger than 262,144 bytes"):
        Log(store).append(ORIGIN, reserved, by="me", at=AT, id="1")
    assert contents(store) == {}


def test_unreadable_event_is_not_written(store: FolderStore) -> None:
    """An event that no reader would accept is not written."""
    with pytest.raises(CorruptObject, match="project 'Not_Normal' is not normalised"):
        Log(store).append(ORIGIN, added("Not_Normal"), by="me", at=AT, id="1")
    assert contents(store) == {}


def test_what_is_no_event_is_passed_over(store: FolderStore) -> None:
    """Objects under `log/` that are not named like events are none."""
    events = write_log(store, *users(10))
    for name in ("notes.txt", "12.json", "00000000000000000005.json.bak", "²" * 20 + ".json", "9" * 5000 + ".json"):
        with_name = f"log/{name}"
        if len(name) < 200:  # what a folder can hold
            store.put(with_name, b"?")
    assert read(store) == events


class Listing(Adversary):
    """A store whose listing leaves out some of what is there."""

    def __init__(self, inner: ObjectStore, *left_out: str) -> None:
        super().__init__(inner)
        self.left_out = left_out

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        return (stat for stat in super().list(prefix, after=after) if stat.key not in self.left_out)


def test_listing_that_lacks_an_event(store: FolderStore) -> None:
    """An event that a listing lacks is read all the same: a folder that is read while others append can lack one."""
    events = write_log(store, *users(100))
    assert read(Listing(store, *(log_key(seq) for seq in (6, 40, 41, 68, 69, 99)))) == events


def test_listed_event_that_cannot_be_read(store: FolderStore) -> None:
    """A listed event that reads as missing is the store's failure, not the end of the log."""
    write_log(store, *users(20))
    forgetful = Adversary(store, Fault(Mischief.MISSING, when=lambda call: call.key == log_key(20)))
    with pytest.raises(StoreUnavailable) as caught:
        read(forgetful)
    assert caught.value.key == log_key(20)


@pytest.mark.parametrize(("after", "last"), [(0, 5), (2, 4), (4, 5), (5, 5)])
def test_read_between(store: FolderStore, after: int, last: int) -> None:
    """A stretch of the log is read from any event to any later one."""
    events = write_log(store, *(added("demo", version=f"{number}.0") for number in range(6)))
    assert list(Log(store).read_between(after, last)) == events[after:last]


def test_event_by_number(store: FolderStore) -> None:
    """An event is found by its number; one that is not there, or says another number, is noticed."""
    events = write_log(store, added("demo"), added("other"))
    assert Log(store).get_event(2) == events[1]
    with pytest.raises(CorruptObject, match=r"the event is missing, at 'log/0*3\.json'"):
        Log(store).get_event(3)
    store.put(log_key(3), store.get(log_key(2)).body)
    with pytest.raises(CorruptObject, match=r"the event says it is number 2, at 'log/0*3\.json'"):
        Log(store).get_event(3)
