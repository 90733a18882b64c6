"""The root listing has every name that can be asked for, and no other."""

import gzip
import logging
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import IndexPage

from indexer.derive.deflate import EMPTY
from indexer.derive.master import encode_names, names_digest, put_master
from indexer.derive.rebuild import with_filter
from indexer.derive.root import (
    TEXT_VERSION,
    compose,
    entries_key,
    is_whole,
    put_entries,
    put_missing_entries,
    repair_root,
)
from indexer.derive.snapshot import Snapshot, advance, empty_snapshot
from indexer.keys import names_key
from indexer.log.events import Change, FileYanked, NamesReserved, UpstreamRefreshed
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from pypi_lambda.app.root_listing import RootListings
from pypi_lambda.view.policy import Policy
from tests.support.builders import added, chain, contents, names

UPSTREAM = [ProjectName(name) for name in ("a", "a-b", "numpy", "our-secret", "six")]
CONTENT = encode_names(UPSTREAM)
SHA256 = names_digest(CONTENT)
REFRESHED = UpstreamRefreshed(names_sha256=SHA256, count=len(UPSTREAM))


@pytest.fixture
def full(store: FolderStore) -> FolderStore:
    put_master(store, CONTENT)
    return store


def snapshot_of(*changes: Change) -> Snapshot:
    return advance(empty_snapshot("1"), chain(*changes))


def listed(
    store: ObjectStore, snapshot: Snapshot, policy: Policy | None = None, listings: RootListings | None = None
) -> list[str]:
    """Return the names of the listing, after making sure that both formats have the same, compressed and not."""
    listings = listings or RootListings(store, policy)
    as_json, as_html = (listings.get(snapshot, extension) for extension in ("json", "html"))
    texts = [b"".join(listing.text()) for listing in (as_json, as_html)]
    for listing, text in zip((as_json, as_html), texts, strict=True):
        packed = b"".join(listing.packed)
        assert gzip.decompress(packed) == text
        assert (listing.size, listing.packed_size) == (len(text), len(packed))
    page = IndexPage.from_json_data(orjson.loads(texts[0]))
    html = IndexPage.from_html(texts[1])
    assert page.projects == html.projects
    assert page.repository_version == html.repository_version == "1.4"
    return page.projects


def test_private_and_upstream_names(full: FolderStore) -> None:
    """The listing has private names and the upstream's, each once, each sorted."""
    snapshot = snapshot_of(added("zebra"), REFRESHED, added("six"), added("b"))
    assert listed(full, snapshot) == ["b", "six", "zebra", "a", "a-b", "numpy", "our-secret"]


def test_nothing_at_all(store: FolderStore) -> None:
    """An index without names has a listing without names."""
    assert listed(store, snapshot_of()) == []


def test_upstream_names_alone(full: FolderStore) -> None:
    """Without private projects the upstream's are listed; also where the first of them is reserved."""
    assert listed(full, snapshot_of(REFRESHED)) == UPSTREAM
    assert listed(full, snapshot_of(REFRESHED, NamesReserved(patterns=("a*",)))) == ["numpy", "our-secret", "six"]
    assert listed(full, snapshot_of(REFRESHED, NamesReserved(patterns=("*",)))) == []


def test_reserved_names_are_hidden(full: FolderStore) -> None:
    """A reserved name of the upstream is not listed, a private one is."""
    snapshot = snapshot_of(REFRESHED, added("our-app"), NamesReserved(patterns=("our-*", "six", "*mpy")))
    assert listed(full, snapshot) == ["our-app", "a", "a-b"]


@pytest.mark.parametrize("has_filter", [True, False])
def test_nothing_is_stale(full: FolderStore, has_filter: bool) -> None:
    """What one process lists follows the log: new projects, names that become private or reserved, and new lists."""
    listings = RootListings(full)

    def after(*changes: Change) -> list[str]:
        snapshot = snapshot_of(*changes)
        return listed(full, with_filter(full, snapshot) if has_filter else snapshot, listings=listings)

    assert after(REFRESHED) == UPSTREAM
    assert after(REFRESHED, added("six")) == ["six", *UPSTREAM[:-1]]
    assert after(REFRESHED, added("six"), added("b")) == ["b", "six", *UPSTREAM[:-1]]
    reserved = NamesReserved(patterns=("a*",))
    assert after(REFRESHED, added("six"), added("b"), reserved) == ["b", "six", "numpy", "our-secret"]
    more = encode_names([*UPSTREAM, ProjectName("zzz")])
    put_master(full, more)
    newer = UpstreamRefreshed(names_sha256=names_digest(more), count=6)
    assert after(REFRESHED, added("six"), newer)[-1] == "zzz"
    assert after(REFRESHED) == UPSTREAM


