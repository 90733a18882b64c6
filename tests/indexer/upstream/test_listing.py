"""Upstream pages, sound and hostile: what is served in their place, and where the files come from."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, ProjectPage

from indexer.errors import UpstreamUnavailable
from indexer.names import Filename, ProjectName
from indexer.simple.html import render_project_html
from indexer.upstream.listing import Listing, parse_listing
from indexer.upstream.sources import Source
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import JSON_TYPE, LOGIN_PAGE, UPLOAD_TIME, FakeUpstream, Seen

SIX = ProjectName("six")
URL = "https://upstream.example/simple/six/"
DIGEST = "ab" * 32
OTHER = "cd" * 32
OURS = {"core-metadata": True, "_filled": ["core-metadata"]}


def make_entry(filename: str = "six-1.0-py3-none-any.whl", **changes: Any) -> dict[str, Any]:
    """Build a file's entry; keywords are JSON keys with `_` for `-`."""
    entry: dict[str, Any] = {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": DIGEST}}
    return entry | wire_keys(changes)


def wire_keys(keywords: dict[str, Any]) -> dict[str, Any]:
    return {key[0] + key[1:].replace("_", "-"): value for key, value in keywords.items()}


def make_page(*files: Any, **changes: Any) -> dict[str, Any]:
    page = {"meta": {"api-version": "1.1"}, "name": "six", "versions": ["1.0"], "files": list(files)}
    return page | wire_keys(changes)


def parse(page: Any, *, url: str = URL) -> Listing:
    content = page if isinstance(page, bytes) else json.dumps(page).encode()
    return parse_listing(SIX, content, content_type=JSON_TYPE, url=url)


def parse_html(html: str, *, url: str = URL) -> Listing:
    return parse_listing(SIX, html.encode(), content_type="text/html; charset=utf-8", url=url)


def parse_file(**changes: Any) -> Any:
    """Return what is served for a file with this entry."""
    (file,) = parse(make_page(make_entry(**changes))).page["files"]
    return file


def parse_link(attributes: str = "", *, filename: str = "six-1.0-py3-none-any.whl", fragment: str = "") -> Any:
    """Return what is served for a link of an HTML page."""
    (file,) = parse_html(f'<a href="{filename}{fragment}" {attributes}>{filename}</a>').page["files"]
    return file


def test_a_json_page_is_served_with_relative_links() -> None:
    """All that the upstream says is kept, links become file names, and the version advertised is ours."""
    entry: dict[str, Any] = {
        "size": 12,
        "upload-time": UPLOAD_TIME,
        "requires-python": ">=3.8",
        "yanked": "broken <wheel>",
        "gpg-sig": False,
        "provenance": "https://upstream.example/provenance/six",
        "from-the-future": {"deep": [1, None]},
    }
    page = make_page(
        make_entry(**entry, _serial=9),
        meta={"api-version": "1.3", "note": "n", "_last-serial": 5},
        project_status={"status": "archived", "reason": "done", "_x": 1},
        versions=["1.0", "0.1"],
        unheard_of=[1],
        _hidden=2,
    )
    served: Any = {
        "meta": {"api-version": "1.4", "note": "n"},
        "name": "six",
        "versions": ["1.0", "0.1"],
        "files": [
            {
                "filename": "six-1.0-py3-none-any.whl",
                "url": "six-1.0-py3-none-any.whl",
                "hashes": {"sha256": DIGEST},
                **entry,
                **OURS,
            }
        ],
        "project-status": {"status": "archived", "reason": "done"},
        "unheard-of": [1],
    }
    assert parse(page) == Listing(
        page=served,
        sources={
            Filename("six-1.0-py3-none-any.whl"): Source(
                url="https://upstream.example/files/six-1.0-py3-none-any.whl",
                hashes={"sha256": DIGEST},
                size=12,
                metadata=False,
                upload_time=UPLOAD_TIME,
            )
        },
        dropped=(),
    )


def test_an_html_page_is_served_as_json_would_be() -> None:
    """HTML's attributes become JSON's keys, and versions are read from the files' names."""
    html = f"""<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4">
        <meta name="pypi:project-status" content="quarantined">
        <meta name="pypi:project-status-reason" content="a &amp; b">
        </head><body><a href="../">up</a>
        <a href="/files/six-1.0-py3-none-any.whl?x=1#sha256={DIGEST.upper()}" data-requires-python="&gt;=3.8"
           data-core-metadata="sha256={OTHER}" data-gpg-sig="true" data-provenance="https://upstream.example/p">x</a>
        <A HREF='https://files.upstream.example/six-1.0%2Bcpu.tar.gz' DATA-YANKED="">six</A>
        </body></html>"""
    wheel, sdist = Filename("six-1.0-py3-none-any.whl"), Filename("six-1.0+cpu.tar.gz")
    assert parse_html(html) == Listing(
        page={
            "meta": {"api-version": "1.4"},
            "name": "six",
            "versions": ["1.0", "1.0+cpu"],
            "files": [
                {
                    "filename": wheel,
                    "url": wheel,
                    "hashes": {"sha256": DIGEST},
                    "requires-python": ">=3.8",
                    "core-metadata": {"sha256": OTHER},
                    "gpg-sig": True,
                    "provenance": "https://upstream.example/p",
                },
                {"filename": sdist, "url": "six-1.0%2Bcpu.tar.gz", "hashes": {}, "_unverified": True, "yanked": True},
            ],
            "project-status": {"status": "quarantined", "reason": "a & b"},
        },
        sources={
            wheel: Source(
                url=f"https://upstream.example/files/{wheel}?x=1",
                hashes={"sha256": DIGEST},
                size=None,
                metadata={"sha256": OTHER},
            ),
            sdist: Source(
                url="https://files.upstream.example/six-1.0%2Bcpu.tar.gz", hashes={}, size=None, metadata=False
            ),
        },
        dropped=(),
    )


def test_both_formats_of_one_page_agree() -> None:
    """What HTML can say, it says as JSON does: the files' sources are the same."""
    fake = FakeUpstream()
    fake.add(make_wheel("six", "1.0"), yanked="why")
    fake.add(make_wheel("six", "2.0", requires_python=">=3.8"))
    fake.add(make_sdist("six", "2.0"), provenance="https://upstream.example/p")
    fake.set_status("six", "deprecated")
    pages = []
    for accept in (JSON_TYPE, "text/html"):
        answer = fake.answer(Seen(method="GET", path="/simple/six/", headers={"accept": accept}))
        listing = parse_listing(SIX, answer.body, content_type=answer.headers["Content-Type"], url=URL)
        rendered = ProjectPage.from_html("six", render_project_html(listing.page), URL, "utf-8")
        origins = {name: (source.url, source.sha256, source.metadata) for name, source in listing.sources.items()}
        pages.append((rendered, origins, listing.page["versions"]))
    assert pages[0] == pages[1]
    assert pages[0][2] == ["1.0", "2.0"]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.27", None])
def test_every_minor_version_is_read(version: str | None) -> None:
    """Pages of every version from 1.0 on are served, with keys at any level that nobody here has heard of."""
    new = {"namespace": {"prefix": "six"}, "list": [1, None, "x"]}
    meta = {"new": new} | ({"api-version": version} if version is not None else {})
    page: Any = parse(make_page(make_entry(new=new), meta=meta, new=new)).page
    assert page["meta"] == {"api-version": "1.4", "new": new}
    assert (page["new"], page["files"][0]["new"]) == (new, new)


@pytest.mark.parametrize(
    "hashes",
    [
        {},
        {"md5": "0a" * 16},
        {"sha512": "0b" * 64},
        {"blake2b_256": "0c" * 32},
        {"sha3_512": "0e" * 64},
        {"sha384": "0d" * 48, "sha256": DIGEST},
    ],
)
def test_whatever_digests_there_are_pass_through(hashes: dict[str, str]) -> None:
    """Files are checked by their strongest digest, and served with it alone, in both formats, where clients know it."""
    listing = parse(make_page(make_entry(hashes=hashes)))
    (source,) = listing.sources.values()
    checked = {"sha256": DIGEST} if "sha256" in hashes else hashes
    best = {name: digest for name, digest in checked.items() if name != "blake2b_256"}  # pip ends with an error
    assert (listing.page["files"][0]["hashes"], source.hashes) == (best, checked)
    (package,) = ProjectPage.from_html("six", render_project_html(listing.page), URL, "utf-8").packages
    assert package.digests == best
    name, digest = next(iter(best.items()), (None, None))
    fragment = f"#{name}={digest}" if name else ""
    assert parse_link(fragment=fragment)["hashes"] == best


def test_our_own_html_says_what_our_json_says() -> None:
    """Provenance, status, yanks, upload times and sizes survive from JSON to HTML and back."""
    page = make_page(
        make_entry(size=12, upload_time=UPLOAD_TIME, yanked="broken <wheel>", requires_python=">=3.8, <4"),
        make_entry("six-1.0.tar.gz", provenance="https://upstream.example/p?a&b", yanked=True, size=0),
        make_entry("six-2.0-py3-none-any.whl", core_metadata={"sha256": OTHER}, gpg_sig=True),
        project_status={"status": "deprecated", "reason": "use <other> & co."},
        versions=["1.0", "2.0"],
    )
    as_json = parse(page)
    as_html = parse_html(render_project_html(as_json.page).decode())
    assert as_html.page["project-status"] == as_json.page["project-status"]
    assert as_html.page["versions"] == as_json.page["versions"]
    said = [{key: value for key, value in file.items() if not key.startswith("_")} for file in as_json.page["files"]]
    read = [{key: value for key, value in file.items() if not key.startswith("_")} for file in as_html.page["files"]]
    assert read == said


@pytest.mark.parametrize(("attribute", "size"), [("12", 12), ("0", 0), ("-1", None), ("1e3", None), ("", None)])
def test_a_size_in_html_is_a_number(attribute: str, size: int | None) -> None:
    """HTML's attribute for the size is read where it is one."""
    assert parse_link(f'data-size="{attribute}"').get("size") == size


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"core_metadata": {"sha256": OTHER.upper()}}, {"sha256": OTHER}),
        ({"dist_info_metadata": {"sha256": OTHER}}, {"sha256": OTHER}),
        ({"core_metadata": {"sha256": OTHER}, "dist_info_metadata": True}, {"sha256": OTHER}),
        ({"core_metadata": False, "dist_info_metadata": {"sha256": OTHER}}, None),
        ({"core_metadata": True}, True),
        ({"core_metadata": {}}, True),
        ({"core_metadata": {"sha256": "not hex"}}, True),
        ({"core_metadata": None, "dist_info_metadata": True}, True),
        ({"core_metadata": "yes"}, None),
        ({}, None),
    ],
)
def test_metadata_is_announced(given: dict[str, Any], kept: bool | dict[str, str] | None) -> None:
    """`core-metadata` has the digest, whichever key the upstream has; the legacy key is never passed on.

    Where the upstream announces none, there is some all the same, and the entry says that this is our word.
    """
    listing = parse(make_page(make_entry(**given)))
    file: Any = listing.page["files"][0]
    (source,) = listing.sources.values()
    expected = OURS if kept is None else {"core-metadata": kept}
    assert "dist-info-metadata" not in file
    assert {key: value for key, value in file.items() if key in OURS} == expected
    assert source.metadata == (kept or False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [({}, {}), ({"core_metadata": False}, {"core-metadata": False})],
)
def test_metadata_is_added_for_wheels_alone(given: dict[str, Any], kept: dict[str, Any]) -> None:
    """Of a file that is no wheel we announce what the upstream announces."""
    file = parse_file(filename="six-1.0.tar.gz", **given)
    assert {key: value for key, value in file.items() if key in OURS} == kept


