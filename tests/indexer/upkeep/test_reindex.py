"""A reindex brings everything up to date, whatever of it fails, and throws away only what nobody needs."""

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from indexer.derive.blocks import decode_blocks
from indexer.derive.deflate import text_of
from indexer.derive.master import encode_names, names_digest
from indexer.derive.rebuild import load_snapshot, rebuild
from indexer.derive.root import entries_key
from indexer.derive.snapshot import UpstreamNames
from indexer.errors import CorruptObject
from indexer.keys import SNAPSHOT_KEY, filter_key, log_key, names_key
from indexer.log.events import Event, UpstreamRefreshed
from indexer.log.log import ORIGIN, Log
from indexer.names import ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.upkeep.reindex import Reindexed, reindex
from indexer.upkeep.retention import KEEP_PAGES, KEEP_SUPERSEDED, KEEP_TRANSIENT
from indexer.upstream.client import Upstream
from pypi_lambda.view.policy import Policy
from tests.support.adversary import Adversary
from tests.support.builders import AT, NOW, added, contents, ids, write_log
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

RENDERER = Renderer()
WHEEL = make_wheel("demo", "1.0")
NAMES = ["six", "numpy", "Zope.Interface"]
NORMALIZED = sorted(ProjectName(name) for name in ("six", "numpy", "zope-interface"))
DIGEST = names_digest(encode_names(NORMALIZED))


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        fake.names = list(NAMES)
        yield fake


def run(store: ObjectStore, upstream: FakeUpstream, *, now: datetime = NOW, prefix: str = "") -> Reindexed:
    client = Upstream(upstream.url, user_agent="tests")
    try:
        return reindex(store, client, RENDERER, now=lambda: now, new_id=ids(prefix), by="tests")
    finally:
        client.close()


def events(store: ObjectStore) -> list[Event]:
    return list(Log(store).read_after(ORIGIN))


def known(store: ObjectStore) -> UpstreamNames:
    upstream = load_snapshot(store, RENDERER).snapshot.upstream
    assert upstream is not None
    return upstream


@pytest.mark.parametrize("html_only", [False, True])
def test_everything_is_brought_up_to_date(store: FolderStore, upstream: FakeUpstream, html_only: bool) -> None:
    """The list is read, files are adopted, snapshot, pages and both root listings are there."""
    upstream.html_only = html_only
    key = f"projects/demo/{WHEEL.filename}"
    store.put(key, WHEEL.content)
    done = run(store, upstream)
    assert (done.upstream_count, done.upstream_fault, done.adopted, done.refused) == (3, None, (key,), ())
    assert (done.rebuilt.changed, done.rebuilt.pages, done.rebuilt.snapshot.head.seq) == (True, 1, 2)
    assert events(store)[0].change == UpstreamRefreshed(names_sha256=DIGEST, count=3)
    assert contents(store).keys() == {
        log_key(1),
        log_key(2),
        SNAPSHOT_KEY,
        names_key(DIGEST),
        filter_key(DIGEST),
        key,
        f"{key}.metadata",
        RENDERER.json_key(ProjectName("demo"), 2),
        RENDERER.html_key(ProjectName("demo"), 2),
        entries(done, "json"),
        entries(done, "html"),
    }
    names = known(store).filter
    assert names is not None
    assert all(name in names for name in NORMALIZED)


def test_same_list_is_no_event(store: FolderStore, upstream: FakeUpstream) -> None:
    """As long as the upstream lists the same names, in whatever order, nothing is written."""
    run(store, upstream)
    before = contents(store)
    upstream.names.reverse()
    done = run(store, upstream, prefix="again")
    assert (done.upstream_count, done.rebuilt.changed) == (3, False)
    assert contents(store) == before


def test_new_name_is_known_at_once(store: FolderStore, upstream: FakeUpstream) -> None:
    """A name that the upstream has since is in the filter and in the listing."""
    run(store, upstream)
    upstream.names.append("brand-new")
    done = run(store, upstream, prefix="again")
    names = known(store).filter
    assert names is not None
    assert "brand-new" in names
    assert (done.upstream_count, store.stat(entries(done, "json")) is not None) == (4, True)


@pytest.mark.parametrize("status", [500, 404, 401])
def test_failing_upstream_stops_nothing_else(store: FolderStore, upstream: FakeUpstream, status: int) -> None:
    """When the upstream fails, the list that is known stays, and everything else is done."""
    run(store, upstream)
    key = f"projects/demo/{WHEEL.filename}"
    store.put(key, WHEEL.content)
    upstream.override("/simple/", status=status)
    done = run(store, upstream, prefix="again")
    assert done.upstream_fault is not None
    assert (done.upstream_count, done.adopted) == (3, (key,))
    assert known(store).names_sha256 == DIGEST


