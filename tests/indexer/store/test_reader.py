"""A stored object as a file."""

import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.store.folder import FolderStore
from indexer.store.reader import BUFFER_BYTES, open_object
from tests.support.distributions import make_wheel, make_zip

CONTENT = bytes(range(256)) * 8


def opened(store: FolderStore, content: bytes = CONTENT) -> io.BufferedReader:
    store.put("object", content)
    return open_object(store, "object", len(content))


class Counting(FolderStore):
    """A store that remembers which parts of objects were read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.parts: list[tuple[int, int | None]] = []

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.parts.append((start, end))
        return super().read(key, start=start, end=end)


def test_whole(store: FolderStore) -> None:
    """Reading to the end gives the whole content, and then nothing."""
    file = opened(store)
    assert (file.read(), file.read()) == (CONTENT, b"")


def test_empty(store: FolderStore) -> None:
    """An empty object is an empty file."""
    assert opened(store, b"").read() == b""


def test_longer_than_the_buffer(store: FolderStore) -> None:
    """Content of several buffers' length is read in whatever pieces."""
    content = CONTENT * (2 * BUFFER_BYTES // len(CONTENT)) + b"end"
    file = opened(store, content)
    assert b"".join(iter(lambda: file.read(100_003), b"")) == content


@pytest.mark.parametrize(
    ("offset", "whence", "position"),
    [(10, io.SEEK_SET, 10), (-10, io.SEEK_END, len(CONTENT) - 10), (5, io.SEEK_CUR, 8), (-3, io.SEEK_CUR, 0)],
)
def test_seek(store: FolderStore, offset: int, whence: int, position: int) -> None:
    """A place is found from the start, the end, or where the last read ended."""
    file = opened(store)
    file.read(3)
    assert file.seek(offset, whence) == position
    assert (file.tell(), file.read(4)) == (position, CONTENT[position : position + 4])


def test_past_the_end(store: FolderStore) -> None:
    """Past the end there is nothing."""
    file = opened(store)
    file.seek(len(CONTENT) + 100)
    assert file.read(10) == b""


def test_before_the_start(store: FolderStore) -> None:
    """There is no place before the start."""
    with pytest.raises(OSError, match="negative"):
        opened(store).seek(-len(CONTENT) - 1, io.SEEK_END)


def test_gone(store: FolderStore) -> None:
    """An object that is gone meanwhile is an OSError, as of any file."""
    file = opened(store)
    store.delete("object")
    with pytest.raises(OSError, match="no object at 'object'"):
        file.read(1)


def test_archive_is_read_in_a_few_parts(tmp_path: Path) -> None:
    """Of a large archive only its end and the member that is wanted are read."""
    store = Counting(tmp_path)
    wheel = make_wheel("demo", "1.0")
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = make_zip({**members, "demo/data": random.Random(1).randbytes(8 * BUFFER_BYTES)})
    store.put("object", content)
    with zipfile.ZipFile(open_object(store, "object", len(content))) as archive:
        assert archive.read("demo-1.0.dist-info/METADATA") == wheel.metadata
    read = sum((end or 0) - start for start, end in store.parts)
    assert len(store.parts) <= 4
    assert read <= 3 * BUFFER_BYTES
