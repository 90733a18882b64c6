"""Work that the requests of one process share: one run per key, whoever asks, and nobody waits for it for ever.

Knows nothing of what is done. A run for which nobody waits any longer goes on, so that whoever comes later finds what
it did.
"""

import logging
from collections.abc import Callable, Hashable
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

from indexer.errors import IndexerError

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class TakesLonger(Exception):
    """The work is not done in the time that one can wait for it; it goes on."""


class _Run(Generic[Result]):
    def __init__(self) -> None:
        self.done = Event()
        self.results: list[Result] = []
        self.fault: BaseException | None = None


class SharedWork(Generic[Result]):
    """The runs that are under way."""

    def __init__(self) -> None:
        self._runs: dict[Hashable, _Run[Result]] = {}
        self._lock = Lock()

    def run(self, key: Hashable, work: Callable[[], Result], *, wait_seconds: float) -> Result:
        """Do the work, or join whoever does it already, and return its result.

        Raises:
            TakesLonger: it is not done yet.
            Exception: whatever the work raised, to all who waited.
        """
        with self._lock:
            run = self._runs.get(key)
            if run is None:
                run = _Run()
                Thread(target=self._work, args=(key, run, work), name=f"work {key}", daemon=True).start()
                self._runs[key] = run
        if not run.done.wait(wait_seconds):
            raise TakesLonger
        if run.fault is not None:
            raise run.fault
        return run.results[0]

    def _work(self, key: Hashable, run: _Run[Result], work: Callable[[], Result]) -> None:
        try:
            run.results.append(work())
        except IndexerError as fault:
            run.fault = fault
        except BaseException as fault:  # a bug: it belongs to the requests that wait, and to the log when none does
            logger.exception("%s", key)
            run.fault = fault
        finally:
            with self._lock:
                del self._runs[key]
            run.done.set()
