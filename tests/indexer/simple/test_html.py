"""Pages as text: what a real parser reads back from them."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, ProjectPage, RepositoryPage

from indexer.simple import wire
from indexer.simple.html import file_link, render_project_html

SHA256 = "ab" * 32
OTHER = "cd" * 32
HOSTILE = "</a><script>alert(1)</script><a href=\"x\" title='y' data-yanked>&amp;&lt;\r\n\t "


def make_file(**changes: Any) -> wire.ProjectFile:
    """Build a file; keywords are wire keys with `_` for `-`."""
    file: Any = {"filename": "demo-1.0.tar.gz", "url": "demo-1.0.tar.gz", "hashes": {"sha256": SHA256}}
    return {**file, **{key.replace("_", "-"): value for key, value in changes.items()}}  # type: ignore[typeddict-item]


def make_page(*files: wire.ProjectFile, name: str = "demo", **changes: Any) -> wire.ProjectPage:
    page: wire.ProjectPage = {"meta": {"api-version": wire.API_VERSION}, "name": name, "files": list(files)}
    return {**page, **{key.replace("_", "-"): value for key, value in changes.items()}}  # type: ignore[typeddict-item]


def parse(page: wire.ProjectPage) -> ProjectPage:
    return ProjectPage.from_html(page["name"], render_project_html(page), from_encoding="utf-8")


def parse_file(**changes: Any) -> DistributionPackage:
    (package,) = parse(make_page(make_file(**changes))).packages
    return package


def attributes(**changes: Any) -> dict[str, Any]:
    """Return what the only link of a page says beside its address."""
    (link,) = RepositoryPage.from_html(
        render_project_html(make_page(make_file(**changes))), from_encoding="utf-8"
    ).links
    return {name: value for name, value in link.attrs.items() if name != "href"}


def test_a_page_is_html5_with_one_link_per_file() -> None:
    """The whole text of a page is as the specification wants it."""
    page = make_page(
        make_file(requires_python=">=3.8", core_metadata={"sha256": OTHER}, yanked="bad & sad"),
        make_file(filename="demo-1.0+cpu.tar.gz", url="demo-1.0%2Bcpu.tar.gz", hashes={}, gpg_sig=False),
        project_status={"status": "deprecated", "reason": "use <other>"},
    )
    assert render_project_html(page).decode() == (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        '<meta name="pypi:project-status" content="deprecated">\n'
        '<meta name="pypi:project-status-reason" content="use &lt;other&gt;">\n'
        "<title>Links for demo</title>\n"
        "</head>\n"
        "<body>\n"
        "<h1>Links for demo</h1>\n"
        f'<a href="demo-1.0.tar.gz#sha256={SHA256}" data-requires-python="&gt;=3.8" '
        f'data-core-metadata="sha256={OTHER}" data-dist-info-metadata="sha256={OTHER}" data-yanked="bad &amp; sad">'
        "demo-1.0.tar.gz</a><br>\n"
        '<a href="demo-1.0%2Bcpu.tar.gz" data-gpg-sig="false">demo-1.0+cpu.tar.gz</a><br>\n'
        "</body>\n"
        "</html>\n"
    )


def test_a_project_without_files_has_a_page() -> None:
    """An empty page parses to no files, and says the version all the same."""
    parsed = parse(make_page())
    assert (parsed.packages, parsed.repository_version, parsed.status) == ([], "1.4", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        (
            {"size": 5, "upload_time": "2026-01-01T00:00:00.000000Z"},
            {"data-size": "5", "data-upload-time": "2026-01-01T00:00:00.000000Z"},
        ),
        ({"requires_python": None}, {}),
        ({"requires_python": ""}, {"data-requires-python": ""}),
        ({"requires_python": ">=3,<4"}, {"data-requires-python": ">=3,<4"}),
        ({"core_metadata": True}, {"data-core-metadata": "true", "data-dist-info-metadata": "true"}),
        ({"core_metadata": False}, {}),
        ({"core_metadata": {}}, {"data-core-metadata": "true", "data-dist-info-metadata": "true"}),
        (
            {"core_metadata": {"md5": "ab", "sha256": OTHER}},
            {"data-core-metadata": f"sha256={OTHER}", "data-dist-info-metadata": f"sha256={OTHER}"},
        ),
        ({"core_metadata": {"md5": "ab"}}, {"data-core-metadata": "md5=ab", "data-dist-info-metadata": "md5=ab"}),
        ({"core_metadata": {"sha256": HOSTILE}}, {"data-core-metadata": "true", "data-dist-info-metadata": "true"}),
        ({"dist_info_metadata": {"sha256": OTHER}}, {}),
        ({"yanked": False}, {}),
        ({"yanked": ""}, {}),
        ({"yanked": True}, {"data-yanked": ""}),
        ({"yanked": "broken"}, {"data-yanked": "broken"}),
        ({"gpg_sig": True}, {"data-gpg-sig": "true"}),
        ({"gpg_sig": False}, {"data-gpg-sig": "false"}),
        ({"provenance": None}, {}),
        (
            {"provenance": "https://upstream.example/p?a=1&b=2"},
            {"data-provenance": "https://upstream.example/p?a=1&b=2"},
        ),
    ],
)
def test_each_wire_key_has_its_attribute(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """A link says what the file's keys say, and nothing that they do not."""
    assert attributes(**changes) == expected


