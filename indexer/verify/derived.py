"""The snapshot, the upstream's names and the root listings against what they are made of."""

from indexer.derive.master import MAX_NAMES_BYTES, get_names
from indexer.derive.root import Selection, entries_key, is_whole
from indexer.derive.snapshot import MAX_SNAPSHOT_BYTES, NameFilter, Snapshot, encode_snapshot
from indexer.errors import CorruptObject, Missing
from indexer.frame import BadFrame, unpack
from indexer.keys import SNAPSHOT_KEY, filter_key, names_key
from indexer.simple.root_text import ROOT_TEXTS
from indexer.store.base import ObjectStore, Stored
from indexer.value import replace
from indexer.verify.findings import Findings, Remedy, Severity


def check_derived(
    store: ObjectStore,
    findings: Findings,
    stored: Stored | None,
    snapshot: Snapshot | None,
    folded: Snapshot,
    selection: Selection | None,
) -> None:
    """Compare what is derived of the whole log.

    Args:
        stored: the snapshot's object.
        snapshot: what it holds, None where that cannot be read, which is reported already.
        folded: what it must hold, its filter left out.
        selection: which of the upstream's names the root lists; None for all.
    """
    names = _find_filter(store, findings, folded)
    if stored is None and folded.head.seq:
        findings.stale(SNAPSHOT_KEY, "the snapshot is missing")
    if stored is not None and snapshot is not None:
        # Without the list nobody can say what the filter must be.
        known = names or (snapshot.upstream and snapshot.upstream.filter)
        upstream = folded.upstream and replace(folded.upstream, filter=known)
        _check_snapshot(findings, stored, replace(folded, upstream=upstream))
    if folded.upstream is not None and names is not None:
        _check_entries(store, findings, folded.upstream.names_sha256, selection)


def _find_filter(store: ObjectStore, findings: Findings, folded: Snapshot) -> NameFilter | None:
    """Check the list of the upstream's names and its filter; return what the filter must be, if that can be said."""
    if folded.upstream is None:
        return None
    digest = folded.upstream.names_sha256
    try:
        names = NameFilter.of(get_names(store, digest))
    except Missing:
        findings.add(names_key(digest), "the list of upstream names is missing", Severity.DERIVED, Remedy.REINDEX)
        return None
    except CorruptObject as fault:
        findings.add(names_key(digest), fault.reason, Severity.DERIVED, Remedy.REINDEX)
        return None
    stored = store.find(filter_key(digest))
    if stored is None:
        findings.stale(filter_key(digest), "the filter of upstream names is missing")
    elif not _holds(stored.body, names.encode(), limit=MAX_NAMES_BYTES):
        findings.stale(filter_key(digest), "it is not the filter of the list of upstream names beside it")
    return names


def _check_snapshot(findings: Findings, stored: Stored, expected: Snapshot) -> None:
    body = encode_snapshot(expected)
    if stored.body != body and not _holds(
        stored.body, unpack(body, limit=MAX_SNAPSHOT_BYTES), limit=MAX_SNAPSHOT_BYTES
    ):
        findings.stale(SNAPSHOT_KEY, "the snapshot is not what the log's events make of it")


def _holds(body: bytes, content: bytes, *, limit: int) -> bool:
    try:
        return unpack(body, limit=limit) == content
    except BadFrame:
        return False


def _check_entries(store: ObjectStore, findings: Findings, names_sha256: str, selection: Selection | None) -> None:
    for extension in ROOT_TEXTS:
        key = entries_key(names_sha256, extension, selection)
        stored = store.find(key)
        if stored is None:
            findings.add(key, "the root listing is not made yet, or was deleted", Severity.NOTE, Remedy.WAIT)
        elif not is_whole(store, stored.body, names_sha256, extension, selection):
            findings.stale(key, "the root listing is not what the upstream's names make of it")
