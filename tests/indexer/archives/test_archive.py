"""Hostile archives are refused in bounded memory, and a good one gives exactly what was asked for."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.archives import archive, tar
from indexer.archives.archive import Contents, read_zip
from indexer.archives.tar import read_tar_gz
from indexer.errors import InvalidValue
from tests.support.archives import tar_bytes, tar_gz_bytes, tar_link, zip_bytes, zip_link, zip_with

GOOD = {"a/wanted": b"text", "a/other": bytes(range(256)) * 8, "b": b""}
PATHS = frozenset({"a/wanted", "a/other", "b"})
KINDS = ("x.whl", "x.tar.gz")
UNCLEAN_PATHS = ["a//wanted2", "a/./wanted2", "./a///./wanted2", "a/wanted2/."]
HOSTILE_PATHS = [
    "../wanted",
    "a/../../wanted",
    "/etc/wanted",
    "a\\..\\wanted",
    "C:wanted",
    "a/wan\nted",
    "a/wanted\x7f",
]


def read(data: bytes, filename: str) -> Contents:
    reader = read_tar_gz if filename.endswith(".gz") else read_zip
    return reader(io.BytesIO(data), filename, wanted=lambda path: path.endswith("wanted"))


def build(members: dict[str, bytes], filename: str) -> bytes:
    return tar_gz_bytes(members) if filename.endswith(".gz") else zip_bytes(members)


def refused(data: bytes, filename: str) -> str:
    with pytest.raises(InvalidValue) as caught:
        read(data, filename)
    assert caught.value.field == "content"
    return str(caught.value)


def header(size: bytes, *, kind: bytes = tarfile.REGTYPE, name: str = "a/first") -> bytes:
    """Return a tar header that says any size, with the right checksum."""
    info = tarfile.TarInfo(name)
    info.type = kind
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = size
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize("filename", KINDS)
def test_good_archive_gives_paths_and_wanted_text(filename: str) -> None:
    """All paths are told, and of the members only those that were wanted."""
    assert read(build(GOOD, filename), filename) == Contents(paths=PATHS, texts=(("a/wanted", b"text"),))


def test_tar_of_the_current_folder_has_plain_paths() -> None:
    """The `./` that `tar c .` writes is no part of a path."""
    root = tarfile.TarInfo("./")
    root.type = tarfile.DIRTYPE
    data = tar_gz_bytes({"./a/wanted": b"text"}, root)
    assert read(data, "x.tar.gz") == Contents(paths=frozenset({"a/wanted"}), texts=(("a/wanted", b"text"),))


def test_zip_with_a_comment_is_accepted() -> None:
    """A comment at the end belongs to the archive."""
    assert read(zip_bytes(GOOD, comment=b"built by hand"), "x.whl").paths == PATHS


@pytest.mark.parametrize("filename", KINDS)
def test_every_truncation_is_refused(filename: str) -> None:
    """Whatever is cut off, down to the last byte, the archive is refused."""
    data = build(GOOD, filename)
    for length in range(len(data)):
        refused(data[:length], filename)


def test_truncation_after_a_stored_zip_is_refused() -> None:
    """A zip that ends where a zip inside it ends is not taken for that inner one."""
    inner = zip_bytes({"a/wanted": b"inner"})
    data = zip_bytes({"first": b"", "inner.zip": inner, "a/wanted": b"text"}, method=zipfile.ZIP_STORED)
    end = data.index(inner) + len(inner)
    assert "begins at the first byte" in refused(data[:end], "x.whl")


@pytest.mark.parametrize("filename", KINDS)
@pytest.mark.parametrize("where", ["front", "end"])
def test_bytes_beside_the_archive_are_refused(filename: str, where: str) -> None:
    """Nothing lies in front of an archive and nothing behind it."""
    data = build(GOOD, filename)
    refused(b"junk" + data if where == "front" else data + b"junk", filename)


@given(data=st.binary(max_size=300), filename=st.sampled_from(KINDS))
def test_random_bytes_are_refused(data: bytes, filename: str) -> None:
    """No bytes raise anything but a refusal."""
    refused(data, filename)


@given(
    filename=st.sampled_from(KINDS),
    spots=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_damage_is_refused_or_harmless(filename: str, spots: list[tuple[int, int]]) -> None:
    """Changed bytes lead to a refusal, or do not touch what is read."""
    data = bytearray(build(GOOD, filename))
    for place, value in spots:
        data[place % len(data)] = value
    try:
        contents = read(bytes(data), filename)
    except InvalidValue as error:
        assert error.field == "content"  # noqa: PT017 - either outcome is right
    else:
        assert [text for _, text in contents.texts] in ([b"text"], [])


@given(spots=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_tar_headers_are_refused_or_harmless(spots: list[tuple[int, int]]) -> None:
    """Damage under an intact gzip checksum raises nothing but a refusal."""
    data = bytearray(tar_bytes({"a/wanted": b"text", "é" * 120: b"x" * 600, "b": b""}))
    for place, value in spots:
        data[place % len(data)] = value
    try:
        read(gzip.compress(bytes(data)), "x.tar.gz")
    except InvalidValue as error:
        assert error.field == "content"  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("filename", KINDS)
@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_paths_that_leave_the_folder_are_refused(filename: str, path: str) -> None:
    """No member could be written outside of the folder it is unpacked to, or under a name that means another."""
    assert refused(build({**GOOD, path: b""}, filename), filename).startswith(f"invalid content {path!r}: ")


@pytest.mark.parametrize("path", UNCLEAN_PATHS)
def test_unclean_paths_of_an_sdist_are_cleaned(path: str) -> None:
    """Two slashes, or a dot between them, lead to where an installer unpacks the member, in an sdist of either form."""
    cleaned = frozenset({*PATHS, "a/wanted2"})
    assert read(tar_gz_bytes({**GOOD, path: b""}), "x.tar.gz").paths == cleaned
    data = zip_bytes({**GOOD, path: b""})
    assert read_zip(io.BytesIO(data), "x.zip", wanted=lambda path: False, clean=True).paths == cleaned


@pytest.mark.parametrize("path", UNCLEAN_PATHS)
def test_unclean_paths_of_a_wheel_are_refused(path: str) -> None:
    """Nothing that builds wheels writes such paths, and RECORD could name them in two ways."""
    assert "is relative" in refused(zip_bytes({**GOOD, path: b""}), "x.whl")


def test_zip_path_with_nul_is_refused() -> None:
    """A name that a library cuts at a NUL is refused for what it really is."""
    data = zip_bytes({**GOOD, "a/wanted2 evil": b""}).replace(b"a/wanted2 evil", b"a/wanted2\0evil")
    assert "control character" in refused(data, "x.whl")


def test_zip_with_a_member_twice_is_refused() -> None:
    """Readers disagree on which of two members of one name counts, so there is none."""
    data = zip_bytes({**GOOD, "a/wanteD": b"other"}).replace(b"a/wanteD", b"a/wanted")
    assert "each member once" in refused(data, "x.whl")


def test_zip_links_are_refused() -> None:
    """A zip has no symbolic links."""
    assert "no links" in refused(zip_with(GOOD, zip_link("a/link")), "x.whl")


def test_encrypted_zip_is_refused() -> None:
    """Nothing in a zip needs a password."""
    data = bytearray(zip_bytes({"a/wanted": b"text"}))
    data[data.rindex(b"PK\1\2") + 8] |= 1
    assert "not encrypted" in refused(bytes(data), "x.whl")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_without_bound_are_refused(method: int) -> None:
    """Compression that zipfile inflates without a limit is refused, wherever it is used."""
    assert "stored or deflated" in refused(zip_bytes(GOOD, method=method), "x.whl")


@pytest.mark.parametrize(
    "member",
    [
        tar_link("a/link", "../../etc/passwd"),
        tar_link("a/link", "/etc/passwd"),
        tar_link("a/link", "../../x", kind=tarfile.LNKTYPE),
        tar_link("a/pipe", "", kind=tarfile.FIFOTYPE),
        tar_link("a/device", "", kind=tarfile.BLKTYPE),
        tar_link("a/wanted", "other"),
    ],
    ids=lambda member: f"{member.type!r} {member.linkname}",
)
def test_tar_members_that_installers_refuse_are_refused(member: tarfile.TarInfo) -> None:
    """Devices, pipes, links out of the folder, and a link in the place of what is wanted are refused."""
    refused(tar_gz_bytes({"a/other": b""}, member), "x.tar.gz")


def test_tar_links_inside_are_accepted() -> None:
    """A link to another member is an ordinary part of an sdist."""
    data = tar_gz_bytes(GOOD, tar_link("a/link", "../b"), tar_link("c", "a/other", kind=tarfile.LNKTYPE))
    assert read(data, "x.tar.gz").paths == PATHS | {"a/link", "c"}


@pytest.mark.parametrize("filename", KINDS)
def test_text_over_the_limit_is_refused(filename: str) -> None:
    """What is read from an archive is limited in all, not per member."""
    half = b" " * (archive.MAX_TEXT_BYTES // 2)
    assert len(read(build({"a/wanted": half, "b/wanted": half}, filename), filename).texts) == 2
    assert "4,194,304 bytes" in refused(build({"a/wanted": half, "b/wanted": half + b" "}, filename), filename)


def test_zip_whose_text_is_longer_than_declared_is_refused() -> None:
    """A member that inflates to more than its header says is refused, and not inflated."""
    size = 64 * 1024 * 1024
    data = bytearray(zip_bytes({"a/wanted": bytes(size)}))
    place = data.rindex(b"PK\1\2") + 24
    data[place : place + 4] = struct.pack("<L", 100)
    packed = bytes(data)
    tracemalloc.start()
    refused(packed, "x.whl")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8 * 1024 * 1024


def test_zip_bomb_is_refused() -> None:
    """A zip whose members inflate to a hundred times its size is refused."""
    data = zip_bytes({**GOOD, "bomb": bytes(archive.RATIO_FREE_BYTES)})
    assert "does not unpack to 67,110,916" in refused(data, "x.whl")


def test_zip_that_deflates_well_is_accepted() -> None:
    """A high ratio alone is no bomb while the whole stays small."""
    assert "zeros" in read(zip_bytes({**GOOD, "zeros": bytes(8 * 1024 * 1024)}), "x.whl").paths


@pytest.mark.parametrize("seen", [True, False], ids=["in a member", "behind the last"])
def test_tar_bomb_is_refused(seen: bool) -> None:
    """A tar.gz is not inflated beyond a hundred times its size, wherever the zeros are."""
    data = tar_bytes({"bomb": bytes(archive.RATIO_FREE_BYTES)} if seen else GOOD)
    bomb = gzip.compress(data + bytes(0 if seen else archive.RATIO_FREE_BYTES))
    assert "unpacks to more than 67,108,864 bytes" in refused(bomb, "x.tar.gz")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_huge_tar_headers_are_refused(kind: bytes) -> None:
    """A header that claims megabytes for itself is not read into memory."""
    size = 32 * 1024 * 1024
    data = gzip.compress(header(b"%011o\0" % size, kind=kind) + bytes(size))
    assert "8,388,608 bytes of extended headers" in refused(data, "x.tar.gz")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_many_long_tar_headers_are_refused(kind: bytes) -> None:
    """The bytes of extended headers are counted over the whole archive, whatever each of them has."""
    record = b"400000 comment=" + b"x" * (400_000 - 16) + b"\n" if kind != tarfile.GNUTYPE_LONGNAME else b"a" * 400_000
    long = header(b"%011o\0" % len(record), kind=kind) + record + bytes(-len(record) % 512)
    data = gzip.compress(b"".join(long + header(b"%011o\0" % 0, name=f"a/{number}") for number in range(21)))
    bound = "1,024 bytes" if kind == tarfile.GNUTYPE_LONGNAME else "8,388,608 bytes of extended headers"
    assert bound in refused(data, "x.tar.gz")


def test_many_tar_records_are_refused() -> None:
    """The records of extended headers are counted over the whole archive: each takes time."""
    records = b"6 a=b\n" * 50_000
    long = header(b"%011o\0" % len(records), kind=tarfile.XHDTYPE) + records + bytes(-len(records) % 512)
    data = gzip.compress(b"".join(long + header(b"%011o\0" % 0, name=f"a/{number}") for number in range(5)))
    assert "200,000 records" in refused(data, "x.tar.gz")


def test_nested_tar_headers_fill_no_stack() -> None:
    """Headers that describe headers are read one after another."""
    data = header(b"%011o\0" % 0, kind=tarfile.XGLTYPE) * 1_500 + tar_bytes(GOOD)
    assert read(gzip.compress(data), "x.tar.gz").paths == PATHS


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.SYMTYPE])
@pytest.mark.parametrize("size", [b"\xff" * 10 + struct.pack(">h", -512), b"-0000001000\0", b"1x3\0" + bytes(8)])
def test_tar_sizes_that_are_none_are_refused(kind: bytes, size: bytes) -> None:
    """A size that leads backwards, or is no number, is refused instead of being followed."""
    data = gzip.compress(header(b"%011o\0" % 0, name="first") + header(size, kind=kind) + tar_bytes(GOOD))
    assert "no number where one must be, and none is negative" in refused(data, "x.tar.gz")


@pytest.mark.parametrize(
    ("pax", "sentence"),
    [
        (b"x a=b\n", "record of another form"),
        (b"7 a=b\n", "record of another form"),
        (b"6 abc\n", "record of another form"),
        (b"12 size=-1\n\n", "no number"),
        (b"11 size=-1\n", "no number"),
        (b"22 GNU.sparse.major=1\n", "no sparse files"),
        (b"10 path=a\n10 path=b\n", None),
    ],
)
def test_tar_records(pax: bytes, sentence: str | None) -> None:
    """An extended header whose records are none is refused; of two of one keyword the later one counts (POSIX)."""
    data = header(b"%011o\0" % len(pax), kind=tarfile.XHDTYPE) + pax + bytes(512 - len(pax))
    packed = gzip.compress(data + header(b"%011o\0" % 0) + bytes(1024))
    if sentence is None:
        assert read(packed, "x.tar.gz").paths == {"b"}
    else:
        assert sentence in refused(packed, "x.tar.gz")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (tarfile.TarInfo.create_pax_global_header({"path": "b"}) + tar_bytes(GOOD), "global headers name no member"),
        (tar_bytes(GOOD) + b"more", "nothing lies behind the end"),
        (header(b"%011o\0" % 0) + bytes(512) + header(b"%011o\0" % 0), "nothing lies behind the end"),
        (header(b"%011o\0" % 512, kind=tarfile.DIRTYPE) + bytes(2048), "a folder or a link has no content"),
        (header(b"%011o\0" % 512, kind=tarfile.LNKTYPE) + bytes(2048), "a folder or a link has no content"),
        (header(b"%011o\0" % 0, kind=tarfile.GNUTYPE_SPARSE) + bytes(1024), "nothing sparse"),
        (header(b"%011o\0" % 0, kind=b"Z") + bytes(1024), "nothing sparse"),
        (header(b"%011o\0" % 512), "a member is cut short"),
        (tarfile.TarInfo("a" * 200).tobuf(tarfile.GNU_FORMAT)[:1024], "a header without its member"),
        (header(b"%011o\0" % 0)[:300], "a header is cut short"),
        (b"x" + header(b"%011o\0" % 0)[1:] + bytes(1024), "checksum is wrong"),
        (b"", "nothing at all"),
    ],
)
def test_tars_that_are_read_differently_are_refused(data: bytes, sentence: str) -> None:
    """What one reader takes for a member and another for its content, or for the end, is refused."""
    assert sentence in refused(gzip.compress(data), "x.tar.gz")


@pytest.mark.parametrize("end", [b"", bytes(100), bytes(512), bytes(1_024), bytes(10_240), bytes(100_000)])
def test_the_end_of_a_tar_archive(end: bytes) -> None:
    """An archive ends with zeros, however many, or with the file."""
    data = tar_bytes(GOOD).rstrip(b"\0")
    data += bytes(-len(data) % 512) + end
    assert read(gzip.compress(data), "x.tar.gz").paths == PATHS


def test_tar_of_every_format_is_read() -> None:
    """Long names and links are read as each format has them, and large numbers as GNU writes them."""
    members = {**GOOD, "a/" + "long/" * 40 + "wanted": b"deep", "é" * 40: b""}
    for tar_format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        found = read(gzip.compress(tar_bytes(members, tar_format=tar_format)), "x.tar.gz")
        assert found.paths == members.keys()
        assert [text for path, text in found.texts if path.endswith("/wanted")] == [b"text", b"deep"]
    prefixed = {f"{'p' * 90}/{'q' * 90}": b""}
    assert (
        read(gzip.compress(tar_bytes(prefixed, tar_format=tarfile.USTAR_FORMAT)), "x.tar.gz").paths == prefixed.keys()
    )
    large = header(b"\x80" + (4).to_bytes(11), name="a/wanted") + b"text" + bytes(508)
    assert read(gzip.compress(large), "x.tar.gz").texts == (("a/wanted", b"text"),)


def test_tar_headers_do_not_pile_up() -> None:
    """What each member's headers hold is forgotten with the member."""
    infos = [tarfile.TarInfo(f"a/{number}") for number in range(80)]
    for info in infos:
        info.pax_headers = {"comment": "x" * 100_000}
    data = tar_gz_bytes(GOOD, *infos)
    tracemalloc.start()
    paths = read(data, "x.tar.gz").paths
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert paths == PATHS | {info.name for info in infos}
    assert peak_bytes < 4 * 1024 * 1024


