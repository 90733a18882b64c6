"""The snapshot, the upstream's names and the root listings against what they are made of."""

import zlib
from hashlib import sha256

from indexer.errors import CorruptObject, Missing
from indexer.findings import Findings, Remedy, Severity
from indexer.frame import BadFrame, unpack
from indexer.keys import SNAPSHOT_KEY, filter_key, names_key
from indexer.master import MAX_NAMES_BYTES, get_names
from indexer.root import RENDERERS, Selection, render_root, root_key
from indexer.snapshot import MAX_SNAPSHOT_BYTES, NameFilter, Snapshot, encode_snapshot
from indexer.store import ObjectStore, Stored
from indexer.value import replace


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
    if folded.head.seq and (folded.upstream is None or names is not None):
        _check_roots(store, findings, folded, selection)


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


def _check_roots(store: ObjectStore, findings: Findings, snapshot: Snapshot, selection: Selection | None) -> None:
    for extension in RENDERERS:
        key = root_key(snapshot, extension, selection)
        stored = store.find(key)
        if stored is None:
            findings.add(key, "the root listing is not made yet, or was deleted", Severity.NOTE, Remedy.WAIT)
            continue
        expected = sha256()
        for chunk in render_root(store, snapshot, extension, selection):
            expected.update(chunk)
        if _digest_of_gzip(stored.body) != expected.hexdigest():
            findings.stale(key, "the root listing is not what the snapshot and the upstream's names make of it")


def _digest_of_gzip(body: bytes) -> str | None:
    """Return the digest of one gzip member's content, or None when it is damaged."""
    unpacker, digest, rest = zlib.decompressobj(zlib.MAX_WBITS | 16), sha256(), body
    try:
        while not unpacker.eof and rest:
            digest.update(unpacker.decompress(rest, 1_048_576))
            rest = unpacker.unconsumed_tail
    except zlib.error:
        return None
    return digest.hexdigest() if unpacker.eof and not unpacker.unused_data else None