@pytest.mark.parametrize(
    ("filename", "link"),
    [
        ("six-1.0+cpu-py3-none-any.whl", "six-1.0%2Bcpu-py3-none-any.whl"),
        ("six-1!2.0.tar.gz", "six-1%212.0.tar.gz"),
        ("six_1.0.zip", "six_1.0.zip"),
    ],
)
def test_links_are_percent_encoded_file_names(filename: str, link: str) -> None:
    """A file's link is one that pip asks for exactly as it is listed."""
    assert parse_file(filename=filename)["url"] == link


@pytest.mark.parametrize(
    ("link", "page_url", "source_url"),
    [
        ("https://files.upstream.example/a/six.whl#egg=six", URL, "https://files.upstream.example/a/six.whl"),
        ("/a/six.whl", URL, "https://upstream.example/a/six.whl"),
        ("../../a/six.whl", URL, "https://upstream.example/a/six.whl"),
        ("six.whl", URL, "https://upstream.example/simple/six/six.whl"),
        ("//files.upstream.example/six.whl", URL, "https://files.upstream.example/six.whl"),
        ("six.whl?a=b&c=%2F", "http://127.0.0.1:8080/s/six/", "http://127.0.0.1:8080/s/six/six.whl?a=b&c=%2F"),
        ("https://u:p@upstream.example/six.whl", URL, "https://upstream.example/six.whl"),
        ("https://upstream.example\\@evil.example/six.whl", URL, "https://evil.example/six.whl"),
        ("a b\n.whl", URL, "https://upstream.example/simple/six/a%20b%0A.whl"),
    ],
)
def test_sources_are_absolute_and_without_credentials(link: str, page_url: str, source_url: str) -> None:
    """A link is resolved where the page was found; userinfo, fragment and what parsers disagree about are gone."""
    (source,) = parse(make_page(make_entry("six.whl", url=link)), url=page_url).sources.values()
    assert source.url == source_url


