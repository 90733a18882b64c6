"""The folder store: the contract, and what only a folder can get wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.errors import InvalidValue, StoreUnavailable, TooLarge
from indexer.store.base import ObjectStore
from indexer.store.durable import NOISE_BYTES
from indexer.store.folder import KEPT_OBJECTS, LEFTOVER_SECONDS, PRIVATE_FOLDER, FolderStore
from indexer.store.open import open_store
from tests.support.store_contract import SharedStoreContract

_OPEN = "from pathlib import Path; from indexer.store.folder import FolderStore; store = FolderStore(Path({root!r}))\n"


@pytest.fixture
def open_again(tmp_path: Path) -> str:
    return _OPEN.format(root=str(tmp_path / "data"))


class TestFolder(SharedStoreContract):
    """The contract, on a folder."""


def private_files(root: Path) -> list[str]:
    return sorted(os.listdir(root / PRIVATE_FOLDER))


def race(open_again: str, body: str, count: int = 6) -> list[str]:
    """Run a program that binds `me` in several processes, released at once, and return what each printed."""
    code = open_again + "import sys; me = sys.argv[1]; sys.stdin.read()\n" + body
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(number)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(count)
    ]
    return [process.communicate(timeout=300)[0].strip() for process in processes]


def test_put_new_race_of_processes(store: FolderStore, open_again: str) -> None:
    """Of several processes that put the same fifty keys, exactly one succeeds with each, and its body is there."""
    printed = race(
        open_again,
        """
from indexer.errors import AlreadyExists
for number in range(50):
    try:
        store.put_new(f"log/{number}", me.encode())
    except AlreadyExists:
        continue
    print(number, end=" ")
""",
    )
    won = {int(number): str(me) for me, numbers in enumerate(printed) for number in numbers.split()}
    assert sum(len(numbers.split()) for numbers in printed) == 50
    assert won == {number: store.get(f"log/{number}").body.decode() for number in range(50)}


def test_counting_race_of_processes(store: FolderStore, open_again: str) -> None:
    """Increments by compare-and-swap from several processes are all counted."""
    store.put("count", b"0")
    printed = race(
        open_again,
        """
from indexer.errors import Changed
for _ in range(25):
    while True:
        found = store.get("count")
        try:
            store.replace("count", b"%d" % (int(found.body) + 1), etag=found.etag)
        except Changed:
            continue
        break
""",
        count=4,
    )
    assert printed == [""] * 4
    assert store.get("count").body == b"100"


def test_etags_differ_when_everything_else_repeats(tmp_path: Path) -> None:
    """A file's time carries random bits, so that the same inode and clock tick never give the same etag twice."""
    noise = iter([b"\x0a\xbc\xde", b"\xf1\x23\x45"])
    store = FolderStore(tmp_path, random_bytes=lambda count: next(noise) if count == NOISE_BYTES else os.urandom(count))
    times_ns = []
    for _ in range(2):
        store.put("a/b", b"same")
        times_ns.append((tmp_path / "a/b").stat().st_mtime_ns & 0xFFFFF)
    assert times_ns == [0xABCDE, 0x12345]


def test_etags_never_repeat(store: FolderStore) -> None:
    """Rewriting an object with the same bytes gives a new etag each time."""
    etags = {store.put("a/b", b"same") for _ in range(200)}
    assert len(etags) == 200


def test_noticing_an_edit_in_place(store: FolderStore, tmp_path: Path) -> None:
    """When somebody edits a file in place, its etag changes."""
    etag = store.put("a/b", b"same")
    (tmp_path / "data/a/b").write_bytes(b"edit")
    found = store.get("a/b")
    assert found.body == b"edit"
    assert found.etag != etag


class TestSmallObjects:
    """What is read again and again is kept in memory, and is never older than the file."""

    def test_written_by_another(self, store: FolderStore, tmp_path: Path) -> None:
        """What another process wrote is what is read next, be it as long as what was there."""
        other = FolderStore(tmp_path / "data")
        read = []
        for number in range(50):
            other.put("users/a.json", b"%02d" % number)
            read.append(store.get("users/a.json").body)
        assert read == [b"%02d" % number for number in range(50)]

    def test_edited_in_place(self, store: FolderStore, tmp_path: Path) -> None:
        """So is what somebody put into the file with an editor."""
        store.put("users/a.json", b"one")
        before = store.get("users/a.json")
        (tmp_path / "data/users/a.json").write_bytes(b"two")
        after = store.get("users/a.json")
        assert (before.body, after.body, before.etag == after.etag) == (b"one", b"two", False)

    def test_deleted(self, store: FolderStore, tmp_path: Path) -> None:
        """One that another process deleted is gone."""
        store.put("users/a.json", b"one")
        store.get("users/a.json")
        FolderStore(tmp_path / "data").delete("users/a.json")
        assert store.find("users/a.json") is None

    def test_limit(self, store: FolderStore) -> None:
        """A limit holds for one that is kept, too."""
        store.put("users/a.json", b"one")
        store.get("users/a.json")
        with pytest.raises(TooLarge):
            store.get("users/a.json", limit=2)

    def test_many(self, store: FolderStore, tmp_path: Path) -> None:
        """With more of them than are kept, each is still read as it is."""
        (tmp_path / "data/a").mkdir()
        names = [str(number) for number in range(KEPT_OBJECTS + 10)]
        for body in (b"first", b"later"):
            for name in names:
                (tmp_path / "data/a" / name).write_bytes(body)
            assert {store.get(f"a/{name}").body for name in names} == {body}


