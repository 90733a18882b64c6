"""The root listing: every name that can be asked for, private and upstream, in both formats, ready to be sent.

Rendering it costs seconds with an upstream of a million names, so it is made when the set of names changed: by a
reindex, or by the first request that finds it missing.
"""

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from indexer.errors import AlreadyExists, CorruptObject, Missing
from indexer.html import render_root_html, render_root_json
from indexer.keys import listing_key
from indexer.master import get_names
from indexer.names import ProjectName
from indexer.simple import RENDERER_VERSION
from indexer.snapshot import Snapshot
from indexer.store import ObjectStore

GZIP_LEVEL = 4  # 6 takes half as long again for 5 % less

RENDERERS: dict[str, Callable[[Iterable[str]], Iterator[bytes]]] = {
    "json": render_root_json,
    "html": render_root_html,
}

logger = logging.getLogger(__name__)


class Selection(Protocol):
    """Which of the upstream's names are listed."""

    @property
    def names_tag(self) -> str:
        """Names the selection, in keys; "" for all names."""

    def lists(self, name: ProjectName) -> bool:
        """Tell whether a name is."""


def root_key(snapshot: Snapshot, extension: str, selection: Selection | None = None) -> str:
    """Return the key of the root listing that shows the snapshot's set of names."""
    tag = f"-{selection.names_tag}" if selection is not None and selection.names_tag else ""
    return listing_key(snapshot.index_seq, f"{RENDERER_VERSION}{tag}", extension)


def put_root(store: ObjectStore, snapshot: Snapshot, extension: str, selection: Selection | None = None) -> str:
    """Render and store the root listing and return its key."""
    key = root_key(snapshot, extension, selection)
    try:
        store.put_new(key, _render(store, snapshot, extension, selection))
    except AlreadyExists:
        logger.debug("%s was written by another process meanwhile", key)
    return key


def repair_root(store: ObjectStore, snapshot: Snapshot, selection: Selection | None = None) -> None:
    """Render and store the root listing in both formats, over what is there, which may be damaged."""
    for extension in RENDERERS:
        store.put(root_key(snapshot, extension, selection), _render(store, snapshot, extension, selection))


def render_root(
    store: ObjectStore, snapshot: Snapshot, extension: str, selection: Selection | None = None
) -> Iterator[bytes]:
    """Return the root listing, not compressed."""
    return RENDERERS[extension](_all_names(store, snapshot, selection))


def _render(store: ObjectStore, snapshot: Snapshot, extension: str, selection: Selection | None) -> bytes:
    return _compress(render_root(store, snapshot, extension, selection))


def _all_names(store: ObjectStore, snapshot: Snapshot, selection: Selection | None) -> list[ProjectName]:
    private = dict.fromkeys(name for name, _ in snapshot.projects.items())
    names = _upstream_names(store, snapshot)
    if selection is not None and selection.names_tag:
        names = list(filter(selection.lists, names))
    # Two sorted lists, one after the other: merging them takes a tenth of what sorting a set of them takes.
    return sorted([*private, *(name for name in names if name not in private and not snapshot.is_reserved(name))])


def _upstream_names(store: ObjectStore, snapshot: Snapshot) -> list[ProjectName]:
    if snapshot.upstream is None:
        return []
    try:
        return get_names(store, snapshot.upstream.names_sha256)
    except (Missing, CorruptObject) as fault:
        logger.warning("%s; the root listing shows private projects only until the next reindex", fault)
        return []


def _compress(chunks: Iterator[bytes]) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(chunk) for chunk in chunks), packer.flush()])
