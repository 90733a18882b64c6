"""A project's page says the same to everybody: to the indexer, to clients of JSON and to clients of HTML."""

import gzip
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, ProjectPage

from indexer.errors import CorruptObject
from indexer.keys import page_key
from indexer.log.events import Change
from indexer.log.project import STATUSES, File, FileTurn, Project, StatusTurn, empty_project, fold
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress, decode_page, decompress
from indexer.value import replace
from tests.support.builders import (
    AT,
    HOSTILE_TEXTS,
    NOW,
    any_filenames,
    any_names,
    chain,
    digests,
    file,
    file_changes,
    names,
    project,
    sha256,
    texts,
)

KEY = "pages/demo/00000000000000000001-1.json.gz"
BASE = "http://127.0.0.1/simple/demo/"
RENDERERS = [Renderer(), Renderer(hash_dist_info_metadata=False)]

turns = st.builds(FileTurn, at=st.just(AT), yanked=st.none() | texts, removed=st.booleans())
files = st.builds(
    File,
    filename=any_filenames,
    version=texts,
    size=st.integers(0, 2**40),
    sha256=digests,
    upload_time=st.just(AT),
    requires_python=st.none() | texts,
    metadata_sha256=st.none() | digests,
    turns=st.lists(turns, max_size=2).map(tuple),
)
statuses = st.builds(StatusTurn, at=st.just(AT), status=st.sampled_from(STATUSES), reason=texts)
projects = st.builds(
    Project,
    name=any_names,
    seq=st.integers(1, 2**53),
    files=st.lists(files, max_size=6).map(lambda found: {each.filename: each for each in found}),
    statuses=st.lists(statuses, max_size=2).map(tuple),
)
# Every hostile text in every place at once.
HOSTILE = project(
    *(
        file(f"x-{number}.tar.gz", version=text, requires_python=text, yanked=text)
        for number, text in enumerate(HOSTILE_TEXTS)
    )
)


def offered(found: Project) -> list[File]:
    if found.status == "quarantined":
        return []
    return [found.files[filename] for filename in sorted(found.files) if not found.files[filename].removed]


def seen_in_json(each: File, package: DistributionPackage) -> dict[str, Any]:
    """Return what pypi_simple must have read from the JSON of a file, but for what it works out itself."""
    return {
        "filename": each.filename,
        "url": package.url,
        "project": package.project,
        "version": package.version,
        "package_type": package.package_type,
        "digests": {"sha256": each.sha256},
        "requires_python": each.requires_python,
        "has_sig": None,
        "is_yanked": each.yanked is not None,
        "yanked_reason": each.yanked or None,
        "has_metadata": None if each.metadata_sha256 is None else True,
        "metadata_digests": None if each.metadata_sha256 is None else {"sha256": each.metadata_sha256},
        "size": each.size,
        "upload_time": NOW,
        "provenance_sha256": None,
        "provenance_url": None,
    }


def seen_in_html(each: File, package: DistributionPackage, renderer: Renderer) -> dict[str, Any]:
    """Return the same of HTML, which has no sizes and times, tells an empty reason from none, and may be without the
    digest of metadata."""
    seen = seen_in_json(each, package) | {"yanked_reason": each.yanked, "size": None, "upload_time": None}
    return seen if renderer.hash_dist_info_metadata or not seen["has_metadata"] else seen | {"metadata_digests": {}}


def members(package: DistributionPackage) -> dict[str, Any]:
    return {key: getattr(package, key) for key in package.__dataclass_fields__}


@given(found=projects, renderer=st.sampled_from(RENDERERS))
@example(found=HOSTILE, renderer=RENDERERS[0])
def test_json_is_read_back(found: Project, renderer: Renderer) -> None:
    """The JSON page is read back as the project, and equal projects give equal pages."""
    content = renderer.render_json(found)
    assert decode_page(KEY, content) == found
    reordered = replace(found, files=dict(reversed(found.files.items())))
    assert renderer.render_json(reordered) == content
    assert renderer.render_html(reordered) == renderer.render_html(found)


@given(found=projects, renderer=st.sampled_from(RENDERERS))
@example(found=HOSTILE, renderer=RENDERERS[0])
def test_json_parses_to_the_same_files(found: Project, renderer: Renderer) -> None:
    """A client of JSON reads just the files on offer, with all that is known of them."""
    page = ProjectPage.from_json_data(orjson.loads(renderer.render_json(found)), base_url=BASE)
    assert (page.project, page.repository_version) == (found.name, "1.4")
    assert page.versions == list(dict.fromkeys(each.version for each in offered(found)))
    assert [members(package) for package in page.packages] == [
        seen_in_json(each, package) for each, package in zip(offered(found), page.packages, strict=True)
    ]


@given(found=projects, renderer=st.sampled_from(RENDERERS))
@example(found=HOSTILE, renderer=RENDERERS[0])
def test_html_parses_to_the_same_files(found: Project, renderer: Renderer) -> None:
    """A client of HTML reads just the files on offer, whatever markup is in their texts."""
    page = ProjectPage.from_html(found.name, renderer.render_html(found), base_url=BASE, from_encoding="utf-8")
    assert page.repository_version == "1.4"
    assert [members(package) for package in page.packages] == [
        seen_in_html(each, package, renderer) for each, package in zip(offered(found), page.packages, strict=True)
    ]


