"""What an upstream may send, over JSON and HTML, and what a client must see: a row for each.

Each row says what stands at the file on the upstream's page, and what is served. What is delivered was compared with
what a client would have compared.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b, md5, sha1
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import pytest

from tests.support.apps import HTML, JSON, Site, running_site
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import JSON_TYPE, FakeUpstream

WHEEL = make_wheel("six", "1.0")
SHA, UPPER = WHEEL.sha256, WHEEL.sha256.upper()
WRONG = "0" * 64
MD5, SHA1 = md5(WHEEL.content).hexdigest(), sha1(WHEEL.content).hexdigest()
BLAKE2 = blake2b(WHEEL.content, digest_size=32).hexdigest()
PAGE = "/simple/six/"
SIZE = len(WHEEL.content)
DELIVERED, BROKEN = 200, 502


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is sent of a file, and what comes of it.

    Attributes:
        json: members of its JSON entry, in the place of those that it has.
        html: the attributes of its link in HTML; None where HTML cannot say this. `{}` stands for the address.
        status: of a request for the file.
        entry: members that the served entry has; with `...` those that it lacks.
        reason: a part of what is said under `_dropped`, where the file is left out.
    """

    name: str
    json: Mapping[str, Any] = field(default_factory=dict)
    html: str | None = None
    status: int = DELIVERED
    entry: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


def link(name: str, href: str, *, status: int = DELIVERED, reason: str | None = None, proved: bool = True) -> Row:
    """A row that differs in what a link says of the digest; `{}` stands for the file's address."""
    entry: dict[str, Any] = {"hashes": {"sha256": WRONG if WRONG in href else SHA}, "_unverified": ...}
    if not proved:
        entry = {"_unverified": True}
    return Row(
        name=name,
        json={"hashes": {}, "url": href},
        html=f'href="{escape(href)}"',
        status=status,
        entry=entry,
        reason=reason,
    )


def said(
    name: str, sent: Any, entry: Mapping[str, Any] | None = None, *, status: int = DELIVERED, reason: str | None = None
) -> Row:
    """A row that differs in an entry's `hashes`."""
    return Row(name=name, json={"hashes": sent}, status=status, reason=reason, entry=entry or {})


def value(name: str, key: str, sent: Any, kept: Any, *, attribute: str | None = None) -> Row:
    """A row that differs in one value of the entry, and in an attribute where HTML has it."""
    html = None if attribute is None else f'href="{{}}#sha256={SHA}" {attribute}="{escape(str(sent))}"'
    return Row(name=name, json={key: sent}, html=html, entry={key: kept})