@pytest.mark.parametrize(
    "entry",
    [
        make_entry(url="file:///etc/passwd"),
        make_entry(url="javascript:alert(1)"),
        make_entry(url="http://[/"),
        make_entry(url="https://:443/x"),
        make_entry(url=7),
        make_entry("../six.whl"),
        make_entry("six/../../x.whl"),
        make_entry(".."),
        make_entry(".six.whl"),
        make_entry("six 1.whl "),
        make_entry("six&1.whl"),
        make_entry("six\n1.whl"),
        make_entry("x" * 247),
        make_entry("x" * 301),
        make_entry("<six>.whl"),
        make_entry(""),
        {"filename": 7, "url": "x"},
        {"url": "x"},
        {"filename": "x.whl"},
        "six.whl",
        None,
        make_entry("good.whl", url="https://upstream.example/another"),
    ],
)
def test_an_unsafe_entry_is_dropped_and_counted(entry: Any) -> None:
    """An entry with no safe name, no web address or a name that was there before is left out; the others stay."""
    listing = parse(make_page(make_entry("good.whl"), entry))
    assert [file["filename"] for file in listing.page["files"]] == ["good.whl"]
    assert [(name, source.url) for name, source in listing.sources.items()] == [
        ("good.whl", "https://upstream.example/files/good.whl")
    ]
    (dropped,) = listing.dropped
    page: Any = listing.page
    shown = dropped.filename if len(dropped.filename) < 300 else dropped.filename[:300] + "…"
    assert page["_dropped"] == {"count": 1, "files": [{"filename": shown, "reason": dropped.reason}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", "12"),
        ("size", -1),
        ("size", True),
        ("size", 1e30),
        ("upload-time", 5),
        ("core-metadata", "yes"),
        ("requires-python", ["3"]),
        ("yanked", 1),
        ("yanked", None),
        ("gpg-sig", "true"),
        ("provenance", {}),
        ("_private", 1),
    ],
)
def test_a_value_of_the_wrong_type_is_left_out(key: str, value: object) -> None:
    """Nobody after the parser meets a type that the specification does not allow."""
    assert parse_file(**{key: value}) == parse_file()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"sha256": DIGEST.upper(), "md5": "12"}, {"sha256": DIGEST}),
        ({'a"b': "12", "c": 5, "d": "", "e": "1" * 1000}, {}),
        (None, {}),
    ],
)
def test_hashes_are_digests(given: object, kept: dict[str, str]) -> None:
    """Only hexadecimal digests by known algorithms are kept, in small letters."""
    assert parse_file(hashes=given)["hashes"] == kept


