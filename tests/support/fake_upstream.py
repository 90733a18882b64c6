"""A small real index on loopback, to be the upstream: pages in both formats, files elsewhere, and faults on demand.

with FakeUpstream() as upstream:
    upstream.add(make_wheel("six", "1.17.0"))
    upstream.override("/simple/six/", status=503)
    ...
    assert upstream.requests == [("GET", "/simple/six/")]
"""

import base64
import hashlib
import html
import json
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

from tests.support.distributions import Distribution

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
UPLOAD_TIME = "2024-05-06T07:08:09.123456Z"
LOGIN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method=post action=/login>"
    b'<input name=user><input type="password" name=password></form><a href="/reset">Forgot it?</a></body></html>'
)
_WRITE_BYTES = 1_048_576
_MODIFIED = formatdate(1_700_000_000, usegmt=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that arrived; `headers` with lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, and how it goes wrong.

    Attributes:
        announced: the Content-Length, where it is to differ from the body's; -1 sends none and closes the connection.
        cut: close the connection instead of answering.
        arrived: an event that is set when the request is here.
        sent_first: how many bytes of the body are sent before `release` is waited for; the headers are sent with them.
        release: an event that holds back the rest of the body, or with `sent_first` None the whole answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    announced: int | None = None
    cut: bool = False
    arrived: threading.Event | None = None
    sent_first: int | None = None
    release: threading.Event | None = None


class FakeUpstream:
    """An index that listens on 127.0.0.1 while it is entered.

    Attributes:
        html_only: answer HTML whatever is asked for, as some indexes do.
        names: further names in the root listing, without a page.
        credentials: user name and password that every request must carry, if any.
        validators: send ETag and Last-Modified and answer 304.
        cache_control: the header's value, on pages.
        age: likewise.
        seen: every request so far.
        sent: how many bytes of bodies were sent so far.
        odd_ranges: by path, what is answered to requests for a part, as members of `Answer`.
    """

    def __init__(self, *, html_only: bool = False, credentials: tuple[str, str] | None = None) -> None:
        self.html_only = html_only
        self.credentials = credentials
        self.validators = True
        self.cache_control: str | None = None
        self.age: str | None = None
        self.names: list[str] = []
        self.seen: list[Seen] = []
        self.sent = 0
        self.odd_ranges: dict[str, dict[str, Any]] = {}
        self._files: dict[str, dict[str, dict[str, Any]]] = {}
        self._status: dict[str, dict[str, str]] = {}
        self._content: dict[str, bytes] = {}
        self._overrides: dict[str | None, Answer] = {}
        self._times: dict[str | None, int | None] = {}
        self._server: _Server | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for answer in self._overrides.values():
            if answer.release is not None:
                answer.release.set()
        self.stop()

    def start(self) -> None:
        """Listen; after `stop`, on the same port as before."""
        self._server = _Server(("127.0.0.1", self._port), _Handler, upstream=self)
        self._port = self._server.server_address[1]
        # The interval is how long `stop` waits for the thread.
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Go down: connections are cut, new ones refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.cut_connections()
            server.server_close()
            self._thread.join()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The index URL, with credentials where they are wanted."""
        if self.credentials is None:
            return f"{self.origin}/simple/"
        username, password = (quote(part, safe="") for part in self.credentials)
        return f"http://{username}:{password}@127.0.0.1:{self._port}/simple/"

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of every request so far, in order of arrival."""
        return [(seen.method, seen.path) for seen in self.seen]

    def forget(self) -> None:
        """Forget the requests seen so far, and what was sent."""
        self.seen.clear()
        self.sent = 0

    def add(self, distribution: Distribution, *, yanked: bool | str = False, **changes: Any) -> str:
        """Publish a distribution together with its metadata, as `add_file` does."""
        arguments: dict[str, Any] = {
            "metadata": distribution.metadata if distribution.filename.endswith(".whl") else None,
            "requires_python": distribution.requires_python,
        }
        return self.add_file(
            distribution.project,
            distribution.filename,
            distribution.content,
            yanked=yanked,
            **{**arguments, **changes},
        )

    def add_file(
        self,
        project: str,
        filename: str,
        content: bytes,
        *,
        metadata: bytes | None = None,
        yanked: bool | str = False,
        requires_python: str | None = None,
        upload_time: str | None = UPLOAD_TIME,
        provenance: str | None = None,
        **more: Any,
    ) -> str:
        """Publish a file and return its path, which is not below /simple/.

        Args:
            more: further keys of its JSON entry, or other values for those it has, `_` for `-`.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = f"/files/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{quote(filename, safe='')}"
        self._content[unquote(path)] = content
        file: dict[str, Any] = {
            "filename": filename,
            "url": path,
            "hashes": {"sha256": digest},
            "size": len(content),
            "requires-python": requires_python,
            "yanked": yanked,
        }
        if metadata is not None:
            self._content[unquote(path) + ".metadata"] = metadata
            file["core-metadata"] = file["dist-info-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
        if upload_time is not None:
            file["upload-time"] = upload_time
        if provenance is not None:
            file["provenance"] = provenance
        file |= {key.replace("_", "-"): value for key, value in more.items()}
        self._files.setdefault(_normalize(project), {})[filename] = file
        return path

    def set_status(self, project: str, status: str, reason: str | None = None) -> None:
        """Mark a project (PEP 792)."""
        self._status[_normalize(project)] = {"status": status} | ({"reason": reason} if reason is not None else {})

    def remove(self, project: str) -> None:
        """Let a project be gone; its files stay where they are."""
        del self._files[_normalize(project)]

    def override(self, path: str | None = None, *, times: int | None = None, **answer: Any) -> None:
        """Answer a path, or every path that has no answer of its own, with this `Answer` from now on.

        Args:
            times: how often, until it answers as before; None for always.
        """
        self._overrides[path] = Answer(**answer)
        self._times[path] = times

    def page(self, project: str) -> dict[str, Any]:
        """Return the JSON page of a project as it is now, as the arguments of an override."""
        return {"headers": {"Content-Type": JSON_TYPE}, "body": self._project_json(_normalize(project)).encode()}

    def restore(self, path: str | None = None) -> None:
        """Take an override back."""
        self._overrides.pop(path, None)  # what was to happen only so often may be over

    def answer(self, seen: Seen) -> Answer:
        """Decide on the response to a request."""
        # "a server MUST accept the absolute-form in requests" (RFC 9112): so it can play a proxy, too.
        path = unquote(re.sub("^http://[^/]*", "", seen.path).partition("?")[0])
        if self.credentials is not None and seen.headers.get("authorization") != _basic(*self.credentials):
            return Answer(status=401, headers={"WWW-Authenticate": "Basic"}, body=b"who are you?")
        override = self._find_override(path)
        if override is not None:
            return override
        if path in self.odd_ranges and "range" in seen.headers:
            return Answer(**self.odd_ranges[path])
        if path in self._content:
            return self._conditional(seen, _ranged(seen, self._content[path]))
        as_json = not self.html_only and JSON_TYPE in seen.headers.get("accept", "")
        if path == "/simple/":
            return self._page(seen, self._root_json() if as_json else self._root_html(), as_json=as_json)
        if (found := re.fullmatch(r"/simple/([^/]+)/", path)) and (project := found[1]) in self._files:
            page = self._project_json(project) if as_json else self._project_html(project)
            return self._page(seen, page, as_json=as_json)
        return Answer(status=404, body=b"no such thing")

    def _find_override(self, path: str) -> Answer | None:
        place = path if path in self._overrides else None
        override = self._overrides.get(place)
        left = self._times.get(place)
        if override is not None and left is not None:
            self._times[place] = left - 1
            if left <= 1:
                del self._overrides[place]
        return override

    def _page(self, seen: Seen, text: str, *, as_json: bool) -> Answer:
        headers = {"Content-Type": JSON_TYPE if as_json else "text/html; charset=utf-8"}
        if self.cache_control is not None:
            headers["Cache-Control"] = self.cache_control
        if self.age is not None:
            headers["Age"] = self.age
        return self._conditional(seen, Answer(headers=headers, body=text.encode()))

    def _conditional(self, seen: Seen, answer: Answer) -> Answer:
        if not self.validators:
            return answer
        etag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
        headers = {**answer.headers, "ETag": etag, "Last-Modified": _MODIFIED}
        status = answer.status
        if seen.headers.get("if-none-match") == etag:
            return Answer(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Answer(status=status, headers=headers, body=answer.body)

    def _project_json(self, project: str) -> str:
        files = list(self._files[project].values())
        versions = list(dict.fromkeys(file["filename"].split("-")[1].removesuffix(".tar.gz") for file in files))
        page: dict[str, Any] = {"meta": {"api-version": "1.4", "_last-serial": 42}, "name": project}
        page |= {"versions": versions, "files": files}
        if project in self._status:
            page["project-status"] = self._status[project]
        return json.dumps(page)

    def _project_html(self, project: str) -> str:
        metas = ['<meta name="pypi:repository-version" content="1.4">']
        for name, value in self._status.get(project, {}).items():
            suffix = "-reason" if name == "reason" else ""
            metas.append(f'<meta name="pypi:project-status{suffix}" content="{html.escape(value)}">')
        links = "".join(_link(file) for file in self._files[project].values())
        head = f"<head>{''.join(metas)}<title>Links for {project}</title></head>"
        return f"<!DOCTYPE html><html>{head}<body><h1>Links for {project}</h1>\n{links}</body></html>\n"

    def _root_json(self) -> str:
        projects = [{"name": name, "_last-serial": 7} for name in [*self._files, *self.names]]
        return json.dumps({"meta": {"api-version": "1.4"}, "projects": projects})

    def _root_html(self) -> str:
        names = [*self._files, *self.names]
        links = "".join(f'<a href="/simple/{_normalize(name)}/">{html.escape(name)}</a>\n' for name in names)
        return f"<!DOCTYPE html><html><body>\n{links}</body></html>\n"


def _link(file: Mapping[str, Any]) -> str:
    attributes = ""
    if file["requires-python"] is not None:
        attributes += f' data-requires-python="{html.escape(file["requires-python"])}"'
    if file["yanked"] is not False:
        attributes += f' data-yanked="{html.escape("" if file["yanked"] is True else file["yanked"])}"'
    if "core-metadata" in file:
        digest = _fragment(file["core-metadata"]) or "true"
        attributes += f' data-core-metadata="{digest}" data-dist-info-metadata="{digest}"'
    if "provenance" in file:
        attributes += f' data-provenance="{html.escape(file["provenance"])}"'
    fragment = _fragment(file["hashes"])
    href = f"{file['url']}#{fragment}" if fragment else file["url"]
    return f'<a href="{html.escape(href)}"{attributes}>{html.escape(file["filename"])}</a><br>\n'


def _fragment(hashes: Any) -> str:
    return (
        "".join(f"{algorithm}={digest}" for algorithm, digest in list(hashes.items())[:1]) if hashes is not True else ""
    )


def _ranged(seen: Seen, content: bytes) -> Answer:
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", seen.headers.get("range", ""))
    if wanted is None:
        return Answer(headers=headers, body=content)
    if wanted[1]:
        start, end = int(wanted[1]), min(int(wanted[2] or len(content) - 1) + 1, len(content))
    else:
        start, end = max(0, len(content) - int(wanted[2])), len(content)
    if start >= len(content):
        return Answer(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Answer(status=HTTPStatus.PARTIAL_CONTENT, headers=headers, body=content[start:end])


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them: no thread outlives its test
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], *, upstream: FakeUpstream
    ) -> None:
        self.upstream = upstream
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, and the second would wait 40 ms for an ACK
    server: _Server

    def do_GET(self) -> None:
        seen = Seen(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        self.server.upstream.seen.append(seen)
        self._send(self.server.upstream.answer(seen))

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, answer: Answer) -> None:
        if answer.arrived is not None:
            answer.arrived.set()
        if answer.release is not None and answer.sent_first is None:
            answer.release.wait()
        if answer.cut:
            self.close_connection = True
            return
        self._send_head(answer)
        if self.command == "HEAD" or answer.status == HTTPStatus.NOT_MODIFIED:
            return
        first = len(answer.body) if answer.sent_first is None else answer.sent_first
        self._write(answer.body[:first])
        if answer.release is not None and answer.sent_first is not None:
            answer.release.wait()
        self._write(answer.body[first:])

    def _write(self, body: bytes) -> None:
        for start in range(0, len(body), _WRITE_BYTES):
            self.wfile.write(body[start : start + _WRITE_BYTES])
            self.server.upstream.sent += len(body[start : start + _WRITE_BYTES])

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.announced != -1 and answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(answer.body) if answer.announced is None else answer.announced))
        if answer.announced is not None:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