PROVED: dict[str, Any] = {"hashes": {"sha256": SHA}, "_unverified": ...}
NOTHING = {"hashes": {}, "_unverified": True}
BAD_DIGEST = "it cannot be checked"
ROWS = [
    # U1
    link("with an egg behind it", f"{{}}#sha256={SHA}&egg=six"),
    link("with an egg before it", f"{{}}#egg=six&sha256={SHA}"),
    link("between others", f"{{}}#a=b&sha256={SHA}&subdirectory=x"),
    link("percent-encoded", f"{{}}#sha256%3D{SHA}"),
    link("percent-encoded twice", f"{{}}#sha256%253d{SHA}"),
    link("in capitals", f"{{}}#SHA256={UPPER}"),
    link("in mixed letters", f"{{}}#Sha256={SHA}"),
    link("white space around the link", f"  {{}}#sha256={SHA} \n"),
    link("white space around the digest", f"{{}}#sha256= {SHA} "),
    link("in the query, where pip finds it", f"{{}}?x=1&sha256={SHA}"),
    link("wrong, with an egg behind it", f"{{}}#sha256={WRONG}&egg=six", status=BROKEN),
    link("wrong, with an egg before it", f"{{}}#egg=six&sha256={WRONG}", status=BROKEN),
    link("wrong, percent-encoded", f"{{}}#sha256%3D{WRONG}", status=BROKEN),
    link("wrong, in capitals", f"{{}}#SHA256={WRONG}", status=BROKEN),
    link("wrong, in the query", f"{{}}?x=1&sha256={WRONG}", status=BROKEN),
    link("too short", f"{{}}#sha256={SHA[:-1]}", status=BROKEN, reason=BAD_DIGEST),
    link("a name alone", "{}#sha256", status=BROKEN, reason=BAD_DIGEST),
    link("base64", "{}#sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", status=BROKEN, reason=BAD_DIGEST),
    link("two that differ", f"{{}}#sha256={SHA}&sha256={WRONG}", status=BROKEN, reason="two different digests"),
    said("named twice", {"sha256": f"sha256={SHA}"}, PROVED),
    said("capitals in JSON", {"SHA256": UPPER}, PROVED),
    said("a hyphen in JSON", {"sha-256": SHA}, PROVED),
    said("a text in the place of an object", f"sha256={SHA}", PROVED),
    said("wrong, named twice", {"sha256": f"sha256={WRONG}"}, status=BROKEN),
    said("wrong, capitals in JSON", {"SHA256": WRONG}, status=BROKEN),
    said("a list", {"sha256": [SHA]}, status=BROKEN, reason=BAD_DIGEST),
    said("empty", {"sha256": ""}, status=BROKEN, reason=BAD_DIGEST),
    said("of another length", {"sha256": SHA[2:]}, status=BROKEN, reason=BAD_DIGEST),
    # U3
    link("without a digest", "{}", proved=False),
    link("an unknown algorithm", "{}#foo=ab", proved=False),
    said("an empty object", {}, NOTHING),
    said("an unknown algorithm in JSON", {"foo": "ab" * 16}, NOTHING),
    said("null", None, NOTHING),
    said("md5 alone", {"md5": MD5}, {"hashes": {"md5": MD5}, "_unverified": True}),
    said("sha1 alone", {"sha1": SHA1}, {"hashes": {"sha1": SHA1}, "_unverified": True}),
    said("md5 alone, wrong", {"md5": "0" * 32}, {"_unverified": True}, status=BROKEN),
    # U5, U11
    value("UTC written out", "upload-time", "2024-01-02 03:04:05 UTC", ..., attribute="data-upload-time"),
    value("a word for a time", "upload-time", "yesterday", ..., attribute="data-upload-time"),
    value("a time without a zone", "upload-time", "2024-01-02T03:04:05", ..., attribute="data-upload-time"),
    value("a thirteenth month", "upload-time", "2024-13-02T03:04:05Z", ..., attribute="data-upload-time"),
    value("a number for a time", "upload-time", 1704164645, ...),
    value("a time of null", "upload-time", None, ...),
    *(
        value(name, "upload-time", sent, kept, attribute="data-upload-time")
        for name, sent, kept in (
            ("small letters", "2024-01-02t03:04:05z", "2024-01-02T03:04:05.000000Z"),
            ("another zone", "2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05.000000Z"),
            ("nanoseconds", "2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456Z"),
        )
    ),
    value("no specifier", "requires-python", ">=dog", ..., attribute="data-requires-python"),
    value("no operator", "requires-python", "3.8", ..., attribute="data-requires-python"),
    value("a prefix with an order", "requires-python", ">=3.6.*", ">=3.6", attribute="data-requires-python"),
    value("yanked with an empty reason", "yanked", "", False),
    value("yanked by null", "yanked", None, ...),
    value("yanked by a number", "yanked", 1, ...),
    value("signed by a word", "gpg-sig", "yes", ...),
    # U6
    value("no size at all", "size", 0, 0, attribute="data-size"),
    value("a byte too few", "size", SIZE - 1, SIZE - 1, attribute="data-size"),
    value("a byte too many", "size", SIZE + 1, SIZE + 1, attribute="data-size"),
    value("a negative size", "size", -1, ..., attribute="data-size"),
    value("a size in quotes", "size", str(SIZE), ...),
    # U10
    said("another digest first", {"blake2b_256": BLAKE2, "sha256": SHA}, PROVED),
    said("a wrong md5 first", {"md5": "0" * 32, "sha256": SHA}, PROVED),
    said("an unknown one first", {"foo": "ab", "sha256": SHA}, PROVED),
    said("one without a name in Python", {"blake2b_256": BLAKE2}, {"hashes": {}, "_unverified": ...}),
    said("the same, wrong", {"blake2b_256": WRONG}, status=BROKEN),
]


def filename_of(row: Row) -> str:
    return f"six-{ROWS.index(row) + 1}-py3-none-any.whl"


def _entry(row: Row, address: str) -> dict[str, Any]:
    entry = {"filename": filename_of(row), "url": address, "hashes": {"sha256": SHA}, "size": SIZE, **row.json}
    return {**entry, "url": entry["url"].replace("{}", address)}


