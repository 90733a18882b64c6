"""What is asked of an upstream, what becomes of its answers, and who gets to see its credentials."""

import gzip
import logging
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InvalidValue, UpstreamUnavailable
from indexer.names import ProjectName
from indexer.upstream.client import MAX_NAMES_BYTES, MAX_PAGE_BYTES, Fetched, NotModified, Part, Upstream
from indexer.upstream.url import parse_index_url
from indexer.upstream.web import Web
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import JSON_TYPE, LOGIN_PAGE, FakeUpstream
from tests.support.mirrors import eventually

SIX = ProjectName("six")
SECRET = "s3cr3t/pass word"  # with what a URL must encode
CREDENTIALS = ("reader@corp", SECRET)


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        upstream.add(make_wheel("six", "1.17.0"))
        yield upstream


@pytest.fixture
def guarded() -> Iterator[FakeUpstream]:
    """An upstream that wants credentials."""
    with FakeUpstream(credentials=CREDENTIALS) as upstream:
        upstream.add(make_wheel("six", "1.17.0"))
        yield upstream


def make_upstream(index_url: str, *private_hosts: str) -> Upstream:
    return Upstream(index_url, user_agent="serverless-pypi/test", private_hosts=frozenset(private_hosts))


def read(upstream: Upstream, url: str, *, limit: int = 1_000_000) -> bytes | None:
    with upstream.open_file(url, limit=limit) as download:
        return None if download is None else b"".join(download.chunks)


def fault_of(call: Any, *arguments: Any, **keywords: Any) -> UpstreamUnavailable:
    """Return the fault a call ends with; generators are read to their end."""
    with pytest.raises(UpstreamUnavailable) as caught:
        list(call(*arguments, **keywords))
    return caught.value


def test_a_page_comes_with_all_that_caching_needs(fake: FakeUpstream) -> None:
    """Content, type, address, validators and lifetime of a page are returned as the upstream sent them."""
    fake.override(
        "/simple/six/",
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "ETag": '"e1"',
            "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
            "Cache-Control": "public, Max-Age=600",
        },
        body=b"<html></html>",
    )
    assert make_upstream(fake.url).fetch_page(SIX) == Fetched(
        content=b"<html></html>",
        content_type="text/html; charset=utf-8",
        url=f"{fake.origin}/simple/six/",
        etag='"e1"',
        last_modified="Mon, 01 Jan 2024 00:00:00 GMT",
        max_age_seconds=600,
    )


def test_a_page_is_asked_for_in_json_first(fake: FakeUpstream) -> None:
    """The request says who we are, which formats are read in which order, and nothing of us beyond that."""
    make_upstream(fake.url).fetch_page(SIX)
    (seen,) = fake.seen
    assert {name: value for name, value in seen.headers.items() if name not in {"host", "connection"}} == {
        "accept": f"{JSON_TYPE}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1",
        "accept-encoding": "gzip",
        "user-agent": "serverless-pypi/test",
    }


def test_a_gzipped_page_is_unpacked(fake: FakeUpstream) -> None:
    """A page's content never depends on how it travelled."""
    fake.override("/simple/six/", headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"<html></html>"))
    page = make_upstream(fake.url).fetch_page(SIX)
    assert isinstance(page, Fetched)
    assert page.content == b"<html></html>"


def test_an_unchanged_page_is_not_sent_again(fake: FakeUpstream) -> None:
    """With the validators of the copy at hand an upstream can answer that it is still good."""
    fake.cache_control = "max-age=60"
    upstream = make_upstream(fake.url)
    page = upstream.fetch_page(SIX)
    assert isinstance(page, Fetched)
    again = upstream.fetch_page(SIX, etag=page.etag, last_modified=page.last_modified)
    assert again == NotModified(max_age_seconds=60)
    assert fake.seen[-1].headers["if-modified-since"] == page.last_modified


def test_an_unasked_304_is_a_fault(fake: FakeUpstream) -> None:
    """Nothing is called unchanged where there is no copy that could be."""
    fake.override("/simple/six/", status=304)
    assert "answered 304" in str(fault_of(make_upstream(fake.url).fetch_page, SIX))


@pytest.mark.parametrize("status", [404, 410])
def test_a_project_the_upstream_does_not_have_is_none(fake: FakeUpstream, status: int) -> None:
    """An absent project is an answer, not a fault."""
    fake.override("/simple/six/", status=status)
    assert make_upstream(fake.url).fetch_page(SIX) is None


