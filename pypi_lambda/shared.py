"""What the requests of one process share: values that are kept, work that is under way, and parts that are made once.

Knows nothing of what is kept or done.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from indexer.errors import IndexerError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class Cache(Generic[Key, Value]):
    """Values under keys, up to a budget; the least recently used goes first.

    Args:
        budget: the sum of the costs that may be kept; a value that alone costs more is not kept at all.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._spent = 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Key) -> Value | None:
        """Return what is kept under the key, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Key, value: Value, *, cost: int) -> None:
        """Keep the value, in the place of one that was there."""
        with self._lock:
            self._forget(key)
            if cost > self._budget:
                return
            self._entries[key] = (value, cost)
            self._spent += cost
            while self._spent > self._budget:
                self._forget(next(iter(self._entries)))

    def forget(self, key: Key) -> None:
        """Drop what is kept under the key, if anything."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._spent -= entry[1]


class TakesLonger(Exception):
    """The work is not done in the time that one can wait for it; it goes on."""


class _Run(Generic[Result]):
    def __init__(self) -> None:
        self.done = Event()
        self.results: list[Result] = []
        self.fault: BaseException | None = None


class SharedWork(Generic[Result]):
    """One run per key, whoever asks, and nobody waits for it for ever.

    A run for which nobody waits any longer goes on, so that whoever comes later finds what it did.
    """

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


if TYPE_CHECKING:
    part = cached_property
else:

    class part(cached_property):  # noqa: N801 - a decorator, as `property` is
        """A part of something that has a `lock`: made when it is first wanted, once, whichever threads want it."""

        def __get__(self, instance: Any, owner: type[object] | None = None) -> Any:
            """Return the part; later ones are found in the instance, without this."""
            if instance is None:
                return self
            with instance.lock:  # `cached_property` has none from Python 3.12 on
                return super().__get__(instance, owner)
