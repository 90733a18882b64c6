"""What the index needs of a store: objects under keys, each written whole, with two conditions on writing.

`indexer.store.folder` and `indexer.store.s3` implement it; `indexer.store.open` chooses. Keys are relative to
`REPO_BASE_PREFIX` and use `/`. Every implementation passes `tests/support/store_contract.py`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from indexer.errors import InvalidValue
from indexer.value import value

MAX_OBJECT_BYTES = 268_435_456  # 256 MiB: far above any object read whole (names list 4 MB, ddtrace's page 5 MB packed)
AT_ONCE = 64  # objects that are read or written side by side; a bucket is asked for 16 of them at any moment
CHUNK_BYTES = 1_048_576  # 1 MiB: what streaming reads hold in memory at a time
BINARY = "application/octet-stream"
CACHE_FOREVER = "private, max-age=31536000, immutable"  # the Cache-Control of what never changes: a year (RFC 8246)

# A segment never begins with a dot: so there is no `.` and no `..`, and what rsync is still copying (`.name.Xy12`) is
# no object yet.
_SEGMENT = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_KEY = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")

T = TypeVar("T")
R = TypeVar("R")


@value
class Stored:
    """An object's whole content.

    Attributes:
        etag: opaque; changes whenever the content does; what `replace` wants.
    """

    body: bytes
    etag: str


@value
class Stat:
    """What is known of an object without reading it; `modified` is in UTC."""

    key: str
    size: int
    etag: str
    modified: datetime


class ObjectStore(Protocol):
    """Objects under keys. All methods raise StoreUnavailable when the store fails, also for a refused permission.

    A write is visible whole or not at all, and durable when the call returns. Reads after a write see it, in every
    process. What is written as `immutable` may be kept for ever by whoever got it through a signed URL.
    """

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Return the object, or None when there is none.

        Raises:
            TooLarge: the object has more than `limit` bytes.
        """

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Yield each key with its object, or None where there is none, in the order of the keys.

        Read side by side where that saves time, at most `AT_ONCE` before they are wanted; so many keys are taken, too.
        A fault is raised in the place of the object that it is about, when all before it were yielded.

        Raises:
            TooLarge: an object has more than `limit` bytes.
        """

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Return the object.

        Raises:
            Missing: there is none.
            TooLarge: the object has more than `limit` bytes.
        """

    def stat(self, key: str) -> Stat | None:
        """Return what is known of the object, or None when there is none."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to, not including, `end`, in chunks of at most a few MiB.

        Raises:
            Missing: there is no such object; raised by the call itself, not by the first `next`.
        """

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object where there is none and return its etag. Of several writers exactly one succeeds.

        A lost answer is resolved inside: when the object turns out to be there because an earlier try of this same call
        wrote it, that is success. The same bytes written by another call are not.

        Raises:
            AlreadyExists: the key is taken.
        """

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object whether or not there is one and return its etag."""

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object in the place of the one that has this etag and return the new etag.

        Raises:
            Changed: the object is another one by now, or gone.
        """

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str = BINARY,
        new: bool = False,
        immutable: bool = False,
    ) -> None:
        """Write an object of any size from chunks, in bounded memory.

        Nothing becomes visible unless `chunks` ends normally: an exception raised by it leaves no object and goes on
        to the caller. So a check of the whole content belongs at the end of the generator.

        Args:
            new: like `put_new`, raise AlreadyExists instead of replacing; one of several writers succeeds.
        """

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield the objects whose keys begin with `prefix` (which ends in `/`) and sort after `after`.

        In the order of the keys' bytes within one folder level; callers that need an order across levels sort.
        """

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Return a URL that lets anybody GET the object for so long, or None where the app itself must deliver it."""

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Return a URL by which anybody may PUT the object for so long, or None where the app itself must take it."""

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Run the calls, side by side where that saves time, and return their results in order.

        Each is meant to be one round trip. The first exception, in the order of the calls, is raised when all ended.
        """


def batches(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Yield the items in lists of this length, the last one shorter; no item is taken before its list is wanted."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def side_by_side(
    store: ObjectStore, work: Callable[[T], R], items: Iterable[T], *, at_once: int = AT_ONCE
) -> Iterator[tuple[T, R]]:
    """Yield each item with what the work makes of it, in order; so many are worked on side by side, as in `gather`."""
    for batch in batches(items, at_once):
        yield from zip(batch, store.gather(*(partial(work, item) for item in batch)), strict=True)


def find_side_by_side(
    store: ObjectStore, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES
) -> Iterator[tuple[str, Stored | None]]:
    """Do what `find_all` does, by means of `find` and `gather`."""
    for key, found in side_by_side(store, partial(_find_or_fail, store, limit), keys):
        if isinstance(found, Exception):
            raise found
        yield key, found


def _find_or_fail(store: ObjectStore, limit: int, key: str) -> Stored | Exception | None:
    try:
        return store.find(key, limit=limit)
    except Exception as fault:  # raised in its turn
        return fault


def is_key(text: str) -> bool:
    """Tell whether a text can be a key: what is stored under anything else is never listed."""
    return _KEY.fullmatch(text) is not None and (text.isascii() or _is_utf_8(text))


def _is_utf_8(text: str) -> bool:
    # No surrogates. Excluded by `_KEY` itself, they would make it 1 ms to compile, in every cold start.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_key(key: str) -> str:
    """Return the key.

    Raises:
        InvalidValue: it could leave the store's root, or name something hidden in it.
    """
    if not is_key(key):
        raise InvalidValue(
            "key", key, "segments separated by '/', none empty, hidden, or with '\\' or control characters"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix of a listing, which is empty or a key that ends in `/`.

    Raises:
        InvalidValue: it is something else.
    """
    if prefix and not (prefix.endswith("/") and is_key(prefix[:-1])):
        raise InvalidValue("prefix", prefix, "empty, or a key that ends in '/'")
    return prefix
