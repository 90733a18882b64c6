"""The snapshot says what the log says, finds what it holds, and is refused when it is damaged."""

from itertools import pairwise

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.derive.snapshot import (
    NameFilter,
    ProjectTable,
    Snapshot,
    UpstreamNames,
    advance,
    decode_snapshot,
    empty_snapshot,
    encode_snapshot,
)
from indexer.errors import CorruptObject, UnknownVersion
from indexer.frame import BadFrame, pack, unpack
from indexer.log.events import Change, FileAdded, FileYanked, NamesReserved, ProjectChange, UpstreamRefreshed, UserPut
from indexer.log.log import Head
from indexer.names import Filename, ProjectName
from indexer.value import replace
from tests.support.builders import (
    AT,
    added,
    any_names,
    chain,
    digests,
    file_changes,
    names,
    other_changes,
    sha256,
    texts,
)

KEY = "snapshot.msgpack.zst"
NAMES_SHA256 = sha256("names")
# Of the filter of `six` and `numpy`, computed by version 1.
FILTER_SHA256 = "a135db8a1e89531e3351787dcaae251bd4277920cc67db78f4e968d8e65a4907"
tables = st.dictionaries(any_names | names, st.integers(1, 2**53), max_size=30)
filters = st.lists(any_names, max_size=20).map(NameFilter.of)
upstreams = st.builds(
    UpstreamNames, names_sha256=digests, count=st.integers(0, 10**7), at=st.just(AT), filter=st.none() | filters
)
snapshots = st.builds(
    Snapshot,
    head=st.builds(Head, seq=st.integers(0, 2**53), digest=digests),
    renderer=texts,
    index_seq=st.integers(0, 2**53),
    projects=tables.map(lambda table: ProjectTable().with_changes(table)),
    reserved=st.lists(texts, max_size=3).map(lambda patterns: tuple(sorted(set(patterns)))),
    upstream=st.none() | upstreams,
)
logs = st.lists(file_changes() | other_changes(), max_size=30)


def example_snapshot() -> Snapshot:
    events = chain(added("a"), added("a-b"), NamesReserved(patterns=("our-*",)), added("zz9"))
    snapshot = advance(empty_snapshot("1"), events)
    names = NameFilter.of([ProjectName(f"name-{number}") for number in range(50)])
    return replace(snapshot, upstream=UpstreamNames(names_sha256=NAMES_SHA256, count=50, at=AT, filter=names))


def content(snapshot: Snapshot) -> tuple[object, ...]:
    """Return all that a snapshot says, comparable."""
    upstream = snapshot.upstream
    members = upstream and upstream.filter and upstream.filter.encode()
    names = upstream and (upstream.names_sha256, upstream.count, upstream.at, members)
    table = tuple(snapshot.projects.items())
    return snapshot.head, snapshot.renderer, snapshot.index_seq, table, snapshot.reserved, names


class TestProjectTable:
    @given(table=tables, later=tables, asked=st.lists(any_names | names, max_size=10))
    @example(table={ProjectName("a-b"): 1, ProjectName("a"): 2, ProjectName("a0"): 3}, later={}, asked=[])
    def test_finds_what_a_dict_finds(
        self, table: dict[ProjectName, int], later: dict[ProjectName, int], asked: list[ProjectName]
    ) -> None:
        """A table finds what a dict of the same entries finds, also after it was stored, and lists them sorted."""
        stored = ProjectTable(ProjectTable().with_changes(table).encode())
        changed = stored.with_changes(later)
        again = ProjectTable(changed.encode())
        model = table | later
        for name in [*asked, *model]:
            assert stored.find(name) == table.get(name)
            assert changed.find(name) == again.find(name) == model.get(name)
        assert list(changed.items()) == list(again.items()) == sorted(model.items())

    def test_empty(self) -> None:
        """An empty table finds nothing and has no entries."""
        assert ProjectTable().find(ProjectName("a")) is None
        assert (list(ProjectTable().items()), ProjectTable().encode()) == ([], b"")

    def test_every_name_of_many_is_found(self) -> None:
        """Of many projects each is found, and none that lies between two of them."""
        names = [ProjectName(f"project-{number}") for number in range(2_000)]
        table = ProjectTable(ProjectTable().with_changes({name: len(name) for name in names}).encode())
        assert [table.find(name) for name in names] == [len(name) for name in names]
        assert [table.find(ProjectName(f"{name}-x")) for name in names] == [None] * 2_000

    def test_stored_table_is_left_alone(self) -> None:
        """Changes give a new table; the one before stays what it was."""
        table = ProjectTable().with_changes({ProjectName("a"): 1})
        table.with_changes({ProjectName("a"): 2, ProjectName("b"): 2})
        assert list(table.items()) == [("a", 1)]


