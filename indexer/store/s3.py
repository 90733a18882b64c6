"""A store in an S3 bucket, or in any server that speaks S3 and honours conditional writes.

Owns the requests and what follows from their answers. Knows nothing of what the objects mean; timeouts, credentials and
the translation of errors are `indexer.store.s3_client`'s.

Reading list: "Conditional requests" in the Amazon S3 user guide; obstore 0.12.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import obstore

from indexer.errors import AlreadyExists, Changed, IndexerError, Missing, StoreUnavailable, TooLarge
from indexer.keys import STAGING
from indexer.store.base import (
    BINARY,
    CACHE_FOREVER,
    CHUNK_BYTES,
    MAX_OBJECT_BYTES,
    Stat,
    Stored,
    check_key,
    check_prefix,
    find_side_by_side,
    is_key,
)
from indexer.store.s3_client import ATTEMPT, TRIES, Clients, head, translated
from indexer.store.workers import Workers

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta, PutMode

    from indexer.store.s3_staging import Staging

_PROMPT_BYTES = 1_048_576  # 1 MiB: a longer body needs more time than the prompt client gives
_LIST_PAGE = 1000  # what S3 returns at a time
_MAX_PARALLEL = 16  # requests in flight; a Lambda function of a few hundred MB has a small share of one CPU


class S3Store:
    """Objects in a bucket, below a prefix.

    Args:
        prefix: without slashes around it; may be empty.
        environ: where the AWS settings are read.
        random_bytes: where the marks of write attempts and the names of staged objects come from.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        environ: Mapping[str, str] = os.environ,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._base = prefix + "/" if prefix else ""
        self._random_bytes = random_bytes
        self._clients = Clients(bucket, environ)
        self._workers = Workers()

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Return the object, or None when there is none."""
        path = self._path(key)
        try:
            with translated(key):
                result = obstore.get(self._clients.prompt, path)
                size = result.meta["size"]
                if size > limit:
                    raise TooLarge(key, limit)
                body = result.bytes().to_bytes()
        except Missing:
            return None
        if len(body) != size:
            raise StoreUnavailable(key, f"received {len(body):,} of {size:,} bytes")
        return Stored(body=body, etag=_etag(key, result.meta["e_tag"]))

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Yield each key with its object, or None where there is none, read side by side."""
        return find_side_by_side(self, keys, limit=limit)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Return the object."""
        stored = self.find(key, limit=limit)
        if stored is None:
            raise Missing(key)
        return stored

    def stat(self, key: str) -> Stat | None:
        """Return what is known of the object, or None when there is none."""
        result = self._head(key)
        return None if result is None else _stat(key, result.meta)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to, not including, `end`, in chunks."""
        path = self._path(key)
        if end is not None and end <= start:  # no such range in HTTP
            return self._nothing(key)
        options: GetOptions = {"range": (start, end) if end is not None else {"offset": start}} if start or end else {}
        try:
            with translated(key):
                result = obstore.get(self._clients.bulk, path, options=options)
        except StoreUnavailable as error:
            if "416 Range Not Satisfiable" in error.reason:  # the object ends at or before `start`
                return self._nothing(key)
            raise
        return _chunks(key, result)

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object where there is none and return its etag."""
        return self._put_if(key, body, None, _headers(content_type, immutable), AlreadyExists(key))

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object whether or not there is one and return its etag."""
        return self._put(key, body, "overwrite", _headers(content_type, immutable))

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object in the place of the one that has this etag and return the new etag."""
        return self._put_if(key, body, etag, _headers(content_type, immutable), Changed(key))

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

        With `new`, a large object is at most 5 GB: the copy inside S3 takes no more.
        """
        from indexer.store.s3_upload import (  # with `queue` 1 ms, of which a cold start needs nothing
            PART_BYTES,
            take,
            upload,
        )

        path = self._path(key)
        source = iter(chunks)
        beginning = take(source, PART_BYTES)
        if sum(map(len, beginning)) < PART_BYTES:
            put = self.put_new if new else self.put
            put(key, b"".join(beginning), content_type=content_type, immutable=immutable)
        elif new:
            self._staging.write_new(key, path, chain(beginning, source), _headers(content_type, immutable))
        else:
            upload(self._clients.bulk, key, path, chain(beginning, source), _headers(content_type, immutable))

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield the objects whose keys begin with `prefix` and sort after `after`."""
        folder = self._base + check_prefix(prefix)
        offset = self._base + after if after else None
        with translated(prefix):
            for page in obstore.list(self._clients.prompt, folder or None, offset=offset, chunk_size=_LIST_PAGE):
                for meta in page:
                    key = meta["path"].removeprefix(self._base)
                    # obstore drops the slash of a "folder" that somebody made in the console: `a/b/` comes as `a/b`.
                    if meta["path"].startswith(folder) and is_key(key):
                        yield _stat(key, meta)

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""
        path = self._path(key)
        with suppress(Missing), translated(key):
            obstore.delete(self._clients.prompt, path)

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Return a URL that lets anybody GET the object for so long, or until the credentials end."""
        path = self._path(key)
        with translated(key):
            return obstore.sign(self._clients.prompt, "GET", path, timedelta(seconds=seconds))

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Return a URL by which anybody may PUT the object for so long, or until the credentials end."""
        path = self._path(key)
        with translated(key):
            return obstore.sign(self._clients.prompt, "PUT", path, timedelta(seconds=seconds))

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Run the calls side by side and return their results in order."""
        results: dict[int, Any] = {}
        faults: dict[int, BaseException] = {}
        pending = iter(range(len(calls)))

        def work() -> None:
            for index in pending:
                try:
                    results[index] = calls[index]()
                except BaseException as error:  # raised below, in the caller's thread
                    faults[index] = error

        waits = [self._workers.start(work) for _ in range(min(len(calls), _MAX_PARALLEL) - 1)]
        work()
        for wait in waits:
            wait()
        if faults:
            raise faults[min(faults)]
        return [results[index] for index in range(len(calls))]

    @cached_property
    def _staging(self) -> "Staging":
        from indexer.store.s3_staging import Staging

        return Staging(self._clients, self._base + STAGING, self._random_bytes)

    def _path(self, key: str) -> str:
        return self._base + check_key(key)

    def _head(self, key: str) -> "GetResult | None":
        return head(self._clients.prompt, key, self._path(key))

    def _nothing(self, key: str) -> Iterator[bytes]:
        if self._head(key) is None:
            raise Missing(key)
        return iter(())

    def _put(self, key: str, body: bytes, mode: "PutMode", attributes: dict[str, str]) -> str:
        path = self._path(key)
        client = self._clients.prompt if len(body) <= _PROMPT_BYTES else self._clients.bulk
        with translated(key):
            result = obstore.put(client, path, body, mode=mode, attributes=attributes, use_multipart=False)
        return _etag(key, result["e_tag"])

    def _put_if(
        self, key: str, body: bytes, expected: str | None, headers: dict[str, str], refusal: IndexerError
    ) -> str:
        """Write an object where the etag is `expected`, None meaning no object, or raise the refusal.

        A refusal proves nothing by itself: this call's first try may have been carried out and its answer lost, or S3
        may have answered 409, which obstore does not tell from 412. So look what is there.
        """
        attempt = self._random_bytes(16).hex()
        attributes = {**headers, ATTEMPT: attempt}
        mode: PutMode = "create" if expected is None else {"e_tag": expected}
        fault: IndexerError = refusal
        for _ in range(TRIES):
            try:
                return self._put(key, body, mode, attributes)
            except (AlreadyExists, Changed, Missing):  # Missing: "If-Match on a key that does not exist: 404"
                fault = StoreUnavailable(key, "conflicting writes of this object did not end")
            except StoreUnavailable as error:
                fault = error
            found = self._look(key, fault)
            if found is not None and found.attributes.get(ATTEMPT) == attempt:
                return _etag(key, found.meta["e_tag"])
            if (None if found is None else found.meta["e_tag"]) != expected:
                raise refusal from fault
        raise fault

    def _look(self, key: str, fault: IndexerError) -> "GetResult | None":
        try:
            return self._head(key)
        except StoreUnavailable:
            raise fault from None  # what failed first tells more


def _headers(content_type: str, immutable: bool) -> dict[str, str]:
    return {"Content-Type": content_type, **({"Cache-Control": CACHE_FOREVER} if immutable else {})}


def _etag(key: str, etag: str | None) -> str:
    if not etag:
        raise StoreUnavailable(key, "the server sends no ETag")
    return etag


def _stat(key: str, meta: "ObjectMeta") -> Stat:
    return Stat(key=key, size=meta["size"], etag=_etag(key, meta["e_tag"]), modified=meta["last_modified"])


def _chunks(key: str, result: "GetResult") -> Iterator[bytes]:
    with translated(key):
        yield from result.stream(min_chunk_size=CHUNK_BYTES)
