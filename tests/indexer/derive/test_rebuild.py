"""What is derived from the log is the same, byte for byte, whenever and in however many steps it is made."""

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.derive.master import encode_names, names_digest, put_master
from indexer.derive.rebuild import Rebuilt, load_snapshot, rebuild
from indexer.derive.snapshot import encode_snapshot
from indexer.errors import CorruptObject, UnknownVersion
from indexer.frame import pack
from indexer.keys import SNAPSHOT_KEY, filter_key, log_key, names_key
from indexer.log.events import Change, FileYanked, UpstreamRefreshed
from indexer.log.log import ORIGIN, Log, head_of
from indexer.log.project import empty_project, fold
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.builders import MEMORY, added, contents, file_changes, other_changes, write_log

RENDERER = Renderer()
LISTS = [encode_names([ProjectName(f"{word}-{number}") for number in range(20)]) for word in ("one", "two")]
REFRESHED = [UpstreamRefreshed(names_sha256=names_digest(content), count=20) for content in LISTS]
logs = st.lists(
    file_changes()
    | other_changes().filter(lambda change: not isinstance(change, UpstreamRefreshed))
    | st.sampled_from(REFRESHED),
    max_size=25,
)


def break_nothing(store: ObjectStore) -> None:
    """Leave the store as it is."""


def lose_snapshot(store: ObjectStore) -> None:
    store.delete(SNAPSHOT_KEY)


def damage_snapshot(store: ObjectStore) -> None:
    _damage(store, SNAPSHOT_KEY)


def lose_pages(store: ObjectStore) -> None:
    for key in contents(store, "pages/"):
        store.delete(key)


def damage_pages(store: ObjectStore) -> None:
    for key in contents(store, "pages/"):
        _damage(store, key)


def lose_filters(store: ObjectStore) -> None:
    for change in REFRESHED:
        store.delete(filter_key(change.names_sha256))


def _damage(store: ObjectStore, key: str) -> None:
    stored = store.find(key)
    if stored is not None:
        store.put(key, stored.body[: len(stored.body) // 2])


HARM: list[Callable[[ObjectStore], None]] = [
    break_nothing,
    lose_snapshot,
    damage_snapshot,
    lose_pages,
    damage_pages,
    lose_filters,
]


def put_lists(store: ObjectStore) -> None:
    for content in LISTS:
        put_master(store, content)


def extend(store: ObjectStore, *changes: Change) -> None:
    """Append the changes to the log, wherever its end is."""
    events = list(Log(store).read_after(ORIGIN))
    write_log(store, *changes, after=head_of(events[-1]) if events else ORIGIN)


def named_pages(rebuilt: Rebuilt) -> set[str]:
    """Return the keys of the pages that a snapshot names."""
    entries = rebuilt.snapshot.projects.items()
    return {key for name, seq in entries for key in (RENDERER.json_key(name, seq), RENDERER.html_key(name, seq))}


def expected_pages(store: ObjectStore, found: Rebuilt) -> dict[str, bytes]:
    """Return the pages that a snapshot names, made in the plainest way: each project folded from the whole log."""
    events = list(Log(store).read_after(ORIGIN))
    pages = {}
    for name, seq in found.snapshot.projects.items():
        project = fold(empty_project(name), events)
        pages[RENDERER.json_key(name, seq)] = compress(RENDERER.render_json(project))
        pages[RENDERER.html_key(name, seq)] = compress(RENDERER.render_html(project))
    return pages


@settings(max_examples=60)
@given(changes=logs, steps=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(HARM), st.booleans()), max_size=6))
def test_steps_give_what_one_rebuild_gives(
    changes: list[Change], steps: list[tuple[int, Callable[[ObjectStore], None], bool]]
) -> None:
    """Rebuilding after any parts of the log, with derived objects lost or damaged between, ends in the same bytes.

    Every object of the two stores is compared: the one that was built in steps has, besides, only pages as they were
    after earlier steps, and may still have what was damaged among those.
    """
    with TemporaryDirectory(dir=MEMORY) as folder:
        in_steps, at_once = FolderStore(Path(folder, "steps")), FolderStore(Path(folder, "once"))
        for store in (in_steps, at_once):
            put_lists(store)
        written = 0
        for count, harm, from_zero in steps:
            extend(in_steps, *changes[written : written + count])
            written += count
            rebuild(in_steps, RENDERER, from_zero=from_zero)
            harm(in_steps)
        extend(in_steps, *changes[written:])
        extend(at_once, *changes)
        # The last harm may have struck pages that no later event concerns: that is what the repair is for.
        rebuilt = rebuild(in_steps, RENDERER, from_zero=bool(steps))
        fresh = rebuild(at_once, RENDERER)
        expected = contents(at_once)
        assert encode_snapshot(rebuilt.snapshot) == encode_snapshot(fresh.snapshot) == expected[SNAPSHOT_KEY]
        assert {key: body for key, body in expected.items() if key.startswith("pages/")} == expected_pages(
            at_once, fresh
        )
        lost = {filter_key(change.names_sha256) for change in REFRESHED}
        found = contents(in_steps)
        assert {key: body for key, body in expected.items() if key not in lost} == {
            key: found[key] for key in expected if key not in lost
        }
        assert all(key.startswith("pages/") for key in found.keys() - expected.keys())


