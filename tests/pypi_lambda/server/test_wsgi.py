"""The app under a WSGI server: what an environ means, and that no request whatever is a fault of ours."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypi_lambda.http.faults import BadRequest, RequestError, UriTooLong
from pypi_lambda.http.model import NO_SNIFFING, PLAIN_TEXT, Request, Response
from pypi_lambda.server.wsgi import create, read_environ, wsgi_application
from pypi_lambda.settings import SETTINGS
from tests.support.apps import JSON, READER, UPLOADER, Answer, Site, call, environ, running_site
from tests.support.builders import basic, upload_form
from tests.support.distributions import make_wheel

DEMO = make_wheel("demo", "1.0")
LATIN_1 = st.characters(max_codepoint=255)


def answer_of(response: Response, *, method: str = "GET") -> Answer:
    return call(wsgi_application(lambda request: response), environ(method, "/"))


def _ignore(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Callable[[bytes], object]:
    return bytes


class TestEnviron:
    def test_whole(self) -> None:
        """Method, path, query, headers, body, length and address are the environ's."""
        body = io.BytesIO(b"body")
        asked = environ(
            "POST",
            "/simple/d%C3%A9mo%2B/",
            query="a=%20b&c",
            user=UPLOADER,
            accept=JSON,
            headers={"if-none-match": '"1"'},
            body=body,
            content_type="text/x",
            content_length="4",
            script_name="/mounted",
        )
        assert read_environ(asked, "") == Request(
            method="POST",
            path="/simple/démo+/",
            query="a=%20b&c",
            headers={
                "accept": JSON,
                "authorization": basic(*UPLOADER),
                "if-none-match": '"1"',
                "content-type": "text/x",
            },
            body=body,
            content_length=4,
            base_path="/mounted",
            client="127.0.0.1",
        )

    @pytest.mark.parametrize(
        ("base_path", "path", "below", "base"),
        [
            ("", "/simple/", "/simple/", ""),
            ("", "", "/", ""),
            ("", "simple", "/simple", ""),
            ("/pypi", "/pypi/simple/", "/simple/", "/pypi"),
            ("/pypi", "/pypi", "/", "/pypi"),
            ("/pypi", "/pypi/", "/", "/pypi"),
            ("/pypi", "/pypisimple/", "/pypisimple/", "/pypi"),
            ("/pypi", "/simple/", "/simple/", "/pypi"),
            ("/a b/c", "/a b/c/simple/", "/simple/", "/a b/c"),
        ],
    )
    def test_base_path(self, base_path: str, path: str, below: str, base: str) -> None:
        """A base path is taken off where it is whole, and remembered for redirects."""
        asked = read_environ({**environ("GET", "/"), "PATH_INFO": path}, base_path)
        assert (asked.path, asked.base_path) == (below, base)

    @pytest.mark.parametrize(
        ("query", "read"),
        [
            ("a=%C3%A9&b=/?:@!$'()*+,;", "a=%C3%A9&b=/?:@!$'()*+,;"),
            ("a b\r\n", "a%20b%0D%0A"),
            ("\xe9", "%E9"),
            ("\u20ac", "?"),
            ('"<>\\^`{|}#[]', "%22%3C%3E%5C%5E%60%7B%7C%7D%23%5B%5D"),
            ("%zz", "%zz"),
        ],
    )
    def test_query(self, query: str, read: str) -> None:
        """A query stays as it was sent, but for what may stand in no URL."""
        assert read_environ(environ("GET", "/", query=query), "").query == read

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"PATH_INFO": "/\xff"}, BadRequest),
            ({"PATH_INFO": "/\u20ac"}, BadRequest),
            ({"PATH_INFO": "/a\nb"}, BadRequest),
            ({"SCRIPT_NAME": "/\xff"}, BadRequest),
            ({"PATH_INFO": "/" * 3_000}, UriTooLong),
            ({"CONTENT_LENGTH": "five"}, BadRequest),
        ],
    )
    def test_unreadable(self, changes: dict[str, str], error: type[RequestError]) -> None:
        """A path or a length that is none is refused for that."""
        with pytest.raises(error):
            read_environ({**environ("GET", "/"), **changes}, "")


class TestAnswers:
    def test_bytes(self) -> None:
        """A body of bytes has its length."""
        response = Response(status=200, headers=(PLAIN_TEXT, NO_SNIFFING), body=b"xy")
        assert answer_of(response).headers == dict(response.headers) | {"Content-Length": "2"}

    def test_the_length_that_was_given(self) -> None:
        """A length that the app gives is the one."""
        assert answer_of(Response(status=200, headers=(("content-length", "0"),))).headers == {"content-length": "0"}

    def test_not_modified(self) -> None:
        """304 has no length: it would have to be that of another answer."""
        assert answer_of(Response(status=304)).headers == {}

    @pytest.mark.parametrize("whole", [True, False])
    def test_streams_are_closed(self, whole: bool) -> None:
        """A body that streams is closed by whoever sends it, also when the client leaves before the end."""
        closed = []

        def chunks() -> Iterator[bytes]:
            try:
                yield b"1"
                yield b"2"
            finally:
                closed.append(True)

        application = wsgi_application(lambda request: Response(status=200, body=chunks()))
        sent: Any = application(environ("GET", "/"), _ignore)
        if whole:
            assert b"".join(sent) == b"12"
        else:
            assert next(iter(sent)) == b"1"
            sent.close()
        assert closed == [True]

    def test_a_stream_that_breaks(self, caplog: pytest.LogCaptureFixture) -> None:
        """A body that breaks breaks the connection, and the log has the traceback."""

        def chunks() -> Iterator[bytes]:
            yield b"1"
            raise ZeroDivisionError("a bug")

        application = wsgi_application(lambda request: Response(status=200, body=chunks()))
        with pytest.raises(ZeroDivisionError), caplog.at_level(logging.ERROR):
            b"".join(application(environ("GET", "/"), _ignore))
        [record] = caplog.records
        assert (record.message, record.exc_info is not None) == ("a response broke off", True)

    def test_a_bug(self, caplog: pytest.LogCaptureFixture) -> None:
        """A bug is a 500 in plain text that says nothing of it; the log has the traceback."""

        def app(_request: Request) -> Response:
            raise ZeroDivisionError("a secret")

        with caplog.at_level(logging.ERROR):
            answer = call(wsgi_application(app), environ("GET", "/simple/"))
        body = b"internal error; the log output has the traceback\n"
        assert answer == Answer(
            status=500,
            headers={
                "Content-Type": "text/plain; charset=utf-8",
                "X-Content-Type-Options": "nosniff",
                "Content-Length": str(len(body)),
            },
            body=body,
        )
        [record] = caplog.records
        assert (record.message, record.exc_info is not None) == ("GET /simple/", True)


