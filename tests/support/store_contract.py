"""What every ObjectStore does: a suite that the test module of each implementation runs on fixtures of its own.

`store` is an empty store; `open_again` is Python code that binds `store` to that store in another process; a store
in memory has none.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Barrier, Thread

import pytest

from indexer.errors import AlreadyExists, Changed, IndexerError, InvalidValue, Missing, TooLarge
from indexer.store.base import AT_ONCE, ObjectStore, Stat, Stored
from indexer.store.probe import check_store

MIB = 1_048_576
# Whatever a file name may contain; and a percent sign, which must not be decoded on its way.
AWKWARD_KEYS = (
    "projects/torch/torch-2.4.0+cpu-cp311-none-any.whl",
    "projects/epoch/epoch-1!2.0-py3-none-any.whl",
    "projects/tilde/a~b.tar.gz",
    "projects/percent/a%2Bb",
    "projects/space/a b",
)


def mebibytes(count: int, *, then: BaseException | None = None) -> Iterator[bytes]:
    """Yield so many MiB, each of another byte, then raise the exception."""
    for number in range(count):
        yield bytes([number % 256]) * MIB
    if then is not None:
        raise then


class StoreContract:
    """The tests; a subclass has the fixture `store`."""

    def test_find_returns_what_was_put(self, store: ObjectStore) -> None:
        """An object is found as written, byte for byte, with the etag that its writing returned."""
        body = bytes(range(256)) * 40
        etag = store.put("log/1.json", body, content_type="application/json")
        assert store.find("log/1.json") == Stored(body=body, etag=etag)

    def test_empty_object(self, store: ObjectStore) -> None:
        """An object of no bytes exists."""
        etag = store.put_new("a/empty", b"")
        assert store.find("a/empty") == Stored(body=b"", etag=etag)
        assert b"".join(store.read("a/empty")) == b""

    @pytest.mark.parametrize("key", AWKWARD_KEYS)
    def test_awkward_keys(self, store: ObjectStore, key: str) -> None:
        """A key comes back as it was given, whatever characters it has."""
        store.put(key, key.encode())
        assert store.get(key).body == key.encode()
        assert [stat.key for stat in store.list("projects/")] == [key]

    def test_missing(self, store: ObjectStore) -> None:
        """Where there is no object, find and stat return None."""
        assert store.find("log/2.json") is None
        assert store.stat("log/2.json") is None

    def test_a_folder_of_keys_is_no_object(self, store: ObjectStore) -> None:
        """What is only the beginning of a key is missing, and so is what continues one."""
        store.put("a/b/c", b"x")
        assert store.find("a/b") is None
        assert store.stat("a/b") is None
        assert store.find("a/b/c/d") is None

    def test_get_missing(self, store: ObjectStore) -> None:
        """Getting what is not there raises Missing with the key."""
        with pytest.raises(Missing) as caught:
            store.get("log/2.json")
        assert caught.value.key == "log/2.json"

    @pytest.mark.parametrize(("start", "end"), [(0, None), (3, None), (0, 3), (3, 3), (9, 4)])
    def test_read_missing(self, store: ObjectStore, start: int, end: int | None) -> None:
        """Reading what is not there raises Missing at once, for every range."""
        with pytest.raises(Missing):
            store.read("log/2.json", start=start, end=end)

    @pytest.mark.parametrize(
        ("start", "end"),
        [(0, None), (0, 10), (2, 5), (2, None), (9, 99), (10, None), (99, None), (99, 100), (4, 4), (5, 4)],
    )
    def test_read_range(self, store: ObjectStore, start: int, end: int | None) -> None:
        """A range gives the bytes that a slice would."""
        store.put("a/digits", b"0123456789")
        assert b"".join(store.read("a/digits", start=start, end=end)) == b"0123456789"[start:end]

    def test_read_limit(self, store: ObjectStore) -> None:
        """An object above its reader's limit is refused; one exactly at it is not."""
        store.put("a/ten", b"0123456789")
        with pytest.raises(TooLarge):
            store.find("a/ten", limit=9)
        with pytest.raises(TooLarge):
            store.get("a/ten", limit=9)
        assert store.get("a/ten", limit=10).body == b"0123456789"

    def test_stat(self, store: ObjectStore) -> None:
        """What is known of an object agrees with reading and with listing it, and its time is that of the writing."""
        etag = store.put("a/ten", b"0123456789")
        stat = store.stat("a/ten")
        assert stat is not None
        assert stat == Stat(key="a/ten", size=10, etag=etag, modified=stat.modified)
        now = datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251  # the server's clock is what is tested
        assert abs(now - stat.modified) < timedelta(minutes=5)
        (listed,) = store.list("a/")
        assert (listed.key, listed.size, listed.etag) == ("a/ten", 10, etag)
        # A listing has milliseconds where a HEAD has whole seconds.
        assert abs(listed.modified - stat.modified) < timedelta(seconds=2)

    def test_put_new_refuses_a_taken_key(self, store: ObjectStore) -> None:
        """A put_new where an object is raises AlreadyExists and leaves the object, be it of the same bytes."""
        etag = store.put_new("log/1.json", b"first")
        for body in (b"second", b"first"):
            with pytest.raises(AlreadyExists) as caught:
                store.put_new("log/1.json", body)
            assert caught.value.key == "log/1.json"
        assert store.find("log/1.json") == Stored(body=b"first", etag=etag)

    def test_put_replaces(self, store: ObjectStore) -> None:
        """A put replaces what is there, and the etag changes with the content."""
        first = store.put("a/b", b"first")
        second = store.put("a/b", b"other")
        assert first != second
        assert store.find("a/b") == Stored(body=b"other", etag=second)

    def test_replace(self, store: ObjectStore) -> None:
        """A replace with the etag of what is there writes, and returns an etag that works in its turn."""
        etag = store.put("a/b", b"first")
        for body in (b"second", b"third"):
            etag = store.replace("a/b", body, etag=etag)
        assert store.find("a/b") == Stored(body=b"third", etag=etag)

    def test_replace_refuses_a_changed_object(self, store: ObjectStore) -> None:
        """A replace with the etag of an earlier content raises Changed and leaves what is there."""
        stale = store.put("a/b", b"first")
        etag = store.put("a/b", b"other")
        with pytest.raises(Changed) as caught:
            store.replace("a/b", b"third", etag=stale)
        assert caught.value.key == "a/b"
        assert store.find("a/b") == Stored(body=b"other", etag=etag)

    def test_replace_refuses_a_vanished_object(self, store: ObjectStore) -> None:
        """A replace of what was removed meanwhile raises Changed and writes nothing."""
        etag = store.put("a/b", b"first")
        store.delete("a/b")
        with pytest.raises(Changed):
            store.replace("a/b", b"second", etag=etag)
        assert store.find("a/b") is None

    def test_delete(self, store: ObjectStore) -> None:
        """A deleted object is missing, and deleting it again is no error."""
        store.put("a/b", b"x")
        store.delete("a/b")
        store.delete("a/b")
        assert store.find("a/b") is None
        assert list(store.list("a/")) == []

    def test_put_new_after_delete(self, store: ObjectStore) -> None:
        """A key that was freed can be taken again."""
        store.put_new("a/b", b"first")
        store.delete("a/b")
        store.put_new("a/b", b"second")
        assert store.get("a/b").body == b"second"

    def test_list_a_prefix(self, store: ObjectStore) -> None:
        """A listing has what lies under the prefix, at every depth, and nothing whose key merely begins like it."""
        for key in ("a/1", "a/b/2", "a/b/c/3", "ab/4", "b/5", "a-b"):
            store.put(key, b"x")
        assert sorted(stat.key for stat in store.list("a/")) == ["a/1", "a/b/2", "a/b/c/3"]
        assert list(store.list("c/")) == []

    def test_list_the_whole_store(self, store: ObjectStore) -> None:
        """A listing of the empty prefix has every object."""
        for key in ("a/1", "b", "c/d/2"):
            store.put(key, b"x")
        assert sorted(stat.key for stat in store.list("")) == ["a/1", "b", "c/d/2"]

    def test_list_after(self, store: ObjectStore) -> None:
        """A listing after a key has the later ones in order, whether or not that key exists."""
        for number in range(5):
            store.put(f"log/{number:020}.json", b"x")
        for after in (2, 2.5):
            key = f"log/{after:020}.json" if isinstance(after, int) else f"log/{2:020}.json~"
            assert [stat.key for stat in store.list("log/", after=key)] == [f"log/{n:020}.json" for n in (3, 4)]
        assert list(store.list("log/", after=f"log/{4:020}.json")) == []

    def test_list_two_thousand(self, store: ObjectStore) -> None:
        """A listing longer than what a server returns at a time is whole and in order, and so is its second half."""
        keys = [f"log/{number:020}.json" for number in range(2000)]
        store.gather(*(partial(store.put, key, b"x") for key in keys))
        assert [stat.key for stat in store.list("log/")] == keys
        assert [stat.key for stat in store.list("log/", after=keys[999])] == keys[1000:]

    @pytest.mark.parametrize("new", [False, True])
    @pytest.mark.parametrize("size_mib", [0, 1, 8, 20])
    def test_write(self, store: ObjectStore, size_mib: int, new: bool) -> None:
        """An object written from chunks is the chunks joined, and nothing else is left in the store."""
        store.write("a/big", mebibytes(size_mib), new=new)
        assert b"".join(store.read("a/big")) == b"".join(mebibytes(size_mib))
        assert [stat.key for stat in store.list("")] == ["a/big"]

    @pytest.mark.parametrize("size_mib", [1, 20])
    def test_write_replaces(self, store: ObjectStore, size_mib: int) -> None:
        """A write goes over an object that is there."""
        store.put("a/big", b"old")
        store.write("a/big", mebibytes(size_mib))
        assert b"".join(store.read("a/big")) == b"".join(mebibytes(size_mib))

    @pytest.mark.parametrize("size_mib", [1, 20])
    def test_write_new_refuses_a_taken_key(self, store: ObjectStore, size_mib: int) -> None:
        """A write that must be new raises AlreadyExists where an object is, and leaves that one alone."""
        store.put("a/big", b"old")
        with pytest.raises(AlreadyExists) as caught:
            store.write("a/big", mebibytes(size_mib), new=True)
        assert caught.value.key == "a/big"
        assert [(stat.key, stat.size) for stat in store.list("")] == [("a/big", 3)]

    @pytest.mark.parametrize("new", [False, True])
    @pytest.mark.parametrize("size_mib", [0, 1, 20, 60])
    @pytest.mark.parametrize("fault", [ValueError("digest"), FileNotFoundError("mine"), KeyboardInterrupt()])
    def test_write_that_raises(self, store: ObjectStore, fault: BaseException, size_mib: int, new: bool) -> None:
        """When the chunks end with an exception, it reaches the caller as it is and nothing becomes visible."""
        with pytest.raises(type(fault)) as caught:
            store.write("a/big", mebibytes(size_mib, then=fault), new=new)
        assert caught.value is fault
        assert list(store.list("")) == []

    def test_write_that_raises_keeps_the_old(self, store: ObjectStore) -> None:
        """When the chunks end with an exception, an object that was there before stays."""
        etag = store.put("a/big", b"old")
        with pytest.raises(ValueError, match="digest"):
            store.write("a/big", mebibytes(20, then=ValueError("digest")))
        assert store.find("a/big") == Stored(body=b"old", etag=etag)

    def test_write_from_the_store_itself(self, store: ObjectStore) -> None:
        """The chunks may come from the same store, while they are written."""
        store.write("a/big", mebibytes(20))
        store.write("b/copy", store.read("a/big"))
        assert b"".join(store.read("b/copy")) == b"".join(mebibytes(20))

    def test_find_all(self, store: ObjectStore) -> None:
        """Objects come in the order of their keys, each with its key, None for those that are not there."""
        etag = store.put("a/b", b"x")
        assert list(store.find_all([])) == []
        found = store.find_all(iter(["a/none", "a/b", "a/b"]))
        here = Stored(body=b"x", etag=etag)
        assert list(found) == [("a/none", None), ("a/b", here), ("a/b", here)]

    def test_find_all_of_many(self, store: ObjectStore) -> None:
        """However many keys there are, none is left out, and no more are taken before their turn than a batch has."""
        count = 2 * AT_ONCE + 3
        keys = [f"a/{number:03}" for number in range(count)]
        store.gather(*(partial(store.put, key, key.encode()) for key in keys[::2]))
        taken: list[str] = []

        def give() -> Iterator[str]:
            for key in keys:
                taken.append(key)
                yield key

        found = store.find_all(give())
        assert next(found)[0] == keys[0]
        assert len(taken) <= AT_ONCE
        rest = [(key, None if stored is None else stored.body) for key, stored in found]
        assert rest == [(key, None if number % 2 else key.encode()) for number, key in enumerate(keys)][1:]

    def test_find_all_raises_in_place(self, store: ObjectStore) -> None:
        """What comes before an object that is too long is yielded; then it is named, with the limit."""
        for key, body in {"a/1": b"x", "a/2": b"long", "a/3": b"longer still"}.items():
            store.put(key, body)
        found = store.find_all(["a/1", "a/none", "a/2", "a/3"], limit=3)
        assert [key for key, _ in islice(found, 2)] == ["a/1", "a/none"]
        with pytest.raises(TooLarge, match="a/2") as caught:
            next(found)
        assert caught.value.limit == 3

    def test_gather(self, store: ObjectStore) -> None:
        """Results come in the order of the calls."""
        etag = store.put("a/b", b"x")
        assert list(store.gather()) == []
        results = store.gather(lambda: store.find("a/b"), lambda: store.find("a/none"), lambda: 3)
        assert list(results) == [Stored(body=b"x", etag=etag), None, 3]

    def test_gather_raises_the_first(self, store: ObjectStore) -> None:
        """The first exception in the order of the calls is raised, after all calls have ended."""
        with pytest.raises(Missing) as caught:
            store.gather(lambda: store.get("a/1"), lambda: store.get("a/2"), lambda: store.put("a/3", b"x"))
        assert caught.value.key == "a/1"
        assert store.find("a/3") is not None

    @pytest.mark.parametrize(
        "key",
        ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".tmp/x", "a/.b", "a\\b", "a\0b", "a\nb"],
    )
    def test_bad_keys(self, store: ObjectStore, key: str) -> None:
        """A key that could leave the store, or that not every store can hold, is refused by every method."""
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.find(key),
            lambda: list(store.find_all([key])),
            lambda: store.get(key),
            lambda: store.stat(key),
            lambda: store.read(key),
            lambda: store.put_new(key, b"x"),
            lambda: store.put(key, b"x"),
            lambda: store.replace(key, b"x", etag="x"),
            lambda: store.write(key, [b"x"]),
            lambda: store.delete(key),
            lambda: store.signed_url(key, seconds=60),
        )
        for call in calls:
            with pytest.raises(InvalidValue):
                call()

    @pytest.mark.parametrize("prefix", ["/", "..//", "../", "a//b/", "a/../../", ".tmp/"])
    def test_bad_prefixes(self, store: ObjectStore, prefix: str) -> None:
        """A listing cannot leave the store."""
        with pytest.raises(InvalidValue):
            list(store.list(prefix))

    def test_check_store(self, store: ObjectStore) -> None:
        """The set-up probe accepts this store and leaves nothing behind."""
        check_store(store, "nonce")
        assert list(store.list("")) == []

    def test_put_new_race(self, store: ObjectStore) -> None:
        """Of many threads that put one key, exactly one succeeds, and its body is what is there."""
        assert_one_winner(store, [partial(store.put_new, "log/1.json", body) for body in bodies(8)])

    @pytest.mark.parametrize("size_mib", [1, 9])
    def test_write_new_race(self, store: ObjectStore, size_mib: int) -> None:
        """Of many threads that write one new key from chunks, exactly one succeeds, and its body is what is there."""

        def write(body: bytes) -> None:
            store.write("log/1.json", [body, *mebibytes(size_mib)], new=True)

        assert_one_winner(store, [partial(write, body) for body in bodies(6)])

    def test_replace_race(self, store: ObjectStore) -> None:
        """Of many threads that replace one object, exactly one succeeds, and its body is what is there."""
        etag = store.put("log/1.json", b"old")
        assert_one_winner(store, [partial(store.replace, "log/1.json", body, etag=etag) for body in bodies(8)])

    def test_counting_race(self, store: ObjectStore) -> None:
        """Increments by compare-and-swap from many threads are all counted."""
        store.put("count", b"0")

        def count() -> None:
            for _ in range(5):
                while True:
                    found = store.get("count")
                    try:
                        store.replace("count", b"%d" % (int(found.body) + 1), etag=found.etag)
                    except Changed:
                        continue
                    break

        run_together([count] * 4)
        assert store.get("count").body == b"20"