@pytest.mark.parametrize(
    ("cache_control", "age", "max_age_seconds"),
    [
        (None, None, None),
        ("public", None, None),
        ("max-age=0", None, 0),
        ('max-age="5"', None, 5),
        ("max-age=600, s-maxage=9", None, 9),
        ("s-maxage=9", None, 9),
        ("max-age=x", None, None),
        ("no-cache, max-age=600", None, 0),
        ("no-store", None, 0),
        ("private, max-age=600, must-revalidate", None, 600),
        ("max-age=600", "250", 350),
        ("max-age=600", "601", 0),
        ("max-age=600", "-1", 600),
        ("public", "9", None),
    ],
)
def test_the_lifetime_is_what_cache_control_says(
    fake: FakeUpstream, cache_control: str | None, age: str | None, max_age_seconds: int | None
) -> None:
    """What is said to shared caches counts, less the age that a page has already; a ban on storing or reusing means
    zero, and silence means that it is for us to choose.
    """
    fake.cache_control, fake.age = cache_control, age
    page = make_upstream(fake.url).fetch_page(SIX)
    assert isinstance(page, Fetched)
    assert page.max_age_seconds == max_age_seconds


@pytest.mark.parametrize("status", [200 + 4, 400, 401, 403, 418, 429, 500, 502, 503, 504])
def test_any_other_status_is_a_fault(fake: FakeUpstream, status: int) -> None:
    """A page is what came with 200; the fault names the address and the status."""
    fake.override("/simple/six/", status=status)
    hint = "; are its credentials right?" if status in {401, 403} else ""
    fault = fault_of(make_upstream(fake.url).fetch_page, SIX)
    assert fault.reason == f"{fake.origin}/simple/six/ answered {status}{hint}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 1), ("86400", 3600), ("Mon, 01 Jan 2024 00:00:00 GMT", 5), ("-5", 5), ("9" * 5000, 5)],
)
def test_the_upstream_says_when_to_come_back(fake: FakeUpstream, header: str, seconds: int) -> None:
    """An integer Retry-After is honoured within bounds, anything else means a few seconds."""
    fake.override(status=503, headers={"Retry-After": header})
    assert fault_of(make_upstream(fake.url).fetch_page, SIX).retry_after_seconds == seconds


def test_nobody_listening_is_a_fault(fake: FakeUpstream) -> None:
    """An upstream that is down is named together with what the system says of it."""
    fake.stop()
    fault = fault_of(make_upstream(fake.url).fetch_page, SIX)
    assert fault.reason == f"{fake.origin}/simple/six/ cannot be reached: Connection refused"


def test_an_unknown_host_is_a_fault() -> None:
    """A name that does not resolve is a fault like any other."""
    fault = fault_of(make_upstream("http://upstream.invalid/simple/").fetch_page, SIX)
    assert fault.reason.startswith("http://upstream.invalid/simple/six/ cannot be reached: ")


@pytest.mark.parametrize("host", ["a" * 64, "a." + "b" * 64 + ".example"])
def test_an_impossible_host_is_a_fault(fake: FakeUpstream, host: str) -> None:
    """A name that cannot be looked up at all is a fault like any other, not a crash of ours."""
    assert "cannot be reached" in fault_of(read, make_upstream(fake.url), f"http://{host}/six.whl").reason


def test_a_connection_that_died_meanwhile_is_replaced(fake: FakeUpstream) -> None:
    """A restart of the upstream between two requests is not noticed."""
    upstream = make_upstream(fake.url)
    upstream.fetch_page(SIX)
    fake.stop()
    fake.start()
    assert isinstance(upstream.fetch_page(SIX), Fetched)


def test_a_cut_connection_is_a_fault_after_one_retry(fake: FakeUpstream) -> None:
    """An upstream that never answers a connection is asked twice and no more."""
    fake.override(cut=True)
    fault_of(make_upstream(fake.url).fetch_page, SIX)
    assert fake.requests == [("GET", "/simple/six/")] * 2


def test_silence_is_a_fault(fake: FakeUpstream) -> None:
    """An upstream that accepts a request and says nothing is given up, without being asked again."""
    release = threading.Event()
    fake.override(release=release)
    web = Web(parse_index_url(fake.url), user_agent="serverless-pypi/test")
    with (
        pytest.raises(UpstreamUnavailable, match="did not answer in time"),
        web.open(fake.url, headers={}, read_seconds=0.05),
    ):
        pass
    eventually(lambda: fake.requests != [])  # it may be noticed after it was given up
    release.set()
    assert len(fake.requests) == 1


