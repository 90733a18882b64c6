"""The root listing of this process: what the next request for it can be sent, or needs little to be.

The entries of the upstream's names are read when they are first asked for, and kept until its list is another one, or
another of its names is private or reserved.
"""

from threading import Lock
from typing import TYPE_CHECKING

from indexer.derive.deflate import Part
from indexer.derive.root import Listing, choose_entries, compose, find_hidden, get_entries
from indexer.derive.snapshot import Snapshot
from indexer.store.base import ObjectStore

if TYPE_CHECKING:
    from pypi_lambda.view.policy import Policy


class RootListings:
    """The listings that were last sent, one for each format: 13 MB of the public index's.

    Args:
        policy: which of the upstream's names are listed; None for all.
    """

    def __init__(self, store: ObjectStore, policy: "Policy | None" = None) -> None:
        self._store = store
        self._policy = policy
        self._entries: dict[str, tuple[object, Part]] = {}
        self._listings: dict[str, tuple[object, Listing]] = {}
        self._lock = Lock()

    def get(self, snapshot: Snapshot, extension: str) -> Listing:
        """Return the listing of the snapshot's projects and of the upstream's."""
        with self._lock:  # it takes seconds and 100 MB where a million names have to be rendered: once is enough
            kept = self._listings.get(extension)
            if kept is not None and kept[0] == snapshot.head:
                return kept[1]
            entries = self._get_entries(snapshot, extension)
            listing = compose(snapshot, extension, entries)
            if entries is not None or snapshot.upstream is None:
                self._listings[extension] = (snapshot.head, listing)
            return listing

    def _get_entries(self, snapshot: Snapshot, extension: str) -> Part | None:
        if snapshot.upstream is None:
            return None
        hidden = find_hidden(snapshot)
        is_first = next(iter(snapshot.projects.items()), None) is None
        key = (snapshot.upstream.names_sha256, snapshot.reserved, hidden, is_first)
        kept = self._entries.get(extension)
        if kept is not None and kept[0] == key:
            return kept[1]
        blocks = get_entries(self._store, snapshot.upstream.names_sha256, extension, self._policy)
        if blocks is None:
            return None
        entries = choose_entries(blocks, extension, snapshot, hidden, is_first=is_first)
        self._entries[extension] = (key, entries)
        return entries
