"""Sending a long body to S3 in parts while it is being made, so that it is visible whole or not at all.

Owns the two threads this takes. Knows no conditions.

Reading list: "Uploading and copying objects using multipart upload" in the Amazon S3 user guide.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import obstore

from indexer.store.s3_client import translated

if TYPE_CHECKING:
    from obstore.store import S3Store as Client

PART_BYTES = 8_388_608  # 8 MiB: S3 takes 10,000 parts of 5 MiB or more, so this reaches 80 GB
CONCURRENT_PARTS = 3  # with what obstore and the queue hold, some 50 MB at most
_QUEUED_CHUNKS = 2  # one being sent, one ready


class _AbandonedError(Exception):
    """Tells obstore to abort the upload; never leaves this module."""


def take(source: Iterator[bytes], size: int) -> list[bytes]:
    """Return the first chunks of a body, `size` bytes or a little more, or all of a shorter one."""
    chunks = []
    length = 0
    for chunk in source:
        chunks.append(chunk)
        length += len(chunk)
        if length >= size:
            break
    return chunks


def upload(client: "Client", key: str, path: str, chunks: Iterable[bytes], attributes: Mapping[str, str]) -> None:
    """Write an object from chunks; an exception that they raise aborts the upload and goes on to the caller.

    obstore would take the chunks itself, but asks for them from inside its own event loop, where a generator that reads
    from a store panics. So it runs in a second thread, and the chunks are made in the caller's.

    Raises:
        StoreUnavailable: a part could not be sent.
    """
    sender = _Sender(client, path, attributes)
    sender.start()
    finished = False
    try:
        for chunk in chunks:
            if sender.fault is not None:
                break
            sender.queue.put(chunk)
        finished = True
    finally:
        sender.queue.put(None if finished else _AbandonedError())
        sender.join()
    if sender.fault is not None:
        with translated(key):
            raise sender.fault


class _Sender(Thread):
    """The thread that runs obstore; `fault` is set as soon as it failed."""

    def __init__(self, client: "Client", path: str, attributes: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self.queue: Queue[bytes | _AbandonedError | None] = Queue(_QUEUED_CHUNKS)
        self.fault: BaseException | None = None
        self._client = client
        self._path = path
        self._attributes = dict(attributes)
        self._ended = False

    def run(self) -> None:
        """Send what the queue brings."""
        try:
            obstore.put(
                self._client,
                self._path,
                self._received(),
                attributes=self._attributes,
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=CONCURRENT_PARTS,
            )
        except BaseException as error:  # raised by `upload`, in the caller's thread
            self.fault = error
            with suppress(_AbandonedError):
                for _ in self._received():  # the caller may be waiting for room in the queue
                    pass

    def _received(self) -> Iterator[bytes]:
        while not self._ended:
            item = self.queue.get()
            self._ended = item is None or isinstance(item, _AbandonedError)
            if isinstance(item, _AbandonedError):
                raise item
            if item is not None:
                yield item
