"""Files put under `incoming/` by any tool."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.log.events import FileAdded
from indexer.log.log import ORIGIN, Log
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from pypi_lambda.publish.dropbox import take, take_all
from pypi_lambda.publish.upload import Publisher
from pypi_lambda.view.index import Index
from tests.support.builders import NOW, contents, ids
from tests.support.distributions import Distribution, make_metadata, make_sdist, make_wheel

WHEEL = make_wheel("demo", "1.0")
KEY = f"incoming/{WHEEL.filename}"
REJECTED = f"{KEY}.rejected.txt"
METADATA = make_metadata("demo", "1.0")


@dataclass
class Box:
    """A drop box, and what was published from it."""

    store: ObjectStore
    publisher: Publisher
    rebuilds: list[int]

    def put(self, distribution: Distribution, folder: str = "incoming/") -> str:
        key = folder + distribution.filename
        self.store.put(key, distribution.content)
        return key

    def take(self, key: str) -> str | None:
        return take(self.store, self.publisher, key)

    def take_all(self) -> list[str]:
        return take_all(self.store, self.publisher)

    @property
    def published(self) -> list[tuple[str, str, str]]:
        """Who published what, and its digest."""
        events = Log(self.store).read_after(ORIGIN)
        return [(e.by, e.change.filename, e.change.sha256) for e in events if isinstance(e.change, FileAdded)]

    @property
    def left(self) -> list[str]:
        return sorted(contents(self.store, "incoming/"))


def box_over(store: ObjectStore) -> Box:
    index = Index(store, Renderer(), max_staleness_seconds=0, clock=lambda: 0.0, request_repair=lambda: None)
    rebuilds: list[int] = []
    publisher = Publisher(store, index, now=lambda: NOW, new_id=ids(), request_rebuild=rebuilds.append)
    return Box(store=store, publisher=publisher, rebuilds=rebuilds)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return box_over(FolderStore(tmp_path))


class Replacing(FolderStore):
    """Replaces a wheel when its metadata, its first member, was read."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(path)
        self._content: bytes | None = content

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes."""
        chunks = list(super().read(key, start=start, end=end))
        if key == KEY and 0 < start < 100 and self._content is not None:
            content, self._content = self._content, None
            self.put(key, content)
        return iter(chunks)


def test_replaced_after_it_was_checked(tmp_path: Path) -> None:
    """A file that is replaced while it is checked is left to the next notification, and then published as it is."""
    first, then = (make_wheel("demo", "1.0", metadata=METADATA + f"Requires-Dist: {name}\n".encode()) for name in "ab")
    box = box_over(Replacing(tmp_path, then.content))
    assert box.take(box.put(first)) is None
    assert (box.published, box.left) == ([], [KEY])
    box.take(KEY)
    assert box.published == [("drop box", then.filename, then.sha256)]
    assert box.store.get(f"projects/demo/{then.filename}.metadata").body == then.metadata


@pytest.mark.parametrize("distribution", [WHEEL, make_sdist("demo", "1.0"), make_wheel("demo", "1!2.0+local.1")])
def test_published(box: Box, distribution: Distribution) -> None:
    """A file is published, with its metadata, and a rebuild is asked for; it is in the drop box no more."""
    message = box.take(box.put(distribution))
    assert message == f"{distribution.filename} is published"
    assert box.published == [("drop box", distribution.filename, distribution.sha256)]
    assert (box.left, box.rebuilds) == ([], [1])
    assert box.store.get(f"projects/demo/{distribution.filename}").body == distribution.content
    metadata = box.store.find(f"projects/demo/{distribution.filename}.metadata")
    assert (metadata and metadata.body) == (distribution.metadata if distribution.filename.endswith(".whl") else None)


def test_folders_within(box: Box) -> None:
    """It may lie in a folder of whoever put it there."""
    assert box.take(box.put(WHEEL, "incoming/3f2a/")) == f"{WHEEL.filename} is published"
    assert box.left == []


def test_told_twice(box: Box) -> None:
    """A notification that comes again, after the file was taken, does nothing."""
    box.take(box.put(WHEEL))
    before = contents(box.store)
    assert box.take(KEY) is None
    assert contents(box.store) == before


def test_put_twice(box: Box) -> None:
    """The same file again is taken, and published once."""
    box.take(box.put(WHEEL))
    assert box.take(box.put(WHEEL)) == f"{WHEEL.filename} is published"
    assert (len(box.published), box.left) == (1, [])


@pytest.mark.parametrize(
    ("filename", "content", "reason"),
    [
        ("demo-1.0-py3-none-any.whl", b"no zip", "zip"),
        ("demo-1.0-py3-none-any.whl", make_wheel("other", "1.0").content, "other"),
        ("notes.txt", b"remember the milk", "notes.txt"),
        ("demo-1.0-py3-none-any.whl", b"", "zip"),
    ],
)
def test_refused(box: Box, filename: str, content: bytes, reason: str) -> None:
    """What cannot be published stays, and beside it lies why."""
    key = f"incoming/{filename}"
    box.store.put(key, content)
    message = box.take(key)
    assert message is not None
    assert message.startswith(f"{key} is refused: ")
    assert reason in message
    assert box.left == [key, f"{key}.rejected.txt"]
    assert box.store.get(f"{key}.rejected.txt").body.decode() == f"{message.removeprefix(f'{key} is refused: ')}\n"
    assert box.published == []


def test_other_content(box: Box) -> None:
    """Other content under a published name is refused and changes nothing."""
    box.take(box.put(WHEEL))
    other = make_wheel("demo", "1.0", files={"more.py": b"1"})
    message = box.take(box.put(other))
    assert message is not None
    assert "File already exists" in message
    assert box.published == [("drop box", WHEEL.filename, WHEEL.sha256)]
    assert box.store.get(f"projects/demo/{WHEEL.filename}").body == WHEEL.content
    assert box.left == [KEY, REJECTED]


def test_mended(box: Box) -> None:
    """A file in the place of one that was refused is published, and the refusal goes away."""
    box.store.put(KEY, b"no zip")
    box.take(KEY)
    assert box.take(box.put(WHEEL)) == f"{WHEEL.filename} is published"
    assert box.left == []


def test_told_of_a_refusal(box: Box) -> None:
    """The refusal's own notification, for it too is put under incoming/, does nothing."""
    box.store.put(KEY, b"no zip")
    box.take(KEY)
    before = contents(box.store)
    assert box.take(REJECTED) is None
    assert contents(box.store) == before