def test_made_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a WSGI server is pointed at serves what the environment variables describe."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BUCKET", f"file://{tmp_path}")
    monkeypatch.setenv("API_GATEWAY_BASE_PATH", "/pypi")
    assert call(create(), environ("GET", "/pypi/health", user=None)).status == 200


paths = st.one_of(
    st.sampled_from(
        [
            "/",
            "/health",
            "/legacy/",
            "/simple/",
            "/simple/demo/",
            "/simple/Demo",
            f"/simple/demo/{DEMO.filename}",
            f"/simple/demo/{DEMO.filename}.metadata",
            "/simple/six/six-1.0.tar.gz",
        ]
    ),
    st.text(LATIN_1, max_size=20),
    st.lists(st.text(LATIN_1, max_size=6) | st.sampled_from(["simple", "..", "demo", "+simple"]), max_size=5).map(
        lambda segments: "/" + "/".join(segments)
    ),
)
texts = st.text(LATIN_1, max_size=30)
headers = st.dictionaries(
    st.sampled_from(
        ["accept", "accept-encoding", "if-none-match", "if-range", "range", "host", "cookie", "transfer-encoding"]
    )
    | st.text(st.sampled_from("abc-"), max_size=5),
    texts
    | st.sampled_from(
        [JSON, "text/html;q=0", "*/*", "gzip", "identity;q=0, *", "*", 'W/"1"', "bytes=0-", "bytes=-1", "bytes=5-2"]
    ),
    max_size=4,
)
FORM, FORM_TYPE = upload_form(make_wheel("other", "1.0"))


@st.composite
def mangled_forms(draw: st.DrawFn) -> bytes:
    """Return a form of which a part was cut out, repeated or replaced."""
    start = draw(st.integers(0, len(FORM)))
    end = draw(st.integers(start, len(FORM)))
    middle = draw(st.sampled_from([b"", FORM[start:end] * 2]) | st.binary(max_size=30))
    return FORM[:start] + middle + FORM[end:]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose upstream is down."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        site.upload(DEMO)
        site.upstream.stop()
        yield site


class TestAnything:
    """Whatever a client sends gets a well-formed answer, and it is no 500."""

    def check(self, answer: Answer) -> None:
        assert answer.status < 500 or answer.status in (502, 503), answer.text

    @given(
        method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]) | st.text(LATIN_1, min_size=1, max_size=9),
        path=paths,
        script_name=st.sampled_from(["", "/mounted", "//x", "\xff"]),
        query=texts,
        authorization=st.sampled_from([basic(*UPLOADER), basic(*READER), None]) | texts,
        more=headers,
        body=st.binary(max_size=50) | st.just(FORM),
        content_type=st.sampled_from([FORM_TYPE, None]) | texts,
        content_length=st.none() | texts | st.integers(-1, 2_000).map(str),
    )
    @example(
        method="POST",
        path="/",
        script_name="",
        query="",
        authorization=basic(*UPLOADER),
        more={"range": "bytes=0-"},
        body=FORM[:-50],
        content_type=FORM_TYPE,
        content_length=None,
    )
    def test_requests(
        self,
        site: Site,
        method: str,
        path: str,
        script_name: str,
        query: str,
        authorization: str | None,
        more: dict[str, str],
        body: bytes,
        content_type: str | None,
        content_length: str | None,
    ) -> None:
        """Any method, path, query, headers and body."""
        asked = environ(
            method,
            "/",
            query=query,
            user=None,
            headers={**more, "authorization": authorization},  # type: ignore[dict-item]  # None is left out
            body=io.BytesIO(body),
            content_type=content_type,
            content_length=content_length,
            script_name=script_name,
        )
        self.check(call(wsgi_application(site.app), {**asked, "PATH_INFO": path}))

    @given(mangled_forms(), st.booleans())
    def test_forms(self, site: Site, body: bytes, announced: bool) -> None:
        """Any body that was once an upload."""
        length = str(len(body)) if announced else ""
        answer = site.request("POST", "/", body=io.BytesIO(body), content_type=FORM_TYPE, content_length=length)
        assert answer.status in (200, 400, 409, 413)

    @given(st.text(max_size=40))
    def test_app(self, site: Site, text: str) -> None:
        """Any text where a front door has decoded more than Latin-1: in the path, the query, a header."""
        asked = Request(
            method="GET",
            path=f"/simple/{text}",
            query=text,
            headers={"authorization": basic(*UPLOADER), "accept": text, "if-none-match": text, "range": text},
            body=io.BytesIO(),
            content_length=None,
            base_path=f"/{text}",
            client=text,
        )
        self.check(call(wsgi_application(lambda _: site.app(asked)), environ("GET", "/")))