@pytest.mark.parametrize("encoded", [False, True])
def test_a_page_that_breaks_off_is_a_fault(fake: FakeUpstream, encoded: bool) -> None:
    """Less than the announced length is never taken for a page."""
    body = gzip.compress(b"<html></html>") if encoded else b"<html></html>"
    headers = {"Content-Encoding": "gzip"} if encoded else {}
    fake.override("/simple/six/", body=body[:-3], announced=len(body), headers=headers)
    assert "broke off" in fault_of(make_upstream(fake.url).fetch_page, SIX).reason


def test_a_page_that_is_no_gzip_is_a_fault(fake: FakeUpstream) -> None:
    """A body that is not what its Content-Encoding says is a fault of the upstream, not a crash of ours."""
    fake.override("/simple/six/", body=b"<html></html>", headers={"Content-Encoding": "gzip"})
    assert "broke off" in fault_of(make_upstream(fake.url).fetch_page, SIX).reason


def test_a_page_above_the_limit_is_not_read(fake: FakeUpstream) -> None:
    """A page that announces more than the limit is refused before its body comes."""
    fake.override("/simple/six/", announced=MAX_PAGE_BYTES + 1)
    assert "larger than the 67,108,864 bytes" in fault_of(make_upstream(fake.url).fetch_page, SIX).reason


def test_a_small_body_that_unpacks_above_the_limit_is_a_fault(fake: FakeUpstream) -> None:
    """The limit holds for what a page unpacks to."""
    bomb = gzip.compress(bytes(MAX_PAGE_BYTES + 1), compresslevel=1)
    fake.override("/simple/six/", body=bomb, headers={"Content-Encoding": "gzip"})
    assert "larger than the 67,108,864 bytes" in fault_of(make_upstream(fake.url).fetch_page, SIX).reason


def test_redirects_are_followed_to_where_links_are_relative_to(fake: FakeUpstream) -> None:
    """The page's address is the one it was found at, relative redirects included."""
    fake.add(make_wheel("other"))
    fake.override("/simple/six/", status=301, headers={"Location": "../seven/"})
    fake.override("/simple/seven/", status=302, headers={"Location": f"{fake.origin}/simple/other/?a=1"})
    page = make_upstream(fake.url).fetch_page(SIX)
    assert isinstance(page, Fetched)
    assert page.url == f"{fake.origin}/simple/other/?a=1"


def test_the_body_of_a_redirect_is_not_waited_for(fake: FakeUpstream) -> None:
    """A redirect is followed at once, however long its own body takes."""
    release = threading.Event()
    location = {"Location": "/simple/six/"}
    fake.override("/simple/slow/", status=302, headers=location, body=b"moved", sent_first=1, release=release)
    page = make_upstream(fake.url).fetch_page(ProjectName("slow"))
    assert not release.is_set()
    assert isinstance(page, Fetched)


def test_redirects_are_bounded(fake: FakeUpstream) -> None:
    """An upstream that redirects in a circle is left after five rounds."""
    fake.override("/simple/six/", status=302, headers={"Location": "/simple/six/"})
    assert "redirects more than 5 times" in fault_of(make_upstream(fake.url).fetch_page, SIX).reason
    assert len(fake.requests) == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "https://", "http://[", "//:80"])
def test_redirects_lead_to_the_web_only(fake: FakeUpstream, location: str) -> None:
    """No redirect makes us open anything but http and https."""
    fake.override("/simple/six/", status=302, headers={"Location": location})
    assert "no http or https URL" in fault_of(make_upstream(fake.url).fetch_page, SIX).reason


def test_cookies_are_not_kept(fake: FakeUpstream) -> None:
    """No request depends on an earlier one."""
    fake.override("/simple/six/", headers={"Set-Cookie": "session=1; Path=/"})
    upstream = make_upstream(fake.url)
    upstream.fetch_page(SIX)
    upstream.fetch_page(SIX)
    assert "cookie" not in fake.seen[-1].headers


