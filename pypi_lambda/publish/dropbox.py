"""The drop box: files put under `incoming/` by any tool, checked as an upload would be, moved, published.

What is refused stays, with a `….rejected.txt` beside it that says why. Notifications arrive at least once and in any
order, so taking a file that is gone already is no error.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta

from indexer.errors import DigestMismatch, InvalidValue, Missing
from indexer.keys import INCOMING, PART_SUFFIX, REJECTED_SUFFIX
from indexer.names import check_filename
from indexer.publication.candidate import check_stored
from indexer.store.base import ObjectStore, Stat, is_key
from pypi_lambda.http.faults import RequestError
from pypi_lambda.publish.upload import Publisher

# S3 tells whole seconds, and a folder's lowest millisecond is random: of two that close, a second look tells which came
# later, and its refusal is newer.
LEAST_GAP = timedelta(seconds=1)

logger = logging.getLogger(__name__)


def take(store: ObjectStore, publisher: Publisher, key: str) -> str | None:
    """Publish the file under this key and remove it from the drop box; return a sentence that says what was done.

    Args:
        key: begins with `incoming/`.

    Returns:
        None when there was nothing to do.
    """
    if key.endswith((REJECTED_SUFFIX, PART_SUFFIX)) or not is_key(key):  # no key: folder markers, hidden files of tools
        return None
    stat = store.stat(key)
    if stat is None:
        return None
    try:
        message = _publish(store, publisher, stat)
    except (RequestError, InvalidValue) as error:
        if store.stat(key) != stat:  # taken, or replaced, by another while it was read here
            return None
        logger.warning("%s is refused: %s", key, error)
        store.put(key + REJECTED_SUFFIX, f"{error}\n".encode(), content_type="text/plain; charset=utf-8")
        return f"{key} is refused: {error}"
    except (Missing, DigestMismatch):  # taken, or replaced, by another while it was read here
        return None
    store.delete(key + REJECTED_SUFFIX)
    store.delete(key)  # last, so that whoever comes after a crash finds it and goes on from here
    return message


def take_all(store: ObjectStore, publisher: Publisher) -> list[str]:
    """Publish whatever lies in the drop box but what was refused before and is still the same."""
    stats = {stat.key: stat for stat in store.list(INCOMING)}
    messages = [take(store, publisher, key) for key, stat in stats.items() if not _is_refused(stat, stats)]
    return [message for message in messages if message is not None]


def _is_refused(stat: Stat, stats: Mapping[str, Stat]) -> bool:
    refusal = stats.get(stat.key + REJECTED_SUFFIX)
    return refusal is not None and refusal.modified - stat.modified > LEAST_GAP


def _publish(store: ObjectStore, publisher: Publisher, stat: Stat) -> str:
    filename = check_filename(stat.key.rpartition("/")[2])
    candidate = check_stored(store, stat.key, filename, stat.size, hashes={})  # it may be replaced at any moment
    return publisher.publish_checked(candidate, by="drop box")