class TestNameFilter:
    @given(members=st.lists(any_names, max_size=60))
    def test_members_are_never_denied(self, members: list[ProjectName]) -> None:
        """A filter says yes to every name it was made of, also after it was stored."""
        stored = NameFilter.decode("key", NameFilter.of(members).encode())
        assert all(name in stored for name in members)

    def test_others_are_mostly_denied(self) -> None:
        """A filter says no to nearly every other name: at most one in a hundred is asked upstream in vain."""
        members = NameFilter.of([ProjectName(f"member-{number}") for number in range(5_000)])
        wrong = sum(f"other-{number}" in members for number in range(10_000))
        assert 0 < wrong < 100

    def test_same_names_give_the_same_bytes(self) -> None:
        """The filter depends on the names alone, not on their order: it is part of what is rebuilt byte for byte."""
        members = [ProjectName(f"member-{number}") for number in range(100)]
        assert NameFilter.of(members).encode() == NameFilter.of(members[::-1]).encode()

    def test_hash_is_the_same_in_every_process(self) -> None:
        """A filter's bytes stay what they are, or filters stored before would deny their members."""
        assert sha256(NameFilter.of([ProjectName("six"), ProjectName("numpy")]).encode()) == FILTER_SHA256


class TestReserved:
    @given(
        patterns=st.lists(st.text("ab-*", min_size=1, max_size=5), max_size=3).map(tuple),
        name=st.text("ab-", min_size=1, max_size=5),
    )
    def test_patterns(self, patterns: tuple[str, ...], name: str) -> None:
        """A name is reserved when one of the patterns covers it from end to end, `*` standing for any run."""
        snapshot = Snapshot(head=Head(seq=0, digest=""), renderer="1", reserved=patterns)
        assert snapshot.is_reserved(ProjectName(name)) == any(covers(pattern, name) for pattern in patterns)

    @pytest.mark.parametrize(
        ("pattern", "name", "reserved"),
        [
            ("our-*", "our-app", True),
            ("our-*", "our-", True),
            ("our-*", "our", False),
            ("our-*", "not-our-app", False),
            ("our", "our", True),
            ("our", "our-app", False),
            ("*", "anything", True),
            ("o.r", "our", False),
            ("[a-z]*", "our", False),
        ],
    )
    def test_examples(self, pattern: str, name: str, reserved: bool) -> None:
        """Only `*` means something in a pattern, and a pattern is for whole names."""
        snapshot = Snapshot(head=Head(seq=0, digest=""), renderer="1", reserved=(pattern,))
        assert snapshot.is_reserved(ProjectName(name)) is reserved


