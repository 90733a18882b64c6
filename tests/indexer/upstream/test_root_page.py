"""Root pages as they are found in the wild, whole and broken."""

import json
from collections.abc import Iterable
from html import escape
from html.parser import HTMLParser
from itertools import repeat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.names import ProjectName
from indexer.upstream.root_page import MAX_MARKUP_CHARS, NotARootPage, RootPage, find_name
from tests.support.builders import root_html, root_json

JSON_TYPE = "application/vnd.pypi.simple.v1+json"

names = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,4}){0,2}", fullmatch=True).map(ProjectName)
pieces = st.sampled_from(
    [
        '<a href="six/">six</a>',
        '<a href="a-b/">A.B</a><br/>\n',
        '<a href="/simple/x/">x</a> ',
        '<a href="../">up</a>',
        '<a href="">named-by-text</a>',
        '<a href="y/" title=">">y</a>',
        '<a href="z/"><b>z</b></a>',
        '<a href="w/">w&amp;w</a>',
        '<a href="open/">',
        "<a name=top>",
        "<A HREF='q/'>q</A>",
        "</a>",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<script/>",
        "<title>",
        "</title>",
        "<textarea>",
        "</textarea >",
        "<plaintext>",
        "<iframe>",
        "<!DOCTYPE html>",
        "<![CDATA[",
        "]]>",
        "<br>",
        "<p",
        ">",
        "text & more",
        "&#45;",
        "&",
        "<",
        "\n",
        '"',
    ]
)


def read(html: str | bytes, *, size: int = 1_000_000) -> list[str]:
    """Return the names on an HTML root page that comes in pieces of a size."""
    body = html if isinstance(html, bytes) else html.encode()
    return list(RootPage().read("text/html; charset=utf-8", cut(body, size)))