class SharedStoreContract(StoreContract):
    """The tests of a store that other processes reach, too; a subclass has the fixture `open_again` besides."""

    def test_memory(self, store: ObjectStore, open_again: str) -> None:
        """A process that writes and reads 100 MB grows by less than 64 MiB."""
        before, peak = (int(each) for each in in_new_process(open_again, _MEASURE_MEMORY).split())
        assert peak - before < 64 * 1024
        assert sum(map(len, store.read("a/big"))) == 100 * MIB


def bodies(count: int) -> list[bytes]:
    return [b"writer %d" % number for number in range(count)]


def run_together(calls: list[Callable[[], object]]) -> list[IndexerError | None]:
    """Run each call in a thread, all released at once, and return what each raised."""
    barrier = Barrier(len(calls))
    raised: list[IndexerError | None] = [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait(timeout=300)
        try:
            calls[number]()
        except IndexerError as error:
            raised[number] = error

    threads = [Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def assert_one_winner(store: ObjectStore, calls: list[Callable[[], object]]) -> None:
    """Run the writers of `bodies`, and show that all but one lost and that the one's body is there."""
    raised = run_together(calls)
    assert [error for error in raised if not isinstance(error, AlreadyExists | Changed | None)] == []
    assert raised.count(None) == 1
    assert store.get("log/1.json").body.startswith(b"writer %d" % raised.index(None))


# `store` is bound by the code before it.
_MEASURE_MEMORY = """
import resource
store.write("a/warm", [b"x"]); list(store.read("a/warm"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.write("a/big", (b"x" * 1048576 for _ in range(100)))
store.delete("a/big")
store.write("a/big", (b"x" * 1048576 for _ in range(100)), new=True)
for _ in store.read("a/big"):
    pass
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def in_new_process(open_again: str, code: str) -> str:
    """Run code in a new Python in which `store` is the store under test, and return what it printed.

    Args:
        open_again: the code that binds `store`.
    """
    finished = subprocess.run(
        [sys.executable, "-c", open_again + code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