class TestCredentials:
    """Who gets to see the credentials of the index URL."""

    def test_the_index_gets_them_for_pages_names_and_files(self, guarded: FakeUpstream) -> None:
        """Whatever lies at the index's own origin is asked for with the credentials, decoded from the URL."""
        wheel = make_wheel("six", "2.0")
        path = guarded.add(wheel)
        upstream = make_upstream(guarded.url)
        assert isinstance(upstream.fetch_page(SIX), Fetched)
        assert list(upstream.fetch_names()) == [SIX]
        assert read(upstream, guarded.origin + path) == wheel.content

    def test_a_token_is_sent_with_an_empty_password(self) -> None:
        """`https://token@host` is a user name without a password."""
        with FakeUpstream(credentials=("token", "")) as fake:
            assert make_upstream(fake.url.replace(":@", "@")).fetch_page(SIX) is None

    def test_another_origin_never_gets_them(self, guarded: FakeUpstream, fake: FakeUpstream) -> None:
        """Neither a file's link nor a redirect to another port takes them there, nor further on."""
        path = fake.add(make_wheel("six", "2.0"))
        guarded.override("/away", status=302, headers={"Location": fake.origin + path})
        upstream = make_upstream(guarded.url, "127.0.0.1", "localhost")
        assert read(upstream, fake.origin + path) == read(upstream, guarded.origin + "/away")
        assert [("authorization" in seen.headers) for seen in fake.seen] == [False, False]
        assert [("authorization" in seen.headers) for seen in guarded.seen] == [True]

    def test_another_name_of_the_host_is_another_origin(self, guarded: FakeUpstream) -> None:
        """What is compared is scheme, host as written, and port."""
        link = guarded.origin.replace("127.0.0.1", "localhost") + "/x"
        assert "answered 401" in fault_of(read, make_upstream(guarded.url, "127.0.0.1", "localhost"), link).reason

    def test_credentials_in_links_are_not_used(self, guarded: FakeUpstream, fake: FakeUpstream) -> None:
        """Userinfo in a link or a redirect is dropped, so nobody can make us log in elsewhere."""
        path = fake.add(make_wheel("six", "2.0"))
        away = fake.origin.replace("//", "//mallory:pw@") + path
        guarded.override("/away", status=302, headers={"Location": away})
        upstream = make_upstream(guarded.url, "127.0.0.1", "localhost")
        read(upstream, away)
        read(upstream, guarded.origin + "/away")
        assert [("authorization" in seen.headers) for seen in fake.seen] == [False, False]

    def test_netrc_is_not_read(self, guarded: FakeUpstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The administrator's netrc gives nobody credentials, while other settings of the environment hold."""
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login {CREDENTIALS[0]} password {SECRET!r}\n")
        monkeypatch.setenv("NETRC", str(netrc))
        fault_of(make_upstream(f"{guarded.origin}/simple/").fetch_page, SIX)
        assert "authorization" not in guarded.seen[0].headers

    def test_they_are_in_no_text(self, guarded: FakeUpstream, caplog: pytest.LogCaptureFixture) -> None:
        """Neither repr, nor errors with their causes, nor the log at its most talkative tell them, or a query."""
        caplog.set_level(logging.DEBUG)
        upstream = make_upstream(guarded.url)
        texts = [repr(upstream), repr(vars(upstream)), upstream.index_url]
        moved = {"status": 302, "headers": {"Location": f"{guarded.url}away?signature=s1gn4ture"}}
        # Nothing listens on port 1, and what urllib3 says of a refused connection has the whole target.
        lost = {"status": 302, "headers": {"Location": "http://127.0.0.1:1/?signature=s1gn4ture"}}
        guarded.override("/simple/away", status=500)
        answers: list[tuple[str, dict[str, Any]]] = [
            ("status", {"status": 500}),
            ("moved", moved),
            ("lost", lost),
            ("cut", {"cut": True}),
            ("short", {"body": b"x", "announced": 9}),
            ("nowhere", {"status": 302, "headers": {"Location": f"ftp://u:{SECRET}@h/?s1gn4ture"}}),
        ]
        for name, answer in answers:
            guarded.override(f"/simple/{name}/", **answer)
            try:
                upstream.fetch_page(ProjectName(name))
            except UpstreamUnavailable as fault:
                texts += [str(fault), repr(fault), *traceback.format_exception(fault)]
        guarded.stop()
        texts += [str(fault_of(upstream.fetch_page, SIX)), caplog.text]
        assert len(texts) > 10
        for told in ("s3cr3t", "reader", "s1gn4ture", guarded.seen[0].headers["authorization"].split()[1]):
            assert not [text for text in texts if told in text]

    @pytest.mark.parametrize(
        "index_url",
        [
            "ftp://user:s3cr3t@upstream.example/",
            "user:s3cr3t@upstream.example/simple/",
            "https://user:s3cr3t@/simple/",
            "https://user:s3cr3t@upstream.example:port/",
            "https://user:s3cr3t@upstream.example/simple/?key=s3cr3t",
            "https://user:s3cr3t@upstream.example/#s3cr3t",
            "https:user:s3cr3t@upstream.example",
            "https://us/er:s3cr3t@upstream.example:x/",
            "",
        ],
    )
    def test_a_bad_index_url_is_refused_without_telling_them(self, index_url: str) -> None:
        """The error names the setting and what is accepted, and shows the value without its secrets."""
        with pytest.raises(InvalidValue, match="UPSTREAM_INDEX_URL") as caught:
            make_upstream(index_url)
        assert "s3cr3t" not in str(caught.value) + repr(caught.value)


class TestFiles:
    """Opening what a page links to."""

    def test_a_file_is_streamed_with_its_size(self, fake: FakeUpstream) -> None:
        """Size and type are known before the first chunk is read; identity encoding was asked for."""
        sdist = make_sdist("six", "2.0")
        url = fake.origin + fake.add(sdist)
        with make_upstream(fake.url).open_file(url, limit=1_000_000) as download:
            assert download is not None
            assert (download.size, download.content_type) == (len(sdist.content), "application/octet-stream")
            assert b"".join(download.chunks) == sdist.content
        assert fake.seen[-1].headers["accept-encoding"] == "identity"

    def test_the_first_chunk_comes_before_the_last_is_sent(self, fake: FakeUpstream) -> None:
        """A file is never waited for as a whole."""
        release = threading.Event()
        fake.override("/big", body=bytes(1_000_000), sent_first=600_000, release=release)
        with make_upstream(fake.url).open_file(f"{fake.origin}/big", limit=1_000_000) as download:
            assert download is not None
            first = next(download.chunks)
            assert not release.is_set()
            release.set()
            assert len(first) + sum(map(len, download.chunks)) == 1_000_000

    def test_a_file_is_never_unpacked(self, fake: FakeUpstream) -> None:
        """A Content-Encoding on a file is none of our business: digests are of the bytes as stored."""
        body = gzip.compress(b"content")
        fake.override("/six.tar.gz", body=body, headers={"Content-Encoding": "gzip"})
        assert read(make_upstream(fake.url), f"{fake.origin}/six.tar.gz") == body

    @pytest.mark.parametrize("status", [404, 410])
    def test_an_absent_file_is_none(self, fake: FakeUpstream, status: int) -> None:
        """An absent file is an answer, not a fault."""
        fake.override("/gone", status=status)
        assert read(make_upstream(fake.url), f"{fake.origin}/gone") is None

    def test_a_part_nobody_asked_for_is_a_fault(self, fake: FakeUpstream) -> None:
        """A partial answer to a whole question is never taken for the file."""
        fake.override("/odd", status=206, body=b"012", headers={"Content-Range": "bytes 0-2/10"})
        assert "answered 206" in fault_of(read, make_upstream(fake.url), f"{fake.origin}/odd").reason

    @pytest.mark.parametrize("announced", [None, -1])
    def test_a_file_above_the_limit_is_a_fault(self, fake: FakeUpstream, announced: int | None) -> None:
        """The limit holds whether or not a length is announced."""
        fake.override("/big", body=bytes(11), announced=announced)
        assert (
            "larger than the 10 bytes" in fault_of(read, make_upstream(fake.url), f"{fake.origin}/big", limit=10).reason
        )

    def test_a_file_that_breaks_off_is_a_fault(self, fake: FakeUpstream) -> None:
        """Reading ends with the fault, not quietly with what there was."""
        fake.override("/short", body=bytes(500_000), announced=500_001)
        assert "broke off" in fault_of(read, make_upstream(fake.url), f"{fake.origin}/short").reason

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "six.whl", "//host/six.whl", "http://", "javascript:0"])
    def test_only_the_web_is_opened(self, fake: FakeUpstream, url: str) -> None:
        """A link that is no absolute http or https URL is a fault and is not opened."""
        assert "no http or https URL" in fault_of(read, make_upstream(fake.url), url).reason

    def test_the_callers_own_errors_are_its_own(self, fake: FakeUpstream) -> None:
        """What goes wrong while a file is used is not blamed on the upstream."""
        url = fake.origin + fake.add(make_wheel("six", "2.0"))
        with pytest.raises(OSError, match="disk full"), make_upstream(fake.url).open_file(url, limit=9_999):
            raise OSError("disk full")


