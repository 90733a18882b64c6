"""A small cache for one process: least recently used goes first, bounded by cost."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Values under keys, up to a budget.

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
