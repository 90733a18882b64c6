"""Threads that wait for the next thing to be done beside the caller's: starting one costs more than one request to S3.

Knows nothing of what is done. concurrent.futures does the same and costs 10 ms of import, `queue` one.
"""

import os
from collections.abc import Callable
from threading import Lock, Thread


class Workers:
    """Threads as they are needed, as many as ever were at once; an idle one costs nothing and ends with the process."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._process = os.getpid()

    def start(self, work: Callable[[], None]) -> Callable[[], object]:
        """Have the work done in another thread, at once; return what waits until it is.

        Args:
            work: must not raise.
        """
        if self._process != os.getpid():  # forked: the threads stayed behind
            self._idle, self._process = [], os.getpid()
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker(self._idle)
            worker.start()
        return worker.give(work)


class _Worker(Thread):
    def __init__(self, idle: "list[_Worker]") -> None:
        super().__init__(daemon=True)
        self._idle = idle
        self._given = _locked()

    def give(self, work: Callable[[], None]) -> Callable[[], object]:
        ended = _locked()
        self._task = work, ended
        self._given.release()
        return ended.acquire

    def run(self) -> None:
        """Do what is given, again and again."""
        while True:
            self._given.acquire()
            work, ended = self._task
            del self._task
            work()
            del work
            self._idle.append(self)  # before anybody hears of the end, so that whoever waited finds this worker idle
            ended.release()


def _locked() -> Lock:
    lock = Lock()
    lock.acquire()
    return lock
