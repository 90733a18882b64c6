"""A file on a server, read like one at hand: what of it travels, and where that has an end."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from indexer.errors import UpstreamUnavailable
from indexer.names import Filename
from indexer.upstream.client import Upstream
from indexer.upstream.remote_file import BLOCK_BYTES, END_BYTES, MAX_BYTES, MAX_REQUESTS, NoParts, open_remote
from tests.support.fake_upstream import FakeUpstream

CONTENT = b"".join(number.to_bytes(4, "big") for number in range(500_000))  # 2 MB, each four bytes of it others


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def url(fake: FakeUpstream) -> str:
    return fake.origin + fake.add_file("six", "six-1.0-py3-none-any.whl", CONTENT)


def ranges(fake: FakeUpstream) -> list[str]:
    return [seen.headers["range"].removeprefix("bytes=") for seen in fake.seen]


def opened(fake: FakeUpstream, url: str, *, size: int | None = len(CONTENT)) -> io.BufferedReader:
    return open_remote(Upstream(fake.url, user_agent="tests"), url, size=size)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_end_first(fake: FakeUpstream, url: str, size: int | None) -> None:
    """Opening fetches the end, by its offset where the size is known; what is there is not fetched again."""
    with opened(fake, url, size=size) as file:
        assert file.seek(0, io.SEEK_END) == len(CONTENT)
        file.seek(-END_BYTES, io.SEEK_END)
        assert file.read() == CONTENT[-END_BYTES:]
    first = len(CONTENT) - END_BYTES
    assert ranges(fake) == [f"-{END_BYTES}" if size is None else f"{first}-{len(CONTENT) - 1}"]


@pytest.mark.parametrize("start", [0, 1, 1_000_001, len(CONTENT) - END_BYTES - 10, len(CONTENT) - 3, len(CONTENT) + 5])
@pytest.mark.parametrize("length", [0, 1, BLOCK_BYTES, 400_000])
def test_like_a_file(fake: FakeUpstream, url: str, start: int, length: int) -> None:
    """Wherever and however much is read, it is what stands there in the file."""
    with opened(fake, url) as file, io.BytesIO(CONTENT) as same:
        for each in (file, same):
            each.seek(start)
        assert [file.read(length), file.read(5), file.tell()] == [same.read(length), same.read(5), same.tell()]


def test_what_is_known_is_not_fetched(fake: FakeUpstream, url: str) -> None:
    """A read that reaches into what is there fetches only what is missing."""
    start = len(CONTENT) - END_BYTES - 100
    with opened(fake, url) as file:
        file.seek(start)
        assert file.read() == CONTENT[start:]
        file.seek(start)
        assert file.read(200) == CONTENT[start : start + 200]
    assert ranges(fake)[1:] == [f"{start}-{start + 99}"]


def test_short_file(fake: FakeUpstream) -> None:
    """A file that is shorter than the end is fetched whole, with one request."""
    url = fake.origin + fake.add_file("six", "six-1.0-py3-none-any.whl", b"short")
    for size in (None, 5):
        with opened(fake, url, size=size) as file:
            assert file.read() == b"short"
    assert ranges(fake) == [f"-{END_BYTES}", f"0-{END_BYTES - 1}"]


def test_too_many_requests(fake: FakeUpstream, url: str) -> None:
    """A reader that wants a bit here and a bit there, as a hostile archive can make it, comes to an end."""
    with opened(fake, url) as file:

        def read_bit(number: int) -> None:
            file.raw.seek(number * 100, io.SEEK_SET)
            file.raw.readinto(memoryview(bytearray(1)))

        for number in range(MAX_REQUESTS - 1):
            read_bit(number)
        with pytest.raises(NoParts):
            read_bit(MAX_REQUESTS)
    assert len(fake.seen) == MAX_REQUESTS


def test_too_many_bytes(fake: FakeUpstream) -> None:
    """Nor does a reader get the better part of a large file in this way."""
    url = fake.origin + fake.add_file("six", "six-1.0-py3-none-any.whl", bytes(MAX_BYTES + 1))
    with opened(fake, url, size=None) as file, pytest.raises(NoParts):
        file.read()
    assert fake.sent <= MAX_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        {"body": CONTENT},
        {"status": 416},
        {"status": 501},
        {"status": 404},
        {"status": 206, "body": b"x", "headers": {"Content-Range": "bytes 0-0/1"}},
    ],
    ids=lambda answer: str(answer.get("status", 200)),
)
def test_no_parts(fake: FakeUpstream, url: str, answer: dict[str, Any]) -> None:
    """A server that ignores or refuses ranges, or answers with others, gives no parts."""
    fake.override(unquote(url.removeprefix(fake.origin)), **answer)
    with pytest.raises(NoParts):
        opened(fake, url)


def test_another_size(fake: FakeUpstream, url: str) -> None:
    """A file of another size than was announced is not the one that is meant; nor is one that changes."""
    with pytest.raises(NoParts):
        opened(fake, url, size=len(CONTENT) - 1)
    with opened(fake, url) as file:
        fake.override(
            unquote(url.removeprefix(fake.origin)),
            status=206,
            body=CONTENT[:BLOCK_BYTES],
            headers={"Content-Range": f"bytes 0-{BLOCK_BYTES - 1}/{len(CONTENT) + 1}"},
        )
        with pytest.raises(NoParts):
            file.read(1)


def test_failing(fake: FakeUpstream, url: str) -> None:
    """A server that goes down meanwhile is a fault like any other."""
    with opened(fake, url) as file:
        fake.stop()
        with pytest.raises(UpstreamUnavailable):
            file.read(1)


def test_zip(fake: FakeUpstream) -> None:
    """Of a zip archive's member at the end, nothing else travels; of one at the beginning, that and the end."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("first", b"1")
        archive.writestr("data", CONTENT)
        archive.writestr("last", b"2")
    url = fake.origin + fake.add_file("six", Filename("six-1.0-py3-none-any.whl"), target.getvalue())
    with opened(fake, url, size=None) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("last") == b"2"
        assert len(fake.seen) == 1
        assert archive.read("first") == b"1"
    assert len(fake.seen) == 2
    assert fake.sent < 2 * END_BYTES
