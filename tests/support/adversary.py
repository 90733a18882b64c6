"""A store that fails where it is told to: a real store, with faults injected between it and its user.

For crash points: run once with no fault and count `calls`; then, for every index, run with `Mischief.CRASH_BEFORE` and
with `Mischief.CRASH_AFTER` at it, open the inner store again and look. After a crash the process is dead: every later
call through the same adversary crashes, too, so that no `finally` of the code under test can tidy up.
"""

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum, auto
from threading import Event, Lock
from typing import Any, TypeVar

from indexer.errors import Missing, StoreUnavailable
from indexer.store.base import BINARY, MAX_OBJECT_BYTES, ObjectStore, Stat, Stored, find_side_by_side
from indexer.value import replace

T = TypeVar("T")


class Crash(BaseException):
    """The process died here; not an Exception, so that no handler of the code under test survives it."""


class Mischief(Enum):
    """What goes wrong with a call."""

    CRASH_BEFORE = auto()
    """The process dies, and the call has not happened."""
    CRASH_AFTER = auto()
    """The process dies, and the call has happened."""
    UNAVAILABLE = auto()
    """StoreUnavailable, and the call has not happened."""
    LOST_ANSWER = auto()
    """StoreUnavailable, and yet the call has happened."""
    MISSING = auto()
    """The object reads as missing, as one that was listed and then removed."""
    TRUNCATED = auto()
    """Only the first half of the body is read."""
    SLOW = auto()
    """The call waits until the fault's `release` is set, and sets its `reached` before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a store's method, `index` counting from 0."""

    index: int
    method: str
    key: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A mischief and the calls it strikes: the one numbered `at`, or all for which `when` is true."""

    mischief: Mischief
    _: KW_ONLY
    at: int | None = None
    when: Callable[[Call], bool] = lambda call: False
    reached: Event = field(default_factory=Event)
    release: Event = field(default_factory=Event)

    def strikes(self, call: Call) -> bool:
        """Tell whether this call is struck."""
        return call.index == self.at or self.when(call)


class Adversary:
    """The store `inner` with faults; `calls` are those begun so far, in order."""

    def __init__(self, inner: ObjectStore, *faults: Fault) -> None:
        self.inner = inner
        self.faults = faults
        self.calls: list[Call] = []
        self.crashed = False
        self._lock = Lock()

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Like the inner store's, but for the faults."""
        struck = self._begin("find", key)
        if struck.has(Mischief.MISSING):
            return None
        stored = self._carry_out(struck, lambda: self.inner.find(key, limit=limit))
        if stored is not None and struck.has(Mischief.TRUNCATED):
            return replace(stored, body=stored.body[: len(stored.body) // 2])
        return stored

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Like the inner store's; each object that is found is counted and struck by itself."""
        return find_side_by_side(self, keys, limit=limit)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Like the inner store's, but for the faults."""
        struck = self._begin("get", key)
        if struck.has(Mischief.MISSING):
            raise Missing(key)
        stored = self._carry_out(struck, lambda: self.inner.get(key, limit=limit))
        if struck.has(Mischief.TRUNCATED):
            return replace(stored, body=stored.body[: len(stored.body) // 2])
        return stored

    def stat(self, key: str) -> Stat | None:
        """Like the inner store's, but for the faults."""
        struck = self._begin("stat", key)
        if struck.has(Mischief.MISSING):
            return None
        return self._carry_out(struck, lambda: self.inner.stat(key))

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Like the inner store's, but for the faults."""
        struck = self._begin("read", key)
        if struck.has(Mischief.MISSING):
            raise Missing(key)
        chunks = self._carry_out(struck, lambda: self.inner.read(key, start=start, end=end))
        if struck.has(Mischief.TRUNCATED):
            body = b"".join(chunks)
            return iter([body[: len(body) // 2]])
        return chunks

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Like the inner store's, but for the faults."""
        struck = self._begin("put_new", key)
        return self._carry_out(
            struck, lambda: self.inner.put_new(key, body, content_type=content_type, immutable=immutable)
        )

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Like the inner store's, but for the faults."""
        struck = self._begin("put", key)
        return self._carry_out(
            struck, lambda: self.inner.put(key, body, content_type=content_type, immutable=immutable)
        )

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Like the inner store's, but for the faults."""
        struck = self._begin("replace", key)
        return self._carry_out(
            struck, lambda: self.inner.replace(key, body, etag=etag, content_type=content_type, immutable=immutable)
        )

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str = BINARY,
        new: bool = False,
        immutable: bool = False,
    ) -> None:
        """Like the inner store's, but for the faults."""
        struck = self._begin("write", key)
        self._carry_out(
            struck, lambda: self.inner.write(key, chunks, content_type=content_type, new=new, immutable=immutable)
        )

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Like the inner store's, but for the faults, and read to its end at once."""
        struck = self._begin("list", prefix)
        return iter(self._carry_out(struck, lambda: builtins.list(self.inner.list(prefix, after=after))))

    def delete(self, key: str) -> None:
        """Like the inner store's, but for the faults."""
        struck = self._begin("delete", key)
        self._carry_out(struck, lambda: self.inner.delete(key))

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Like the inner store's, but for the faults."""
        struck = self._begin("signed_url", key)
        return self._carry_out(struck, lambda: self.inner.signed_url(key, seconds=seconds))

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Like the inner store's, but for the faults."""
        struck = self._begin("signed_put_url", key)
        return self._carry_out(struck, lambda: self.inner.signed_put_url(key, seconds=seconds))

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Like the inner store's; what the calls do through this adversary is counted and struck one by one."""
        return self.inner.gather(*calls)

    def _begin(self, method: str, key: str) -> "_Struck":
        with self._lock:
            if self.crashed:
                raise Crash
            call = Call(index=len(self.calls), method=method, key=key)
            self.calls.append(call)
        struck = _Struck(call, tuple(fault for fault in self.faults if fault.strikes(call)))
        for fault in struck.faults:
            if fault.mischief is Mischief.SLOW:
                fault.reached.set()
                fault.release.wait(timeout=300)  # a test that fails must end
        if struck.has(Mischief.CRASH_BEFORE):
            self._crash(call)
        if struck.has(Mischief.UNAVAILABLE):
            raise StoreUnavailable(key, "injected")
        return struck

    def _carry_out(self, struck: "_Struck", call: Callable[[], T]) -> T:
        result = call()
        if struck.has(Mischief.CRASH_AFTER):
            self._crash(struck.call)
        if struck.has(Mischief.LOST_ANSWER):
            raise StoreUnavailable(struck.call.key, "injected, after the call was carried out")
        return result

    def _crash(self, call: Call) -> None:
        self.crashed = True
        raise Crash(call)


@dataclass(frozen=True, slots=True)
class _Struck:
    """A call and the faults that strike it."""

    call: Call
    faults: tuple[Fault, ...]

    def has(self, mischief: Mischief) -> bool:
        return any(fault.mischief is mischief for fault in self.faults)
