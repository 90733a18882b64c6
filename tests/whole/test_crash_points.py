"""A process may die, and its store fail, before and after every single call: nothing acknowledged is lost, nothing
half made is seen, and doing the same again is all it takes.

Each operation runs once undisturbed, then once for every call it makes of the store and every way in which that call
can go wrong, each time on a copy of the same index. What clients see is looked at through an app that just started.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from pypi_simple import IndexPage, ProjectPage

from indexer.derive.claim import rebuild_up_to
from indexer.derive.rebuild import rebuild
from indexer.errors import IndexerError
from indexer.keys import SNAPSHOT_KEY, log_key, user_key
from indexer.log.events import FileAdded, FileYanked, NamesReserved, UserPut
from indexer.log.log import ORIGIN, Log, head_of
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.upkeep.reindex import reindex
from indexer.upstream.client import Upstream
from pypi_lambda.access.admin import Users
from pypi_lambda.app.app import App
from pypi_lambda.publish.dropbox import take_all
from pypi_lambda.publish.upload import Publisher
from pypi_lambda.view.index import Index
from tests.support.adversary import Adversary, Call, Crash, Fault, Mischief
from tests.support.builders import (
    MEMORY,
    NOW,
    body_of,
    contents,
    ids,
    journal,
    make_app,
    put_user,
    request,
    sha256,
    upload_request,
    write_log,
)
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream

RENDERER = Renderer()
JSON = "application/vnd.pypi.simple.v1+json"
MUCH_LATER = datetime(2100, 1, 1, tzinfo=UTC)  # when everything that is superseded may go
WRITES = frozenset({"put", "put_new", "replace", "write", "delete"})
LASTING = ("log/", "projects/", "users/", "upstream/lists/", "incoming/")

OLD = make_wheel("ours", "1.0", requires_python=">=3.9")
NEW = make_wheel("ours", "2.0", requires=["six"])
SDIST = make_sdist("ours", "2.0")
TAKEN = make_wheel("six", "99.0")  # of a name that the upstream has
FOUND = make_sdist("found", "1.0")
SIX = make_wheel("six", "1.17.0", requires_python=">=2.7")
NUMPY = make_sdist("numpy", "2.0")
SECRET = make_wheel("our-secret", "1.0")
PRIVATE = (OLD, NEW, SDIST, TAKEN, FOUND)
NAMES = ("found", "numpy", "ours", "our-secret", "six")

Act = Callable[[ObjectStore, FakeUpstream, str], None]


class NotAcknowledged(Exception):
    """The operation ended with an error that tells its caller to try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A file as a client sees it: its entry on the page, its bytes, and its metadata's where the page has some."""

    entry: Mapping[str, Any]
    content: bytes
    metadata: bytes | None


Sight = Mapping[str, Mapping[str, Shown]]
"""What clients see: files by name, by project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that is done to an index.

    Attributes:
        act: does it, as a process that just started; the text tells one attempt's ids from another's. It raises
            NotAcknowledged, or another IndexerError, when it was not done.
        prepare: what is different in the index beforehand.
        least: calls of the store that it makes, at least: else these tests would not look where it happens.
        keeps: whether clients see the same before and after.
        logged_again: whether the log says it once more when it broke off and is done again.
    """

    act: Act
    prepare: Callable[[ObjectStore, Path], None] = lambda store, folder: None
    least: int
    keeps: bool = False
    logged_again: bool = False