def test_nullable_values_stay_null() -> None:
    """`null` where the specification has it is kept as it is."""
    file = parse_file(requires_python=None, provenance=None)
    assert (file["requires-python"], file["provenance"]) == (None, None)


@pytest.mark.parametrize("versions", [None, "1.0", {}])
def test_versions_that_are_missing_are_read_from_file_names(versions: object) -> None:
    """Version 1.1 of the API demands `versions`, so an older page gets them, normalised and each once."""
    files = [make_entry(name) for name in ("six-1.0.tar.gz", "six-1.0-py3-none-any.whl", "six-2.0.RC1.zip", "README")]
    assert parse(make_page(*files, versions=versions)).page["versions"] == ["1.0", "2.0rc1"]


def test_a_project_without_files_is_a_page_in_both_formats() -> None:
    """An upstream may have a project and no file of it."""
    json_page, html_page = parse(make_page()), parse_html("<!DOCTYPE html><title>Links for six</title>")
    assert (json_page.page["files"], html_page.page["files"]) == ([], [])


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{",
        json.dumps(make_page(make_entry())).encode()[:-1],
        b"[]",
        b"null",
        b"<html></html>",
        b'{"message": "log in"}',
        make_page(files={}),
        make_page(files=None),
        make_page(name="seven"),
        make_page(name=None),
        make_page(name="../six"),
        make_page(meta={"api-version": "2.0"}),
        make_page(meta={"api-version": 2}),
        b'{"name": "six", "files": [], "deep": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"name": "six", "files": [], "surrogate": "\\ud800"}',
    ],
)
def test_json_that_is_no_page_of_the_project_is_a_fault(page: Any) -> None:
    """A login answer, a cut page, another project's page or an unknown version is never served."""
    with pytest.raises(UpstreamUnavailable, match="no page of the project six"):
        parse(page)


