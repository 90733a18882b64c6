"""The root page of an index, as bytes: which project names does it list?

Owns both of its formats. Knows nothing of fetching, and imports an HTML parser, so it is itself imported late.

PEP 503 (HTML), PEP 691 (JSON), https://html.spec.whatwg.org/multipage/parsing.html.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

from indexer.errors import IndexerError, InvalidValue
from indexer.names import ProjectName, is_normalized, normalize_name

MAX_JSON_BYTES = 536_870_912  # 512 MiB: ten million names are 0.45 GB, the public index 40 MB; it is held in memory
MAX_MARKUP_CHARS = 1_048_576  # 1 Mi: HTMLParser keeps what is not finished

# What nearly every root page consists of. In text that HTMLParser is not in the middle of anything, such a run means
# exactly this to it too, and recognising it here takes a quarter of the time (benchmarked on 927,000 links).
_PLAIN_LINK = re.compile(r'\s*<a href="([^"<>&]*)">([^<>&]*)</a>\s*(?:<br ?/?>)?')
_PLAIN_START = '<a href="'
# What may stand before a project's name: a path in which nothing is escaped, no query, no scheme and no host.
_PLAIN_HEAD = re.compile(r"(?:/(?!/))?(?:[A-Za-z0-9._~-]+/)*")
# What stands in these is text. Which of them HTMLParser knows as such depends on its version, patch releases included.
_RAW_TEXT = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext"})


class NotARootPage(IndexerError):
    """What was read is not the whole root page of an index.

    Attributes:
        reason: the end of a sentence that begins with the page's address.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def find_name(href: str | None, text: str) -> ProjectName | None:
    """Return the name a link of a root page stands for, or None when it leads to no project.

    Args:
        href: its address; the last segment names the project.
        text: what it shows; used when the address names nothing.
    """
    segment = _last_segment(href or "")
    if segment in {".", ".."}:
        return None
    return _find_normalized(segment) or _find_normalized(text.strip())


def _find_normalized(raw: str) -> ProjectName | None:
    if is_normalized(raw):  # nearly all are, and this is twice as quick
        return ProjectName(raw)
    try:
        return normalize_name(raw)
    except InvalidValue:
        return None


def _last_segment(href: str) -> str:
    try:
        path = urlsplit(href.strip()).path
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rpartition("/")[2])


class RootPage:
    """A root page being read, in either format.

    Attributes:
        names: how many names it gave so far.
        skipped: how many entries were no project's name.
    """

    def __init__(self) -> None:
        self.names = 0
        self.skipped = 0

    def read(self, content_type: str, chunks: Iterable[bytes]) -> Iterator[ProjectName]:
        """Yield the normalised names; the page is whole when this ends normally.

        Raises:
            NotARootPage: it breaks off, or is something else.
        """
        media_type = content_type.partition(";")[0].strip().lower()
        read = _READERS.get(media_type)
        if read is None:
            raise NotARootPage(f"has the content type {media_type[:100]!r}, which no index uses")
        for name in read(chunks):
            if name is None:
                self.skipped += 1
            else:
                self.names += 1
                yield name


