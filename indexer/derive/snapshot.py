"""The snapshot: what a container must know to answer, in one object that loads in a millisecond. Pure.

It holds one small integer per private project and a filter of the upstream's names, so it grows with the number of
projects, not of files, and the projects are one block of sorted lines that is searched in place, never unpacked.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgpack
from rbloom import Bloom

from indexer.errors import CorruptObject, UnknownVersion
from indexer.frame import QUICK_LEVEL, pack, unpack
from indexer.log.events import Event, FileAdded, NamesReserved, NamesUnreserved, ProjectChange, UpstreamRefreshed
from indexer.log.log import ORIGIN, Head, head_of
from indexer.names import ProjectName
from indexer.patterns import matches_any
from indexer.quick_hashes import blake2b
from indexer.value import field, replace, value

SNAPSHOT_VERSION = 1
MAX_SNAPSHOT_BYTES = 134_217_728  # 128 MiB unpacked: ten million upstream names and a million private projects are 40
MAX_SPLICED = 10_000  # changed projects put into the lines one by one: 8 µs each of 100,000 lines, written anew 85 ms
FALSE_POSITIVE_RATE = 0.005  # a false positive costs one request that the upstream answers with 404


class ProjectTable:
    """Private projects and the number of the last event that concerned each, as sorted lines `name seq`.

    What came after the lines were written lies over them in a small dict.
    """

    __slots__ = ("_lines", "_over")

    def __init__(self, lines: bytes = b"", over: dict[ProjectName, int] | None = None) -> None:
        self._lines = lines
        self._over = over or {}

    def find(self, name: ProjectName) -> int | None:
        """Return the number of the last event that concerned the project, or None when it is not private."""
        found = self._over.get(name)
        return self._search(name.encode()) if found is None else found

    def _search(self, name: bytes) -> int | None:
        start, end = self._place(name, 0)
        return int(self._lines[start:end].rpartition(b" ")[2]) if start < end else None

    def _place(self, name: bytes, low: int) -> tuple[int, int]:
        """Return where the name's line is, from `low` on; an empty place where it would be."""
        high = len(self._lines)
        while low < high:
            start = self._lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._lines.index(b"\n", start) + 1
            here = self._lines[start:end].partition(b" ")[0]
            if here == name:
                return start, end
            low, high = (end, high) if here < name else (low, start)
        return low, low

    def with_changes(self, changes: dict[ProjectName, int]) -> "ProjectTable":
        """Return the table with these projects added or moved on."""
        return ProjectTable(self._lines, self._over | changes)

    def items(self) -> Iterator[tuple[ProjectName, int]]:
        """Yield all projects with their numbers, sorted by name."""
        merged = {ProjectName(name.decode()): int(seq) for name, seq in map(bytes.split, self._lines.splitlines())}
        return iter(sorted((merged | self._over).items()))

    def encode(self) -> bytes:
        """Return the table as lines."""
        if len(self._over) > MAX_SPLICED:
            return b"".join(f"{name} {seq}\n".encode() for name, seq in self.items())
        parts, position = [], 0
        for name, seq in sorted(self._over.items()):
            start, end = self._place(name.encode(), position)
            parts += [self._lines[position:start], f"{name} {seq}\n".encode()]
            position = end
        return b"".join([*parts, self._lines[position:]])


class NameFilter:
    """The upstream's names as a Bloom filter: never says no to a name that is there."""

    __slots__ = ("_bloom",)

    def __init__(self, bloom: Bloom) -> None:
        self._bloom = bloom

    @classmethod
    def of(cls, names: list[ProjectName]) -> "NameFilter":
        """Return the filter of these names; the same names give the same bytes."""
        bloom = Bloom(max(1, len(names)), FALSE_POSITIVE_RATE, _hash)
        bloom.update(names)
        return cls(bloom)

    @classmethod
    def decode(cls, key: str, data: bytes) -> "NameFilter":
        """Return the filter from its bytes; CorruptObject when they are none."""
        try:
            return cls(Bloom.load_bytes(data, _hash))
        except Exception as fault:  # rbloom raises whatever Rust's decoding ran into
            raise CorruptObject(key, f"no readable filter: {fault}") from fault

    def encode(self) -> bytes:
        """Return the filter's bytes."""
        return bytes(self._bloom.save_bytes())

    def __contains__(self, name: str) -> bool:
        return name in self._bloom


def _hash(name: object) -> int:
    # rbloom wants 128 bits as a signed integer; Python's own hash() differs in every process.
    return int.from_bytes(blake2b(str(name).encode(), digest_size=16).digest(), "big", signed=True)


