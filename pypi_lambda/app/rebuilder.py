"""Rebuilding in the background of a local server: many requests for it, few rebuilds, and none holds up an answer."""

import logging
from collections.abc import Callable
from threading import Lock, Thread

from indexer.derive.rebuild import rebuild
from indexer.errors import IndexerError
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore

logger = logging.getLogger(__name__)


class Rebuilder:
    """Runs rebuilds one after another, as long as any are wanted.

    Attributes:
        on_rebuilt: called after each that wrote a snapshot.

    Args:
        clock: monotonic seconds.
        on_timed: called after each with the seconds that it took.
    """

    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        *,
        clock: Callable[[], float] = lambda: 0.0,
        on_timed: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._clock = clock
        self._on_timed = on_timed
        self._store = store
        self._renderer = renderer
        self.on_rebuilt: Callable[[], object] = lambda: None
        self._lock = Lock()
        self._thread: Thread | None = None
        self._wanted = False
        self._repair = False

    def request(self, seq: int) -> None:
        """Have the snapshot brought up to event `seq` at least, soon."""
        self._start(repair=False)

    def request_repair(self) -> None:
        """Have everything derived written again, soon."""
        self._start(repair=True)

    def wait(self) -> None:
        """Return when no rebuild is under way or wanted."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _start(self, *, repair: bool) -> None:
        with self._lock:
            self._wanted = True
            self._repair = self._repair or repair
            if self._thread is None:
                thread = Thread(target=self._run, name="rebuild", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._thread = None
                    return
                repair, self._wanted, self._repair = self._repair, False, False
            began = self._clock()
            try:
                if rebuild(self._store, self._renderer, from_zero=repair).changed:
                    self._on_timed(self._clock() - began)
                    self.on_rebuilt()
            except IndexerError as fault:
                logger.error("the rebuild failed, and nothing depends on it: %s", fault)
            except Exception:
                logger.exception("the rebuild failed, and nothing depends on it")