@settings(max_examples=40)
@given(changes=logs, cuts=st.lists(st.integers(0, 25), max_size=5))
def test_every_step_gives_what_is_given_from_zero(changes: list[Change], cuts: list[int]) -> None:
    """After each of many incremental rebuilds, snapshot and pages are those of a rebuild from zero at that point."""
    bounds = [*sorted(min(cut, len(changes)) for cut in cuts), len(changes)]
    with TemporaryDirectory(dir=MEMORY) as folder:
        store = FolderStore(Path(folder))
        put_lists(store)
        written = 0
        for end in bounds:
            extend(store, *changes[written:end])
            written = end
            rebuilt = rebuild(store, RENDERER)
            incremental = contents(store)
            from_zero = rebuild(store, RENDERER, from_zero=True)
            assert encode_snapshot(rebuilt.snapshot) == encode_snapshot(from_zero.snapshot)
            assert contents(store) == incremental
            assert named_pages(rebuilt) <= incremental.keys()


def test_empty_log(store: FolderStore) -> None:
    """An index without an event has a snapshot, which says so."""
    rebuilt = rebuild(store, RENDERER)
    assert (rebuilt.changed, rebuilt.pages, rebuilt.snapshot.head) == (True, 0, ORIGIN)
    assert contents(store) == {SNAPSHOT_KEY: encode_snapshot(rebuilt.snapshot)}


def test_nothing_new_changes_nothing(store: FolderStore) -> None:
    """A rebuild without new events writes nothing at all."""
    extend(store, added("a"), added("b"))
    rebuild(store, RENDERER)
    adversary = Adversary(store)
    rebuilt = rebuild(adversary, RENDERER)
    assert (rebuilt.changed, rebuilt.pages) == (False, 0)
    assert [call.method for call in adversary.calls] == ["find", "find"]


def test_cost_follows_what_changed(store: FolderStore) -> None:
    """One upload among many projects reads one page and writes two and the snapshot; never the list of names."""
    put_lists(store)
    extend(store, REFRESHED[0], *(added(f"project-{number}") for number in range(100)))
    rebuild(store, RENDERER)
    extend(store, added("project-7", version="2.0"))
    adversary = Adversary(store)
    rebuilt = rebuild(adversary, RENDERER)
    assert (rebuilt.changed, rebuilt.pages) == (True, 1)
    assert [(call.method, call.key.split("/")[0]) for call in adversary.calls] == [
        ("find", SNAPSHOT_KEY),
        ("find", "log"),
        ("find", "log"),
        ("get", "pages"),
        ("put_new", "pages"),
        ("put_new", "pages"),
        ("replace", SNAPSHOT_KEY),
    ]


