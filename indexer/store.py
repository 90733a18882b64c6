"""What the index needs of a store: objects under keys, each written whole, with two conditions on writing.

`indexer.folder` and `indexer.s3` implement it; `open_store` chooses. Keys are relative to `REPO_BASE_PREFIX`, use `/`,
and are built from checked names only. Every implementation passes `tests/store_contract.py`. An implementation is
imported by `open_store` alone, so that a folder never pays for the S3 client.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from indexer.errors import AlreadyExists, Changed, InvalidValue, StoreUnavailable, UnsafeStore
from indexer.value import value

MAX_OBJECT_BYTES = 268_435_456  # 256 MiB: far above any object read whole (names list 4 MB, largest page 2 MB)
CHUNK_BYTES = 1_048_576  # 1 MiB: what streaming reads hold in memory at a time
WRONG_ETAG = '"00000000000000000000000000000000"'  # what no object has: an MD5 of zeros, in the quotes of RFC 9110
BINARY = "application/octet-stream"
CACHE_FOREVER = "private, max-age=31536000, immutable"  # the Cache-Control of what never changes: a year (RFC 8246)

# A segment never begins with a dot: so there is no `.` and no `..`, and what rsync is still copying (`.name.Xy12`) is
# no object yet.
_SEGMENT = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_KEY = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")
# "Bucket names must be between 3 (min) and 63 (max) characters long [and] can consist only of lowercase letters,
# numbers, periods (.), and hyphens (-)", "must begin and end with a letter or number" (S3 user guide)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


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


def open_store(location: str, prefix: str, *, region: str = "") -> ObjectStore:
    """Return the store at a location, below a prefix.

    Args:
        location: the value of `BUCKET`: `name` or `s3://name` for a bucket, `file:///folder` or, from the working
            directory, `file://./folder` for a folder.
        prefix: the value of `REPO_BASE_PREFIX`, with or without slashes around it.
        region: where the bucket is, or "" for where the environment says that the code runs.

    Raises:
        InvalidValue: one of them is something else.
    """
    base = prefix.strip("/")
    if base and not is_key(base):
        raise InvalidValue(
            "REPO_BASE_PREFIX", prefix, "names separated by '/', none of which is empty or begins with '.'"
        )
    if location.startswith("file://"):
        return _open_folder(location, base)
    bucket = location.removeprefix("s3://").removesuffix("/")
    if not _BUCKET.fullmatch(bucket):
        raise InvalidValue("BUCKET", location, "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'")
    import os

    from indexer.s3 import S3Store

    return S3Store(bucket, base, environ={**os.environ, "AWS_REGION": region} if region else os.environ)


def _open_folder(location: str, prefix: str) -> ObjectStore:
    from pathlib import Path  # with urllib.parse 4 ms, which a bucket's user need not pay
    from urllib.parse import unquote

    from indexer.folder import FolderStore

    path = unquote(location.removeprefix("file://"))
    if not path.startswith(("/", "./", "../")) or "\0" in path:
        raise InvalidValue(
            "BUCKET", location, "a folder is 'file:///folder', or 'file://./folder' from the working directory"
        )
    return FolderStore(Path(path, prefix))


def check_store(store: ObjectStore, nonce: str) -> None:
    """Make sure that a store honours the conditions that correctness rests on; meant for set-up, not for every start.

    Several popular S3 servers accept a conditional write and silently drop the condition.

    Args:
        nonce: makes the keys of this probe unlike those of any other.

    Raises:
        UnsafeStore: it does not; the sentence says what to do.
    """
    key = f"probe/{nonce}"
    try:
        _check_conditions(store, key)
        _check_missing(store, f"{key}-missing")
    finally:
        store.delete(key)
    if store.find(key) is not None:
        raise UnsafeStore(
            "an object could still be read after it was deleted; turn off caches between here and the store"
        )


def _check_conditions(store: ObjectStore, key: str) -> None:
    advice = "use a server that honours it: Amazon S3, SeaweedFS 4.17 or later, or a folder"
    store.put_new(key, b"first")
    try:
        store.put_new(key, b"second")
    except AlreadyExists:
        pass
    else:
        raise UnsafeStore(f"it ignores If-None-Match, so two uploads could overwrite each other; {advice}")
    if store.get(key).body != b"first":
        raise UnsafeStore(f"it refused a put with If-None-Match, and yet carried it out; {advice}")
    try:
        store.replace(key, b"third", etag=WRONG_ETAG)
    except Changed:
        pass
    else:
        raise UnsafeStore(f"it ignores If-Match, so that two rebuilds could overwrite each other; {advice}")


def _check_missing(store: ObjectStore, key: str) -> None:
    try:
        found = store.find(key)
    except StoreUnavailable as error:
        raise UnsafeStore(
            f"reading an object that is not there fails ({error.reason}); grant s3:ListBucket on the bucket, "
            "without which S3 cannot say that an object is missing"
        ) from error
    if found is not None:
        raise UnsafeStore(
            "it answers with an object where none was ever written; check that BUCKET names the right store"
        )