@given(
    private=st.lists(names, max_size=6, unique=True),
    upstream=st.lists(names, max_size=6, unique=True),
    reserved=st.lists(names, max_size=2),
)
def test_any_names(private: list[ProjectName], upstream: list[ProjectName], reserved: list[ProjectName]) -> None:
    """Whatever is private, reserved or the upstream's: private names come first, and no name comes twice."""
    from tempfile import TemporaryDirectory

    content = encode_names(upstream)
    patterns = tuple(f"{name[:2].rstrip('-')}*" for name in reserved)
    with TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        put_master(store, content)
        refreshed = UpstreamRefreshed(names_sha256=names_digest(content), count=len(upstream))
        reserving = [NamesReserved(patterns=patterns)] if patterns else []
        snapshot = with_filter(store, snapshot_of(refreshed, *map(added, private), *reserving))
        rest = [name for name in sorted(upstream) if name not in private and not snapshot.is_reserved(name)]
        assert listed(store, snapshot) == [*sorted(private), *rest]


def test_serials(full: FolderStore) -> None:
    """Each private project has the number of its last event, the upstream's have none; the whole has the highest."""
    yanked = FileYanked(project=ProjectName("b"), filename=Filename("b-1.0.tar.gz"), reason="")
    snapshot = snapshot_of(added("b"), REFRESHED, added("c"), yanked)
    listing = orjson.loads(b"".join(RootListings(full).get(snapshot, "json").text()))
    assert listing["meta"] == {"api-version": "1.4", "_last-serial": 4}
    assert listing["projects"][:3] == [
        {"name": "b", "_last-serial": 4},
        {"name": "c", "_last-serial": 3},
        {"name": "a"},
    ]


def test_tags(full: FolderStore) -> None:
    """A listing's digest is that of its content: HTML stays the same where only a serial is another one."""
    yanked = FileYanked(project=ProjectName("b"), filename=Filename("b-1.0.tar.gz"), reason="")
    before, after = snapshot_of(added("b"), REFRESHED), snapshot_of(added("b"), REFRESHED, yanked)
    listings = [
        [RootListings(full).get(snapshot, extension).digest for snapshot in (before, after)]
        for extension in ("html", "json")
    ]
    assert [one == other for one, other in listings] == [True, False]


def test_lost_list_leaves_private_names(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """Without the list of upstream names the private ones are listed, and all are once it is there again."""
    listings = RootListings(store)
    snapshot = snapshot_of(REFRESHED, added("b"))
    with caplog.at_level(logging.WARNING):
        assert listed(store, snapshot, listings=listings) == ["b"]
        repair_root(store, snapshot)
    assert names_key(SHA256) in caplog.text
    put_master(store, CONTENT)
    assert listed(store, snapshot, listings=listings) == ["b", *UPSTREAM]


def test_entries_are_read_once(full: FolderStore) -> None:
    """A process reads the entries once, and goes on with them while names come that the upstream does not have."""
    listings = RootListings(full)
    first = with_filter(full, snapshot_of(REFRESHED, added("b")))
    assert listed(full, first, listings=listings) == ["b", *UPSTREAM]
    for stat in list(full.list("")):
        full.delete(stat.key)
    later = advance(first, chain(added("c"), after=first.head))
    assert listed(full, later, listings=listings) == ["b", "c", *UPSTREAM]


def test_same_bytes_everywhere(full: FolderStore, tmp_path: Path) -> None:
    """The same names give the same bytes, and what is there is not written again."""
    other = FolderStore(tmp_path / "other")
    put_master(other, CONTENT)
    for each in (full, other):
        put_missing_entries(each, SHA256)
    assert contents(full) == contents(other)
    before = full.stat(entries_key(SHA256, "json"))
    put_missing_entries(full, SHA256)
    assert full.stat(entries_key(SHA256, "json")) == before


def test_keys() -> None:
    """Entries lie under the digest of their names, apart for each selection of these."""
    assert entries_key("ab", "html") == f"index/ab-{TEXT_VERSION}.html.blocks"
    assert entries_key("ab", "html", Policy(min_age_exempt=("x",))) == entries_key("ab", "html")
    policy = Policy(deny=("x",))
    assert entries_key("ab", "html", policy) == f"index/ab-{TEXT_VERSION}-{policy.names_tag}.html.blocks"


def test_a_selection(full: FolderStore) -> None:
    """Of the upstream's names those are listed that may enter, and all that are private; repaired alike."""
    policy = Policy(deny=("n*", "our-*"))
    snapshot = snapshot_of(REFRESHED, added("our-app"))
    assert listed(full, snapshot, policy) == ["our-app", "a", "a-b", "six"]
    assert listed(full, snapshot) == ["our-app", *UPSTREAM]
    key = entries_key(SHA256, "json", policy)
    before = full.get(key).body
    assert is_whole(full, before, SHA256, "json", policy)
    assert not is_whole(full, before, SHA256, "json", None)
    assert not is_whole(full, b"damaged", SHA256, "json", policy)
    full.put(key, b"damaged")
    repair_root(full, snapshot, policy)
    assert full.get(key).body == before


def test_without_a_list(store: FolderStore) -> None:
    """Where no list was ever read there is nothing to repair, and private names are listed."""
    snapshot = snapshot_of(added("b"))
    repair_root(store, snapshot)
    assert contents(store) == {}
    assert listed(store, snapshot) == ["b"]
    assert compose(snapshot, "json", None) == compose(snapshot, "json", EMPTY)
    with pytest.raises(Exception, match=names_key(SHA256)):
        put_entries(store, SHA256, "json")
