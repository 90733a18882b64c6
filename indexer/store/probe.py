"""Ask a store whether it honours the conditions that correctness rests on, and refuse one that does not."""

from indexer.errors import AlreadyExists, Changed, StoreUnavailable, UnsafeStore
from indexer.keys import probe_key
from indexer.store.base import ObjectStore

WRONG_ETAG = '"00000000000000000000000000000000"'  # what no object has: an MD5 of zeros, in the quotes of RFC 9110


def check_store(store: ObjectStore, nonce: str) -> None:
    """Make sure that a store honours the conditions that correctness rests on; meant for set-up, not for every start.

    Several popular S3 servers accept a conditional write and silently drop the condition.

    Args:
        nonce: makes the keys of this probe unlike those of any other.

    Raises:
        UnsafeStore: it does not; the sentence says what to do.
    """
    key = probe_key(nonce)
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