@pytest.fixture(scope="module", params=["json", "html"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An index whose upstream has all rows on one page."""
    as_html = request.param == "html"
    with running_site(tmp_path_factory.mktemp("awkward")) as site:
        addresses = [(row, site.upstream.add_file("six", filename_of(row), WHEEL.content)) for row in ROWS]
        if as_html:
            links = [f"<a {(row.html or '').replace('{}', escape(to))}>x</a>" for row, to in addresses if row.html]
            body = f"<!DOCTYPE html><html>{''.join(links)}</html>".encode()
        else:
            files = [_entry(row, address) for row, address in addresses]
            body = orjson.dumps({"meta": {"api-version": "1.1"}, "name": "six", "files": files})
        site.upstream.override(PAGE, headers={"Content-Type": "text/html" if as_html else JSON_TYPE}, body=body)
        site.page = orjson.loads(site.get(PAGE, accept=JSON).body)  # type: ignore[attr-defined]
        site.has_html = as_html  # type: ignore[attr-defined]
        yield site


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows(site: Any, row: Row) -> None:
    """What an upstream says of a file is served in a form that every client reads, and the file after its check."""
    if site.has_html and row.html is None:
        return  # HTML cannot say this
    wheel = filename_of(row)
    found = [file for file in site.page["files"] if file["filename"] == wheel]
    dropped = [each["reason"] for each in site.page["_dropped"]["files"] if each["filename"] == wheel]
    if row.reason is not None:
        assert (found, len(dropped)) == ([], 1)
        assert row.reason in dropped[0]
    else:
        assert {key: found[0].get(key, ...) for key in row.entry} == row.entry
        assert dropped == []
    answer = site.get(f"{PAGE}{wheel}")
    assert answer.status == row.status, answer.body[:300]
    assert answer.body == WHEEL.content or row.status != DELIVERED


def test_the_html_page_marks_what_nothing_proves(site: Any) -> None:
    """In HTML, too, files that no digest proves are marked, and it is said how many are left out."""
    text = site.get(PAGE, accept=HTML).text
    assert text.count(' data-unverified="true"') == sum("_unverified" in file for file in site.page["files"]) > 0
    assert f"<!-- {site.page['_dropped']['count']} more files of the upstream are left out" in text


ENTRY: dict[str, Any] = {"filename": WHEEL.filename, "url": WHEEL.filename, "hashes": {"sha256": SHA}}
DOCUMENT: dict[str, Any] = {"meta": {"api-version": "1.1"}, "name": "six", "files": [ENTRY]}
ANCHOR = f'<html><a href="{WHEEL.filename}#sha256={SHA}" data-yanked="k\xfchl">x</a></html>'


def served(tmp_path: Path, body: bytes, content_type: str) -> Any:
    with running_site(tmp_path) as site:
        site.upstream.add(WHEEL)
        site.upstream.override(PAGE, headers={"Content-Type": content_type}, body=body)
        answer = site.get(PAGE, accept=JSON)
        assert answer.status == 200, answer.body
        return orjson.loads(answer.body)


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps(DOCUMENT | {"meta": {"api-version": 1}}),
        orjson.dumps(DOCUMENT | {"meta": {"api-version": 1.4}}),
        orjson.dumps(DOCUMENT | {"meta": {"api-version": "1"}}),
        orjson.dumps(DOCUMENT | {"meta": {"api-version": None}}),
        orjson.dumps(DOCUMENT | {"meta": {"api-version": "v1"}}),
        orjson.dumps(DOCUMENT | {"meta": None}),
        b"\xef\xbb\xbf" + orjson.dumps(DOCUMENT),
        orjson.dumps(DOCUMENT).decode().encode("utf-16"),
        orjson.dumps(DOCUMENT | {"tracks": [], "alternate-locations": ["https://x.example/simple/six/"]}),
        orjson.dumps(DOCUMENT | {"meta": {"api-version": "1.2", "tracks": ["https://x.example/simple/six/"]}}),
    ],
    ids=[
        "a number",
        "a fraction",
        "without a minor",
        "null",
        "a word",
        "meta of null",
        "a mark",
        "UTF-16",
        "PEP 708",
        "PEP 708 in meta",
    ],
)
def test_json_pages(tmp_path: Path, body: bytes) -> None:
    """Pages that clients read are read; what was rejected with PEP 708 is not passed on."""
    page = served(tmp_path, body, JSON_TYPE)
    assert [file["filename"] for file in page["files"]] == [WHEEL.filename]
    assert page["meta"] == {"api-version": "1.4"}
    assert not {"tracks", "alternate-locations"} & page.keys()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=iso-8859-1", ANCHOR.encode("latin-1")),
        ("text/html; charset=utf-16", ANCHOR.encode("utf-16")),
        ('text/html;charset="UTF-8"', ANCHOR.encode()),
        ("text/html", b"\xef\xbb\xbf" + ANCHOR.encode()),
        ("text/html; charset=punycode", ANCHOR.encode()),
        ("text/html; charset=no-such", ANCHOR.encode()),
    ],
)
def test_html_pages(tmp_path: Path, content_type: str, body: bytes) -> None:
    """A page is read in the character set that its header or its mark says."""
    (file,) = served(tmp_path, body, content_type)["files"]
    assert (file["filename"], file["yanked"], file["hashes"]) == (WHEEL.filename, "k\xfchl", {"sha256": SHA})


LONG = f"six-1.0+{'a' * (243 - 8 - 21)}-py3-none-any.whl"[:243]


@pytest.mark.parametrize("filename", ["six-1.0 .tar.gz", "six-1.0 (1).tar.gz", "six[x]-1.0.tar.gz", LONG])
def test_file_names(tmp_path: Path, filename: str) -> None:
    """Names with blanks, brackets and many characters are listed and delivered, their address percent-encoded."""
    with running_site(tmp_path) as site:
        site.upstream.add_file("six", filename, b"content")
        (file,) = orjson.loads(site.get(PAGE, accept=JSON).body)["files"]
        assert (file["filename"], set(" []()") & set(file["url"])) == (filename, set())
        assert site.get(PAGE + file["url"]).body == b"content"
        assert site.get(PAGE + file["url"]).status == 200  # from the store


@pytest.mark.parametrize("filename", ["six-1.0;x.tar.gz", "../six-1.0.tar.gz", "six-1..0.tar.gz", "x" * 247])
def test_file_names_that_are_left_out(tmp_path: Path, filename: str) -> None:
    """Names that are unsafe are named on the page as left out."""
    page = served(tmp_path, orjson.dumps(DOCUMENT | {"files": [ENTRY, ENTRY | {"filename": filename}]}), JSON_TYPE)
    assert (page["_dropped"]["count"], page["_dropped"]["files"][0]["filename"]) == (1, filename)


@pytest.mark.parametrize(
    ("filename", "is_announced"),
    [
        ("six-1.0-py3-none-any.whl", True),
        ("six__x-1.0-py3-none-any.whl", False),
        ("six-1.0-py3-none-any-x86_64_v3.whl", False),
        ("six-one-py3-none-any.whl", False),
        ("seven-1.0-py3-none-any.whl", False),
    ],
)
@pytest.mark.parametrize("said", [{}, {"core-metadata": True}])
def test_announced_metadata(tmp_path: Path, filename: str, is_announced: bool, said: dict[str, Any]) -> None:
    """Metadata is announced for wheels of this project whose names parse."""
    page = served(tmp_path, orjson.dumps(DOCUMENT | {"files": [ENTRY | {"filename": filename} | said]}), JSON_TYPE)
    assert page["files"][0].get("core-metadata", False) is is_announced


REASON = "numpy 9.9 is quarantined by policy 7"


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ({"status": 403, "body": REASON.encode(), "headers": {"Content-Type": "text/plain"}}, 403, REASON),
        (
            {
                "status": 403,
                "body": orjson.dumps({"errors": [{"message": REASON}]}),
                "headers": {"Content-Type": "application/json"},
            },
            403,
            REASON,
        ),
        ({"status": 451, "body": REASON.encode(), "headers": {"Content-Type": "text/plain"}}, 403, REASON),
        ({"status": 403}, 503, "are its credentials right?"),
        (
            {"status": 401, "body": REASON.encode(), "headers": {"Content-Type": "text/plain"}},
            503,
            "credentials right?",
        ),
    ],
)
def test_a_firewall(tmp_path: Path, answer: dict[str, Any], status: int, text: str) -> None:
    """What an upstream refuses with a reason is 403 with the reason, of a page and of a file; without one, 503."""
    with running_site(tmp_path) as site:
        path = site.upstream.add(WHEEL)
        site.upstream.override("/simple/seven/", **answer)
        site.upstream.override(path, **answer)
        for address in ("/simple/seven/", "/simple/seven/", f"{PAGE}{WHEEL.filename}"):
            found = site.get(address)
            assert (found.status, text in found.text) == (status, True), found.text
        assert site.get(PAGE).status == 200


@pytest.mark.parametrize(
    ("credentials", "shown"),
    [
        ("ci:s3cr3t-%2Fword", "'…' with …, … and … may not read circles"),
        ("s3cr3t-%2Fword", "'ci' with …, … and … may not read circles"),
    ],
    ids=["name and password", "a token"],
)
def test_a_firewall_that_repeats_credentials(tmp_path: Path, credentials: str, shown: str) -> None:
    """A reason is passed on without what we sent: neither user name nor password or token, in whatever form."""
    said = b"'ci' with s3cr3t-/word, s3cr3t-%2Fword and %s may not read circles"
    with FakeUpstream() as upstream:
        index = upstream.url.replace("://", f"://{credentials}@")
        with running_site(tmp_path, upstream_index_url=index) as site:
            body = said.replace(b"%s", b64encode(unquote_to_bytes(credentials) + b":" * (":" not in credentials)))
            upstream.override(PAGE, status=403, body=body, headers={"Content-Type": "text/plain"})
            answer = site.get(PAGE)
            assert (answer.status, shown in answer.text) == (403, True), answer.text
