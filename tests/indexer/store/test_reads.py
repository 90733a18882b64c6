"""What was read ahead is not read again; whatever else is wanted is read when it is."""

from pathlib import Path

import pytest

from benchmarks.memory_store import MemoryStore
from indexer.store.folder import FolderStore
from indexer.store.reads import Reads, read_ahead


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.put("a/1", b"one")
    store.put("a/2", b"two")
    store.asked.clear()
    return store


def test_what_was_read_ahead_is_not_read_again(store: MemoryStore) -> None:
    """An object is what it was when it was read ahead, and one that was not there then stays so."""
    reads = read_ahead(store, ["a/1", "a/none"])
    store.put("a/none", b"since then")
    store.asked.clear()
    one, none = reads.find("a/1"), reads.find("a/none")
    assert one is not None
    assert (one.body, none, store.asked) == (b"one", None, [])


def test_what_was_not_is_read_when_it_is_wanted(store: MemoryStore) -> None:
    """Whoever guessed wrong about what would be needed gets the right object, one round trip later."""
    reads = read_ahead(store, ["a/1"])
    found = reads.find("a/2")
    assert found is not None
    assert (found.body, "a/1" in reads, "a/2" in reads) == (b"two", True, False)
    assert store.asked == [("find", "a/1"), ("find", "a/2")]


def test_what_is_known_of_an_object_is_asked_ahead_too(store: MemoryStore) -> None:
    """An answer that was given ahead is not asked for again, that there is nothing included."""
    reads = Reads(store=store, objects={}, stats={"a/1": None})
    stat = reads.stat("a/2")
    assert stat is not None
    assert (reads.stat("a/1"), stat.size, store.asked) == (None, 3, [("stat", "a/2")])


def test_nothing_wanted_is_nothing_asked(tmp_path: Path) -> None:
    """Reading nothing ahead asks nobody."""
    assert read_ahead(FolderStore(tmp_path)).objects == {}