@pytest.mark.parametrize(
    "html",
    [
        "",
        "Forbidden",
        LOGIN_PAGE.decode(),
        "<html><h1>Welcome</h1><a href='/about'>about</a></html>",
        '<html><body><a href="six-1.0.tar.gz">six-1.0.tar.gz</a>',
        '<a href="six-1.0.tar.gz">six</a><form><INPUT TYPE="password"></form>',
        '<meta name="pypi:repository-version" content="2.0"><a href="six-1.0.tar.gz">six-1.0.tar.gz</a>',
    ],
)
def test_html_that_is_no_page_of_a_project_is_a_fault(html: str) -> None:
    """A login form, another page, a cut one or an unknown version is never served."""
    with pytest.raises(UpstreamUnavailable, match="no page of the project six"):
        parse_html(html)


def test_an_unknown_content_type_is_a_fault_that_tells_no_secret() -> None:
    """What is neither JSON nor HTML is refused, and the address is named without its query."""
    with pytest.raises(UpstreamUnavailable) as caught:
        parse_listing(SIX, b"", content_type="text/plain", url=f"{URL}?token=s")
    assert caught.value.reason == f"{URL} answered with something that is no page of the project six"


@pytest.mark.parametrize("name", ["Six", "six", "SIX"])
def test_the_upstreams_spelling_is_normalised(name: str) -> None:
    """Whatever spelling the upstream uses, the page has the normalised name."""
    assert parse(make_page(name=name)).page["name"] == "six"


@pytest.mark.parametrize("key", ["core-metadata", "dist-info-metadata"])
@pytest.mark.parametrize(
    ("value", "kept"), [("true", True), ("TRUE", True), (f"sha256={OTHER}", {"sha256": OTHER}), ("no", True)]
)
def test_metadata_attributes_are_read(key: str, value: str, kept: object) -> None:
    """HTML's metadata attributes, new and legacy, are a flag or a digest."""
    assert parse_link(f'data-{key}="{value}"')["core-metadata"] == kept


@pytest.mark.parametrize(
    ("attribute", "yanked"), [("data-yanked", True), ('data-yanked=""', True), ("data-yanked='a &lt; b'", "a < b")]
)
def test_a_yanked_link_is_yanked_with_or_without_a_reason(attribute: str, yanked: bool | str) -> None:
    """The attribute's presence yanks; its value is the reason."""
    assert parse_link(attribute)["yanked"] == yanked


def test_a_base_element_is_honoured() -> None:
    """Links are relative to what the page says they are relative to."""
    html = '<html><head><base href="https://files.upstream.example/x/"></head><a href="six-1.0.zip">six</a></html>'
    (source,) = parse_html(html).sources.values()
    assert source.url == "https://files.upstream.example/x/six-1.0.zip"


@given(
    st.text(max_size=30),
    st.text(max_size=30),
    st.text(max_size=30),
)
def test_hostile_text_survives_both_renderings(reason: str, name: str, status: str) -> None:
    """Whatever text an upstream sends, it comes back as that text from the page we serve, and as nothing else."""
    page = make_page(make_entry(yanked=reason or True), make_entry(name, url="x"), project_status={"reason": status})
    try:
        listing = parse(page)
    except UpstreamUnavailable:  # text that is no Unicode
        return
    package, *_ = ProjectPage.from_html("six", render_project_html(listing.page), URL, "utf-8").packages
    assert isinstance(package, DistributionPackage)
    assert package.yanked_reason == reason


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "files",
                        "filename",
                        "url",
                        "hashes",
                        "meta",
                        "versions",
                        "size",
                        "yanked",
                        "core-metadata",
                        "provenance",
                        "project-status",
                        "sha256",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=30,
    )
)
def test_any_json_is_a_page_or_a_fault(value: Any) -> None:
    """No JSON makes the parser fail in another way, and what it returns can be served in both formats."""
    try:
        listing = parse(value if not isinstance(value, dict) else {"files": [value], "name": "six"} | value)
    except UpstreamUnavailable:
        return
    assert render_project_html(listing.page).endswith(b"</html>\n")
    assert json.dumps(listing.page)


@given(st.text(alphabet="<>/=\"'& a!-[]#;x1?", max_size=60))
def test_any_html_is_a_page_or_a_fault(soup: str) -> None:
    """No HTML makes the parser fail in another way."""
    try:
        listing = parse_html(f'<a href="six-1.0.zip">six-1.0.zip</a>{soup}')
    except UpstreamUnavailable:
        return
    assert listing.page["name"] == "six"