@value
class UpstreamNames:
    """The upstream's master index as it was last read.

    Attributes:
        at: when, UTC.
        filter: None while only the event is known and the filter has not been loaded.
    """

    names_sha256: str
    count: int
    at: str
    filter: NameFilter | None


@value
class Snapshot:
    """The index after the event `head`.

    Attributes:
        renderer: names how the pages were rendered; pages of another renderer are not served as they are.
        index_seq: the last event that changed the set of names, which the root listing shows.
        reserved: patterns of names that are private even without a file, sorted.
    """

    head: Head
    renderer: str
    index_seq: int = 0
    projects: ProjectTable = field(default_factory=ProjectTable)
    reserved: tuple[str, ...] = ()
    upstream: UpstreamNames | None = None

    def is_reserved(self, name: ProjectName) -> bool:
        """Tell whether a reserved pattern covers the name."""
        return matches_any(name, self.reserved)


def empty_snapshot(renderer: str) -> Snapshot:
    """Return the snapshot before the first event."""
    return Snapshot(head=ORIGIN, renderer=renderer)


def advance(snapshot: Snapshot, events: Iterable[Event]) -> Snapshot:
    """Return the snapshot after these events, which follow its head; the fold of the whole index.

    A refreshed list of upstream names comes without its filter, which is the caller's to load.
    """
    changes: dict[ProjectName, int] = {}
    reserved = set(snapshot.reserved)
    head, index_seq, upstream = snapshot.head, snapshot.index_seq, snapshot.upstream
    for event in events:
        change = event.change
        if isinstance(change, ProjectChange):
            known = change.project in changes or snapshot.projects.find(change.project) is not None
            if known or isinstance(change, FileAdded):
                changes[change.project] = event.seq
                index_seq = index_seq if known else event.seq
        elif isinstance(change, NamesReserved):
            reserved.update(change.patterns)
            index_seq = event.seq
        elif isinstance(change, NamesUnreserved):
            reserved.difference_update(change.patterns)
            index_seq = event.seq
        elif isinstance(change, UpstreamRefreshed):
            upstream = UpstreamNames(names_sha256=change.names_sha256, count=change.count, at=event.at, filter=None)
            index_seq = event.seq
        head = head_of(event)
    return replace(
        snapshot,
        head=head,
        index_seq=index_seq,
        projects=snapshot.projects.with_changes(changes),
        reserved=tuple(sorted(reserved)),
        upstream=upstream,
    )


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the snapshot's bytes; the same snapshot gives the same bytes."""
    upstream = snapshot.upstream
    document = {
        "v": SNAPSHOT_VERSION,
        "renderer": snapshot.renderer,
        "head": [snapshot.head.seq, snapshot.head.digest],
        "index_seq": snapshot.index_seq,
        "projects": snapshot.projects.encode(),
        "reserved": list(snapshot.reserved),
        "upstream": upstream
        and {
            "names_sha256": upstream.names_sha256,
            "count": upstream.count,
            "at": upstream.at,
            "filter": upstream.filter and upstream.filter.encode(),
        },
    }
    return pack(msgpack.packb(document), QUICK_LEVEL)


def decode_snapshot(key: str, body: bytes) -> Snapshot:
    """Return the snapshot from its bytes.

    Raises:
        CorruptObject: truncated or altered.
        UnknownVersion: of a newer version of this program.
    """
    try:
        document = msgpack.unpackb(unpack(body, limit=MAX_SNAPSHOT_BYTES))
        version = document["v"]
        if isinstance(version, int) and version > SNAPSHOT_VERSION:
            raise UnknownVersion(key, version)
        if version != SNAPSHOT_VERSION:
            raise ValueError(f"unknown snapshot version {version!r}")
        seq, digest = document["head"]
        return Snapshot(
            head=Head(seq=seq, digest=digest),
            renderer=document["renderer"],
            index_seq=document["index_seq"],
            projects=ProjectTable(document["projects"]),
            reserved=tuple(document["reserved"]),
            upstream=_decode_upstream(key, document["upstream"]),
        )
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        raise CorruptObject(key, f"no readable snapshot: {fault}") from fault


def _decode_upstream(key: str, document: dict[str, Any] | None) -> UpstreamNames | None:
    if document is None:
        return None
    data = document["filter"]
    return UpstreamNames(
        names_sha256=document["names_sha256"],
        count=document["count"],
        at=document["at"],
        filter=None if data is None else NameFilter.decode(key, data),
    )