@given(found=projects)
def test_both_formats_have_the_same_links(found: Project) -> None:
    """A file has one address, whatever the format, and it leads to a file of this name below the page."""
    json_page = ProjectPage.from_json_data(orjson.loads(Renderer().render_json(found)), base_url=BASE)
    html_page = ProjectPage.from_html(found.name, Renderer().render_html(found), base_url=BASE, from_encoding="utf-8")
    links = [package.url for package in json_page.packages]
    assert [package.url for package in html_page.packages] == links
    quoted = [each.filename.replace("+", "%2B").replace("!", "%21") for each in offered(found)]
    assert links == [BASE + filename for filename in quoted]


@given(changes=st.lists(file_changes(), max_size=20), name=names, cut=st.integers(0, 20))
def test_page_carries_the_whole_state(changes: list[Change], name: ProjectName, cut: int) -> None:
    """A project read back from its page and folded on is the project folded from the log: the page forgets nothing."""
    events = chain(*changes)
    before = fold(empty_project(name), events[:cut])
    restored = decode_page(KEY, Renderer().render_json(before))
    assert fold(restored, events[cut:]) == fold(empty_project(name), events)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_metadata(renderer: Renderer) -> None:
    """`core-metadata` carries the digest; the legacy key, with which pip 22.3 to 23.1.2 crash, is not there."""
    (wire,) = renderer.page(project(file(metadata_sha256=sha256("metadata"))))["files"]
    assert (wire["core-metadata"], "dist-info-metadata" in wire) == ({"sha256": sha256("metadata")}, False)


def test_renderers_have_keys_of_their_own() -> None:
    """Pages that differ do not share a key."""
    keys = {
        key
        for renderer in RENDERERS
        for key in (
            renderer.json_key(ProjectName("demo"), 1),
            renderer.html_key(ProjectName("demo"), 1),
            renderer.json_key(ProjectName("demo"), 2),
            renderer.json_key(ProjectName("other"), 1),
        )
    }
    assert len(keys) == 8
    assert page_key(ProjectName("demo"), 7, "1h", "html") == "pages/demo/00000000000000000007-1h.html.gz"


def test_gzip_is_always_the_same() -> None:
    """The same content gives the same bytes, at any time, and any gzip reads them."""
    content = Renderer().render_json(HOSTILE)
    body = compress(content)
    assert body[4:8] == b"\0\0\0\0"  # the header's time
    assert (gzip.decompress(body), decompress(KEY, body)) == (content, content)


def test_every_truncation_is_refused() -> None:
    """A stored page that breaks off anywhere is refused."""
    body = compress(Renderer().render_json(project(file())))
    for length in range(len(body)):
        with pytest.raises(CorruptObject) as caught:
            decode_page(KEY, decompress(KEY, body[:length]))
        assert caught.value.key == KEY


def test_every_altered_byte_is_refused() -> None:
    """A stored page with any byte altered is refused, or says exactly the same."""
    found = project(file(yanked="because"), file("demo-2.0.tar.gz", version="2.0"))
    body = compress(Renderer().render_json(found))
    refused = 0
    for index in range(len(body)):
        altered = body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]
        try:
            assert decode_page(KEY, decompress(KEY, altered)) == found
        except CorruptObject as fault:
            assert fault.key == KEY  # noqa: PT017  # a byte of gzip's header may be one that says nothing
            refused += 1
    assert refused >= len(body) - 7  # "probably text", time, system and level in the header


def test_anything_after_a_page_is_refused() -> None:
    """Bytes behind a page are not passed over."""
    with pytest.raises(CorruptObject):
        decompress(KEY, compress(b"{}") + b"\0")
    with pytest.raises(CorruptObject):
        decompress(KEY, compress(b"{}") * 2)


def test_page_is_unpacked_up_to_a_limit() -> None:
    """A page of a few bytes that unpacks to more than the limit is refused, one of just the limit is read."""
    body = compress(b" " * 1_000)
    assert decompress(KEY, body, limit=1_000) == b" " * 1_000
    with pytest.raises(CorruptObject):
        decompress(KEY, body, limit=999)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "De.Mo"},
        {"name": None},
        {"files": None},
        {"files": [{}]},
        {"files": [{"filename": "../x"}]},
        {"_seq": None},
        {"_seq": "x"},
        {"_withheld": [None]},
        {"_statuses": [None]},
    ],
)
def test_wrong_members_are_refused(changes: dict[str, Any]) -> None:
    """A page whose members are not what we write is refused, and none of it is used."""
    page = orjson.loads(Renderer().render_json(project(file())))
    with pytest.raises(CorruptObject) as caught:
        decode_page(KEY, orjson.dumps(page | changes))
    assert caught.value.key == KEY


@pytest.mark.parametrize("member", ["filename", "hashes", "size", "upload-time", "yanked", "_version"])
def test_absent_members_are_refused(member: str) -> None:
    """A page without something we always write is refused."""
    page = orjson.loads(Renderer().render_json(project(file())))
    del page["files"][0][member]
    with pytest.raises(CorruptObject):
        decode_page(KEY, orjson.dumps(page))


@given(body=st.binary(max_size=30) | st.recursive(st.none() | st.text(), st.lists).map(orjson.dumps))
def test_anything_else_is_refused(body: bytes) -> None:
    """Bytes that are no page are refused, and nothing else happens."""
    with pytest.raises(CorruptObject):
        decode_page(KEY, body)
    with pytest.raises(CorruptObject):
        decompress(KEY, body)


@given(found=projects)
def test_withheld_files_stay_private(found: Project) -> None:
    """Of a removed file, or one of a quarantined project, only keys that clients ignore remain, and nothing in HTML."""
    page = orjson.loads(Renderer().render_json(found))
    kept = {Filename(wire["filename"]) for wire in page.pop("_withheld", [])}
    assert kept == set(found.files) - {each.filename for each in offered(found)}
    assert [wire["filename"] for wire in page["files"]] == [each.filename for each in offered(found)]
