"""`indexer.distributions.wheel_metadata`: METADATA found where pip finds it, within bounds, whatever else is odd about
a wheel."""

import io
import lzma
import struct
import zipfile
import zlib

import pytest

from indexer.distributions.wheel_metadata import MAX_DIRECTORY_BYTES, MAX_MEMBER_BYTES, read_metadata
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName
from tests.support.distributions import make_metadata
from tests.support.odd_wheels import INFO, INSTALLABLE, METADATA, PLAIN, UNREADABLE, members, patched, renamed, zipped

FILE = Filename("demo-2.0-py3-none-any.whl")
DEMO = ProjectName("demo")


def read(content: bytes) -> bytes:
    return read_metadata(io.BytesIO(content), FILE, DEMO)


@pytest.mark.parametrize("content", INSTALLABLE.values(), ids=INSTALLABLE)
def test_what_pip_installs(content: bytes) -> None:
    """Of a wheel that pip installs METADATA is found, to the byte."""
    assert read(content) == METADATA


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_what_no_installer_reads(content: bytes) -> None:
    """A wheel in which no installer finds METADATA is refused in words."""
    with pytest.raises(InvalidValue) as refused:
        read(content)
    assert refused.value.field == "content"


def test_backslashes() -> None:
    """A wheel that was packed with backslashes is read as Python on Windows reads it."""
    assert read(zipped(renamed(PLAIN, "/", "\\"))) == METADATA


@pytest.mark.parametrize("project", ["demo", "Demo-X", "demo_x.y"])
def test_names(project: str) -> None:
    """The folder's name begins with the project's, in whatever spelling."""
    name = ProjectName(project.lower().replace("_", "-").replace(".", "-"))
    content = zipped(members(project=project, folder=f"{project}-2.0.dist-info"))
    assert read_metadata(io.BytesIO(content), FILE, name) == make_metadata(project, "2.0")


def test_another_version() -> None:
    """What the wheel says of its version is handed on: installers judge that for themselves."""
    assert read(zipped(members(folder="demo-1.9.dist-info"))) == METADATA
    older = make_metadata("demo", "1.9")
    assert read(zipped(members(metadata=older))) == older


class TestBounds:
    def test_no_more_than_is_declared(self) -> None:
        """A megabyte of zeros that is declared as ten bytes is not unpacked, by no method."""
        bomb = {**PLAIN, f"{INFO}/METADATA": bytes(1_000_000)}
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED):
            with pytest.raises(InvalidValue, match="damaged"):
                read(patched(zipped(bomb, method=method), f"{INFO}/METADATA", 24, 10))

    @pytest.mark.parametrize("offset", [20, 24], ids=["packed", "unpacked"])
    def test_longer_than_metadata_is(self, offset: int) -> None:
        """METADATA that is declared to be longer than any is not read."""
        with pytest.raises(InvalidValue, match="more than 4,194,304 bytes"):
            read(patched(zipped(PLAIN), f"{INFO}/METADATA", offset, MAX_MEMBER_BYTES + 1))

    def test_the_longest(self) -> None:
        """METADATA of the greatest length is read whole."""
        longest = METADATA + b"\n" + b"x" * (MAX_MEMBER_BYTES - len(METADATA) - 1)
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            assert read(zipped(members(metadata=longest), method=method)) == longest

    def test_a_directory_of_gigabytes(self) -> None:
        """A directory that is said to be longer than any is not read: of the file comes no more than one could have."""

        class Counting(io.BytesIO):
            given = 0

            def read(self, size: int | None = -1) -> bytes:
                data = super().read(size)
                self.given += len(data)
                return data

        content = b"x" * (MAX_DIRECTORY_BYTES + 1_000_000) + zipped(PLAIN)
        size = len(content) - 22
        file = Counting(content[:-10] + struct.pack("<II", size, 0) + b"\0\0")
        with pytest.raises(InvalidValue, match="longer than any real wheel"):
            read_metadata(file, FILE, DEMO)
        assert file.given <= MAX_DIRECTORY_BYTES + 100_000

    def test_an_lzma_dictionary_of_gigabytes(self) -> None:
        """A dictionary of 4 GiB, as the header of a member may ask for it, is not made."""
        content = zipped(PLAIN, method=zipfile.ZIP_LZMA)
        at = content.index(METADATA_PATH) + len(METADATA_PATH) + 4  # behind the version and the length of properties
        content = content[: at + 1] + b"\xff\xff\xff\xff" + content[at + 5 :]
        assert read(content) == METADATA

    def test_another_lzma_header(self) -> None:
        """Properties of another length, or impossible ones, are damage."""
        content = zipped(PLAIN, method=zipfile.ZIP_LZMA)
        at = content.index(METADATA_PATH) + len(METADATA_PATH) + 2
        for damaged in (content[:at] + b"\6\0" + content[at + 2 :], content[: at + 2] + b"\xff" + content[at + 3 :]):
            with pytest.raises(InvalidValue):
                read(damaged)


METADATA_PATH = f"{INFO}/METADATA".encode()


def test_other_methods() -> None:
    """A method that `zipfile` does not unpack either is named."""
    content = zipped(PLAIN)
    begin = content.rindex(b"PK\x01\x02", 0, content.rindex(METADATA_PATH))
    with pytest.raises(InvalidValue, match="packed by method 9"):
        read(content[: begin + 10] + b"\x09\0" + content[begin + 12 :])


def test_without_an_end_mark() -> None:
    """LZMA without its end mark, as 7-Zip writes it, is read, too."""
    body = METADATA
    packed = lzma.compress(body, lzma.FORMAT_ALONE)  # properties, the size in eight bytes, and the data
    member = b"\x09\x14\x05\x00" + packed[:5] + packed[13:]
    content = _with_packed(member, body, zipfile.ZIP_LZMA)
    assert read(content) == body


def _with_packed(member: bytes, body: bytes, method: int) -> bytes:
    """Build a wheel whose only member is METADATA, packed already."""
    path = METADATA_PATH
    fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 0x21, zlib.crc32(body), len(member), len(body), len(path), 0)
    local = b"PK\x03\x04" + fields + path + member
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + path
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end
