"""A store whose answers take no time, and that counts the round trips which a real one would have taken.

What runs side by side in `gather` is one round trip, as long as none of its calls makes two; signing is none. It passes
the contract of stores (`tests/support/store_contract.py`), so what is measured over it is what the others would be
asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import md5
from threading import RLock
from typing import Any

from indexer.errors import AlreadyExists, Changed, Missing, TooLarge
from indexer.store.base import BINARY, MAX_OBJECT_BYTES, Stat, Stored, check_key, check_prefix, find_side_by_side
from pypi_lambda.clock import utc_now

# As long as a URL that a Lambda function signs with the credentials of its role.
_SIGNATURE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Security-Token=" + "a" * 900


class MemoryStore:
    """Objects in a dict. Round trips are counted for one thread.

    Args:
        now: when an object is written.

    Attributes:
        round_trips: how many there were in sequence since it was made.
        asked: the methods called and their keys, in order.
    """

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._objects: dict[str, tuple[Stored, datetime]] = {}
        self._lock = RLock()
        self.round_trips = 0
        self.asked: list[tuple[str, str]] = []

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Return the object, or None when there is none."""
        self._count("find", check_key(key))
        return self._find(key, limit)

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Yield each key with its object, or None where there is none; as many as a batch are one round trip."""
        return find_side_by_side(self, keys, limit=limit)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Return the object."""
        self._count("get", check_key(key))
        found = self._find(key, limit)
        if found is None:
            raise Missing(key)
        return found

    def stat(self, key: str) -> Stat | None:
        """Return what is known of the object, or None when there is none."""
        self._count("stat", check_key(key))
        return self._stat(key) if key in self._objects else None

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to `end`."""
        self._count("read", check_key(key))
        found = self._find(key, MAX_OBJECT_BYTES)
        if found is None:
            raise Missing(key)
        return iter([found.body[start:end]])

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object where there is none."""
        self._count("put_new", check_key(key))
        with self._lock:
            if key in self._objects:
                raise AlreadyExists(key)
            return self._put(key, body)

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object."""
        self._count("put", check_key(key))
        return self._put(key, body)

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object in the place of the one that has this etag."""
        self._count("replace", check_key(key))
        with self._lock:
            found = self._find(key, MAX_OBJECT_BYTES)
            if found is None or found.etag != etag:
                raise Changed(key)
            return self._put(key, body)

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str = BINARY,
        new: bool = False,
        immutable: bool = False,
    ) -> None:
        """Write an object from chunks; in one round trip, as S3 takes what has less than a part."""
        body = b"".join(chunks)
        if new:
            self.put_new(key, body)
        else:
            self.put(key, body)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield the objects whose keys begin with `prefix` and sort after `after`."""
        self._count("list", check_prefix(prefix))
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix) and key > after)
            return iter([self._stat(key) for key in keys])

    def delete(self, key: str) -> None:
        """Remove the object."""
        self._count("delete", check_key(key))
        with self._lock:
            self._objects.pop(key, None)

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Return what looks like a signed URL."""
        return f"https://bucket.example/{check_key(key)}?{_SIGNATURE}"

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Return what looks like a signed URL."""
        return f"https://bucket.example/{check_key(key)}?{_SIGNATURE}"

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Run the calls; they count as long as the longest of them."""
        began = ended = self.round_trips
        results: list[Any] = []
        faults: list[Exception] = []
        for call in calls:
            self.round_trips = began
            try:
                results.append(call())
            except Exception as fault:
                faults.append(fault)
            ended = max(ended, self.round_trips)
        self.round_trips = ended
        if faults:
            raise faults[0]
        return results

    def _count(self, method: str, key: str) -> None:
        self.round_trips += 1
        self.asked.append((method, key))

    def _find(self, key: str, limit: int) -> Stored | None:
        found = self._objects.get(key)
        if found is None:
            return None
        if len(found[0].body) > limit:
            raise TooLarge(f"the object at {key!r}", limit)
        return found[0]

    def _put(self, key: str, body: bytes) -> str:
        etag = f'"{md5(body).hexdigest()}"'
        with self._lock:
            self._objects[key] = (Stored(body=body, etag=etag), self._now())
        return etag

    def _stat(self, key: str) -> Stat:
        stored, modified = self._objects[key]
        return Stat(key=key, size=len(stored.body), etag=stored.etag, modified=modified)