def cut(body: bytes, size: int) -> Iterable[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


class Plain(HTMLParser):
    """The obvious way, against which the quick one is compared."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[str | None] = []
        self.href: str | None = None
        self.text: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.handle_endtag("a")
            self.href, self.text = dict(attrs).get("href"), ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self.text is not None:
            self.names.append(find_name(self.href, self.text))
            self.text = None

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text += data


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ('<a href="six/">six</a>', "six"),
        ("<a href='six/'>six</a>", "six"),
        ("<a href=six/>six</a>", "six"),
        ('<A HREF="six/">six</A>', "six"),
        ('<a class="x" href = "six/" rel=nofollow>six</a>', "six"),
        ('<a href="six">six</a>', "six"),
        ('<a href="six//">six</a>', "six"),
        ('<a href=" six/ ">six</a>', "six"),
        ('<a href="./six/">six</a>', "six"),
        ('<a href="/pypi/simple/six/">six</a>', "six"),
        ('<a href="https://upstream.example/simple/six/">six</a>', "six"),
        ('<a href="//upstream.example/simple/six/?a=b/c#d/e">six</a>', "six"),
        ('<a href="Zope%2EInterface/">Zope</a>', "zope-interface"),
        ('<a href="zope&#46;interface/">Zope</a>', "zope-interface"),
        ('<a href="Foo__Bar/">x</a>', "foo-bar"),
        ('<a href="?project=x">Zope.Interface</a>', "zope-interface"),
        ("<a>zope&#46;interface</a>", "zope-interface"),
        ('<a href="http://[/">six</a>', "six"),
        ('<a href="%80/">six</a>', "six"),
        ('<a href="six/"><img src="x"> <b>any &amp; thing</b></a>', "six"),
        ('<a href="six/">six', "six"),
    ],
)
def test_a_link_names_its_project(link: str, name: str) -> None:
    """However a link is written, its last segment, or else its text, is the project."""
    assert read(f'<!DOCTYPE HTML><BODY>\n{link}<a href="after/">after</a></BODY>') == [name, "after"]


@pytest.mark.parametrize(
    "link", ['<a href="../">Parent</a>', '<a href="%2e%2e/">up</a>', '<a href="/">-</a>', "<a></a>"]
)
def test_a_link_to_no_project_is_counted(link: str) -> None:
    """Links that name nothing are left out and their number is known."""
    page = RootPage()
    assert list(page.read("text/html", [f'{link}<a href="six/">six</a>'.encode()])) == ["six"]
    assert (page.names, page.skipped) == (1, 1)


@pytest.mark.parametrize(
    "html",
    [
        '<!-- <a href="x/">x</a> --><a href="six/">six</a>',
        '<script>"<a href="x/">x</a>"</script><a href="six/">six</a>',
        '<style><a href="x/">x</a></style><a href="six/">six</a>',
        '<p title=\'<a href="x/">x</a>\'></p><a href="six/">six</a>',
        '<link href="x/"><img href="x/"><a href="six/">six</a>',
    ],
)
def test_what_only_looks_like_a_link_is_none(html: str) -> None:
    """Comments, scripts, styles and attributes hold no links, whatever their text."""
    assert read(html) == ["six"]


@given(st.lists(pieces, max_size=12).map("".join), st.integers(min_value=1, max_value=40))
@example('<!-- <a href="six/">six</a>\n<a href="six/">six</a> -->', 7)
@example('<script><a href="six/">six</a></script><a href="six/">six</a>', 9)
def test_the_quick_way_reads_what_the_parser_reads(html: str, size: int) -> None:
    """Cut anywhere, a page gives the names that HTMLParser alone would find, or is refused as broken off."""
    plain = Plain()
    plain.feed(html)
    try:
        found = read(html, size=size)
    except NotARootPage:
        return
    assert found == [name for name in plain.names if name is not None]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    "end", ["</html>", "</html>\n", "</HTML >\n\n<!-- -->", "</html>&", "</html> 1 < 2", "</html>\n&#45"]
)
def test_a_whole_page_in_tiny_pieces(size: int, end: str) -> None:
    """A page that ends is whole, however it was cut on its way, and whatever the parser keeps for later."""
    html = f"<!DOCTYPE html>\n<html><title>&amp;</title>\n<a href=\"six/\">six</a><br/>\n<a href='x/'>x</a>{end}"
    assert read(html, size=size) == ["six", "x"]


@pytest.mark.parametrize("size", [1, 5, 1_000])
@pytest.mark.parametrize(
    "end", ["<", "<a", "<a href='y", "</", "<!--", "<!-- x", "<script>", "<script>x", "</script", "<?", "<!"]
)
def test_a_page_that_ends_in_markup_is_refused(size: int, end: str) -> None:
    """A page without `<html>` has no end of its own, but none ends in the middle of markup."""
    with pytest.raises(NotARootPage, match="breaks off"):
        read(f'<a href="six/">six</a>\n{end}', size=size)


@given(st.lists(names, max_size=30), st.integers(min_value=1, max_value=200))
def test_names_in_html_come_back(written: list[ProjectName], size: int) -> None:
    """What a root page lists is what is read, in order, however the bytes are cut."""
    html = root_html(written)
    assert list(RootPage().read("text/html", cut(html, size))) == written


@given(st.lists(names, max_size=30), st.integers(min_value=1, max_value=200))
def test_names_in_json_come_back(written: list[ProjectName], size: int) -> None:
    """What a JSON root page lists is what is read, in order, however the bytes are cut."""
    body = root_json(written)
    assert list(RootPage().read(JSON_TYPE, cut(body, size))) == written


@given(st.lists(names, min_size=1, max_size=5), st.data())
def test_a_cut_page_is_refused(written: list[ProjectName], data: st.DataObject) -> None:
    """No beginning of a page, in either format, passes for the whole."""
    for content_type, render in (("text/html", root_html), (JSON_TYPE, root_json)):
        body = render(written).rstrip()
        start = body.find(b"<html") + 6 if content_type == "text/html" else 0
        length = data.draw(st.integers(min_value=start, max_value=len(body) - 1))
        with pytest.raises(NotARootPage):
            list(RootPage().read(content_type, [body[:length]]))


@pytest.mark.parametrize(
    ("project", "name"),
    [({"name": "Six", "_last-serial": 1, "more": {"name": "x"}}, "six"), ({}, None), ("six", "six"), (7, None)],
)
def test_unknown_members_of_json_do_not_matter(project: object, name: str | None) -> None:
    """An entry is its name; one without a name is left out."""
    body = json.dumps({"meta": {"api-version": "1.4", "name": "y"}, "projects": [project], "name": "z"}).encode()
    assert list(RootPage().read(JSON_TYPE, [body])) == ([] if name is None else [name])


def test_json_above_the_limit_is_refused() -> None:
    """JSON, which is held in memory, is read up to a limit."""
    with pytest.raises(NotARootPage, match="more than 536,870,912 bytes of JSON"):
        list(RootPage().read(JSON_TYPE, repeat(b" " * 1_048_576, 513)))


@pytest.mark.parametrize("start", ["<a ", "<!-- ", "<script>", "&", "<!DOCTYPE ", '<a href="', "<"])
def test_endless_markup_is_refused(start: str) -> None:
    """Markup that never ends is given up early, not collected."""
    piece = b"x" * 65_536
    with pytest.raises(NotARootPage):
        list(
            RootPage().read(
                "text/html", [f'<a href="six/">six</a>{start}'.encode(), *repeat(piece, MAX_MARKUP_CHARS // 65_536 + 2)]
            )
        )


@pytest.mark.parametrize("form", ["<input type=password>", "<INPUT name='p' TYPE='Password'/>"])
def test_a_page_that_asks_for_a_password_is_refused(form: str) -> None:
    """A login form is never a list, whatever it links to."""
    assert escape(form) != form
    with pytest.raises(NotARootPage, match="login form"):
        read(f'<a href="six/">six</a>{form}')
