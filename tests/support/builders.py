"""Events, logs, requests and apps for tests: keywords with valid defaults, and nothing random."""

import hashlib
import io
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count

from hypothesis import strategies as st

from indexer.keys import log_key, user_key
from indexer.log.events import (
    Change,
    Event,
    FileAdded,
    FileRemoved,
    FileRestored,
    FileUnyanked,
    FileYanked,
    NamesReserved,
    NamesUnreserved,
    ProjectStatusSet,
    TokenCreated,
    TokenRevoked,
    UpstreamRefreshed,
    UserPut,
    UserRemoved,
    decode_event,
    encode_event,
)
from indexer.log.journal import Journal
from indexer.log.log import ORIGIN, Head, Log, head_of
from indexer.log.project import STATUSES, File, FileTurn, Project, StatusTurn
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer
from indexer.simple.root_text import ROOT_TEXTS
from indexer.store.base import ObjectStore
from pypi_lambda.access.auth import Authenticator, hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from pypi_lambda.app.app import App
from pypi_lambda.app.health import Health
from pypi_lambda.app.service import Service
from pypi_lambda.http.model import Request, Response
from pypi_lambda.publish.upload import Publisher
from pypi_lambda.settings import Settings
from pypi_lambda.view.policy import Policy
from tests.support.distributions import Distribution

AT = "2024-11-23T10:20:30.000040Z"
# Long ago, so that whatever a test stores is younger.
NOW = datetime(2024, 11, 23, 10, 20, 30, 40, tzinfo=UTC)
USERNAME = "uploader"
PASSWORD = "a password, with: colons"
# Where thousands of small files are written quickly: a folder in memory, where there is one. None is the usual place.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
NO_UPSTREAM = "http://127.0.0.1:9/simple/"  # the discard port, on which nothing listens

HOSTILE_TEXTS = (
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "</a></body>",
    "&amp;&#0;&lt",
    "a\0b\r\n\tc\u2028\x85",
    " blank ",
    "\ufeff\U0010ffff",
    "true",
    "",
)
texts = st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=12)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
# Few and alike, so that events meet: prefixes of one another, and neighbours of the separators in the order of bytes.
names = st.sampled_from([ProjectName(text) for text in ("a", "a-b", "a-b-c", "a0", "ab", "b", "zz9")])
any_names = st.from_regex(r"[a-z0-9]{1,3}(-[a-z0-9]{1,3}){0,2}", fullmatch=True).map(ProjectName)
filenames = st.sampled_from([Filename(f"x-{version}.tar.gz") for version in ("1.0", "1.0+local", "1!2.0", "3")])
any_filenames = (
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,20}", fullmatch=True)
    .filter(lambda text: ".." not in text)
    .map(Filename)
)


def file_changes(
    projects: st.SearchStrategy[ProjectName] = names, files: st.SearchStrategy[Filename] = filenames
) -> st.SearchStrategy[Change]:
    """Return changes of projects and their files, of all kinds."""
    of_file = {"project": projects, "filename": files}
    additions = st.builds(
        FileAdded,
        **of_file,
        version=texts,
        size=st.integers(0, 2**40),
        sha256=digests,
        upload_time=st.just(AT),
        requires_python=st.none() | texts,
        metadata_sha256=st.none() | digests,
        provenance_sha256=st.none() | digests,
    )
    yanks = st.builds(FileYanked, **of_file, reason=texts)
    statuses = st.builds(ProjectStatusSet, project=projects, status=st.sampled_from(STATUSES), reason=texts)
    others = [st.builds(kind, **of_file) for kind in (FileUnyanked, FileRemoved, FileRestored)]
    return st.one_of(additions, yanks, statuses, *others)


def other_changes() -> st.SearchStrategy[Change]:
    """Return changes of all kinds that are about no project."""
    patterns = st.lists(texts, max_size=3).map(tuple)
    rights = {"username": texts, "upload": st.booleans(), "projects": patterns}
    return st.one_of(
        st.builds(NamesReserved, patterns=patterns),
        st.builds(NamesUnreserved, patterns=patterns),
        st.builds(UserPut, **rights),
        st.builds(UserRemoved, username=texts),
        st.builds(TokenCreated, **rights, token=texts, name=texts, expires=st.none() | st.just(AT)),
        st.builds(TokenRevoked, token=texts, username=texts),
        st.builds(UpstreamRefreshed, names_sha256=digests, count=st.integers(0, 10**7)),
    )


def added(project: str = "demo", filename: str = "", *, version: str = "1.0", **changes: object) -> FileAdded:
    """Build the event of a file; its digest is that of its name."""
    filename = filename or f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    values: dict[str, object] = {
        "project": ProjectName(project),
        "filename": Filename(filename),
        "version": version,
        "size": len(filename),
        "sha256": sha256(filename),
        "upload_time": AT,
        "requires_python": ">=3.9",
        "metadata_sha256": sha256(f"{filename}.metadata") if filename.endswith(".whl") else None,
    }
    return FileAdded(**(values | changes))  # type: ignore[arg-type]  # what tests pass is theirs to get right


def file(
    filename: str = "demo-1.0-py3-none-any.whl",
    *,
    version: str = "1.0",
    yanked: str | None = None,
    removed: bool = False,
    **changes: object,
) -> File:
    """Build a project's file; its digest is that of its name."""
    turns = (FileTurn(at=AT, yanked=yanked, removed=removed),) if yanked is not None or removed else ()
    values: dict[str, object] = {
        "filename": Filename(filename),
        "version": version,
        "size": len(filename),
        "sha256": sha256(filename),
        "upload_time": AT,
        "turns": turns,
    }
    return File(**(values | changes))  # type: ignore[arg-type]  # likewise


