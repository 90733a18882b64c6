"""A password's second verifier: with the installation's key it tells in microseconds what the slow hash tells slowly.

A verifier is a MAC under a key that never lies in the store, over the username, the password and the slow hash. So it
is worth nothing to whoever has the store alone, belongs to no other user, and ends with the hash that it was made for.
Whoever writes one saw the slow hash accept the password.

BLAKE2b with a key is a MAC by itself, without HMAC's two passes (RFC 7693, section 2.9), and loaded anyway.
"""

import json
import logging
from collections.abc import Callable
from threading import Thread

from indexer.errors import Changed, IndexerError
from indexer.quick_hashes import blake2b, compare_digest
from indexer.store.base import ObjectStore, Stored
from pypi_lambda.access.records import MAX_RECORD_BYTES

PURPOSE = b"spypi password 1"  # so that a MAC made for anything else under this key is no verifier
VERSION = "1"

logger = logging.getLogger(__name__)


def make_verifier(key: bytes, username: str, password: str, hash_: str) -> str:
    """Return the verifier of a password that this hash accepts."""
    parts = [username.encode(), password.encode(), hash_.encode("utf-8", "surrogatepass")]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{VERSION}:{blake2b(framed, key=key, digest_size=32, person=PURPOSE).hexdigest()}"


def is_verifier(stored: str, expected: str) -> bool:
    """Tell whether a record's verifier is the expected one."""
    return compare_digest(stored.encode("utf-8", "surrogatepass"), expected.encode())


def write_beside(write: Callable[[], None]) -> None:
    """Begin the write and return, whatever becomes of it."""
    try:
        Thread(target=write, daemon=True).start()
    except RuntimeError as fault:  # "can't start new thread"
        logger.warning("a password's verifier is not written: %s", fault)


def write_verifier(store: ObjectStore, key: str, stored: Stored, verifier: str) -> None:
    """Add the verifier to a user's record, unless the record is another one by now. Nothing depends on its success."""
    document = {**json.loads(stored.body), "verifier": verifier}  # what a newer release has in it stays
    body = json.dumps(document, separators=(",", ":")).encode()
    if len(body) > MAX_RECORD_BYTES:  # what is larger is not read again: its user would be shut out
        return
    try:
        store.replace(key, body, etag=stored.etag, content_type="application/json")
    except Changed:
        logger.debug("%s: changed meanwhile, so it gets no verifier", key)
    except IndexerError as fault:
        logger.warning(
            "%s: a password's verifier cannot be written, so every process pays its slow hash: %s", key, fault
        )
