"""When mirrored files were last used, for those who do not keep them for ever: one small object beside each, written at
most once a day and process, whose time is what counts.

Beside the request, which neither waits for it nor fails with it; a container that is frozen meanwhile may lose a note.
`indexer.upkeep.retention` reads them.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from indexer.errors import IndexerError
from pypi_lambda.shared import Cache

if TYPE_CHECKING:
    from indexer.store.base import ObjectStore, Stat

MAX_NOTED = 16_384  # files whose use was noted today, some 200 bytes each
YOUNG = timedelta(days=1)  # a file that was taken in since needs no note: its own time tells

logger = logging.getLogger(__name__)


class Uses:
    """Notes uses for one process.

    Args:
        now: the current time.
        run: has something done without waiting for it.
    """

    def __init__(
        self, store: "ObjectStore", *, now: Callable[[], datetime], run: Callable[[Callable[[], None]], None]
    ) -> None:
        self._store = store
        self._now = now
        self._run = run
        self._noted: Cache[str, int] = Cache(MAX_NOTED)  # the day of the last note, by key

    def note(self, stat: "Stat") -> None:
        """Note that a mirrored file was used."""
        now = self._now()
        if now - stat.modified < YOUNG or self._noted.find(stat.key) == now.toordinal():
            return
        self._noted.put(stat.key, now.toordinal(), cost=1)
        try:
            self._run(lambda: self._put(stat.key))
        except RuntimeError as fault:  # no thread can be started
            logger.warning("that %s was used is not noted: %s", stat.key, fault)

    def _put(self, key: str) -> None:
        from indexer.keys import use_key

        try:
            self._store.put(use_key(key), b"")
        except IndexerError as fault:
            logger.warning("that %s was used is not noted: %s", key, fault)
