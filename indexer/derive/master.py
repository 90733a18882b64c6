"""The upstream's master index as it lies in the store: the list of names, and the filter made of it.

Both are named by the list's digest and never change, so the event that names them is enough to fold from zero.
"""

import logging
from collections.abc import Iterable

from indexer.derive.snapshot import NameFilter, UpstreamNames
from indexer.errors import CorruptObject, Missing
from indexer.frame import BadFrame, pack, unpack
from indexer.keys import filter_key, names_key
from indexer.names import ProjectName
from indexer.store.base import ObjectStore

MAX_NAMES_BYTES = 268_435_456  # 256 MiB unpacked: 927,000 names are 13

logger = logging.getLogger(__name__)


def encode_names(names: Iterable[ProjectName]) -> bytes:
    """Return the names as sorted lines; the digest of these bytes names the list."""
    return "\n".join(sorted(names)).encode()


def names_digest(content: bytes) -> str:
    """Return the digest that names a list, as `encode_names` gives it."""
    from hashlib import sha256  # OpenSSL's: 13 MB

    return sha256(content).hexdigest()


def put_master(store: ObjectStore, content: bytes) -> None:
    """Store a list of names, as `encode_names` gives it, with its filter."""
    names_sha256 = names_digest(content)
    # Not put-if-absent: a list that comes back is new again, so that nobody clears it as superseded.
    store.put(names_key(names_sha256), pack(content))
    # Compressed for the checksum: a filter that lost a bit would hide a project.
    store.put(filter_key(names_sha256), pack(NameFilter.of(_split(content)).encode()))


def get_names(store: ObjectStore, names_sha256: str) -> list[ProjectName]:
    """Return the list of names with this digest, sorted.

    Raises:
        Missing: it is not stored.
        CorruptObject: what is stored has another digest.
    """
    return _split(_get_content(store, names_sha256))


def is_whole(store: ObjectStore, names_sha256: str) -> bool:
    """Tell whether the list with this digest is stored and can be read."""
    try:
        _get_content(store, names_sha256)
    except (Missing, CorruptObject) as fault:
        logger.warning("%s", fault)
        return False
    return True


def _get_content(store: ObjectStore, names_sha256: str) -> bytes:
    key = names_key(names_sha256)
    try:
        content = unpack(store.get(key).body, limit=MAX_NAMES_BYTES)
    except BadFrame as fault:
        raise CorruptObject(key, f"no readable list of names: {fault}") from fault
    if names_digest(content) != names_sha256:
        raise CorruptObject(key, "the names have another digest")
    return content


def get_filter(store: ObjectStore, upstream: UpstreamNames) -> NameFilter:
    """Return the filter of these names, made anew from the list where its object is missing or corrupt.

    Raises:
        Missing, CorruptObject: the list is, too.
    """
    key = filter_key(upstream.names_sha256)
    stored = store.find(key)
    if stored is not None:
        try:
            return NameFilter.decode(key, unpack(stored.body, limit=MAX_NAMES_BYTES))
        except (CorruptObject, BadFrame) as fault:
            logger.warning("%s: %s; made anew from the list of names", key, fault)
    return NameFilter.of(get_names(store, upstream.names_sha256))


def _split(content: bytes) -> list[ProjectName]:
    return [ProjectName(name) for name in content.decode().split("\n") if name]