def covers(pattern: str, name: str) -> bool:
    """Tell whether a pattern covers a name: the definition, one character at a time."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return covers(pattern[1:], name) or (bool(name) and covers(pattern, name[1:]))
    return name[:1] == pattern[0] and covers(pattern[1:], name[1:])


class TestCodec:
    @given(snapshot=snapshots)
    def test_round_trip(self, snapshot: Snapshot) -> None:
        """A snapshot is read back as it was written, and equal ones have equal bytes."""
        body = encode_snapshot(snapshot)
        decoded = decode_snapshot(KEY, body)
        assert content(decoded) == content(snapshot)
        assert encode_snapshot(decoded) == body

    def test_every_truncation_is_refused(self) -> None:
        """A snapshot that breaks off anywhere is refused."""
        body = encode_snapshot(example_snapshot())
        for length in range(len(body)):
            with pytest.raises(CorruptObject) as caught:
                decode_snapshot(KEY, body[:length])
            assert caught.value.key == KEY

    def test_every_altered_byte_is_refused(self) -> None:
        """A snapshot with any byte altered is refused, or says exactly the same."""
        snapshot = example_snapshot()
        body = encode_snapshot(snapshot)
        refused = 0
        for index in range(len(body)):
            for bit in (1, 16, 128):
                altered = body[:index] + bytes([body[index] ^ bit]) + body[index + 1 :]
                try:
                    assert content(decode_snapshot(KEY, altered)) == content(snapshot)
                except CorruptObject as fault:
                    assert fault.key == KEY  # noqa: PT017  # a bit of zstd's header may be one that says nothing
                    refused += 1
        assert refused > 0.99 * 3 * len(body)

    @pytest.mark.parametrize("version", [0, None, "1"])
    def test_unknown_version_is_named(self, version: object) -> None:
        """A snapshot of a version this process does not know is refused, and the error says which."""
        document = msgpack.unpackb(unpack(encode_snapshot(example_snapshot()), limit=100_000))
        with pytest.raises(CorruptObject) as caught:
            decode_snapshot(KEY, pack(msgpack.packb(document | {"v": version})))
        assert str(caught.value) == (
            f"corrupt object: no readable snapshot: unknown snapshot version {version!r}, at '{KEY}'"
        )

    def test_newer_version_is_no_damage(self) -> None:
        """A snapshot of a newer version is told from a damaged one, so that nobody overwrites it."""
        document = msgpack.unpackb(unpack(encode_snapshot(example_snapshot()), limit=100_000))
        with pytest.raises(UnknownVersion) as caught:
            decode_snapshot(KEY, pack(msgpack.packb(document | {"v": 2})))
        assert (caught.value.key, caught.value.version) == (KEY, 2)

    @given(document=st.recursive(st.none() | st.integers(0, 9) | st.text(max_size=3), st.lists))
    def test_anything_else_is_refused(self, document: object) -> None:
        """A whole frame of something else is refused."""
        with pytest.raises(CorruptObject):
            decode_snapshot(KEY, pack(msgpack.packb(document)))

    def test_huge_snapshot_is_not_unpacked(self) -> None:
        """A frame that announces more than the limit is refused before it takes the memory."""
        with pytest.raises(BadFrame):
            unpack(pack(b" " * 1_000), limit=999)


class TestAdvance:
    def test_numbers(self) -> None:
        """A project has the number of its last event, and the set of names that of the last event that changed it."""
        yank = FileYanked(project=ProjectName("a"), filename=Filename("a-1.0-py3-none-any.whl"), reason="")
        events = chain(added("a"), added("b"), yank, UserPut(username="ann", upload=True))
        snapshot = advance(empty_snapshot("1"), events)
        assert content(snapshot) == (Head(seq=4, digest=events[3].digest), "1", 2, (("a", 3), ("b", 2)), (), None)

    def test_upstream_list(self) -> None:
        """A refreshed list of upstream names changes the set of names; its filter is still to be loaded."""
        refresh = UpstreamRefreshed(names_sha256=NAMES_SHA256, count=3)
        snapshot = advance(empty_snapshot("1"), chain(added("a"), refresh, added("a", version="2")))
        assert snapshot.upstream == UpstreamNames(names_sha256=NAMES_SHA256, count=3, at=AT, filter=None)
        assert snapshot.index_seq == 2

    def test_reserving_names_changes_the_set_of_names(self) -> None:
        """Reserved names are hidden, so the root listing is another one from then on."""
        snapshot = advance(empty_snapshot("1"), chain(added("a"), NamesReserved(patterns=("b*",)), added("a")))
        assert (snapshot.reserved, snapshot.index_seq) == (("b*",), 2)

    def test_change_of_an_unknown_project_makes_none(self) -> None:
        """A project begins with its first file, not with a yank of a file that never was."""
        yank = FileYanked(project=ProjectName("a"), filename=Filename("a-1.0.tar.gz"), reason="")
        snapshot = advance(empty_snapshot("1"), chain(yank))
        assert (snapshot.projects.find(ProjectName("a")), snapshot.head.seq) == (None, 1)

    @given(changes=logs, cuts=st.lists(st.integers(0, 30), max_size=3))
    def test_pieces_give_the_whole(self, changes: list[Change], cuts: list[int]) -> None:
        """Advancing in pieces, stored and read back between them, gives what advancing at once gives."""
        events = chain(*changes)
        bounds = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
        snapshot = empty_snapshot("1")
        for start, end in pairwise(bounds):
            snapshot = decode_snapshot(KEY, encode_snapshot(advance(snapshot, events[start:end])))
        assert content(snapshot) == content(advance(empty_snapshot("1"), events))

    @given(changes=logs)
    def test_table_is_what_the_log_says(self, changes: list[Change]) -> None:
        """The private projects are those with an added file, at the number of their last event since."""
        expected: dict[ProjectName, int] = {}
        for seq, change in enumerate(changes, start=1):
            if isinstance(change, ProjectChange) and (change.project in expected or isinstance(change, FileAdded)):
                expected[change.project] = seq
        table = advance(empty_snapshot("1"), chain(*changes)).projects
        assert list(table.items()) == sorted(expected.items())
