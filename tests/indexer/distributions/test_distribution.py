"""A distribution is what its name and its metadata say, and both must agree."""

import gzip
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.archives.archive import MAX_TEXT_BYTES
from indexer.distributions.core_metadata import MAX_SPECIFIER_LENGTH
from indexer.distributions.distribution import Distribution, DistributionName, check_distribution, parse_filename
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, check_filename
from tests.support.archives import metadata, sdist_members, tar_bytes, tar_gz_bytes, wheel_members, zip_bytes

WHEEL = Filename("spam_eggs-1.0-py3-none-any.whl")
SDIST = Filename("spam_eggs-1.0.tar.gz")
ZIP_SDIST = Filename("spam_eggs-1.0.zip")
PROJECT = ProjectName("spam-eggs")


def build(filename: str, *, text: bytes | None = None) -> bytes:
    if filename.endswith(".whl"):
        return zip_bytes(wheel_members(text=text))
    return (tar_gz_bytes if filename.endswith(".gz") else zip_bytes)(sdist_members(text=text))


def check(
    data: bytes, filename: str = WHEEL, *, name: ProjectName | None = PROJECT, version: str | None = "1.0"
) -> Distribution:
    return check_distribution(io.BytesIO(data), Filename(filename), name=name, version=version)


def refused(data: bytes, filename: str = WHEEL, *, name: str = PROJECT, version: str = "1.0") -> tuple[str, str]:
    """Return the field and the sentence of a refusal."""
    with pytest.raises(InvalidValue) as caught:
        check(data, filename, name=ProjectName(name), version=version)
    return caught.value.field, str(caught.value)


@pytest.mark.parametrize(
    ("filename", "project", "version", "kind"),
    [
        ("spam_eggs-1.0-py3-none-any.whl", "spam-eggs", "1.0", "wheel"),
        (
            "Spam.Eggs-1.0.0rc1-2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "spam-eggs",
            "1.0.0rc1",
            "wheel",
        ),
        ("spam-1!2.0+local.1-py2.py3-none-any.whl", "spam", "1!2.0+local.1", "wheel"),
        ("spam-eggs-2.tar.gz", "spam-eggs", "2", "sdist"),
        ("Spam.Eggs-1.0-beta1.tar.gz", "spam-eggs", "1.0b1", "sdist"),
        ("spam-1.0-1-rc2.zip", "spam-1-0", "1rc2", "sdist"),
        ("spam-1.0-one.tar.gz", None, None, None),
        ("spam_eggs-1.0b.zip", "spam-eggs", "1.0b0", "sdist"),
        ("spam-1.0.tar.bz2", "spam", "1.0", "legacy"),
        ("spam-1.0.tar.Z", "spam", "1.0", "legacy"),
        ("spam-2004d.tgz", "spam", "2004d", "legacy"),
        ("spam_eggs-1.0-py2.7.egg", "spam-eggs", "1.0", "legacy"),
        ("spam_eggs-1.0-py2.7-win-amd64.egg", "spam-eggs", "1.0", "legacy"),
        ("spam-eggs-1.0.win32.exe", "spam-eggs", "1.0", "legacy"),
        ("spam-1.0.win-amd64-py3.4.msi", "spam", "1.0", "legacy"),
        ("spam-1.0.whl", None, None, None),
        ("spam-1.0-py3-none.whl", None, None, None),
        ("spam__eggs-1.0-py3-none-any.whl", None, None, None),
        ("_-1.0-py3-none-any.whl", None, None, None),
        ("spam_-1.0.tar.gz", None, None, None),
        ("spam-1.0-py3-none-any.WHL", None, None, None),
        ("spam.tar.gz", None, None, None),
        ("spam-.tar.bz2", None, None, None),
        ("spam-1.0.deb", None, None, None),
        ("PKG-INFO", None, None, None),
    ],
)
def test_filename_says(filename: str, project: str | None, version: str | None, kind: str | None) -> None:
    """A name says project, version and kind, or is refused as no distribution's."""
    if project is None:
        with pytest.raises(InvalidValue, match=r"^invalid filename "):
            parse_filename(check_filename(filename))
    else:
        found = parse_filename(check_filename(filename))
        assert (found.project, found.version, found.kind) == (project, version, kind)


@given(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,80}", fullmatch=True),
    st.sampled_from(
        ["", ".whl", "-1.0-py3-none-any.whl", ".tar.gz", ".zip", "-1.egg", "-py3.egg", ".win32.exe", ".tgz"]
    ),
)
@example("a-" + "9" * 230, ".tgz")
def test_every_filename_is_parsed_or_refused(stem: str, ending: str) -> None:
    """No safe name raises anything but a refusal, and a project's name that is found is a normalised one."""
    try:
        found = parse_filename(Filename(stem + ending))
    except InvalidValue as error:
        assert error.field == "filename"  # noqa: PT017 - either outcome is right
    else:
        assert found == DistributionName(project=found.project, version=found.version, kind=found.kind)
        assert found.project == found.project.strip("-").lower()


