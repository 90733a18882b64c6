"""One rebuild where many were asked for: a burst of uploads asks for as many rebuilds, and the first does for all.

A claim is an object that names the snapshot to go on from; whoever puts it first rebuilds, the others wait for the
snapshot to arrive. A claim is a courtesy, not a lock: should its owner die, the next one goes ahead, and the snapshot's
own condition keeps two that rebuild at once from harming each other.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from indexer.errors import AlreadyExists
from indexer.rebuild import Rebuilt, load_snapshot, rebuild
from indexer.simple import Renderer
from indexer.snapshot import Snapshot
from indexer.store import ObjectStore

CLAIM_PREFIX = "rebuilding/"
CLAIM_AGE = timedelta(seconds=60)  # a rebuild takes under a second, from zero some minutes: then a second one starts
POLL_SECONDS = 1.0
MAX_POLLS = 20


def claim_key(base: Snapshot) -> str:
    """Return the key of the claim to go on from this snapshot."""
    return f"{CLAIM_PREFIX}{base.head.seq:020}"


def rebuild_up_to(
    store: ObjectStore,
    renderer: Renderer,
    seq: int,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> Rebuilt:
    """Have the snapshot reach event `seq`, by our work or another's.

    Args:
        now: the current time.
        sleep: waits for seconds.
    """
    for _ in range(MAX_POLLS):
        base = load_snapshot(store, renderer).snapshot
        if base.head.seq >= seq and base.renderer == renderer.tag:
            return Rebuilt(snapshot=base, changed=False, pages=0)
        key = claim_key(base)
        if _claim(store, key, now()):
            try:
                return rebuild(store, renderer)
            finally:
                store.delete(key)
        sleep(POLL_SECONDS)
    return rebuild(store, renderer)  # better twice than never


def _claim(store: ObjectStore, key: str, now: datetime) -> bool:
    body = now.isoformat().encode()
    try:
        store.put_new(key, body)
    except AlreadyExists:
        stat = store.stat(key)
        if stat is None or now - stat.modified < CLAIM_AGE:
            return False
        store.put(key, body)
    return True