class TestParts:
    """Some bytes of a file."""

    @pytest.fixture
    def url(self, fake: FakeUpstream) -> str:
        return fake.origin + fake.add_file("six", "six-2.0.tar.gz", b"0123456789")

    @pytest.mark.parametrize(
        ("start", "length", "wanted", "given"),
        [
            (2, 3, "bytes=2-4", Part(body=b"234", start=2, file_size=10)),
            (7, 9, "bytes=7-15", Part(body=b"789", start=7, file_size=10)),
            (None, 4, "bytes=-4", Part(body=b"6789", start=6, file_size=10)),
            (None, 99, "bytes=-99", Part(body=b"0123456789", start=0, file_size=10)),
        ],
    )
    def test_given(
        self, fake: FakeUpstream, url: str, start: int | None, length: int, wanted: str, given: Part
    ) -> None:
        """Only the bytes that are asked for travel, and the size of the whole file is told."""
        assert make_upstream(fake.url).fetch_part(url, start=start, length=length) == given
        assert (fake.seen[-1].headers["range"], fake.seen[-1].headers["accept-encoding"]) == (wanted, "identity")

    @pytest.mark.parametrize(
        "answer",
        [
            {"body": b"0123456789"},
            {"status": 404},
            {"status": 416, "headers": {"Content-Range": "bytes */10"}},
            {"status": 501},
            {"status": 206, "body": b"789"},
            {"status": 206, "body": b"789", "headers": {"Content-Range": "bytes 0-2/10"}},
            {"status": 206, "body": b"78", "headers": {"Content-Range": "bytes 7-9/10"}},
            {"status": 206, "body": b"789", "headers": {"Content-Range": "bytes 7-9/*"}},
            {"status": 206, "body": b"789", "headers": {"Content-Range": "7-9"}},
            {"status": 206, "body": b"--x", "headers": {"Content-Type": "multipart/byteranges; boundary=x"}},
        ],
    )
    def test_not_given(self, fake: FakeUpstream, answer: dict[str, Any]) -> None:
        """Whatever is not exactly the part that was asked for is none."""
        fake.override("/odd", **answer)
        assert make_upstream(fake.url).fetch_part(f"{fake.origin}/odd", start=7, length=3) is None

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ({"cut": True}, "cannot be reached"),
            ({"body": b"789", "announced": 4}, "larger than the 3 bytes"),
            ({"body": b"78", "announced": 3}, "broke off"),
        ],
    )
    def test_faults(self, fake: FakeUpstream, answer: dict[str, Any], reason: str) -> None:
        """A part that breaks off, or is longer than it may be, is a fault, as of a whole file."""
        fake.override("/odd", status=206, headers={"Content-Range": "bytes 7-9/10"}, **answer)
        upstream = make_upstream(fake.url)
        assert reason in fault_of(upstream.fetch_part, f"{fake.origin}/odd", start=7, length=3).reason


