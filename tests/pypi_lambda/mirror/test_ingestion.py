"""Work that several requests wait for is done once, and a wait has an end."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Semaphore

import pytest

from indexer.errors import StoreUnavailable, UpstreamUnavailable
from pypi_lambda.mirror.ingestion import MAX_AT_ONCE, RETRY_AFTER_SECONDS, Ingestions
from tests.support.mirrors import PATIENCE_SECONDS


class Work:
    """Work that waits until it is released, and counts how often it was begun."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.begun, self.release = Event(), Event()
        self.count = 0
        self._fault = fault

    def __call__(self) -> None:
        self.count += 1
        self.begun.set()
        assert self.release.wait(PATIENCE_SECONDS)
        if self._fault is not None:
            raise self._fault


@pytest.fixture
def ingestions() -> Ingestions:
    return Ingestions(wait_seconds=PATIENCE_SECONDS)


@pytest.fixture
def impatient() -> Ingestions:
    return Ingestions(wait_seconds=0.01)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MAX_AT_ONCE + 2) as threads:
        yield threads


def until_done(call: Callable[[], None]) -> None:
    """Make a call that is told to come back until it is done."""
    for _ in range(30_000):  # of 10 ms each, at least
        try:
            return call()
        except UpstreamUnavailable:
            continue
    raise AssertionError("it is never done")


def test_done_when_it_returns(ingestions: Ingestions) -> None:
    """When `run` returns the work is done, and it is done anew the next time."""
    work = Work()
    work.release.set()
    ingestions.run("a key", work)
    ingestions.run("a key", work)
    assert work.count == 2


def test_joined(ingestions: Ingestions, threads: ThreadPoolExecutor) -> None:
    """Whoever asks while the work is done waits for that."""
    work = Work()
    runs = [threads.submit(ingestions.run, "a key", work)]
    assert work.begun.wait(PATIENCE_SECONDS)
    late = Work()  # of one who asks only after the work is done: then it may be done again
    late.release.set()
    asking = Semaphore(0)

    def ask() -> None:
        asking.release()
        ingestions.run("a key", late)

    runs += [threads.submit(ask) for _ in range(4)]
    for _ in range(4):
        assert asking.acquire(timeout=PATIENCE_SECONDS)
    assert not any(run.done() for run in runs)
    work.release.set()
    for run in runs:
        run.result(PATIENCE_SECONDS)
    assert work.count == 1


def test_other_keys_do_not_wait(ingestions: Ingestions, threads: ThreadPoolExecutor) -> None:
    """Work of one key does not hold up that of another."""
    slow, quick = Work(), Work()
    quick.release.set()
    waiting = threads.submit(ingestions.run, "slow", slow)
    assert slow.begun.wait(PATIENCE_SECONDS)
    ingestions.run("quick", quick)
    slow.release.set()
    waiting.result(PATIENCE_SECONDS)


def test_told_to_come_back(impatient: Ingestions) -> None:
    """Work that takes longer goes on; whoever comes back joins it and finds it done."""
    work = Work()
    for _ in range(3):
        with pytest.raises(UpstreamUnavailable) as caught:
            impatient.run("cache/six/six-1.0.tar.gz", work)
        assert (caught.value.reason, caught.value.retry_after_seconds) == (
            "six-1.0.tar.gz is still arriving; try again",
            RETRY_AFTER_SECONDS,
        )
    assert work.begun.wait(PATIENCE_SECONDS)
    assert work.count == 1
    done = Work()
    done.release.set()
    work.release.set()
    until_done(lambda: impatient.run("cache/six/six-1.0.tar.gz", done))
    assert work.count == 1


def test_a_fault_is_everybody_s(ingestions: Ingestions, threads: ThreadPoolExecutor) -> None:
    """A fault reaches all who waited; after it the work can be begun anew."""
    work = Work(StoreUnavailable("a key", "full"))
    runs = [threads.submit(ingestions.run, "a key", work)]
    assert work.begun.wait(PATIENCE_SECONDS)
    runs += [threads.submit(ingestions.run, "a key", work) for _ in range(3)]
    work.release.set()
    faults = [run.exception(PATIENCE_SECONDS) for run in runs]
    assert {str(fault) for fault in faults} == {"the store failed: full, at 'a key'"}
    again = Work()
    again.release.set()
    ingestions.run("a key", again)
    assert again.count == 1


def test_a_bug_is_logged(ingestions: Ingestions, caplog: pytest.LogCaptureFixture) -> None:
    """A bug reaches whoever waits, and the log has its traceback also when nobody does."""
    work = Work(ZeroDivisionError("a bug"))
    work.release.set()
    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
        ingestions.run("a key", work)
    [record] = caplog.records
    assert (record.message, record.exc_info is not None) == ("a key", True)


def test_at_most_so_many_at_once(impatient: Ingestions) -> None:
    """Only so many are under way; the others wait for their turn, and get it."""
    lock, release, full = Lock(), Event(), Event()
    under_way = most = done = 0

    def work() -> None:
        nonlocal under_way, most, done
        with lock:
            under_way += 1
            most = max(most, under_way)
            if under_way == MAX_AT_ONCE:
                full.set()
        assert release.wait(PATIENCE_SECONDS)
        with lock:
            under_way -= 1
            done += 1

    count = MAX_AT_ONCE + 8
    for number in range(count):
        with pytest.raises(UpstreamUnavailable):
            impatient.run(str(number), work)
    assert full.wait(PATIENCE_SECONDS)
    release.set()
    for number in range(count):
        until_done(lambda number=number: impatient.run(str(number), lambda: None))  # type: ignore[misc]
    assert (most, done) == (MAX_AT_ONCE, count)
