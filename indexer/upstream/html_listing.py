"""An upstream's HTML project page, as the dict its JSON page would be.

Owns what only HTML has: attributes for keys, a digest in the fragment, no versions, no mark that says what page it is.
Imports pypi_simple, with an HTML parser and pydantic, inside its functions.

PEP 503, 592 (data-yanked), 629 (versions of the page), 658, 714 (metadata), 740, 792.
"""

import codecs
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from indexer.names import ProjectName
from indexer.upstream.hashes import read_hashes

if TYPE_CHECKING:
    from pypi_simple import Link, RepositoryPage

# What pip, uv and old setuptools know as files; other links of a page (to its parent, a style sheet) are none.
_EXTENSIONS = (
    ".whl", ".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz", ".tar.z", ".tar.lz",
    ".tar.lzma", ".tlz", ".tar.zst", ".tar", ".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg",
)  # fmt: skip
_TITLE = re.compile(r"<(?:title|h1)[^<>]{0,200}>\s*links for\b", re.IGNORECASE)
_PASSWORD = re.compile(r"<input\b[^<>]{0,1000}\btype\s*=\s*[\"']?password\b", re.IGNORECASE)
_HTML = re.compile(r"<html\b", re.IGNORECASE)
_HTML_END = re.compile(r"</html\s*>", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,15}")
_BLANK = re.compile(r"(\bhref\s{0,9}=\s{0,9}[\"'])\s+", re.IGNORECASE)  # older Pythons take it for a part of the link
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
# Others among Python's codecs are no character sets, or take a time that grows with the square of the length.
_CHARSETS = ("utf-8", "utf-16", "utf-32", "ascii", "iso8859", "cp12", "koi8", "gb", "big5", "euc", "shift_jis")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_html_page(project: ProjectName, content: bytes, url: str, *, parameters: str = "") -> dict[str, Any] | None:
    """Return the page's files, versions and status in the JSON page's terms, or None when it is no project page.

    Args:
        project: whose page it should be.
        url: where it was, for its relative links.
        parameters: of its Content-Type.
    """
    text = _decode(content, parameters)
    if _PASSWORD.search(text) or (_HTML.search(text) and not _HTML_END.search(text)):
        return None
    page = _parse(text, url)
    if page is None:
        return None
    files = [file for link in page.links if (file := _find_file(link)) is not None]
    # An empty project has no file that would tell; a login page has none either.
    if not files and not _TITLE.search(text) and "repository-version" not in page.pypi_meta:
        return None
    wire: dict[str, Any] = {"name": project, "meta": {}, "files": files}
    if status := page.pypi_meta.get("project-status"):
        wire["project-status"] = {"status": status[0]}
        if reason := page.pypi_meta.get("project-status-reason"):
            wire["project-status"]["reason"] = reason[0]
    return wire


def _decode(content: bytes, parameters: str) -> str:
    """Return the page as text, in the character set of its mark or its header, as pip does it."""
    charset = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    found = _CHARSET.search(parameters)
    if charset is None and found is not None:
        try:
            known = codecs.lookup(found[1]).name
        except LookupError:
            known = ""
        charset = known if known.startswith(_CHARSETS) else None
    return content.decode(charset or "utf-8", "replace")


def _parse(text: str, url: str) -> "RepositoryPage | None":
    from bs4.builder import ParserRejectedMarkup  # bs4.exceptions is new in 4.13
    from pypi_simple import RepositoryPage, UnsupportedRepoVersionError

    try:
        return RepositoryPage.from_html(_BLANK.sub(r"\1", text), url)
    except (ParserRejectedMarkup, UnsupportedRepoVersionError, AssertionError, ValueError):
        return None


def _find_file(link: "Link") -> dict[str, Any] | None:
    address = link.url.strip()
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    filename = unquote(parts.path.rpartition("/")[2]).strip()
    if not filename.lower().endswith(_EXTENSIONS):
        return None
    file: dict[str, Any] = {"filename": filename, "url": address}
    for key, attribute in (("requires-python", "data-requires-python"), ("provenance", "data-provenance")):
        if (text := link.get_str_attrib(attribute)) is not None:
            file[key] = text
    for key in ("core-metadata", "dist-info-metadata"):
        if (text := link.get_str_attrib(f"data-{key}")) is not None:
            file[key] = dict(read_hashes(text).hashes) or text.strip().lower() == "true"
    # In no specification, like the attribute for the size: uv reads them, and our own pages have them.
    if (time := link.get_str_attrib("data-upload-time")) is not None:
        file["upload-time"] = time
    if _SIZE.fullmatch(size := link.get_str_attrib("data-size") or ""):
        file["size"] = int(size)
    if (signed := link.get_str_attrib("data-gpg-sig")) is not None:
        file["gpg-sig"] = signed.lower() == "true"
    # PEP 592: "The value of the data-yanked attribute, if present, is an arbitrary string that represents the reason"
    if (reason := link.get_str_attrib("data-yanked")) is not None:
        file["yanked"] = reason or True
    return file