@pytest.mark.parametrize(
    ("hashes", "digests"),
    [
        ({"sha256": SHA256}, {"sha256": SHA256}),
        ({"md5": "12", "sha256": SHA256}, {"sha256": SHA256}),
        ({"md5": "12", "sha512": "34"}, {"md5": "12"}),
        ({"blake2b": "AB"}, {"blake2b": "AB"}),
        ({}, {}),
        ({"sha256": ""}, {}),
        ({"sha256": HOSTILE, "md5": "12"}, {"md5": "12"}),
        ({HOSTILE: "12"}, {}),
        ({"": "12"}, {}),
        ({"sha256=ab&x": "12"}, {}),
    ],
)
def test_a_link_carries_one_digest(hashes: dict[str, str], digests: dict[str, str]) -> None:
    """sha256 goes before others, and what is no hexadecimal digest is left out."""
    package = parse_file(hashes=hashes)
    assert (package.digests, package.url) == (digests, "demo-1.0.tar.gz")


# Not in HTML: NUL, which its parsers replace, and halves of surrogate pairs, which no UTF-8 text has.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(yanked=text.filter(bool), requires_python=text, provenance=text)
@example(yanked=HOSTILE, requires_python=HOSTILE, provenance=HOSTILE)
def test_strings_of_an_upstream_come_back_as_they_were(yanked: str, requires_python: str, provenance: str) -> None:
    """Markup in a reason, a specifier or an address is inert: a parser reads the very same text."""
    package = parse_file(yanked=yanked, requires_python=requires_python, provenance=provenance)
    assert (package.yanked_reason, package.requires_python, package.provenance_url) == (
        yanked,
        requires_python,
        provenance,
    )


@given(filename=text.map(str.strip), name=text)
@example(filename=HOSTILE.strip(), name=HOSTILE)
def test_names_of_an_upstream_come_back_as_they_were(filename: str, name: str) -> None:
    """A file's and a project's name is text, whatever it is made of, and the link leads to just that file."""
    page = make_page(make_file(filename=filename, url=file_link(filename)), name=name)
    (package,) = parse(page).packages
    assert (package.filename, unquote(package.url)) == (filename, filename)


@given(reason=text)
@example(reason=HOSTILE)
def test_a_status_reason_comes_back_as_it_was(reason: str) -> None:
    """The reason for a project's status is inert too."""
    parsed = parse(make_page(project_status={"status": "archived", "reason": reason}))
    assert (parsed.status, parsed.status_reason) == ("archived", reason)


@given(st.dictionaries(text, text, max_size=3))
def test_any_hashes_make_a_link_that_parses(hashes: dict[str, str]) -> None:
    """Whatever an upstream calls a digest, there is one link with one address and known attributes."""
    package = parse_file(hashes=hashes, core_metadata=hashes)
    assert (package.filename, package.url, package.has_metadata) == ("demo-1.0.tar.gz", "demo-1.0.tar.gz", True)


def test_half_a_surrogate_pair_is_rendered() -> None:
    """Text that hostile JSON can hold and UTF-8 cannot does not break a page."""
    page = make_page(make_file(yanked="\ud800"), name="\udfff")
    assert b'data-yanked="?"' in render_project_html(page)


@pytest.mark.parametrize(
    ("filename", "link"),
    [
        ("demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl"),
        ("demo_x-1.0~rc1.tar.gz", "demo_x-1.0~rc1.tar.gz"),
        ("demo-1.0+cu121.whl", "demo-1.0%2Bcu121.whl"),
        ("demo-1!1.0.tar.gz", "demo-1%211.0.tar.gz"),
        ("a b#c?d%e:f/g.whl", "a%20b%23c%3Fd%25e%3Af%2Fg.whl"),
        ("é.whl", "%C3%A9.whl"),
        ("", ""),
    ],
)
def test_a_link_is_percent_encoded(filename: str, link: str) -> None:
    """Only what every URL may hold stays as it is: `+` and `!` do not."""
    assert file_link(filename) == link