@pytest.mark.parametrize("key", ["incoming/", "incoming/folder/", "incoming/.DS_Store", "incoming/a//b.whl"])
def test_no_file(box: Box, key: str) -> None:
    """What S3 tools leave beside files, folder markers and hidden files, is passed over."""
    assert box.take(key) is None
    assert box.left == []


def test_everything(box: Box, tmp_path: Path) -> None:
    """All that lies there is taken, but what was refused and is still the same."""
    sdist = make_sdist("other", "2.0")
    box.put(WHEEL)
    box.put(sdist, "incoming/folder/")
    box.store.put("incoming/notes.txt", b"no distribution")
    os.utime(tmp_path / "incoming" / "notes.txt", times=(1_000_000_000, 1_000_000_000))
    first, again = box.take_all(), box.take_all()
    assert sorted(name for _, name, _ in box.published) == sorted([WHEEL.filename, sdist.filename])
    assert (len(first), again) == (3, [])
    assert box.left == ["incoming/notes.txt", "incoming/notes.txt.rejected.txt"]


def test_everything_mended(box: Box) -> None:
    """What was refused is looked at again once it was replaced."""
    box.store.put(KEY, b"no zip")
    box.take_all()
    box.put(WHEEL)
    assert box.take_all() == [f"{WHEEL.filename} is published"]


class Vanishing(FolderStore):
    """A store in which somebody else takes the file from the drop box while it is being read."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if key.startswith("incoming/"):
            self.delete(key)
        return super().read(key, start=start, end=end)


def test_taken_by_another(tmp_path: Path) -> None:
    """Of two that are told of one file at once, the one that finds it gone refuses nothing."""
    box = box_over(Vanishing(tmp_path))
    assert box.take(box.put(WHEEL)) is None
    assert box.left == []
