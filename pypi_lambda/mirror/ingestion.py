"""Files on their way into the store, which requests wait for, but not for ever: one run per key and process.

A client gives up after some 15 seconds without an answer. So work that takes longer goes on in its thread while the
client is told to come back, and finds it done, or waits for the rest of it.
"""

import logging
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any, TypeVar

from indexer.errors import IndexerError, UpstreamUnavailable
from pypi_lambda.shared import SharedWork, TakesLonger

WAIT_SECONDS = 10.0  # pip and poetry stop reading after 15 s, uv after 30
RETRY_AFTER_SECONDS = 5
ANSWER_SECONDS = 2.0  # what a request takes besides waiting: its round trips to the store, and the way back
MAX_AT_ONCE = 16  # on its way into a bucket a file holds up to 50 MB; the next ones wait for their turn

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class StillArriving(UpstreamUnavailable):
    """A file is on its way from the upstream and takes longer than a client waits."""

    def __init__(self, key: str) -> None:
        filename = key.rpartition("/")[2]
        super().__init__(f"{filename} is still arriving; try again", retry_after_seconds=RETRY_AFTER_SECONDS)


class Ingestions:
    """The work that is under way in this process.

    Attributes:
        sends_away: whether clients are sent to the upstream while a file arrives, instead of being told to come back.

    Args:
        wait_seconds: how long a request waits for it.
    """

    sends_away = False

    def __init__(self, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._shared: SharedWork[Any] = SharedWork()
        self._turns = BoundedSemaphore(MAX_AT_ONCE)

    def run(
        self, key: str, work: Callable[[], Result], *, size: int | None = None, seconds: float | None = None
    ) -> Result:
        """Do the work, or join whoever does it already, and return its result.

        Args:
            size: bytes that are to arrive, where that is known.
            seconds: how long the request may take, where a front door limits that.

        Raises:
            StillArriving: it is not done yet; asking again later is the way to wait on.
            IndexerError: whatever the work raised, to all who waited.
        """

        def work_in_turn() -> Result:
            with self._turns:
                try:
                    return work()
                except IndexerError as fault:  # told to whoever waits, but perhaps nobody does
                    logger.warning("%s: %s", key, fault)
                    raise

        try:
            result: Result = self._shared.run(key, work_in_turn, wait_seconds=self._patience(seconds))
        except TakesLonger:
            raise StillArriving(key) from None
        return result

    def _patience(self, seconds: float | None) -> float:
        return self._wait_seconds if seconds is None else max(0.0, min(self._wait_seconds, seconds - ANSWER_SECONDS))
