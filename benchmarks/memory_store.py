"""A store whose answers take no time, and that counts the round trips which a real one would have taken.

What runs side by side in `gather` is one round trip, as long as none of its calls makes two; signing is none.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from indexer.errors import AlreadyExists, Changed, Missing
from indexer.store import BINARY, MAX_OBJECT_BYTES, Stat, Stored

_MODIFIED = datetime(2026, 11, 1, tzinfo=UTC)
# As long as a URL that a Lambda function signs with the credentials of its role.
_SIGNATURE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Security-Token=" + "a" * 900


class MemoryStore:
    """Objects in a dict. For one thread.

    Attributes:
        round_trips: how many there were in sequence since it was made.
        asked: the methods called and their keys, in order.
    """

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self.round_trips = 0
        self.asked: list[tuple[str, str]] = []

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Return the object, or None when there is none."""
        self._count("find", key)
        return self._objects.get(key)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Return the object."""
        self._count("get", key)
        return self._existing(key)

    def stat(self, key: str) -> Stat | None:
        """Return what is known of the object, or None when there is none."""
        self._count("stat", key)
        stored = self._objects.get(key)
        return None if stored is None else _stat(key, stored)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to `end`."""
        self._count("read", key)
        return iter([self._existing(key).body[start:end]])

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object where there is none."""
        self._count("put_new", key)
        if key in self._objects:
            raise AlreadyExists(key)
        return self._put(key, body)

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object."""
        self._count("put", key)
        return self._put(key, body)

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object in the place of the one that has this etag."""
        self._count("replace", key)
        if key not in self._objects or self._objects[key].etag != etag:
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
        self._count("list", prefix)
        keys = sorted(key for key in self._objects if key.startswith(prefix) and key > after)
        return iter([_stat(key, self._objects[key]) for key in keys])

    def delete(self, key: str) -> None:
        """Remove the object."""
        self._count("delete", key)
        self._objects.pop(key, None)

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Return what looks like a signed URL."""
        return f"https://bucket.example/{key}?{_SIGNATURE}"

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Return what looks like a signed URL."""
        return f"https://bucket.example/{key}?{_SIGNATURE}"

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Run the calls; they count as long as the longest of them."""
        began = ended = self.round_trips
        results = []
        for call in calls:
            self.round_trips = began
            results.append(call())
            ended = max(ended, self.round_trips)
        self.round_trips = ended
        return results

    def _count(self, method: str, key: str) -> None:
        self.round_trips += 1
        self.asked.append((method, key))

    def _existing(self, key: str) -> Stored:
        if key not in self._objects:
            raise Missing(key)
        return self._objects[key]

    def _put(self, key: str, body: bytes) -> str:
        etag = f'"{md5(body).hexdigest()}"'
        self._objects[key] = Stored(body=body, etag=etag)
        return etag


def _stat(key: str, stored: Stored) -> Stat:
    return Stat(key=key, size=len(stored.body), etag=stored.etag, modified=_MODIFIED)
