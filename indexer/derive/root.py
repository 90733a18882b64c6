"""The root listing: every name that can be asked for, private and upstream, in both formats.

Of the upstream's million names the entries are rendered and compressed when its list was read, and stored. The private
projects change with every upload: they are rendered for whoever asks, and put before the stored entries, without these
being compressed again. Those of the upstream's names that are private here, or reserved, are taken out on the way.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Protocol

from indexer.derive.blocks import Blocks, are_blocks_of, decode_blocks, encode_blocks
from indexer.derive.deflate import EMPTY, Part, gzip_member, pack_part, text_of
from indexer.derive.master import get_names
from indexer.derive.snapshot import Snapshot
from indexer.errors import CorruptObject, Missing
from indexer.keys import blocks_key
from indexer.names import ProjectName
from indexer.simple.root_text import ROOT_TEXTS
from indexer.store.base import ObjectStore
from indexer.value import value

TEXT_VERSION = 1  # a change of the entries needs a new number

logger = logging.getLogger(__name__)


class Selection(Protocol):
    """Which of the upstream's names are listed."""

    @property
    def names_tag(self) -> str:
        """Names the selection, in keys; "" for all names."""

    def lists(self, name: ProjectName) -> bool:
        """Tell whether a name is."""


@value
class Listing:
    """A root listing, ready to be sent.

    Attributes:
        parts: its text, compressed.
        packed: the same as one gzip member, in pieces.
        digest: of its text, as it is compressed here.
    """

    parts: tuple[Part, ...]
    packed: tuple[bytes, ...]
    digest: str

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return sum(part.size for part in self.parts)

    @property
    def packed_size(self) -> int:
        """Bytes of the gzip member."""
        return sum(map(len, self.packed))

    def text(self) -> Iterator[bytes]:
        """Yield the text piece by piece; the head is in the first."""
        for part in self.parts:
            yield from text_of(part.body)


def entries_key(names_sha256: str, extension: str, selection: Selection | None = None) -> str:
    """Return the key of the entries of the upstream's names."""
    tag = f"-{selection.names_tag}" if selection is not None and selection.names_tag else ""
    return blocks_key(names_sha256, f"{TEXT_VERSION}{tag}", extension)


def put_entries(store: ObjectStore, names_sha256: str, extension: str, selection: Selection | None = None) -> bytes:
    """Render and store the entries of the upstream's names, over what is there, and return them.

    Raises:
        Missing, CorruptObject: the list of names is lost.
    """
    return _put_entries(store, names_sha256, [extension], selection)[extension]


def _put_entries(
    store: ObjectStore, names_sha256: str, extensions: Iterable[str], selection: Selection | None
) -> Mapping[str, bytes]:
    names = _listed_names(store, names_sha256, selection)
    bodies = {extension: encode_blocks(names, ROOT_TEXTS[extension]) for extension in extensions}
    for extension, body in bodies.items():
        store.put(entries_key(names_sha256, extension, selection), body)
    return bodies


def _listed_names(store: ObjectStore, names_sha256: str, selection: Selection | None) -> list[ProjectName]:
    names = get_names(store, names_sha256)
    return list(filter(selection.lists, names)) if selection is not None and selection.names_tag else names


def put_missing_entries(store: ObjectStore, names_sha256: str, selection: Selection | None = None) -> None:
    """Have the entries stored in both formats."""
    missing = [each for each in ROOT_TEXTS if store.stat(entries_key(names_sha256, each, selection)) is None]
    if missing:
        _put_entries(store, names_sha256, missing, selection)


def repair_root(store: ObjectStore, snapshot: Snapshot, selection: Selection | None = None) -> None:
    """Render and store the entries in both formats, over what is there, which may be damaged."""
    if snapshot.upstream is None:
        return
    try:
        _put_entries(store, snapshot.upstream.names_sha256, ROOT_TEXTS, selection)
    except (Missing, CorruptObject) as fault:
        logger.warning("%s; the root listing shows private projects only until the next reindex", fault)


def get_entries(
    store: ObjectStore, names_sha256: str, extension: str, selection: Selection | None = None
) -> Blocks | None:
    """Return the entries of the upstream's names, made anew where they are lost; None where the names are."""
    key = entries_key(names_sha256, extension, selection)
    stored = store.find(key)
    try:
        if stored is not None:
            return decode_blocks(key, stored.body)
    except CorruptObject as fault:
        logger.warning("%s; made anew", fault)
    try:
        return decode_blocks(key, put_entries(store, names_sha256, extension, selection))
    except (Missing, CorruptObject) as fault:
        logger.warning("%s; the root listing shows private projects only until the next reindex", fault)
        return None


def is_whole(store: ObjectStore, body: bytes, names_sha256: str, extension: str, selection: Selection | None) -> bool:
    """Tell whether stored entries are those of the upstream's names."""
    names = _listed_names(store, names_sha256, selection)
    try:
        return are_blocks_of(decode_blocks("", body), names, ROOT_TEXTS[extension])
    except CorruptObject:
        return False


def find_hidden(snapshot: Snapshot) -> frozenset[ProjectName]:
    """Return the private names that the upstream may have, too."""
    known = None if snapshot.upstream is None else snapshot.upstream.filter
    return frozenset(name for name, _ in snapshot.projects.items() if known is None or name in known)


def choose_entries(
    entries: Blocks, extension: str, snapshot: Snapshot, hidden: frozenset[ProjectName], *, is_first: bool
) -> Part:
    """Return the entries that are listed: without names that are private or reserved.

    Args:
        hidden: what `find_hidden` returned.
        is_first: whether there is no private project.
    """
    places = {entries.place_of(name) for name in hidden}
    for pattern in snapshot.reserved:
        places.update(entries.places_of(pattern.partition("*")[0]))

    def is_listed(name: ProjectName) -> bool:
        return name not in hidden and not snapshot.is_reserved(name)

    return entries.without(is_listed, places, ROOT_TEXTS[extension], is_first=is_first)


def compose(snapshot: Snapshot, extension: str, entries: Part | None) -> Listing:
    """Return the listing of a snapshot's private projects and of the upstream's names."""
    text = ROOT_TEXTS[extension]
    projects = list(snapshot.projects.items())
    serial = max([snapshot.index_seq, *(seq for _, seq in projects)])
    private = pack_part((text.head(serial) + text.private(projects)).encode())
    parts = (private, entries or EMPTY, pack_part(text.foot.encode()))
    packed = gzip_member(parts)
    digest = blake2b(digest_size=16)
    for piece in packed:
        digest.update(piece)
    return Listing(parts=parts, packed=packed, digest=digest.hexdigest())
