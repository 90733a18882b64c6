"""A rebuild or two where many were asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from indexer.derive.claim import CLAIM_AGE, GATHER_SECONDS, rebuild_up_to
from indexer.derive.rebuild import Rebuilt, rebuild
from indexer.errors import StoreUnavailable
from indexer.keys import CLAIM_KEY
from indexer.log.log import ORIGIN, Log, head_of
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from pypi_lambda.clock import utc_now
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.builders import added, contents, write_log

RENDERER = Renderer()


@dataclass
class Clock:
    """Time that passes only by sleeping; `on_sleep` is what others do meanwhile."""

    now: datetime = field(default_factory=utc_now)  # a claim's age is the store's to tell
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """A store with a snapshot after one event, and a second event."""
    store = FolderStore(tmp_path)
    (first,) = write_log(store, added("demo"))
    rebuild(store, RENDERER)
    write_log(store, added("other"), after=head_of(first))
    return store


def run(store: ObjectStore, seq: int, clock: Clock, renderer: Renderer = RENDERER) -> Rebuilt:
    return rebuild_up_to(store, renderer, seq, now=lambda: clock.now, sleep=clock.sleep)


def test_rebuilds(store: ObjectStore) -> None:
    """Who comes first gathers for a moment, rebuilds, and leaves no claim behind."""
    clock = Clock()
    done = run(store, 2, clock)
    assert (done.snapshot.head.seq, done.changed, done.pages) == (2, True, 1)
    assert (clock.slept, store.find(CLAIM_KEY)) == ([GATHER_SECONDS], None)


def test_reached_already(store: ObjectStore) -> None:
    """Where the snapshot has the event, that is all: nothing is written, nobody waits."""
    before = contents(store)
    clock = Clock()
    done = run(store, 1, clock)
    assert (done.snapshot.head.seq, done.changed, done.pages, clock.slept) == (1, False, 0, [])
    assert contents(store) == before


def test_event_that_is_not_there(store: ObjectStore) -> None:
    """A number past the log's end is no harm: what there is, is folded."""
    assert run(store, 99, Clock()).snapshot.head.seq == 2
    assert not run(store, 99, Clock()).changed


def test_claimed_by_another(store: ObjectStore) -> None:
    """Who finds a claim ends at once and writes nothing."""
    store.put_new(CLAIM_KEY, b"another's")
    before = contents(store)
    clock = Clock()
    done = run(store, 2, clock)
    assert (done.snapshot.head.seq, done.changed, clock.slept) == (1, False, [])
    assert contents(store) == before


def test_claim_covers_those_who_find_it(store: ObjectStore) -> None:
    """Events that were appended before somebody found the claim are in its owner's rebuild, the last one, too."""

    def others() -> None:
        for _ in range(3):
            (*_, last) = Log(store).read_after(ORIGIN)
            write_log(store, added("more"), after=head_of(last))
            assert not run(store, last.seq + 1, Clock()).changed

    done = run(store, 2, Clock(on_sleep=others))
    assert (done.snapshot.head.seq, done.changed) == (5, True)


def test_who_comes_after_the_claim(store: ObjectStore) -> None:
    """Once the claim is taken back, the next one claims anew: what it brings may have come too late for the first."""
    reached, release = Event(), Event()
    fault = Fault(Mischief.SLOW, when=lambda call: call.key.startswith("pages/"), reached=reached, release=release)
    first = Thread(target=lambda: run(Adversary(store, fault), 2, Clock()))
    first.start()
    reached.wait()
    (*_, last) = Log(store).read_after(ORIGIN)
    write_log(store, added("late"), after=head_of(last))
    clock = Clock()
    assert (run(store, 3, clock).snapshot.head.seq, clock.slept) == (3, [GATHER_SECONDS])
    release.set()
    first.join()
    assert run(store, 3, Clock()).snapshot.head.seq == 3


@pytest.mark.parametrize("sign", [1, -1])
def test_dead_owner(sign: int, store: ObjectStore) -> None:
    """A claim whose owner died, or whose time lies far ahead, does not last: the next one takes it over."""
    store.put_new(CLAIM_KEY, b"another's")
    clock = Clock()
    clock.now += sign * (CLAIM_AGE + timedelta(seconds=2))
    assert run(store, 2, clock).changed
    assert store.find(CLAIM_KEY) is None


def test_renderer_changed(store: ObjectStore) -> None:
    """A snapshot of pages that were rendered otherwise is not what was asked for, even with the event."""
    renderer = Renderer(hash_dist_info_metadata=False)
    done = run(store, 1, Clock(), renderer)
    assert (done.changed, done.snapshot.renderer) == (True, renderer.tag)


def test_failure_leaves_no_claim(store: ObjectStore) -> None:
    """After a rebuild that failed the next one goes ahead."""
    fault = Fault(Mischief.UNAVAILABLE, when=lambda call: call.key.startswith("pages/"))
    with pytest.raises(StoreUnavailable):
        run(Adversary(store, fault), 2, Clock())
    assert run(store, 2, Clock()).changed


def test_many_at_once(store: ObjectStore) -> None:
    """Of many that are asked for at once, one waits and does the work, and all the others end."""
    count = 8
    start = Barrier(count)
    others_ended = Event()
    results: list[tuple[Rebuilt, list[float]]] = []

    def ask() -> None:
        clock = Clock(on_sleep=lambda: others_ended.wait(30))
        start.wait()
        results.append((run(store, 2, clock), clock.slept))
        if len(results) == count - 1:
            others_ended.set()

    threads = [Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(done.changed, slept) for done, slept in results] == [(False, [])] * 7 + [(True, [GATHER_SECONDS])]
