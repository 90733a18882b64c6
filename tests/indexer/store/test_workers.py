"""Work is done beside the caller's, and threads are kept for the next."""

import os
import signal
import threading
from threading import Barrier, Event

import pytest

from indexer.store.begun import begin
from indexer.store.workers import Workers

PATIENCE_SECONDS = 300


def threads_of(workers: Workers, count: int) -> set[threading.Thread]:
    """Have so many things done at once, and return the threads that did them."""
    met, seen = Barrier(count), set()

    def work() -> None:
        seen.add(threading.current_thread())
        met.wait(PATIENCE_SECONDS)

    for wait in [workers.start(work) for _ in range(count)]:
        wait()
    return seen


def test_work_is_done_side_by_side() -> None:
    """As many things as are started are under way at once, and none by the caller."""
    seen = threads_of(Workers(), 20)
    assert len(seen) == 20
    assert threading.current_thread() not in seen


def test_threads_are_kept() -> None:
    """What is started after something ended is done by the same thread."""
    workers = Workers()
    assert threads_of(workers, 3) == threads_of(workers, 3)


def test_work_may_start_work() -> None:
    """Work that waits for other work does not keep it from being done."""
    workers, done = Workers(), []

    def work(depth: int) -> None:
        if depth:
            workers.start(lambda: work(depth - 1))()
        done.append(depth)

    workers.start(lambda: work(5))()
    assert done == [0, 1, 2, 3, 4, 5]


def test_after_a_fork() -> None:
    """A forked process, in which the kept threads are not, has threads of its own."""
    workers = Workers()
    threads_of(workers, 2)
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE_SECONDS)  # ends the child, should it wait for ever
        os._exit(len(threads_of(workers, 2)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


class TestBegun:
    def test_it_goes_on_meanwhile(self) -> None:
        """The call runs while its caller does something else; its result is returned as often as it is asked for."""
        going, go_on = Event(), Event()

        def call() -> str:
            going.set()
            assert go_on.wait(PATIENCE_SECONDS)
            return "done"

        wait = begin(call)
        assert going.wait(PATIENCE_SECONDS)
        go_on.set()
        assert [wait(), wait()] == ["done", "done"]

    def test_a_fault(self) -> None:
        """What the call raises is raised where it is waited for."""

        def call() -> None:
            raise ValueError("bad")

        with pytest.raises(ValueError, match="bad"):
            begin(call)()
