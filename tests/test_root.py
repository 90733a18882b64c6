"""The root listing has every name that can be asked for, and no other."""

import gzip
import logging
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import IndexPage

from indexer.events import Change, FileAdded, NamesReserved, UpstreamRefreshed
from indexer.folder import FolderStore
from indexer.keys import names_key
from indexer.log import Head
from indexer.master import encode_names, names_digest, put_master
from indexer.names import ProjectName
from indexer.root import put_root, repair_root, root_key
from indexer.simple import RENDERER_VERSION
from indexer.snapshot import ProjectTable, Snapshot, advance, empty_snapshot
from indexer.store import ObjectStore
from tests.builders import added, chain, contents, names

UPSTREAM = [ProjectName(name) for name in ("a", "a-b", "numpy", "our-secret", "six")]
CONTENT = encode_names(UPSTREAM)
REFRESHED = UpstreamRefreshed(names_sha256=names_digest(CONTENT), count=len(UPSTREAM))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "data")


def snapshot_of(*changes: Change) -> Snapshot:
    return advance(empty_snapshot("1"), chain(*changes))


def listed(store: ObjectStore, snapshot: Snapshot) -> list[str]:
    """Return the names of the stored listing, after making sure that both formats have the same."""
    as_json = IndexPage.from_json_data(orjson.loads(gzip.decompress(store.get(put_root(store, snapshot, "json")).body)))
    as_html = IndexPage.from_html(gzip.decompress(store.get(put_root(store, snapshot, "html")).body))
    assert as_json.projects == as_html.projects
    assert as_json.repository_version == as_html.repository_version == "1.4"
    return as_json.projects


def test_private_and_upstream_names(store: FolderStore) -> None:
    """The listing has private and upstream names, each once, sorted."""
    put_master(store, CONTENT)
    snapshot = snapshot_of(added("zebra"), REFRESHED, added("six"), added("b"))
    assert listed(store, snapshot) == ["a", "a-b", "b", "numpy", "our-secret", "six", "zebra"]


def test_nothing_at_all(store: FolderStore) -> None:
    """An index without names has a listing without names."""
    assert listed(store, snapshot_of()) == []


def test_reserved_names_are_hidden(store: FolderStore) -> None:
    """A reserved name of the upstream is not listed, a private one is."""
    put_master(store, CONTENT)
    snapshot = snapshot_of(REFRESHED, added("our-app"), NamesReserved(patterns=("our-*", "six")))
    assert listed(store, snapshot) == ["a", "a-b", "numpy", "our-app"]


def test_reserving_makes_another_listing(store: FolderStore) -> None:
    """A listing from before a name was reserved is not served after it."""
    put_master(store, CONTENT)
    before = snapshot_of(REFRESHED)
    assert "six" in listed(store, before)
    after = advance(before, chain(NamesReserved(patterns=("six",)), after=before.head))
    assert "six" not in listed(store, after)


def test_lost_list_leaves_private_names(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """Without the list of upstream names the private ones are listed, and the log output says what is missing."""
    with caplog.at_level(logging.WARNING):
        assert listed(store, snapshot_of(REFRESHED, added("b"))) == ["b"]
    assert names_key(REFRESHED.names_sha256) in caplog.text


def test_written_once(store: FolderStore) -> None:
    """A listing that is there already stays as it is."""
    snapshot = snapshot_of(added("a"))
    key = put_root(store, snapshot, "json")
    before = store.get(key)
    assert put_root(store, snapshot, "json") == key == root_key(snapshot, "json")
    assert store.get(key) == before


def test_same_bytes_everywhere(store: FolderStore, tmp_path: Path) -> None:
    """The same names give the same bytes."""
    other = FolderStore(tmp_path / "other")
    for each in (store, other):
        put_master(each, CONTENT)
        listed(each, snapshot_of(added("zebra"), REFRESHED))
    assert contents(store, "index/") == contents(other, "index/")


@given(changes=st.lists(st.builds(added, names) | st.just(REFRESHED), max_size=12), more=st.integers(0, 11))
def test_key_tells_listings_apart(changes: list[FileAdded | UpstreamRefreshed], more: int) -> None:
    """Two moments of one log share a listing's key only if they have the same names."""
    earlier, later = snapshot_of(*changes[:more]), snapshot_of(*changes)
    if root_key(earlier, "json") == root_key(later, "json"):
        assert [name for name, _ in earlier.projects.items()] == [name for name, _ in later.projects.items()]
        assert earlier.upstream == later.upstream


def test_key() -> None:
    """A listing lies under the number of the event that gave it its names."""
    snapshot = Snapshot(head=Head(seq=9, digest=""), renderer="1h", index_seq=7, projects=ProjectTable())
    assert root_key(snapshot, "html") == f"index/00000000000000000007-{RENDERER_VERSION}.html.gz"
    tag = Short().names_tag
    assert root_key(snapshot, "html", Short()) == f"index/00000000000000000007-{RENDERER_VERSION}-{tag}.html.gz"


class Short:
    """A selection of the upstream's names: those of at most three letters."""

    names_tag = "short"

    def lists(self, name: ProjectName) -> bool:
        return len(name) <= 3


def test_a_selection(store: FolderStore) -> None:
    """Of the upstream's names those are listed that were selected, and all that are private; under a key of its own."""
    put_master(store, CONTENT)
    snapshot = snapshot_of(REFRESHED, added("our-app"))
    key = put_root(store, snapshot, "json", Short())
    page = IndexPage.from_json_data(orjson.loads(gzip.decompress(store.get(key).body)))
    assert page.projects == ["a", "a-b", "our-app", "six"]
    assert listed(store, snapshot) == ["a", "a-b", "numpy", "our-app", "our-secret", "six"]
    before = store.get(key).body
    store.put(key, b"damaged")
    repair_root(store, snapshot, Short())
    assert store.get(key).body == before
