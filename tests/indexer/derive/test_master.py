"""The upstream's list of names is read back whole or not at all, and its filter never denies a name."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.derive.master import encode_names, get_filter, get_names, names_digest, put_master
from indexer.derive.snapshot import NameFilter, UpstreamNames
from indexer.errors import CorruptObject, Missing
from indexer.frame import pack
from indexer.keys import filter_key, names_key
from indexer.names import ProjectName
from indexer.store.folder import FolderStore
from tests.support.builders import AT, any_names, contents, sha256

NAMES = [ProjectName(f"name-{number:03}") for number in range(200)]
CONTENT = encode_names(NAMES)
DIGEST = names_digest(CONTENT)
UPSTREAM = UpstreamNames(names_sha256=DIGEST, count=200, at=AT, filter=None)


@given(names=st.sets(any_names))
def test_names_are_encoded_sorted(names: set[ProjectName]) -> None:
    """The same names give the same bytes, and so the same digest, whatever order they came in."""
    expected = "\n".join(sorted(names)).encode()
    assert encode_names(names) == encode_names(sorted(names, reverse=True)) == expected
    assert names_digest(expected) == sha256(expected)


def test_list_is_read_back(store: FolderStore) -> None:
    """A stored list is read back with its filter."""
    put_master(store, CONTENT)
    assert get_names(store, DIGEST) == NAMES
    assert get_filter(store, UPSTREAM).encode() == NameFilter.of(NAMES).encode()


def test_empty_list(store: FolderStore) -> None:
    """A list of no names is a list."""
    put_master(store, b"")
    assert get_names(store, names_digest(b"")) == []


def test_storing_again_gives_the_same_bytes(store: FolderStore, tmp_path: Path) -> None:
    """The same list gives the same objects, everywhere and at any time."""
    other = FolderStore(tmp_path / "other")
    for each in (store, other, other):
        put_master(each, CONTENT)
    assert contents(store) == contents(other)
    assert contents(store).keys() == {names_key(DIGEST), filter_key(DIGEST)}


def test_list_that_comes_back_is_new(store: FolderStore) -> None:
    """A list that is stored again is as new as any, so that nobody clears it for its age."""
    put_master(store, CONTENT)
    before = {stat.key: stat.etag for stat in store.list("upstream/")}
    put_master(store, CONTENT)
    after = {stat.key: stat.etag for stat in store.list("upstream/")}
    assert all(after[key] != etag for key, etag in before.items())


def test_missing_list(store: FolderStore) -> None:
    """A list that is not there is missing, and so is its filter."""
    with pytest.raises(Missing):
        get_names(store, DIGEST)
    with pytest.raises(Missing):
        get_filter(store, UPSTREAM)


@pytest.mark.parametrize("damage", ["truncated", "altered", "another list", "no frame"])
def test_damaged_list_is_refused(store: FolderStore, damage: str) -> None:
    """A list that is damaged is refused, and the error names it."""
    put_master(store, CONTENT)
    body = store.get(names_key(DIGEST)).body
    damaged = {
        "truncated": body[:-1],
        "altered": body[:50] + bytes([body[50] ^ 1]) + body[51:],
        "another list": pack(encode_names(NAMES[1:])),
        "no frame": CONTENT,
    }
    store.put(names_key(DIGEST), damaged[damage])
    with pytest.raises(CorruptObject) as caught:
        get_names(store, DIGEST)
    assert caught.value.key == names_key(DIGEST)


def test_missing_filter_is_made_anew(store: FolderStore) -> None:
    """Without the filter's object the filter is made of the list, and is the same."""
    put_master(store, CONTENT)
    store.delete(filter_key(DIGEST))
    assert get_filter(store, UPSTREAM).encode() == NameFilter.of(NAMES).encode()


@pytest.mark.parametrize("length", [0, 4, 8, 9, 100, -1])
def test_truncated_filter_is_made_anew(store: FolderStore, caplog: pytest.LogCaptureFixture, length: int) -> None:
    """A filter that breaks off is not used: it would deny names that are there. The log output names it."""
    put_master(store, CONTENT)
    store.put(filter_key(DIGEST), store.get(filter_key(DIGEST)).body[:length])
    with caplog.at_level(logging.WARNING):
        names = get_filter(store, UPSTREAM)
    assert names.encode() == NameFilter.of(NAMES).encode()
    assert filter_key(DIGEST) in caplog.text


def test_altered_filter_denies_no_name(store: FolderStore) -> None:
    """Whichever byte of a stored filter is altered, no name that is in the list is denied."""
    put_master(store, CONTENT)
    body = store.get(filter_key(DIGEST)).body
    for index in range(0, len(body), 7):
        store.put(filter_key(DIGEST), body[:index] + bytes([body[index] ^ 16]) + body[index + 1 :])
        assert get_filter(store, UPSTREAM).encode() == NameFilter.of(NAMES).encode()


def test_damaged_filter_of_a_lost_list(store: FolderStore) -> None:
    """When both filter and list are damaged, the error names the list."""
    put_master(store, CONTENT)
    for key in (filter_key(DIGEST), names_key(DIGEST)):
        store.put(key, b"?")
    with pytest.raises(CorruptObject) as caught:
        get_filter(store, UPSTREAM)
    assert caught.value.key == names_key(DIGEST)