def test_shrunken_list_is_not_believed(store: FolderStore, upstream: FakeUpstream) -> None:
    """A list that lost most of its names is taken for a fault, one that lost few for the truth."""
    upstream.names = [f"name-{number}" for number in range(10)]
    run(store, upstream)
    upstream.names = upstream.names[:4]
    assert "at least 5 were expected" in str(run(store, upstream, prefix="a").upstream_fault)
    assert known(store).count == 10
    upstream.names = [*upstream.names, "five"]
    assert run(store, upstream, prefix="b").upstream_fault is None
    assert known(store).count == 5


def test_list_that_breaks_off_is_not_believed(store: FolderStore, upstream: FakeUpstream) -> None:
    """A list whose transfer breaks off is not taken for a shorter one."""
    run(store, upstream)
    body = b'{"meta": {"api-version": "1.4"}, "projects": [{"name": "six"}, {"name": "numpy"}, {"name": "zop'
    upstream.override(
        "/simple/", headers={"Content-Type": "application/vnd.pypi.simple.v1+json"}, body=body, announced=1_000
    )
    assert run(store, upstream, prefix="again").upstream_fault is not None
    assert known(store).names_sha256 == DIGEST


@pytest.mark.parametrize("damage", ["list lost", "list damaged", "all lost", "all damaged"])
def test_lost_list_is_restored(
    store: FolderStore, upstream: FakeUpstream, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stored list that was lost or damaged comes back with the next reindex, though the names are the same."""
    run(store, upstream)
    for key in (names_key(DIGEST), *([filter_key(DIGEST)] if damage.startswith("all") else [])):
        if damage.endswith("lost"):
            store.delete(key)
        else:
            store.put(key, b"?")
    store.delete(SNAPSHOT_KEY)
    done = run(store, upstream, prefix="again")
    names = known(store).filter
    assert names is not None
    assert all(name in names for name in NORMALIZED)
    assert store.find(names_key(DIGEST)) is not None
    assert b"numpy" in _root(store, done)
    assert names_key(DIGEST) in caplog.text


def _root(store: ObjectStore, done: Reindexed) -> bytes:
    return text_at(store, entries(done, "json"))


def entries(done: Reindexed, extension: str, policy: Policy | None = None) -> str:
    upstream = done.rebuilt.snapshot.upstream
    assert upstream is not None
    return entries_key(upstream.names_sha256, extension, policy)


def text_at(store: ObjectStore, key: str) -> bytes:
    return b"".join(text_of(decode_blocks(key, store.get(key).body).body))


def test_a_selection_is_listed(store: FolderStore, upstream: FakeUpstream) -> None:
    """Where not all of the upstream's names may enter, the listing of those that may is made, and no other."""
    client = Upstream(upstream.url, user_agent="tests")
    policy = Policy(deny=("num*",))
    done = reindex(store, client, RENDERER, now=lambda: NOW, new_id=ids(), by="tests", selection=policy)
    client.close()
    keys = {entries(done, extension, policy) for extension in ("json", "html")}
    assert {stat.key for stat in store.list("index/")} == keys
    assert [b"numpy" in text_at(store, key) for key in keys] == [False, False]


@pytest.mark.parametrize("damaged", [False, True])
def test_lost_page_is_restored(store: FolderStore, upstream: FakeUpstream, damaged: bool) -> None:
    """A page that was deleted or damaged does not stop the reindex, which brings it back."""
    store.put(f"projects/demo/{WHEEL.filename}", WHEEL.content)
    run(store, upstream)
    before = contents(store)
    key = RENDERER.json_key(ProjectName("demo"), 2)
    if damaged:
        store.put(key, b"?")
    else:
        store.delete(key)
    assert run(store, upstream, prefix="again").adopted == ()
    assert contents(store) == before


def test_corrupt_event_is_loud(store: FolderStore, upstream: FakeUpstream) -> None:
    """An unreadable event stops the reindex with an error that names it."""
    write_log(store, added("a"))
    store.put(log_key(1), b"?")
    with pytest.raises(CorruptObject) as caught:
        run(store, upstream)
    assert caught.value.key == log_key(1)


def test_superseded_objects_are_cleared_late(store: FolderStore, upstream: FakeUpstream) -> None:
    """Lists and listings that nothing names stay for as long as a container may live that read the snapshot before."""
    first = run(store, upstream)
    upstream.names.append("more")
    second = run(store, upstream, prefix="2")
    old = {
        names_key(DIGEST),
        filter_key(DIGEST),
        *(entries(first, extension) for extension in ("json", "html")),
    }
    all_keys = set(contents(store))
    assert old <= all_keys
    written_at = max(stat.modified for stat in store.list(""))
    run(store, upstream, prefix="3", now=written_at + KEEP_SUPERSEDED - timedelta(seconds=60))
    assert set(contents(store)) == all_keys
    run(store, upstream, prefix="4", now=written_at + KEEP_SUPERSEDED + timedelta(seconds=60))
    assert set(contents(store)) == all_keys - old
    assert rebuild(store, RENDERER, from_zero=True).snapshot.head == second.rebuilt.snapshot.head


def test_current_objects_are_never_cleared(store: FolderStore, upstream: FakeUpstream) -> None:
    """However old, what the snapshot names stays, and so does every event, page and file."""
    store.put(f"projects/demo/{WHEEL.filename}", WHEEL.content)
    store.put("cache/six/six-1.0.tar.gz", b"x")
    store.put("users/00.json", b"{}")
    run(store, upstream)
    before = contents(store)
    run(store, upstream, prefix="again", now=NOW + timedelta(days=4_000))
    assert contents(store) == before


def test_superseded_pages_are_cleared_late(store: FolderStore, upstream: FakeUpstream) -> None:
    """A page goes only when the one after it is older than any view that may name it; then nothing that is served."""
    for version in ("1.0", "2.0"):
        wheel = make_wheel("demo", version)
        store.put(f"projects/demo/{wheel.filename}", wheel.content)
        run(store, upstream, prefix=version)
    pages = sorted(contents(store, "pages/"))
    written_at = max(stat.modified for stat in store.list("pages/"))
    run(store, upstream, prefix="a", now=written_at + KEEP_PAGES - timedelta(seconds=60))
    assert sorted(contents(store, "pages/")) == pages
    run(store, upstream, prefix="b", now=written_at + KEEP_PAGES + timedelta(seconds=60))
    assert sorted(contents(store, "pages/")) == pages[2:]
    assert len(pages) == 4


@pytest.mark.parametrize("prefix", ["copies/", "probe/", "rebuilding/", "staging/"])
def test_transient_objects_are_cleared(store: FolderStore, upstream: FakeUpstream, tmp_path: Path, prefix: str) -> None:
    """What killed processes left is cleared a day later, not sooner."""
    for name in ("old", "young"):
        store.put(f"{prefix}{name}", b"x")
    for name, age in (("old", KEEP_TRANSIENT + timedelta(minutes=1)), ("young", KEEP_TRANSIENT - timedelta(minutes=1))):
        moment = (NOW - age).timestamp()
        os.utime(tmp_path / "data" / prefix / name, (moment, moment))
    run(store, upstream)
    assert set(contents(store, prefix)) == {f"{prefix}young"}


def test_events_have_time_and_author(store: FolderStore, upstream: FakeUpstream) -> None:
    """The log says when the list was read and who asked for it."""
    run(store, upstream)
    assert [(event.at, event.by, event.id) for event in events(store)] == [(AT, "tests", f"{1:032x}")]


def test_event_that_arrives_meanwhile_is_kept(store: FolderStore, upstream: FakeUpstream) -> None:
    """An upload while the list is read loses nothing: both are in the log and in the snapshot."""

    class Busy(Adversary):
        def put(self, key: str, body: bytes, *, content_type: str = "", immutable: bool = False) -> str:
            if key == names_key(DIGEST):
                write_log(self.inner, added("meanwhile"))
            return super().put(key, body, content_type=content_type, immutable=immutable)

    client = Upstream(upstream.url, user_agent="tests")
    done = reindex(Busy(store), client, RENDERER, now=lambda: NOW, new_id=ids("re"), by="tests")
    client.close()
    assert done.rebuilt.snapshot.head.seq == 2
    assert done.rebuilt.snapshot.projects.find(ProjectName("meanwhile")) == 1
    assert known(store).names_sha256 == DIGEST


def test_progress_is_told(store: FolderStore, upstream: FakeUpstream) -> None:
    """Who asked hears how much of the list has arrived."""
    heard: list[tuple[int, int | None]] = []
    client = Upstream(upstream.url, user_agent="tests")
    reindex(
        store,
        client,
        RENDERER,
        now=lambda: NOW,
        new_id=ids(),
        by="tests",
        on_progress=lambda done, total: heard.append((done, total)),
    )
    client.close()
    assert heard
    assert heard[-1][0] == heard[-1][1]


def test_upstream_fault_is_logged(store: FolderStore, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture) -> None:
    """Why the list could not be read is in the log output."""
    upstream.override("/simple/", status=503)
    with caplog.at_level(logging.WARNING):
        done = run(store, upstream)
    assert done.upstream_count is None
    assert str(done.upstream_fault) in caplog.text
