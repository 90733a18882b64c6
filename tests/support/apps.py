"""A whole service as a WSGI server has it: over a folder, with a reader, an uploader and a fake upstream.

with running_site(tmp_path) as site:
    site.upload(make_wheel("demo", "1.0"))
    assert site.get("/simple/demo/", accept=JSON).status == 200

Every answer is checked to be well-formed before it is returned.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from indexer.keys import user_key
from indexer.log.events import Change
from indexer.log.log import ORIGIN, Log
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.upkeep.reindex import reindex
from pypi_lambda.access.auth import hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from pypi_lambda.app.app import make_app
from pypi_lambda.app.service import Service, make_service, make_upstream, renderer_of
from pypi_lambda.http.model import Readable, Request, Response
from pypi_lambda.server.wsgi import wsgi_application
from pypi_lambda.settings import Settings
from tests.support.builders import AT, NOW, basic, ids, upload_form
from tests.support.distributions import Distribution
from tests.support.fake_upstream import FakeUpstream

UPLOADER = ("uploader", "a password, with: colons")
READER = ("reader", "pässwörd")
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
LEGACY = "text/html"

_RECORDS = {
    UPLOADER[0]: encode_user(UserRecord(hash=hash_password(UPLOADER[1]), upload=True)),
    READER[0]: encode_user(UserRecord(hash=hash_password(READER[1]), upload=False)),
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server was given to send."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(kw_only=True)
class Site:
    """A service and its surroundings.

    Attributes:
        user: who asks unless a request says otherwise; None for nobody.
    """

    service: Service
    store: ObjectStore
    settings: Settings
    upstream: FakeUpstream
    user: tuple[str, str] | None = UPLOADER
    new_id: Callable[[], str] = field(default_factory=lambda: ids("another process "))

    @property
    def app(self) -> Callable[[Request], Response]:
        return make_app(self.service)

    def request(self, method: str, path: str, **details: Any) -> Answer:
        """Ask; see `environ` for the details."""
        application = wsgi_application(self.app, base_path=self.settings.api_gateway_base_path)
        return call(application, environ(method, path, **{"user": self.user, **details}))

    def get(self, path: str, **details: Any) -> Answer:
        return self.request("GET", path, **details)

    def head(self, path: str, **details: Any) -> Answer:
        return self.request("HEAD", path, **details)

    def upload(self, distribution: Distribution, *, path: str = "/", **details: Any) -> Answer:
        """Upload a file as twine does."""
        body, content_type = upload_form(distribution)
        return self.request("POST", path, body=body, content_type=content_type, **details)

    def happen(self, *changes: Change) -> None:
        """Append to the log, as another process does."""
        for change in changes:
            Log(self.store).append(ORIGIN, change, by="another process", at=AT, id=self.new_id())

    def read_names(self) -> None:
        """Read the upstream's list of projects, as the hourly reindex does, and forget that it was asked."""
        upstream = make_upstream(self.settings)
        reindex(self.store, upstream, renderer_of(self.settings), now=lambda: NOW, new_id=self.new_id, by="reindex")
        upstream.close()
        self.upstream.forget()

    def rebuild(self) -> None:
        """Have the snapshot and the pages brought up to date."""
        self.service.rebuilder.request(0)
        self.service.rebuilder.wait()


@contextmanager
def running_site(
    folder: Path, *, store: ObjectStore | None = None, upstream: FakeUpstream | None = None, **settings: Any
) -> Iterator[Site]:
    """Run a service over a folder, or over another store; the upstream is a small index that listens on loopback."""
    store = store or FolderStore(folder / "data")
    for username, record in _RECORDS.items():
        store.put(user_key(username), record)
    with upstream or FakeUpstream() as running:
        described = Settings(**{"bucket": "file:///nowhere", "upstream_index_url": running.url, **settings})
        service = make_service(described, store=store)
        try:
            yield Site(service=service, store=store, settings=described, upstream=running)
        finally:
            service.rebuilder.wait()


def environ(
    method: str,
    path: str,
    *,
    query: str = "",
    user: tuple[str, str] | None = UPLOADER,
    accept: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | Readable = b"",
    content_type: str | None = None,
    content_length: str | None = None,
    script_name: str = "",
) -> dict[str, Any]:
    """Build a request as a WSGI server hands it over.

    Args:
        path: as on the wire; percent-decoded here, as servers do it.
        headers: more of them, or others in the place of those that the rest makes.
        content_length: the header, where it is not the body's length; "" for none.
    """
    sent = {"accept": accept, "authorization": None if user is None else basic(*user), **(headers or {})}
    length = content_length if content_length is not None else str(len(body)) if isinstance(body, bytes) else ""
    optional = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": length or None}
    optional |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.items()}
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **{name: value for name, value in optional.items() if value is not None},
    }


def call(application: Any, request: dict[str, Any]) -> Answer:
    """Make a call as a server does it, and check that it could send what comes back."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        started.append((status, headers))

    chunks = application(request, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    [(status, headers)] = started
    check_well_formed(str(request["REQUEST_METHOD"]), status, headers, body)
    return Answer(status=int(status[:3]), headers=dict(headers), body=body)


def check_well_formed(method: str, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Check what RFC 9110 and PEP 3333 ask of every response."""
    assert re.fullmatch(r"[1-5][0-9]{2} [ -~]+", status)
    names = [name.lower() for name, _ in headers]
    assert len(set(names)) == len(names)
    assert not _HOP_BY_HOP & set(names)
    assert all(_TOKEN.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers), headers
    found = {name.lower(): value for name, value in headers}
    if method == "HEAD" or status.startswith("304"):
        assert body == b""
    elif "content-length" in found:
        assert int(found["content-length"]) == len(body)
    if body:
        assert found["x-content-type-options"] == "nosniff"
        assert "content-type" in found