def test_wheel_is_what_it_says() -> None:
    """A wheel gives its METADATA to the byte, CRLF and all."""
    text = metadata(extra="Requires-Python: >=3.9,\n  !=3.10.*\n").replace(b"\n", b"\r\n")
    assert check(build(WHEEL, text=text)) == Distribution(
        project=PROJECT, version="1.0", requires_python=">=3.9, !=3.10.*", metadata=text
    )


@pytest.mark.parametrize("filename", [SDIST, ZIP_SDIST])
def test_sdist_is_what_it_says(filename: str) -> None:
    """An sdist gives Requires-Python and no metadata."""
    data = build(filename, text=metadata(extra="Requires-Python: >=3.9\n"))
    assert check(data, filename) == Distribution(project=PROJECT, version="1.0", requires_python=">=3.9", metadata=None)


def test_nothing_needs_to_be_announced() -> None:
    """A file that was found rather than uploaded is checked by its name and its content alone."""
    assert check(build(WHEEL), name=None, version=None).version == "1.0"


@pytest.mark.parametrize("name", ["Spam.Eggs", "spam__eggs", "SPAM-eggs"])
@pytest.mark.parametrize("version", ["1", "1.0.0", "v1.0", " 1.0"])
def test_names_and_versions_agree_in_their_normal_form(name: str, version: str) -> None:
    """Metadata may write the name and the version otherwise than the file's name, as long as they mean the same."""
    assert check(build(WHEEL, text=metadata(name=name, version=version)), version=version).version == "1.0"


@pytest.mark.parametrize("filename", [WHEEL, SDIST, ZIP_SDIST])
def test_announced_name_and_version_are_those_of_the_file(filename: str) -> None:
    """A form that names another project or version than its file is refused for that field."""
    data = build(filename)
    assert refused(data, filename, name="ham") == ("name", "invalid name 'ham': the file's name says 'spam-eggs'")
    assert refused(data, filename, version="1.1") == ("version", "invalid version '1.1': the file's name says '1.0'")
    assert refused(data, filename, version="<b>")[0] == "version"
    assert refused(data, filename, version="1" * 10_000)[0] == "version"


@pytest.mark.parametrize("filename", [WHEEL, SDIST, ZIP_SDIST])
@pytest.mark.parametrize(
    ("text", "field"),
    [
        (metadata(name="ham"), "name"),
        (metadata(name="spam еggs"), "name"),
        (metadata(name="spam-\u0435ggs"), "name"),
        (metadata(name=""), "name"),
        (metadata(version="1.1"), "version"),
        (metadata(version="one"), "version"),
        (metadata(version="1" * 5_000), "version"),
        (metadata(extra="Name: ham\n"), "Name"),
        (metadata(extra="VERSION: 1.1\n"), "Version"),
        (metadata(extra="Requires-Python: >=3\nRequires-Python: >=4\n"), "Requires-Python"),
        (metadata(extra="Requires-Python: python 3\n"), "requires_python"),
        (metadata(extra="Requires-Python: <script>alert(1)</script>\n"), "requires_python"),
        (metadata(extra=f"Requires-Python: >={'3' * MAX_SPECIFIER_LENGTH}\n"), "requires_python"),
        (b"\n" + metadata(), "content"),
        (b"\xff\xfe\x00", "content"),
        (b"", "content"),
    ],
)
def test_metadata_that_disagrees_is_refused(filename: str, text: bytes, field: str) -> None:
    """Metadata of another project or version, doubled, missing or invalid, is refused for what is wrong in it."""
    assert refused(build(filename, text=text), filename)[0] == field


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ("".join(f"X{number}: 1\n" for number in range(200)), "100 different ones"),
        ("Keywords: x\n" * 20_001, "20,000 lines"),
        (f"License: {'x' * 1_100_000}\n", "1,048,576 bytes of headers"),
        ("".join(f"Requires-Dist: {'x' * 1_900}{number}\n" for number in range(140)), "bytes of requirements"),
        (f"Requires-Dist: {'x' * 2_001}\n", "at most 2,000 characters"),
        (f"Requires-Dist: x; {'(' * 950}python_version>'3'{')' * 950}\n", "nested"),
    ],
)
def test_metadata_beyond_what_is_read_in_a_second_is_refused(extra: str, sentence: str) -> None:
    """What takes long to read is refused for its amount: headers, their names, and what is parsed."""
    assert sentence in refused(build(WHEEL, text=metadata(extra=extra)))[1]


def test_description_may_be_long() -> None:
    """The description takes no time, and so may fill what metadata may have in all."""
    text = metadata()
    text += b"\n" * (MAX_TEXT_BYTES - len(text) - 2_000)
    assert check(build(WHEEL, text=text)).metadata == text


