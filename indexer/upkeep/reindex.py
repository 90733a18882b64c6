"""Refresh what is known of the upstream, adopt files put straight into the bucket, rebuild, clear the superseded."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice

from indexer.derive.master import encode_names, is_whole, names_digest, put_master
from indexer.derive.rebuild import Rebuilt, rebuild
from indexer.derive.root import Selection, put_missing_entries
from indexer.derive.snapshot import Snapshot, UpstreamNames
from indexer.errors import CorruptObject, Missing, UpstreamUnavailable
from indexer.log.events import UpstreamRefreshed
from indexer.log.journal import Journal
from indexer.names import ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.upkeep.adopt import Refusal, adopt
from indexer.upkeep.inventory import Amount
from indexer.upkeep.retention import (
    DEFAULT,
    Expired,
    Retention,
    Sweep,
    find_removed,
    sweep_mirror,
    sweep_removed,
    sweep_superseded,
)
from indexer.upkeep.survey import Folder
from indexer.upstream.client import Upstream
from indexer.value import field, replace, value

# An index does not lose half of its projects in an hour: a list that says so is some other page, or half of one.
LEAST_SHARE = 0.5
SAMPLE = 4  # names: of some there are no files

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]


@value
class Reindexed:
    """What a reindex did.

    Attributes:
        upstream_count: names in the upstream's list, None when none was ever read, or there is no upstream.
        upstream_fault: why the list could not be read this time.
        adopted: keys of the files that were found and published.
        refused: objects that cannot be published.
        swept: what was thrown away, by reason.
        sample: some names of the list, if it was read.
    """

    rebuilt: Rebuilt
    upstream_count: int | None
    upstream_fault: str | None
    adopted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    swept: Mapping[str, Amount] = field(default_factory=dict)
    sample: tuple[ProjectName, ...] = ()


def reindex(
    store: ObjectStore,
    upstream: Upstream | None,
    renderer: Renderer,
    *,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
    by: str,
    on_progress: Progress | None = None,
    selection: Selection | None = None,
    retention: Retention = DEFAULT,
) -> Reindexed:
    """Bring everything up to date. A failing upstream stops none of the rest.

    Args:
        upstream: None where the index has none.
        now: the current time.
        new_id: 128 random bits as hex.
        by: who asked for it, for the log.
        on_progress: called with the bytes read of the upstream's list, and of how many where that is known.
        selection: which of the upstream's names the root lists; None for all.
        retention: for how long what could be deleted is kept.
    """
    first = rebuild(store, renderer)
    before = first.snapshot
    fault = None
    sample: tuple[ProjectName, ...] = ()
    try:
        if upstream is not None:
            journal = Journal(store, by=by, now=now, new_id=new_id, head=before.head)
            sample = _refresh(store, upstream, before, journal, on_progress=on_progress, selection=selection)
    except UpstreamUnavailable as error:
        fault = str(error)
        logger.warning("%s; going on with the list that is known", error)
    removed: dict[str, Expired] = {}

    def see(folder: Folder) -> None:
        removed.update((found.stat.key, found) for found in find_removed(folder, retention.removed_days, now()))

    journal = Journal(store, by="reindex", now=now, new_id=new_id, head=before.head)
    adopted, refused = _adopt(store, renderer, before, journal, see=see)
    rebuilt = rebuild(store, renderer)
    known = rebuilt.snapshot.upstream if upstream is not None else None
    if known is not None:
        put_missing_entries(store, known.names_sha256, selection)
    sweep = Sweep(store)
    sweep_superseded(store, sweep, rebuilt.snapshot, now())
    sweep_mirror(store, sweep, retention.mirror_days, now())
    sweep_removed(sweep, removed.values(), rebuilt.snapshot)
    return Reindexed(
        rebuilt=replace(rebuilt, changed=first.changed or rebuilt.changed, pages=first.pages + rebuilt.pages),
        upstream_count=None if known is None else known.count,
        upstream_fault=fault,
        adopted=tuple(adopted),
        refused=tuple(refused),
        swept=sweep.amounts,
        sample=sample,
    )


def _refresh(
    store: ObjectStore,
    upstream: Upstream,
    snapshot: Snapshot,
    journal: Journal,
    *,
    on_progress: Progress | None,
    selection: Selection | None,
) -> tuple[ProjectName, ...]:
    """Take the upstream's list, and return some names of it."""
    known = snapshot.upstream
    least = 1 if known is None else max(1, int(known.count * LEAST_SHARE))
    # Each once, and in the upstream's order, which mostly is sorted already: a set would take that away.
    names = dict.fromkeys(upstream.fetch_names(expected_at_least=least, on_progress=on_progress))
    content, count = encode_names(names), len(names)
    sample = tuple(islice(names, 0, None, max(1, count // SAMPLE)))[:SAMPLE]
    names.clear()  # 100 MB of a million names
    names_sha256 = names_digest(content)
    if known is not None and _is_known(store, known, names_sha256):
        logger.info("the upstream still lists the same %d projects", count)
        return sample
    put_master(store, content)
    put_missing_entries(store, names_sha256, selection)  # before the event: nobody has to wait for the root listing
    journal.append(UpstreamRefreshed(names_sha256=names_sha256, count=count))
    logger.info("the upstream lists %d projects", count)
    return sample


def _is_known(store: ObjectStore, known: UpstreamNames, names_sha256: str) -> bool:
    """Tell whether this is the list that is known, and nothing of it was lost."""
    return known.names_sha256 == names_sha256 and known.filter is not None and is_whole(store, names_sha256)


def _adopt(
    store: ObjectStore,
    renderer: Renderer,
    snapshot: Snapshot,
    journal: Journal,
    *,
    see: Callable[[Folder], None],
) -> tuple[list[str], list[Refusal]]:
    try:
        return adopt(store, snapshot, journal, see=see)
    except (Missing, CorruptObject) as fault:
        logger.warning("%s; all pages are made anew", fault)
        return adopt(store, rebuild(store, renderer, from_zero=True).snapshot, journal, see=see)