class TestNames:
    """The root page."""

    @pytest.mark.parametrize("html_only", [False, True])
    def test_names_are_normalised_in_both_formats(self, fake: FakeUpstream, html_only: bool) -> None:
        """JSON and HTML give the same names, in normal form."""
        fake.html_only = html_only
        fake.names = ["Zope.Interface", "a__B", "0-._.-0"]
        assert list(make_upstream(fake.url).fetch_names()) == ["six", "zope-interface", "a-b", "0-0"]

    def test_what_is_no_name_is_skipped_and_counted(self, fake: FakeUpstream, caplog: pytest.LogCaptureFixture) -> None:
        """An entry that cannot be a project costs nothing but a line in the log."""
        caplog.set_level(logging.INFO)
        fake.names = ["-", "a/b", "ok"]
        assert list(make_upstream(fake.url).fetch_names()) == ["six", "ok"]
        assert [record.getMessage() for record in caplog.records] == [
            "the upstream's root page has 2 links to what cannot be a project"
        ]

    def test_progress_is_told(self, fake: FakeUpstream) -> None:
        """The caller learns how many bytes came and how many there will be."""
        fake.names = [f"name-{number}" for number in range(50_000)]
        told: list[tuple[int, int | None]] = []
        names = list(make_upstream(fake.url).fetch_names(on_progress=lambda done, total: told.append((done, total))))
        assert len(names) == 50_001
        assert len(told) > 2
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1]

    def test_a_compressed_list_has_no_known_end(self, fake: FakeUpstream) -> None:
        """Where the announced length is of packed bytes, no total is told."""
        body = gzip.compress(b'{"projects": [{"name": "six"}]}')
        fake.override("/simple/", body=body, headers={"Content-Type": JSON_TYPE, "Content-Encoding": "gzip"})
        told: list[tuple[int, int | None]] = []
        list(make_upstream(fake.url).fetch_names(on_progress=lambda done, total: told.append((done, total))))
        assert told == [(31, None)]

    def test_fewer_names_than_expected_are_a_fault(self, fake: FakeUpstream) -> None:
        """A page with absurdly few names is not taken for the list."""
        fault = fault_of(make_upstream(fake.url).fetch_names, expected_at_least=2)
        assert fault.reason == (f"the root page {fake.origin}/simple/ lists 1 projects; at least 2 were expected")

    @pytest.mark.parametrize(
        ("content_type", "body", "reason"),
        [
            ("text/html", LOGIN_PAGE, "is a login form"),
            ("text/html", b"<html><body>Welcome!</body></html>", "lists 0 projects; at least 1 were expected"),
            ("text/html", b'<html><a href="six/">six</a>', "breaks off in the middle of its HTML"),
            ("text/html", b'<a href="six/">six</a><a href="sev', "breaks off in the middle of its HTML"),
            ("text/html", b'<a href="six/">six</a><a href="seven/">sev', "breaks off in the middle of its HTML"),
            ("text/html", b'<a href="six/">six</a><!-- and so', "breaks off in the middle of its HTML"),
            (JSON_TYPE, b'{"projects": [{"name": "six"}', "is no JSON list of projects, or not all of one"),
            (JSON_TYPE, b'{"message": "log in"}', "is no JSON list of projects, or not all of one"),
            (JSON_TYPE, b'{"projects": {"name": "six"}}', "is no JSON list of projects"),
            (JSON_TYPE, b"[" * 100_000, "is no JSON list of projects, or not all of one"),
            ("text/plain", b"six\n", "has the content type 'text/plain', which no index uses"),
            ("", b"six\n", "has the content type '', which no index uses"),
        ],
    )
    def test_what_is_no_whole_list_is_a_fault(
        self, fake: FakeUpstream, content_type: str, body: bytes, reason: str
    ) -> None:
        """A login page, another page, or a part of the list never passes for a list."""
        fake.override("/simple/", headers={"Content-Type": content_type}, body=body)
        fault = fault_of(make_upstream(fake.url).fetch_names)
        assert fault.reason == f"the root page {fake.origin}/simple/ {reason}"

    def test_a_list_shorter_than_announced_is_a_fault(self, fake: FakeUpstream) -> None:
        """Every name that came before the break is void: the iterator ends with the fault."""
        body = b'<a href="six/">six</a>\n'
        fake.override("/simple/", headers={"Content-Type": "text/html"}, body=body, announced=len(body) + 1)
        assert "broke off" in fault_of(make_upstream(fake.url).fetch_names).reason

    def test_an_absent_root_page_is_a_fault(self, fake: FakeUpstream) -> None:
        """An upstream without a root page has no names to mirror, and that is said."""
        fake.override("/simple/", status=404)
        assert fault_of(make_upstream(fake.url).fetch_names).reason == f"{fake.origin}/simple/ answered 404"

    def test_a_list_above_the_limit_is_a_fault(self, fake: FakeUpstream) -> None:
        """A root page that announces more than the limit is refused before its body comes."""
        fake.override("/simple/", headers={"Content-Type": "text/html"}, announced=MAX_NAMES_BYTES + 1)
        assert "larger than the 805,306,368 bytes" in fault_of(make_upstream(fake.url).fetch_names).reason


def test_threads_may_share_an_upstream(fake: FakeUpstream) -> None:
    """Concurrent first requests make one session and all get their answer."""
    upstream = make_upstream(fake.url)
    pages: list[object] = []
    threads = [threading.Thread(target=lambda: pages.append(upstream.fetch_page(SIX))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upstream.close()
    assert len(pages) == 8
    assert len(set(map(str, pages))) == 1
