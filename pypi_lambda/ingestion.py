"""Long work that requests wait for, but not for ever: one run per key and process, whoever asks.

A client gives up after some 15 seconds without an answer. So work that takes longer goes on in its thread while the
client is told to come back, and finds it done, or waits for the rest of it.
"""

import logging
from collections.abc import Callable
from threading import BoundedSemaphore, Event, Lock, Thread

from indexer.errors import IndexerError, UpstreamUnavailable

WAIT_SECONDS = 10.0  # pip and poetry stop reading after 15 s, uv after 30
RETRY_AFTER_SECONDS = 5
MAX_AT_ONCE = 16  # on its way into a bucket a file holds up to 50 MB; the next ones wait for their turn

logger = logging.getLogger(__name__)


class StillArriving(UpstreamUnavailable):
    """A file is on its way from the upstream and takes longer than a client waits."""

    def __init__(self, key: str) -> None:
        filename = key.rpartition("/")[2]
        super().__init__(f"{filename} is still arriving; try again", retry_after_seconds=RETRY_AFTER_SECONDS)


class _Run:
    def __init__(self) -> None:
        self.done = Event()
        self.fault: BaseException | None = None


class Ingestions:
    """The work that is under way in this process.

    Args:
        wait_seconds: how long a request waits for it.
    """

    def __init__(self, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._runs: dict[str, _Run] = {}
        self._lock = Lock()
        self._turns = BoundedSemaphore(MAX_AT_ONCE)

    def run(self, key: str, work: Callable[[], None], *, size: int | None = None) -> None:
        """Do the work, or join whoever does it already; return when it is done.

        Args:
            size: bytes that are to arrive, where that is known.

        Raises:
            StillArriving: it is not done yet; asking again later is the way to wait on.
            IndexerError: whatever the work raised, to all who waited.
        """
        with self._lock:
            run = self._runs.get(key)
            if run is None:
                run = _Run()
                Thread(target=self._work, args=(key, run, work), name=f"ingest {key}", daemon=True).start()
                self._runs[key] = run
        if not run.done.wait(self._wait_seconds):
            raise StillArriving(key)
        if run.fault is not None:
            raise run.fault

    def _work(self, key: str, run: _Run, work: Callable[[], None]) -> None:
        try:
            with self._turns:
                work()
        except IndexerError as fault:
            logger.warning("%s: %s", key, fault)
            run.fault = fault
        except BaseException as fault:  # a bug: it belongs to the requests that wait, and to the log when none does
            logger.exception("%s", key)
            run.fault = fault
        finally:
            with self._lock:
                del self._runs[key]
            run.done.set()
