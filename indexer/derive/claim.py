"""One rebuild where many were asked for: a burst of uploads asks for as many rebuilds, and few do for all.

Who puts the claim gathers for a moment, takes the claim back, and only then reads the log. So whoever finds a claim
knows that its event, which is in the log already, will be read, and ends at once: however many ask, one waits. A claim
is a courtesy, not a lock: should its owner die, the next one goes ahead after a while, and the snapshot's own condition
keeps two that rebuild at once from harming each other.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from indexer.derive.rebuild import Rebuilt, load_snapshot, rebuild
from indexer.errors import AlreadyExists
from indexer.keys import CLAIM_KEY
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore

FROM_ZERO = "from zero"  # what is asked for in the place of an event's number: everything derived, written again
GATHER_SECONDS = 2.0  # for more of a burst; a tail this young costs requests next to nothing
# The owner holds it for the two seconds above. Lambda tries an event again after a minute: then the claim of one that
# died is old enough.
CLAIM_AGE = timedelta(seconds=30)

logger = logging.getLogger(__name__)


def rebuild_up_to(
    store: ObjectStore,
    renderer: Renderer,
    seq: int,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> Rebuilt:
    """Have the snapshot reach event `seq`, by our work, or soon by another's; then what is returned is unchanged.

    Args:
        now: the current time.
        sleep: waits for seconds.
    """
    base = load_snapshot(store, renderer).snapshot
    unchanged = Rebuilt(snapshot=base, changed=False, pages=0)
    if base.head.seq >= seq and base.renderer == renderer.tag:
        return unchanged
    if not _claim(store, now):
        logger.info("another invocation is about to rebuild, and will do for this one")
        return unchanged
    try:
        sleep(GATHER_SECONDS)
    finally:
        store.delete(CLAIM_KEY)
    return rebuild(store, renderer)


def _claim(store: ObjectStore, now: Callable[[], datetime]) -> bool:
    body = now().isoformat().encode()
    try:
        store.put_new(CLAIM_KEY, body)
    except AlreadyExists:
        stat = store.stat(CLAIM_KEY)
        # One from the future is as old: a clock that is wrong must not put off rebuilds for as long as it is.
        if stat is not None and abs(now() - stat.modified) < CLAIM_AGE:
            return False
        store.put(CLAIM_KEY, body)
    return True
