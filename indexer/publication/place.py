"""A file's own place in the store: put there once, or taken over from whoever left it there unpublished."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from indexer.digests import digest_of
from indexer.errors import AlreadyExists, Changed, Missing, Taken
from indexer.keys import file_key
from indexer.log.events import timestamp
from indexer.publication.candidate import Candidate
from indexer.store.base import ObjectStore, Stat

# An unpublished object this old belongs to no upload that is still under way: an invocation lives at most 15 minutes,
# and no client of the local server waits an hour.
ORPHAN_AGE = timedelta(hours=1)
MAX_REPLACED_BYTES = 268_435_456  # 256 MiB: replacing an orphan holds the file in memory; no larger one is replaced

Chunks = Callable[[], Iterator[bytes]]

logger = logging.getLogger(__name__)


def put_file(store: ObjectStore, candidate: Candidate, chunks: Chunks, now: Callable[[], datetime]) -> None:
    """Store a file that is not published: where nothing lies, or where what lies there may be taken over.

    Args:
        now: the current time.

    Raises:
        Taken: another upload of it may be under way.
    """
    key = file_key(candidate.project, candidate.filename)
    try:
        store.write(key, chunks(), new=True, immutable=True)
    except AlreadyExists:
        _take_over(store, key, candidate, chunks, now())


def _take_over(store: ObjectStore, key: str, candidate: Candidate, chunks: Chunks, now: datetime) -> None:
    """Go on with an object that nobody published: the same bytes as they are, others only once it is an orphan."""
    stat = store.stat(key)
    if stat is None:
        raise _under_way(candidate)
    age = now - stat.modified
    is_replaceable = max(stat.size, candidate.size) <= MAX_REPLACED_BYTES
    if _is_same(store, key, candidate, stat):
        if is_replaceable and age > ORPHAN_AGE / 2:
            # Made young again, so that nobody replaces it before this upload is committed.
            _replace(store, key, candidate, chunks, stat)
        return
    if not is_replaceable or age < ORPHAN_AGE:
        raise Taken(
            f"another upload of {candidate.filename!r} with other content is under way or was interrupted; "
            f"upload the same content, or try again after {timestamp(stat.modified + ORPHAN_AGE)}"
        )
    if store.stat(key) != stat:  # made young meanwhile: on S3 that leaves the tag, for the tag of equal bytes is equal
        raise _under_way(candidate)
    logger.warning("replacing the orphan %s of %s", key, timestamp(stat.modified))
    _replace(store, key, candidate, chunks, stat)


def _is_same(store: ObjectStore, key: str, candidate: Candidate, stat: Stat) -> bool:
    try:
        return stat.size == candidate.size and digest_of(store.read(key)) == candidate.sha256
    except Missing:
        raise _under_way(candidate) from None


def _replace(store: ObjectStore, key: str, candidate: Candidate, chunks: Chunks, stat: Stat) -> None:
    try:
        store.replace(key, b"".join(chunks()), etag=stat.etag, immutable=True)
    except Changed:
        raise _under_way(candidate) from None


def _under_way(candidate: Candidate) -> Taken:
    return Taken(f"another upload of {candidate.filename!r} is under way; try again")
