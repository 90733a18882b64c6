"""The adversary does what it says: a crash-point test is worth as much as its crashes."""

from itertools import islice
from pathlib import Path
from threading import Thread

import pytest

from indexer.errors import Missing, StoreUnavailable
from indexer.store.base import ObjectStore, Stored
from indexer.store.folder import FolderStore
from tests.support.adversary import Adversary, Call, Crash, Fault, Mischief
from tests.support.store_contract import SharedStoreContract


@pytest.fixture
def inner(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "data")


@pytest.fixture
def store(inner: FolderStore) -> Adversary:
    return Adversary(inner)


@pytest.fixture
def open_again(tmp_path: Path) -> str:
    root = str(tmp_path / "data")
    return (
        "from pathlib import Path\n"
        "from indexer.store.folder import FolderStore\n"
        "from tests.support.adversary import Adversary\n"
        f"store = Adversary(FolderStore(Path({root!r})))\n"
    )


class TestAdversary(SharedStoreContract):
    """Without faults, an adversary keeps the contract."""


def two_writes(store: ObjectStore) -> None:
    """An operation that tidies up after itself, as code under test does."""
    store.put("a/1", b"one")
    try:
        store.put_new("a/2", b"two")
    finally:
        store.delete("a/1")


def left_after(inner: ObjectStore, *faults: Fault) -> list[str]:
    with pytest.raises(Crash):
        two_writes(Adversary(inner, *faults))
    return [stat.key for stat in inner.list("")]


def test_calls_are_counted(store: Adversary) -> None:
    """Every call is recorded with its number, method and key, those that were gathered too."""
    store.gather(lambda: store.find("a/b"), lambda: store.stat("a/c"))
    list(store.list("a/"))
    assert store.calls == [
        Call(index=0, method="find", key="a/b"),
        Call(index=1, method="stat", key="a/c"),
        Call(index=2, method="list", key="a/"),
    ]


def test_what_is_found_together_is_counted_one_by_one(store: Adversary) -> None:
    """Of many objects that are asked for in one call, each is a call of its own, that can fail by itself."""
    store.inner.put("a/1", b"one")
    store.faults = (Fault(Mischief.UNAVAILABLE, at=1),)
    found = store.find_all(["a/1", "a/2"])
    assert [stored and stored.body for _, stored in islice(found, 1)] == [b"one"]
    with pytest.raises(StoreUnavailable, match="a/2"):
        next(found)
    assert [(call.method, call.key) for call in store.calls] == [("find", "a/1"), ("find", "a/2")]


def test_every_crash_point(tmp_path: Path) -> None:
    """A crash before or after the n-th call leaves what the calls up to there did, and nothing is tidied up."""
    left = {}
    for mischief in (Mischief.CRASH_BEFORE, Mischief.CRASH_AFTER):
        for index in range(3):
            inner = FolderStore(tmp_path / f"{mischief.name}{index}")
            left[mischief, index] = left_after(inner, Fault(mischief, at=index))
    assert left == {
        (Mischief.CRASH_BEFORE, 0): [],
        (Mischief.CRASH_AFTER, 0): ["a/1"],
        (Mischief.CRASH_BEFORE, 1): ["a/1"],
        (Mischief.CRASH_AFTER, 1): ["a/1", "a/2"],
        (Mischief.CRASH_BEFORE, 2): ["a/1", "a/2"],
        (Mischief.CRASH_AFTER, 2): ["a/2"],
    }


def test_unavailable(inner: FolderStore) -> None:
    """An unavailable store raises StoreUnavailable and does nothing."""
    with pytest.raises(StoreUnavailable):
        Adversary(inner, Fault(Mischief.UNAVAILABLE, at=0)).put("a/b", b"x")
    assert inner.find("a/b") is None


def test_lost_answer(inner: FolderStore) -> None:
    """A lost answer raises StoreUnavailable, and yet the write happened."""
    with pytest.raises(StoreUnavailable):
        Adversary(inner, Fault(Mischief.LOST_ANSWER, at=0)).put("a/b", b"x")
    assert inner.get("a/b").body == b"x"


def test_missing_for_listed(inner: FolderStore) -> None:
    """An object can be listed and then missing for every way of reading."""
    inner.put("a/b", b"x")
    store = Adversary(inner, Fault(Mischief.MISSING, when=lambda call: call.key == "a/b"))
    assert [stat.key for stat in store.list("a/")] == ["a/b"]
    assert store.find("a/b") is None
    assert store.stat("a/b") is None
    for call in (lambda: store.get("a/b"), lambda: store.read("a/b")):
        with pytest.raises(Missing):
            call()


def test_truncated(inner: FolderStore) -> None:
    """A truncated body is the first half of the true one, under the true etag."""
    etag = inner.put("a/b", b"0123456789")
    store = Adversary(inner, Fault(Mischief.TRUNCATED, when=lambda call: True))
    assert store.find("a/b") == Stored(body=b"01234", etag=etag)
    assert store.get("a/b") == Stored(body=b"01234", etag=etag)
    assert b"".join(store.read("a/b")) == b"01234"


def test_slow(inner: FolderStore) -> None:
    """A slow call has not happened until it is released."""
    slow = Fault(Mischief.SLOW, at=0)
    thread = Thread(target=Adversary(inner, slow).put, args=("a/b", b"x"))
    thread.start()
    assert slow.reached.wait(timeout=300)
    assert inner.find("a/b") is None
    slow.release.set()
    thread.join()
    assert inner.get("a/b").body == b"x"
