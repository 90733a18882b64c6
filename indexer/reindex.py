"""Refresh what is known of the upstream, adopt files put straight into the bucket, rebuild, clear the superseded."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from indexer.adopt import Refusal, adopt
from indexer.errors import CorruptObject, Missing, UpstreamUnavailable
from indexer.events import UpstreamRefreshed, timestamp
from indexer.log import Log
from indexer.master import MASTER_PREFIX, encode_names, is_whole, names_digest, put_master
from indexer.rebuild import Rebuilt, rebuild
from indexer.root import INDEX_PREFIX, RENDERERS, put_root, root_key
from indexer.simple import Renderer
from indexer.snapshot import Snapshot, UpstreamNames
from indexer.store import ObjectStore, Stat
from indexer.upstream import Upstream
from indexer.value import replace, value

# An index does not lose half of its projects in an hour: a list that says so is some other page, or half of one.
LEAST_SHARE = 0.5
# What a snapshot no longer names may still be read by a container that loaded the one before, for as long as one lives.
KEEP_SUPERSEDED = timedelta(hours=6)

# A container names the pages of the snapshot it started from, and starts from a newer one after 64 events.
KEEP_PAGES = timedelta(days=7)
PAGES_PREFIX = "pages/"
# Copies of pages for one client, claims, probes, and large objects on their way: made anew whenever they are needed.
TRANSIENT_PREFIXES = ("copies/", "probe/", "rebuilding/", "staging/")
KEEP_TRANSIENT = timedelta(days=1)

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]


@value
class Reindexed:
    """What a reindex did.

    Attributes:
        upstream_count: names in the upstream's list, None when none was ever read.
        upstream_fault: why the list could not be read this time.
        adopted: keys of the files that were found and published.
        refused: objects that cannot be published.
    """

    rebuilt: Rebuilt
    upstream_count: int | None
    upstream_fault: str | None
    adopted: tuple[str, ...]
    refused: tuple[Refusal, ...]


def reindex(
    store: ObjectStore,
    upstream: Upstream,
    renderer: Renderer,
    *,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
    by: str,
    on_progress: Progress | None = None,
) -> Reindexed:
    """Bring everything up to date. A failing upstream stops none of the rest.

    Args:
        now: the current time.
        new_id: 128 random bits as hex.
        by: who asked for it, for the log.
        on_progress: called with the bytes read of the upstream's list, and of how many where that is known.
    """
    first = rebuild(store, renderer)
    before = first.snapshot
    fault = None
    try:
        _refresh(store, upstream, before, now=now, id=new_id(), by=by, on_progress=on_progress)
    except UpstreamUnavailable as error:
        fault = str(error)
        logger.warning("%s; going on with the list that is known", error)
    adopted, refused = _adopt(store, renderer, before, now=timestamp(now()), new_id=new_id)
    rebuilt = rebuild(store, renderer)
    for extension in RENDERERS:
        if store.stat(root_key(rebuilt.snapshot, extension)) is None:
            put_root(store, rebuilt.snapshot, extension)
    _clear_superseded(store, rebuilt.snapshot, now())
    known = rebuilt.snapshot.upstream
    return Reindexed(
        rebuilt=replace(rebuilt, changed=first.changed or rebuilt.changed, pages=first.pages + rebuilt.pages),
        upstream_count=None if known is None else known.count,
        upstream_fault=fault,
        adopted=tuple(adopted),
        refused=tuple(refused),
    )


def _refresh(
    store: ObjectStore,
    upstream: Upstream,
    snapshot: Snapshot,
    *,
    now: Callable[[], datetime],
    id: str,
    by: str,
    on_progress: Progress | None,
) -> None:
    known = snapshot.upstream
    least = 1 if known is None else max(1, int(known.count * LEAST_SHARE))
    # Each once, and in the upstream's order, which mostly is sorted already: a set would take that away.
    names = dict.fromkeys(upstream.fetch_names(expected_at_least=least, on_progress=on_progress))
    content, count = encode_names(names), len(names)
    names.clear()  # 100 MB of a million names
    names_sha256 = names_digest(content)
    if known is not None and _is_known(store, known, names_sha256):
        logger.info("the upstream still lists the same %d projects", count)
        return
    put_master(store, content)
    change = UpstreamRefreshed(names_sha256=names_sha256, count=count)
    Log(store).append(snapshot.head, change, by=by, at=timestamp(now()), id=id)
    logger.info("the upstream lists %d projects", count)


def _is_known(store: ObjectStore, known: UpstreamNames, names_sha256: str) -> bool:
    """Tell whether this is the list that is known, and nothing of it was lost."""
    return known.names_sha256 == names_sha256 and known.filter is not None and is_whole(store, names_sha256)


def _adopt(
    store: ObjectStore, renderer: Renderer, snapshot: Snapshot, *, now: str, new_id: Callable[[], str]
) -> tuple[list[str], list[Refusal]]:
    try:
        return adopt(store, snapshot, now=now, new_id=new_id)
    except (Missing, CorruptObject) as fault:
        logger.warning("%s; all pages are made anew", fault)
        return adopt(store, rebuild(store, renderer, from_zero=True).snapshot, now=now, new_id=new_id)


def _clear_superseded(store: ObjectStore, snapshot: Snapshot, now: datetime) -> None:
    """Remove lists of upstream names and root listings that nothing names any more, and what killed processes left."""
    current = "" if snapshot.upstream is None else snapshot.upstream.names_sha256
    for stat in _older(store, MASTER_PREFIX, now - KEEP_SUPERSEDED):
        if not (current and stat.key.startswith(f"{MASTER_PREFIX}{current}")):
            store.delete(stat.key)
    for stat in _older(store, INDEX_PREFIX, now - KEEP_SUPERSEDED):
        if stat.key < f"{INDEX_PREFIX}{snapshot.index_seq:020}":
            store.delete(stat.key)
    _clear_pages(store, now - KEEP_PAGES)
    for prefix in TRANSIENT_PREFIXES:
        for stat in _older(store, prefix, now - KEEP_TRANSIENT):
            store.delete(stat.key)


def _clear_pages(store: ObjectStore, moment: datetime) -> None:
    """Remove the pages that were superseded before this moment: those with a newer one that was there by then."""
    settled = (stat for stat in store.list(PAGES_PREFIX) if stat.modified < moment)
    kinds: dict[tuple[str, str], list[str]] = {}
    for stat in settled:
        project, _, name = stat.key.rpartition("/")
        kinds.setdefault((project, name.partition("-")[2]), []).append(stat.key)
    for keys in kinds.values():
        for key in sorted(keys)[:-1]:
            store.delete(key)


def _older(store: ObjectStore, prefix: str, moment: datetime) -> list[Stat]:
    return [stat for stat in store.list(prefix) if stat.modified < moment]