def uploading(*distributions: Distribution, then_rebuild: bool = False) -> Act:
    def act(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
        def request_rebuild(seq: int) -> None:
            if then_rebuild:
                try:
                    rebuild(store, RENDERER)
                except IndexerError:  # as in the background, where nothing depends on it
                    return

        app = make_app(store, upstream=upstream.url, new_id=ids(attempt), request_rebuild=request_rebuild)
        for distribution in distributions:
            response = app(upload_request(distribution))
            if response.status != 200:
                assert response.status == 503, body_of(response)
                raise NotAcknowledged
            assert body_of(response).decode() == f"{distribution.filename} is published\n"

    return act


def rebuilding(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
    rebuild(store, RENDERER)


def rebuilding_for_many(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
    rebuild_up_to(store, RENDERER, 6, now=lambda: NOW, sleep=lambda seconds: None)


def reindexing(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
    client = Upstream(upstream.url, user_agent="tests")
    try:
        done = reindex(store, client, RENDERER, now=lambda: MUCH_LATER, new_id=ids(attempt), by="reindex")
    finally:
        client.close()
    assert (done.upstream_fault, done.refused) == (None, ())


def reading(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
    """Read an upstream project's page, a file and its metadata, all for the first time."""
    app = make_app(store, upstream=upstream.url)
    for path in ("/simple/six/", f"/simple/six/{SIX.filename}.metadata", f"/simple/six/{SIX.filename}"):
        response = app(request("GET", path, headers={"accept": JSON}))
        body = body_of(response)
        if response.status != 200:
            assert response.status == 503, body
            raise NotAcknowledged


def emptying_drop_box(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
    index = Index(store, RENDERER, max_staleness_seconds=0, clock=lambda: 0.0, request_repair=lambda: None)
    publisher = Publisher(store, index, now=lambda: NOW, new_id=ids(attempt), request_rebuild=lambda seq: None)
    take_all(store, publisher)


def removing_user(store: ObjectStore, upstream: FakeUpstream, attempt: str) -> None:
    Users(store, journal(store, new_id=ids(attempt), by="tests")).remove("leaver")


def with_tail(store: ObjectStore, folder: Path) -> None:
    """Let the snapshot be behind: a new project, a change of an old one, reserved names."""
    events = list(Log(store).read_after(ORIGIN))
    yank = FileYanked(project=ProjectName("ours"), filename=Filename(OLD.filename), reason="broken")
    found = FileAdded(
        project=ProjectName("found"),
        filename=Filename(FOUND.filename),
        version="1.0",
        size=len(FOUND.content),
        sha256=FOUND.sha256,
        upload_time="2024-01-02T03:04:05.000006Z",
    )
    store.put(f"projects/found/{FOUND.filename}", FOUND.content)
    write_log(store, yank, found, NamesReserved(patterns=("our-*",)), after=head_of(events[-1]))


def with_damage(store: ObjectStore, folder: Path) -> None:
    """Let the snapshot be behind and unreadable, and a page gone."""
    with_tail(store, folder)
    store.put(SNAPSHOT_KEY, store.get(SNAPSHOT_KEY).body[:-1])
    for key in contents(store, "pages/ours/"):
        store.delete(key)


def with_found_files(store: ObjectStore, folder: Path) -> None:
    """Let files lie under `projects/` that nobody has published, and the upstream's list be an old one."""
    for distribution in (FOUND, NEW):
        store.put(f"projects/{distribution.project}/{distribution.filename}", distribution.content)


def with_drop_box(store: ObjectStore, folder: Path) -> None:
    """Let two files lie in the drop box, one of which was refused before."""
    for distribution in (FOUND, NEW):
        store.put(f"incoming/sub/{distribution.filename}", distribution.content)
    store.put(f"incoming/sub/{NEW.filename}.rejected.txt", b"?")
    os.utime(folder / f"incoming/sub/{NEW.filename}.rejected.txt", (0, 0))


def with_leaver(store: ObjectStore, folder: Path) -> None:
    store.put(user_key("leaver"), b"{}")
    events = list(Log(store).read_after(ORIGIN))
    write_log(store, UserPut(username="leaver", upload=False), after=head_of(events[-1]))


def with_nothing_mirrored(store: ObjectStore, folder: Path) -> None:
    for prefix in ("cache/", "upstream/pages/"):
        for key in contents(store, prefix):
            store.delete(key)


def with_orphan(store: ObjectStore, folder: Path) -> None:
    """Let the file lie there with other content, from an upload that died long ago."""
    key = f"projects/ours/{NEW.filename}"
    store.put(key, b"something else")
    os.utime(folder / key, (0, 0))


OPERATIONS = {
    "first upload": Operation(act=uploading(TAKEN), least=8),
    "second upload": Operation(act=uploading(NEW), prepare=with_tail, least=9),
    "uploads and rebuilds": Operation(act=uploading(NEW, SDIST, then_rebuild=True), least=25),
    "upload over an orphan": Operation(act=uploading(NEW), prepare=with_orphan, least=10),
    "rebuild": Operation(act=rebuilding, prepare=with_tail, least=10, keeps=True),
    "drop box": Operation(act=emptying_drop_box, prepare=with_drop_box, least=30),
    "removal of a user": Operation(act=removing_user, prepare=with_leaver, least=5, keeps=True, logged_again=True),
    "rebuild for many": Operation(act=rebuilding_for_many, prepare=with_tail, least=12, keeps=True),
    "rebuild of a damaged index": Operation(act=rebuilding, prepare=with_damage, least=10, keeps=True),
    "reindex": Operation(act=reindexing, prepare=with_found_files, least=40),
    "reading through the mirror": Operation(act=reading, prepare=with_nothing_mirrored, least=12, keeps=True),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        for distribution in (SIX, NUMPY, SECRET):
            fake.add(distribution)
        yield fake


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def template(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with a user, a list of upstream names that is no longer the newest, and a published file."""
    folder = tmp_path_factory.mktemp("template") / "data"
    store = FolderStore(folder)
    put_user(store)
    upstream.names.append("since-gone")
    reindexing(store, upstream, "reindex ")
    upstream.names.remove("since-gone")
    uploading(OLD, then_rebuild=True)(store, upstream, "upload ")
    World(folder=folder, upstream=upstream).look()  # so that the upstream's files are there, and looking is quick
    return folder


@dataclass
class World:
    """A copy of an index, on which an operation can be disturbed."""

    folder: Path
    upstream: FakeUpstream
    store: FolderStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = FolderStore(self.folder)

    def disturbed(self, operation: Operation, *faults: Fault) -> tuple[bool, Sequence[Call]]:
        """Carry out the operation; return whether it was acknowledged, and its calls of the store."""
        adversary = Adversary(self.store, *faults)
        try:
            operation.act(adversary, self.upstream, "first ")
        except (Crash, NotAcknowledged, IndexerError):
            return False, adversary.calls
        return True, adversary.calls

    def look(self) -> Sight:
        return look(make_app(self.store, upstream=self.upstream.url))


def look(app: App) -> Sight:
    """Return what clients see, after making sure that all of it fits together."""
    listed = _listed_names(app)
    sight = {}
    for name in NAMES:
        page = _page(app, name)
        assert (name in listed) == (page is not None), name
        if page is not None:
            sight[name] = {entry["filename"]: _shown(app, name, entry) for entry in page["files"]}
        _check_unlisted(app, name, sight.get(name, {}))
    return sight


def _listed_names(app: App) -> list[str]:
    as_json = app(request("GET", "/simple/", headers={"accept": JSON}))
    as_html = app(request("GET", "/simple/"))
    assert (as_json.status, as_html.status) == (200, 200)
    names = [project["name"] for project in orjson.loads(body_of(as_json))["projects"]]
    assert names == list(dict.fromkeys(names)) == IndexPage.from_html(body_of(as_html)).projects
    return names


def _page(app: App, name: str) -> Mapping[str, Any] | None:
    as_json = app(request("GET", f"/simple/{name}/", headers={"accept": JSON}))
    as_html = app(request("GET", f"/simple/{name}/"))
    assert as_json.status == as_html.status
    if as_json.status == 404:
        return None
    assert as_json.status == 200, body_of(as_json)
    page: Mapping[str, Any] = orjson.loads(body_of(as_json))
    links = ProjectPage.from_html(name, body_of(as_html)).packages
    assert [(link.filename, link.digests) for link in links] == [
        (entry["filename"], entry["hashes"]) for entry in page["files"]
    ]
    return page


def _shown(app: App, name: str, entry: Mapping[str, Any]) -> Shown:
    """Return a listed file, which must be there as it is listed, with its metadata."""
    path = f"/simple/{name}/{unquote(entry['url'])}"
    response = app(request("GET", path))
    content = body_of(response)
    assert (response.status, sha256(content), len(content)) == (200, entry["hashes"]["sha256"], entry["size"])
    metadata = app(request("GET", f"{path}.metadata"))
    if "core-metadata" not in entry:
        assert metadata.status == 404
        return Shown(entry=entry, content=content, metadata=None)
    assert (metadata.status, sha256(body_of(metadata))) == (200, entry["core-metadata"]["sha256"])
    return Shown(entry=entry, content=content, metadata=body_of(metadata))


def _check_unlisted(app: App, name: str, listed: Mapping[str, Shown]) -> None:
    """Check that no private file can be had that is not on its page."""
    for distribution in PRIVATE:
        if distribution.project == name and distribution.filename not in listed:
            for path in (distribution.filename, f"{distribution.filename}.metadata"):
                assert app(request("GET", f"/simple/{name}/{path}")).status == 404, path


def check_between(before: Sight, seen: Sight, after: Sight) -> None:
    """Check that each project is as before or after, or on its way with whole files only, and lost none."""
    for name in NAMES:
        old, now, new = before.get(name), seen.get(name), after.get(name)
        if now in (old, new):
            continue
        assert now, name
        assert new is not None, name
        assert now.items() <= new.items(), name
        kept = {filename for filename in old or {} if filename in new}
        assert kept <= now.keys(), name


def check_log(store: ObjectStore) -> None:
    """Check that the log has no gap, no event twice, and no file published twice."""
    events = list(Log(store).read_after(ORIGIN))
    assert [event.seq for event in events] == list(range(1, len(contents(store, "log/")) + 1))
    assert len({event.id for event in events}) == len(events)
    published = [
        (event.change.project, event.change.filename) for event in events if isinstance(event.change, FileAdded)
    ]
    assert len(set(published)) == len(published)


def lasting_keys(store: ObjectStore) -> set[str]:
    """Return the keys of what is not derived: nothing of it may be left over."""
    return {key for key in contents(store) if key.startswith(LASTING)}


def check_derived(store: ObjectStore) -> None:
    """Check that snapshot and pages are, byte for byte, what the log alone gives."""
    rebuild(store, RENDERER)
    before = contents(store)
    rebuild(store, RENDERER, from_zero=True)
    assert contents(store) == before


@pytest.mark.parametrize(
    "mischief", [Mischief.CRASH_BEFORE, Mischief.CRASH_AFTER, Mischief.UNAVAILABLE, Mischief.LOST_ANSWER]
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_may_fail(
    name: str, mischief: Mischief, template: Path, upstream: FakeUpstream, folder: Path
) -> None:
    """Whichever call of the store goes wrong: what was acknowledged is there, nothing half made is, and again works."""
    operation = OPERATIONS[name]
    prepared = folder / "prepared"
    shutil.copytree(template, prepared)
    operation.prepare(FolderStore(prepared), prepared)

    def make_world(label: str) -> World:
        shutil.copytree(prepared, folder / label)
        return World(folder=folder / label, upstream=upstream)

    before = make_world("before").look()
    undisturbed = make_world("undisturbed")
    acknowledged, calls = undisturbed.disturbed(operation)
    after = undisturbed.look()
    assert acknowledged
    assert len(calls) >= operation.least
    assert (before == after) is operation.keeps
    expected_keys = lasting_keys(undisturbed.store)

    struck = [call for call in calls if mischief is not Mischief.LOST_ANSWER or call.method in WRITES]
    for call in struck:
        world = make_world(f"at {call.index}")
        acknowledged, _ = world.disturbed(operation, Fault(mischief, at=call.index))
        seen = world.look()
        check_between(before, seen, after)
        assert not acknowledged or (seen == after and lasting_keys(world.store) == expected_keys), call
        operation.act(world.store, upstream, "again ")
        assert world.look() == after, call
        left = lasting_keys(world.store) ^ expected_keys
        assert not left or (operation.logged_again and {key.partition("/")[0] for key in left} == {"log"}), call
        check_log(world.store)
        check_derived(world.store)
        shutil.rmtree(world.folder)
    assert struck


def test_orphan_is_not_replaced_under_a_retry(tmp_path: Path) -> None:
    """Of two uploads that meet at an old orphan, one with its bytes and one with others, the published keeps its own.

    The first has found its own bytes there and is about to commit when the second comes to replace them.
    """
    store = FolderStore(tmp_path)
    put_user(store)
    key = f"projects/ours/{OLD.filename}"
    store.put(key, OLD.content)
    os.utime(tmp_path / key, (0, 0))
    other = make_wheel("ours", "1.0", files={"more.py": b""})
    pause = Fault(Mischief.SLOW, when=lambda call: (call.method, call.key) == ("put_new", log_key(1)))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(make_app(Adversary(store, pause), new_id=ids("first ")), upload_request(OLD))
        assert pause.reached.wait(timeout=300)
        second = make_app(store, new_id=ids("second "))(upload_request(other))
        pause.release.set()
        statuses = first.result().status, second.status
    (event,) = Log(store).read_after(ORIGIN)
    assert isinstance(event.change, FileAdded)
    assert sha256(store.get(key).body) == event.change.sha256
    assert statuses == (200, 409)