def test_no_temporary_files_stay(store: FolderStore, tmp_path: Path) -> None:
    """After writes that succeed, that are refused and that raise, the private folder holds the lock alone."""
    etag = store.put_new("a/b", b"x")
    for call in (
        lambda: store.put_new("a/b", b"y"),
        lambda: store.replace("a/b", b"y", etag=etag + "0"),
        lambda: store.write("a/c", (1 // number for number in (1, 0))),  # type: ignore[misc]  # wrong on purpose
    ):
        with pytest.raises(Exception, match=r"exists|changed|bytes-like"):
            call()
    assert private_files(tmp_path / "data") == ["lock"]


def test_leftovers_of_killed_processes(store: FolderStore, tmp_path: Path) -> None:
    """Opening a store removes temporary files older than a day and leaves younger ones, which may still be written."""
    private = tmp_path / "data" / PRIVATE_FOLDER
    for name, age_seconds in (("old", LEFTOVER_SECONDS + 60), ("young", LEFTOVER_SECONDS - 60)):
        (private / name).write_bytes(b"x")
        time = (private / "lock").stat().st_mtime - age_seconds
        os.utime(private / name, (time, time))
    FolderStore(tmp_path / "data")
    assert private_files(tmp_path / "data") == ["lock", "young"]


def test_killed_while_writing(store: FolderStore, open_again: str) -> None:
    """A process killed in the middle of a write leaves nothing that can be read or listed."""
    code = (
        open_again + "import os, signal\ndef chunks():\n yield b'x' * 4000000\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", code + "store.write('a/b', chunks())"], cwd=root, check=False)
    assert killed.returncode == -9
    assert store.find("a/b") is None
    assert list(store.list("")) == []


def test_hidden_files_are_no_objects(store: FolderStore, tmp_path: Path) -> None:
    """What a copying program writes under a name with a dot is not listed before it has its name."""
    store.put("projects/a/a-1.0.tar.gz", b"x")
    (tmp_path / "data/projects/a/.a-2.0.tar.gz.Xy12").write_bytes(b"half")
    (tmp_path / "data/.DS_Store").write_bytes(b"x")
    assert [stat.key for stat in store.list("")] == ["projects/a/a-1.0.tar.gz"]


def test_what_is_no_file_is_no_object(store: FolderStore, tmp_path: Path) -> None:
    """Broken links and links to folders are neither listed nor found."""
    (tmp_path / "data/a").mkdir()
    (tmp_path / "data/a/broken").symlink_to("nowhere")
    (tmp_path / "data/a/loop").symlink_to(".")
    assert list(store.list("")) == []
    assert store.find("a/broken") is None
    assert store.find("a/loop") is None


def test_list_is_in_byte_order_across_levels(store: FolderStore) -> None:
    """A folder lists in the order of the whole keys' bytes, as Amazon S3 does."""
    keys = ["a!", "a-b", "a.b", "a/b", "a/b!", "a/b/c", "a0", "b"]
    for key in keys:
        if key not in {"a/b"}:
            store.put(key, b"x")
    keys.remove("a/b")
    assert [stat.key for stat in store.list("")] == keys
    for number, key in enumerate(keys):
        assert [stat.key for stat in store.list("", after=key)] == keys[number + 1 :]


def test_a_key_below_an_object(store: FolderStore) -> None:
    """A key below one that is an object cannot be written, and the error names the key."""
    store.put("a", b"x")
    with pytest.raises(StoreUnavailable) as caught:
        store.put("a/b", b"x")
    assert caught.value.key == "a/b"


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    """A root below a file stops the start with an error that names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable) as caught:
        FolderStore(tmp_path / "file" / "data")
    assert str(tmp_path / "file") in str(caught.value)


def test_no_signed_url(store: ObjectStore) -> None:
    """A folder has no URLs to give away."""
    assert store.signed_url("a/b", seconds=60) is None


def test_open_store_on_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file URL opens that folder below the prefix; `file://./` starts from the working directory."""
    monkeypatch.chdir(tmp_path)
    for location in (f"file://{tmp_path}/my%20data", "file://./my%20data", f"file://{tmp_path}/my data/"):
        for prefix in ("", "/", "below/here", "/below/here/"):
            open_store(location, prefix).put("a", location.encode())
            assert (tmp_path / "my data" / prefix.strip("/") / "a").read_bytes() == location.encode()


@pytest.mark.parametrize(
    "location", ["", "file://", "file://data", "file://host/data", "s3://", "s3://Name", "s3://a/b", "x"]
)
def test_open_store_refuses(location: str) -> None:
    """A location that is neither a bucket nor a folder is refused, with the setting's name and the value."""
    with pytest.raises(InvalidValue) as caught:
        open_store(location, "")
    assert (caught.value.field, caught.value.value) == ("BUCKET", location)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", ".hidden", "a\\b"])
def test_open_store_refuses_a_prefix(prefix: str) -> None:
    """A prefix that could leave the root is refused, with the setting's name and the value."""
    with pytest.raises(InvalidValue) as caught:
        open_store("file:///nowhere", prefix)
    assert (caught.value.field, caught.value.value) == ("REPO_BASE_PREFIX", prefix)