@given(st.binary(max_size=200))
@example(b"Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n--x\n\xff")
@example(b"Requires-Python: =?utf-8?b?x?=\n")
@example(b"Requires-Python: =?none?q?=ff?=\n")
def test_any_metadata_is_read_or_refused(extra: bytes) -> None:
    """No bytes in the metadata raise anything but a refusal."""
    text = metadata().replace(b"\n\n", b"\n" + extra)
    try:
        assert check(build(WHEEL, text=text)).metadata == text
    except InvalidValue as error:
        assert error.field  # noqa: PT017 - either is right


@pytest.mark.parametrize("missing", ["METADATA", "WHEEL", "RECORD"])
def test_wheel_without_a_part_is_refused(missing: str) -> None:
    """A wheel has METADATA, WHEEL and RECORD."""
    members = wheel_members()
    del members[f"spam_eggs-1.0.dist-info/{missing}"]
    field, message = refused(zip_bytes(members))
    assert (field, missing in message) == ("content", True)


@pytest.mark.parametrize(
    "members",
    [
        wheel_members(others={"ham-1.0.dist-info/METADATA": metadata()}),
        wheel_members(folder="ham-1.0.dist-info"),
        wheel_members(folder="spam_eggs-1.1.dist-info"),
        wheel_members(folder="spam_eggs.dist-info"),
        wheel_members(folder="src/spam_eggs-1.0.dist-info"),
        wheel_members(folder="spam_eggs-1.0.egg-info"),
        sdist_members(),
    ],
    ids=["two", "another project", "another version", "no version", "not at the top", "an egg", "an sdist"],
)
def test_wheel_has_one_dist_info_named_as_it_is(members: dict[str, bytes]) -> None:
    """Exactly one .dist-info at the top, of the file's project and version, makes a wheel."""
    assert refused(zip_bytes(members))[0] == "content"


def test_wheel_whose_metadata_is_a_folder_is_refused() -> None:
    """METADATA is a file."""
    members = wheel_members(others={"spam_eggs-1.0.dist-info/METADATA/": b""})
    del members["spam_eggs-1.0.dist-info/METADATA"]
    assert refused(zip_bytes(members))[0] == "content"


@pytest.mark.parametrize("filename", [SDIST, ZIP_SDIST])
@pytest.mark.parametrize(
    "members",
    [
        {"spam_eggs-1.0/setup.py": b""},
        {"PKG-INFO": metadata()},
        {"spam_eggs-1.0/src/PKG-INFO": metadata()},
        sdist_members(folder="ham-1.0"),
        sdist_members(folder="spam_eggs-1.1"),
        sdist_members(others={"ham-1.0/PKG-INFO": metadata()}),
        sdist_members(others={"setup.py": b""}),
        {},
    ],
    ids=["no PKG-INFO", "no folder", "too deep", "another project", "another version", "two", "beside", "empty"],
)
def test_sdist_has_one_folder_with_its_metadata(filename: str, members: dict[str, bytes]) -> None:
    """One folder of the file's project and version, with PKG-INFO in it, makes an sdist."""
    data = tar_gz_bytes(members) if filename == SDIST else zip_bytes(members)
    assert refused(data, filename)[0] == "content"


def test_old_sdist_names_its_folder_as_it_likes() -> None:
    """The folder of an sdist made before names were normalised is recognised."""
    assert check(tar_gz_bytes(sdist_members(folder="Spam.Eggs-1.0.0")), SDIST).version == "1.0"


def test_sdist_with_its_metadata_twice_is_refused() -> None:
    """A tar that holds PKG-INFO twice would be read one way here and another way elsewhere."""
    folder = "spam_eggs-1.0"
    first = tar_bytes({f"{folder}/PKG-INFO": metadata(name="ham")}).rstrip(b"\0")
    data = gzip.compress(first + bytes(-len(first) % 512) + tar_bytes(sdist_members()))
    assert "not 2" in refused(data, SDIST)[1]


@pytest.mark.parametrize(
    ("filename", "other"), [(WHEEL, SDIST), (SDIST, WHEEL), (ZIP_SDIST, SDIST), (SDIST, ZIP_SDIST)]
)
def test_content_of_another_kind_is_refused(filename: str, other: str) -> None:
    """A file whose content is not what its ending says is refused."""
    assert refused(build(other), filename)[0] == "content"


@pytest.mark.parametrize("filename", ["spam_eggs-1.0.tar.bz2", "spam_eggs-1.0-py2.7.egg", "spam_eggs-1.0.win32.exe"])
def test_legacy_files_are_not_taken(filename: str) -> None:
    """What public indexes take no more is refused for its name."""
    assert refused(b"", filename)[0] == "filename"


@pytest.mark.parametrize("filename", [WHEEL, SDIST, ZIP_SDIST])
def test_truncated_files_are_refused(filename: str) -> None:
    """A file that lacks its end, or all, is refused."""
    data = build(filename)
    for length in [*range(0, len(data), 7), len(data) - 1]:
        assert refused(data[:length], filename)[0] == "content"