def test_too_many_tar_members_are_refused() -> None:
    """The number of members is limited, more so in a small archive; those that name the root count as well."""
    root = tarfile.TarInfo("./").tobuf(tarfile.USTAR_FORMAT)
    assert read(gzip.compress(root * tar.FREE_MEMBERS, 9), "x.tar.gz").paths == frozenset()
    assert "at most 24," in refused(gzip.compress(root * (tar.FREE_MEMBERS + 10_000), 9), "x.tar.gz")
    assert "at most 100,000 members" in refused(gzip.compress(root * (archive.MAX_MEMBERS + 1), 0), "x.tar.gz")


def test_too_many_zip_members_are_refused() -> None:
    """The number of members is limited, whatever the end of the archive says of it."""
    data = zip_bytes({"a": b""})
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    directory = data[start:end] * (archive.MAX_MEMBERS + 1)
    data = data[:start] + directory + data[end : end + 12] + struct.pack("<LLH", len(directory), start, 0)
    assert "at most 100,000 members" in refused(data, "x.whl")


def test_zip_with_a_huge_directory_is_refused() -> None:
    """A directory of more than 16 MiB is not read into memory."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for number in range(300):
            written.writestr(f"{number:060000}", b"")
    assert "headers are larger" in refused(target.getvalue(), "x.whl")