@pytest.mark.parametrize("harm", HARM)
def test_repair_restores_every_byte(
    store: FolderStore, harm: Callable[[ObjectStore], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever derived object is lost or damaged, a rebuild from zero brings back the same bytes."""
    put_lists(store)
    extend(store, added("a"), REFRESHED[0], added("b"), added("a", version="2.0"))
    rebuild(store, RENDERER)
    expected = contents(store)
    filters = {filter_key(change.names_sha256) for change in REFRESHED}
    harm(store)
    with caplog.at_level(logging.INFO):
        rebuild(store, RENDERER, from_zero=True)
    found = contents(store)
    assert {key: body for key, body in found.items() if key not in filters} == {
        key: body for key, body in expected.items() if key not in filters
    }


@pytest.mark.parametrize("harm", [lose_snapshot, damage_snapshot])
def test_lost_snapshot_is_said(
    store: FolderStore, harm: Callable[[ObjectStore], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Without a readable snapshot the log is folded from its beginning, and the log output says so."""
    extend(store, added("a"))
    expected = rebuild(store, RENDERER)
    harm(store)
    with caplog.at_level(logging.INFO):
        assert load_snapshot(store, RENDERER).snapshot.head == ORIGIN
    assert "the log is folded from its beginning" in caplog.text
    assert encode_snapshot(rebuild(store, RENDERER).snapshot) == encode_snapshot(expected.snapshot)


@pytest.mark.parametrize("harm", [lose_pages, damage_pages])
def test_page_that_is_needed_and_lost(
    store: FolderStore, harm: Callable[[ObjectStore], None], caplog: pytest.LogCaptureFixture
) -> None:
    """When the page to go on from is unreadable, everything is made from the log, and the log output says why."""
    extend(store, added("a"), added("b"))
    rebuild(store, RENDERER)
    harm(store)
    extend(store, added("a", version="2.0"))
    with caplog.at_level(logging.WARNING):
        rebuilt = rebuild(store, RENDERER)
    assert rebuilt.pages == 2
    assert RENDERER.json_key(ProjectName("a"), 1) in caplog.text
    found = contents(store)
    assert expected_pages(store, rebuilt).items() <= found.items()


def test_page_of_another_moment_is_refused(store: FolderStore) -> None:
    """A page that lies under the key of another is not gone on from."""
    extend(store, added("a"), added("b"))
    rebuild(store, RENDERER)
    a, b = RENDERER.json_key(ProjectName("a"), 1), RENDERER.json_key(ProjectName("b"), 2)
    store.put(a, store.get(b).body)
    extend(store, added("a", version="2.0"))
    rebuilt = rebuild(store, RENDERER)
    assert expected_pages(store, rebuilt).items() <= contents(store).items()


def test_damaged_page_in_the_way_is_replaced(store: FolderStore) -> None:
    """A page that is to be written and lies there already, damaged, is written all the same."""
    extend(store, added("a"))
    key = RENDERER.json_key(ProjectName("a"), 1)
    store.put(key, b"?")
    rebuilt = rebuild(store, RENDERER)
    assert store.get(key).body == expected_pages(store, rebuilt)[key]


def test_corrupt_event_stops_the_rebuild(store: FolderStore) -> None:
    """An unreadable event is a loud error that names it, and what was derived before stays."""
    extend(store, added("a"))
    rebuild(store, RENDERER)
    before = contents(store)
    store.put(log_key(2), b"{")
    with pytest.raises(CorruptObject) as caught:
        rebuild(store, RENDERER)
    assert caught.value.key == log_key(2)
    store.delete(log_key(2))
    assert contents(store) == before


def test_other_renderer_makes_pages_of_its_own(store: FolderStore) -> None:
    """When pages are to be rendered otherwise, all are made anew, beside those that others may still read."""
    extend(store, added("a"), added("b"))
    rebuild(store, RENDERER)
    before = contents(store, "pages/")
    other = Renderer(hash_dist_info_metadata=False)
    rebuilt = rebuild(store, other)
    assert (rebuilt.changed, rebuilt.pages, rebuilt.snapshot.renderer) == (True, 2, "4f")
    assert before.items() <= contents(store, "pages/").items()
    assert len(contents(store, "pages/")) == 8


def test_lost_list_leaves_the_names_open(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """Without the list of upstream names there is a snapshot without a filter, which denies nobody."""
    put_lists(store)
    extend(store, REFRESHED[0])
    for key in (names_key, filter_key):
        store.delete(key(REFRESHED[0].names_sha256))
    with caplog.at_level(logging.WARNING):
        upstream = rebuild(store, RENDERER).snapshot.upstream
    assert upstream is not None
    assert (upstream.names_sha256, upstream.filter) == (REFRESHED[0].names_sha256, None)
    assert "unknown names are asked upstream until the next reindex" in caplog.text


def test_yank_alone_makes_no_page(store: FolderStore) -> None:
    """A change of a file that never was makes neither a project nor a page."""
    extend(store, FileYanked(project=ProjectName("a"), filename=Filename("a-1.0.tar.gz"), reason=""))
    rebuilt = rebuild(store, RENDERER)
    assert (rebuilt.pages, list(rebuilt.snapshot.projects.items()), contents(store, "pages/")) == (0, [], {})


def test_slow_rebuild_never_takes_the_snapshot_back(store: FolderStore) -> None:
    """A rebuild that was overtaken does not put its older snapshot over the newer one."""
    extend(store, added("a"))
    rebuild(store, RENDERER)
    extend(store, added("a", version="2.0"))
    pause = Fault(Mischief.SLOW, when=lambda call: call.method == "replace" and not pause.reached.is_set())
    results: list[Rebuilt] = []
    slow = Thread(target=lambda: results.append(rebuild(Adversary(store, pause), RENDERER)))
    slow.start()
    assert pause.reached.wait(timeout=300)
    extend(store, added("a", version="3.0"))
    fast = rebuild(store, RENDERER)
    pause.release.set()
    slow.join()
    assert fast.snapshot.head.seq == 3
    assert load_snapshot(store, RENDERER).snapshot.head == fast.snapshot.head
    assert [encode_snapshot(result.snapshot) for result in results] == [encode_snapshot(fast.snapshot)]


def test_first_snapshot_is_raced_for(store: FolderStore) -> None:
    """Many rebuild at once where there is nothing yet: all end with the same snapshot, which is the stored one."""
    extend(store, *(added(f"project-{number}") for number in range(10)))
    barrier = Barrier(6)
    results: list[Rebuilt] = []

    def work() -> None:
        barrier.wait()
        results.append(rebuild(store, RENDERER))

    threads = [Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = store.get(SNAPSHOT_KEY).body
    assert [encode_snapshot(result.snapshot) for result in results] == [stored] * 6
    assert sum(result.changed for result in results) == 1
    assert expected_pages(store, results[0]) == contents(store, "pages/")


def test_rebuild_while_others_append(store: FolderStore) -> None:
    """Rebuilds that run while events arrive never fail, and the last one shows them all."""
    done = Thread(target=lambda: write_log(store, *(added("a", version=str(number)) for number in range(150))))
    done.start()
    while done.is_alive():
        rebuild(store, RENDERER)
    done.join()
    rebuilt = rebuild(store, RENDERER)
    assert rebuilt.snapshot.head.seq == 150
    assert expected_pages(store, rebuilt).items() <= contents(store).items()


def test_rebuilt_is_what_is_stored(store: FolderStore) -> None:
    """A rebuild returns the snapshot as it wrote it, filter included."""
    put_lists(store)
    extend(store, REFRESHED[1], added("a"))
    rebuilt = rebuild(store, RENDERER)
    upstream = rebuilt.snapshot.upstream
    assert upstream is not None
    assert upstream.filter is not None
    assert "two-7" in upstream.filter
    assert encode_snapshot(rebuilt.snapshot) == store.get(SNAPSHOT_KEY).body


def test_snapshot_of_a_newer_version_is_not_overwritten(store: FolderStore) -> None:
    """An older process reads past such a snapshot from the log's beginning, and refuses to write in its place."""
    extend(store, added("a"))
    newer = pack(msgpack.packb({"v": 2, "more": "than is known here"}))
    store.put(SNAPSHOT_KEY, newer)
    assert load_snapshot(store, RENDERER).snapshot.head == ORIGIN
    for from_zero in (False, True):
        with pytest.raises(UnknownVersion, match="update this one, or delete the object"):
            rebuild(store, RENDERER, from_zero=from_zero)
    assert store.get(SNAPSHOT_KEY).body == newer