class _HtmlNames(HTMLParser):
    """Reads the HTML of a root page piece by piece, in memory that does not grow with the page.

    HTMLParser's versions differ in what they keep for later, and where: newer ones leave text unread until there is
    twice as much. `getpos`, which all document, says how far one has read, and that is compared with what it was given.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        # Names are ASCII, which every encoding in use shares with UTF-8: the charset cannot matter.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._names: list[ProjectName | None] = []
        self._href: str | None = None
        self._text: list[str] | None = None  # of the link that is open
        self._html_open = False
        self._raw_text: str | None = None  # the element that is open, of those
        self._given = (1, 0)  # where what it was given ends, as a line and a column
        self._unread = 0  # at most so many characters of that are not read
        self._ends_in_tag = False
        self._head = ""  # of the last plain link's address, which the others have, too

    def read(self, piece: bytes) -> list[ProjectName | None]:
        """Take in the next bytes and return the names that are complete by now.

        Raises:
            NotARootPage: it asks for a password, or markup begins and does not end.
        """
        text = self._held + self._decoder.decode(piece)
        cut = text.rfind("</a>") + len("</a>")
        if cut < len("</a>"):
            cut = len(text)
        self._held = text[cut:]
        return self._take(text[:cut])

    def finish(self) -> list[ProjectName | None]:
        """Say that the bytes are over and return the last names.

        Raises:
            NotARootPage: the page breaks off.
        """
        names = self._take(self._held + self._decoder.decode(b"", final=True))
        ends_in_tag = self._ends_in_tag
        # Text, enough of it to make HTMLParser read what it kept, unless that is unfinished.
        names += self._take(" " * (self._unread + 1))
        if ends_in_tag or self._unread or self._text is not None or self._html_open:
            raise NotARootPage("breaks off in the middle of its HTML")
        return names

    def _take(self, text: str) -> list[ProjectName | None]:
        position = 0
        while position < len(text):
            end = len(text)
            if self._at_rest():
                position = self._take_plain_links(text, position)
                following = text.find(_PLAIN_START, position + 1)
                end = following if following >= 0 else end
            self._feed(text[position:end])
            position = end
        names, self._names = self._names, []
        return names

    def _at_rest(self) -> bool:
        return not self._unread and self._raw_text is None and self._text is None

    def _take_plain_links(self, text: str, position: int) -> int:
        for link in _PLAIN_LINK.finditer(text, position):
            if link.start() != position:
                break
            position = link.end()
            href = link[1]
            cut = href.rfind("/", 0, -1) + 1
            if href[-1:] == "/" and is_normalized(name := href[cut:-1]) and self._is_plain(href[:cut]):
                self._names.append(ProjectName(name))
            else:
                self._add(href, link[2])
        return position

    def _is_plain(self, head: str) -> bool:
        if head != self._head and _PLAIN_HEAD.fullmatch(head):
            self._head = head
        return head == self._head

    def _feed(self, text: str) -> None:
        before = self.getpos()
        try:
            self.feed(text)
        except (AssertionError, ValueError) as error:  # what HTMLParser raises for markup it cannot follow
            raise NotARootPage("has HTML that cannot be read") from error
        self._given = _advance(self._given, text)
        self._ends_in_tag = text.endswith("<")
        if self.getpos() == self._given:
            self._unread = 0
        else:  # where it went on, it was something in this text that ended what it kept
            self._unread = len(text) + (self._unread if self.getpos() == before else 0)
        if self._unread > MAX_MARKUP_CHARS:
            raise NotARootPage(f"has a piece of markup longer than {MAX_MARKUP_CHARS:,} characters")

    def _add(self, href: str | None, text: str) -> None:
        self._names.append(find_name(href, text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a link; refuse a page that wants a password."""
        if tag == "a":
            self.handle_endtag("a")
            self._href, self._text = dict(attrs).get("href"), []
        elif tag == "input" and (dict(attrs).get("type") or "").lower() == "password":
            raise NotARootPage("is a login form")
        elif tag == "html":
            self._html_open = True
        elif tag in _RAW_TEXT:
            self._raw_text = tag

    def handle_endtag(self, tag: str) -> None:
        """Close a link, which is the moment its name is known."""
        if tag == "a" and self._text is not None:
            text, self._text = "".join(self._text), None
            self._add(self._href, text)
        elif tag == "html":
            self._html_open = False
        elif tag == self._raw_text:
            self._raw_text = None

    def handle_data(self, data: str) -> None:
        """Keep the text of an open link."""
        if self._text is not None:
            self._text.append(data)

    def handle_entityref(self, name: str) -> None:
        """Keep what `&name;` stands for."""
        self.handle_data(unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        """Keep what `&#name;` stands for."""
        self.handle_data(unescape(f"&#{name};"))


def _advance(position: tuple[int, int], text: str) -> tuple[int, int]:
    lines = text.count("\n")
    line, column = position
    return (line + lines, len(text) - text.rindex("\n") - 1) if lines else (line, column + len(text))


def _html_names(chunks: Iterable[bytes]) -> Iterator[ProjectName | None]:
    page = _HtmlNames()
    for chunk in chunks:
        yield from page.read(chunk)
    yield from page.finish()


def _json_names(chunks: Iterable[bytes]) -> Iterator[ProjectName | None]:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise NotARootPage(f"has more than {MAX_JSON_BYTES:,} bytes of JSON")
    try:
        names = json.loads(body, object_pairs_hook=_only_name)["projects"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NotARootPage("is no JSON list of projects, or not all of one") from None
    if not isinstance(names, list):
        raise NotARootPage("is no JSON list of projects")
    body.clear()
    for name in names:
        yield _find_normalized(name) if isinstance(name, str) else None


def _only_name(members: list[tuple[str, Any]]) -> Any:
    """Replace `{"name": "six", …}` by "six" while parsing: 927,000 dicts would take 300 MB."""
    for key, value in members:
        if key == "projects":
            return {"projects": value}
    return next((value for key, value in members if key == "name"), None)


_READERS: dict[str, Callable[[Iterable[bytes]], Iterator[ProjectName | None]]] = {
    "application/vnd.pypi.simple.v1+json": _json_names,
    "application/json": _json_names,
    "application/vnd.pypi.simple.v1+html": _html_names,
    "text/html": _html_names,
    "application/xhtml+xml": _html_names,
}