def project(*files: File, name: str = "demo", seq: int = 1, status: str = "", reason: str = "") -> Project:
    statuses = (StatusTurn(at=AT, status=status, reason=reason),) if status else ()
    by_name = {file.filename: file for file in files}
    return Project(name=ProjectName(name), seq=seq, files=by_name, statuses=statuses)


def sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def event_bytes(
    change: Change, *, seq: int = 1, prev: str = "", id: str = "1d", at: str = AT, by: str = "me", client: str = ""
) -> bytes:
    return encode_event(seq=seq, id=id, prev=prev, at=at, by=by, client=client, change=change)


def chain(*changes: Change, after: Head = ORIGIN) -> list[Event]:
    """Build the events of a log, or of its end."""
    events: list[Event] = []
    head = after
    for change in changes:
        seq = head.seq + 1
        body = event_bytes(change, seq=seq, prev=head.digest, id=f"{seq:032x}")
        events.append(decode_event(log_key(seq), body))
        head = head_of(events[-1])
    return events


def write_log(store: ObjectStore, *changes: Change, after: Head = ORIGIN) -> list[Event]:
    """Append the changes and return the events, which are the same for the same changes."""
    log = Log(store)
    events: list[Event] = []
    head = after
    for change in changes:
        events.append(log.append(head, change, by="me", at=AT, id=f"{head.seq + 1:032x}"))
        head = head_of(events[-1])
    return events


def journal(
    store: ObjectStore, *, new_id: Callable[[], str] | None = None, by: str = "me", head: Head = ORIGIN
) -> Journal:
    return Journal(store, by=by, now=lambda: NOW, new_id=new_id or ids(), head=head)


def contents(store: ObjectStore, prefix: str = "") -> dict[str, bytes]:
    """Return every object of a store."""
    return {stat.key: store.get(stat.key).body for stat in store.list(prefix)}


def ids(prefix: str = "") -> Callable[[], str]:
    """Return a source of ids, each of which it gives once."""
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers):032x}"


def basic(username: str = USERNAME, password: str = PASSWORD) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def request(method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Request:
    """Build a request of the user that `put_user` makes."""
    return Request(
        method=method,
        path=path,
        query="",
        headers={"authorization": basic(), **(headers or {})},
        body=io.BytesIO(body),
        content_length=len(body),
        base_path="",
        client="127.0.0.1",
    )


def upload_form(distribution: Distribution, *, version: str | None = None) -> tuple[bytes, str]:
    """Build the form that uploads a file; return it with its Content-Type."""
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "name": distribution.project,
        "version": version or distribution.filename.split("-")[1].removesuffix(".tar.gz"),
        "sha256_digest": distribution.sha256,
    }
    head = "--b\r\nContent-Disposition: form-data; "
    texts = "".join(f'{head}name="{field}"\r\n\r\n{value}\r\n' for field, value in fields.items())
    disposition = f'{head}name="content"; filename="{distribution.filename}"\r\n\r\n'
    body = b"".join([texts.encode(), disposition.encode(), distribution.content, b"\r\n--b--\r\n"])
    return body, "multipart/form-data; boundary=b"


def upload_request(distribution: Distribution, *, version: str | None = None) -> Request:
    """Build the request that uploads a file."""
    body, content_type = upload_form(distribution, version=version)
    return request("POST", "/", body=body, headers={"content-type": content_type})


# One record, made once, and one memory of verified passwords: each verification takes a sixth of a second.
_RECORD = encode_user(UserRecord(hash=hash_password(PASSWORD), upload=True))
_AUTHENTICATOR = Authenticator()


def put_user(store: ObjectStore) -> None:
    """Have a user that may upload."""
    store.put(user_key(USERNAME), _RECORD)


def make_app(
    store: ObjectStore,
    *,
    upstream: str = NO_UPSTREAM,
    renderer: Renderer | None = None,
    new_id: Callable[[], str] | None = None,
    request_rebuild: Callable[[int], None] = lambda seq: None,
    max_staleness_seconds: float = 0,
    clock: Callable[[], float] = lambda: 0.0,
    authenticator: Authenticator = _AUTHENTICATOR,
    policy: Policy | None = None,
    now: Callable[[], datetime] = lambda: NOW,
) -> App:
    """Build an app, as a process that just started has it, that does nothing in the background."""
    settings = Settings(
        bucket="file:///nowhere", upstream_index_url=upstream, max_staleness_seconds=max_staleness_seconds
    )
    service = Service(settings, store=store, rebuilds=_Rebuilds(request=request_rebuild))
    service.now, service.clock, service.new_id = now, clock, new_id or ids()
    service.renderer = renderer or Renderer()
    service.policy, service.authenticator = policy, authenticator
    service.publisher = Publisher(
        store, service.index, now=lambda: NOW, new_id=service.new_id, request_rebuild=request_rebuild
    )
    service.health = Health(service.index, now=lambda: NOW, clock=clock)
    return App(service)


class _Rebuilds:
    def __init__(self, *, request: Callable[[int], None]) -> None:
        self._request = request

    def request(self, seq: int) -> None:
        self._request(seq)

    def request_repair(self) -> None:
        pass


def body_of(response: Response) -> bytes:
    """Return a response's whole body."""
    return response.body if isinstance(response.body, bytes) else b"".join(_closing(response.body))


def _closing(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def root_html(names: Iterable[str]) -> bytes:
    """Return a root listing of upstream names as HTML."""
    return _root("html", names)


def root_json(names: Iterable[str]) -> bytes:
    """Return a root listing of upstream names as JSON."""
    return _root("json", names)


def _root(extension: str, names: Iterable[str]) -> bytes:
    text = ROOT_TEXTS[extension]
    entries = text.upstream([ProjectName(name) for name in names]).removeprefix(text.between)
    return (text.head(0) + entries + text.foot).encode()
