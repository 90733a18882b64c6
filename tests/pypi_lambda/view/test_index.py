"""What a process answers is what the log said after the request began, and costs one question."""

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.derive.master import encode_names, names_digest, put_master
from indexer.derive.rebuild import rebuild
from indexer.errors import CorruptObject, Missing
from indexer.keys import SNAPSHOT_KEY, filter_key, log_key, names_key
from indexer.log.events import Change, FileRemoved, FileYanked, NamesReserved, UpstreamRefreshed
from indexer.log.log import ORIGIN, Log, head_of
from indexer.log.project import Project, empty_project, fold
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, decode_page, decompress
from indexer.store.base import ObjectStore, Stat, Stored
from indexer.store.folder import FolderStore
from indexer.store.reads import read_ahead
from pypi_lambda.view.index import RELOAD_EVENTS, Index
from pypi_lambda.view.view import Standing, View
from tests.support.adversary import Adversary, Call
from tests.support.builders import MEMORY, added, contents, file_changes, names, write_log

RENDERER = Renderer()
DEMO = ProjectName("demo")
ONE = encode_names([ProjectName("six"), ProjectName("numpy")])
TWO = encode_names([ProjectName("six"), ProjectName("brand-new")])


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def open_index(
    store: ObjectStore,
    *,
    renderer: Renderer = RENDERER,
    max_staleness_seconds: float = 0,
    clock: Callable[[], float] = lambda: 0.0,
    repairs: list[None] | None = None,
) -> Index:
    return Index(
        store,
        renderer,
        max_staleness_seconds=max_staleness_seconds,
        clock=clock,
        request_repair=lambda: None if repairs is None else repairs.append(None),
    )


def happen(store: ObjectStore, *changes: Change) -> None:
    """Append to the log, as another process does."""
    events = list(Log(store).read_after(ORIGIN))
    write_log(store, *changes, after=head_of(events[-1]) if events else ORIGIN)


def follow(index: Index) -> View:
    """Bring an index up to date as a request does."""
    view = index.view
    return index.follow(view, index.next_event(view))


def shown(index: Index, view: View, name: ProjectName = DEMO, extension: str = "json") -> bytes:
    return decompress("page", index.page(view, name, extension).body)


def listed(index: Index, view: View, name: ProjectName = DEMO) -> list[str]:
    return [file["filename"] for file in orjson.loads(shown(index, view, name))["files"]]


def folded(store: ObjectStore, name: ProjectName = DEMO) -> Project:
    return fold(empty_project(name), Log(store).read_after(ORIGIN))


@pytest.mark.parametrize("rebuilt", [False, True])
def test_next_request_sees_what_another_process_did(store: FolderStore, rebuilt: bool) -> None:
    """An event that was written anywhere is seen by the next request, with or without a rebuild between."""
    index = open_index(store)
    for version in ("1.0", "2.0", "3.0"):
        happen(store, added(version=version))
        if rebuilt:
            rebuild(store, RENDERER)
        assert listed(index, follow(index)) == sorted(folded(store).files)
    assert len(listed(index, follow(index))) == 3


def test_current_view_costs_one_question(store: FolderStore) -> None:
    """When nothing is new, being strict is one call, and the view is the same."""
    happen(store, added())
    adversary = Adversary(store)
    index = open_index(adversary)
    before, calls = follow(index), len(adversary.calls)
    assert follow(index) is before
    assert adversary.calls[calls:] == [Call(index=calls, method="find", key=log_key(2))]


def test_start_reads_the_snapshot_alone(store: FolderStore) -> None:
    """A process starts with one call, however long the log is and however much of it the snapshot lacks."""
    happen(store, *(added(version=str(number)) for number in range(50)))
    rebuild(store, RENDERER)
    happen(store, added())
    adversary = Adversary(store)
    view = open_index(adversary).view
    assert [call.key for call in adversary.calls] == [SNAPSHOT_KEY]
    assert (view.current.head.seq, view.tail_length) == (50, 0)


@pytest.mark.parametrize("seconds", [0, 3_600])
def test_first_request_asks_the_log(store: FolderStore, seconds: float) -> None:
    """What happened since the snapshot is in the first answer, whatever staleness is permitted."""
    happen(store, added())
    rebuild(store, RENDERER)
    happen(store, added(version="2.0"))
    index = open_index(store, max_staleness_seconds=seconds)
    assert len(listed(index, follow(index))) == 2


def test_start_without_snapshot(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """Without a snapshot a process folds the log itself, shows everything, and says so."""
    happen(store, added(), added(version="2.0"))
    with caplog.at_level(logging.INFO):
        index = open_index(store)
    assert len(listed(index, follow(index))) == 2
    assert "the log is folded from its beginning" in caplog.text


def test_corrupt_event_is_loud(store: FolderStore) -> None:
    """An unreadable event is an error that names it, for each request again."""
    index = open_index(store)
    store.put(log_key(1), b"?")
    for _ in range(2):
        with pytest.raises(CorruptObject) as caught:
            follow(index)
        assert caught.value.key == log_key(1)


class TestStanding:
    def test_private_name_hides_the_upstream_s(self, store: FolderStore) -> None:
        """A name of the upstream is private from the event of its first file on."""
        put_master(store, ONE)
        happen(store, UpstreamRefreshed(names_sha256=names_digest(ONE), count=2))
        index = open_index(store)
        assert follow(index).standing(ProjectName("six")) is Standing.UPSTREAM
        happen(store, added("six"))
        assert follow(index).standing(ProjectName("six")) is Standing.PRIVATE

    def test_private_stays_private(self, store: FolderStore) -> None:
        """A project whose files were all removed does not fall back to the upstream's."""
        wheel = Filename("six-1.0-py3-none-any.whl")
        happen(store, added("six"), FileRemoved(project=ProjectName("six"), filename=wheel))
        index = open_index(store)
        assert follow(index).standing(ProjectName("six")) is Standing.PRIVATE
        assert listed(index, index.view, ProjectName("six")) == []

    def test_unknown_name_before_the_first_list(self, store: FolderStore) -> None:
        """Until a list was read, the upstream is asked for every name."""
        assert open_index(store).view.standing(ProjectName("anything")) is Standing.UPSTREAM

    def test_unknown_name_after_it(self, store: FolderStore) -> None:
        """A name that is on no list is nowhere."""
        put_master(store, ONE)
        happen(store, UpstreamRefreshed(names_sha256=names_digest(ONE), count=2))
        view = follow(open_index(store))
        assert view.standing(ProjectName("numpy")) is Standing.UPSTREAM
        assert view.standing(ProjectName("no-such-project")) is Standing.UNKNOWN

    def test_new_list_reaches_a_running_process(self, store: FolderStore) -> None:
        """A list that was read meanwhile counts from the next request on."""
        for content in (ONE, TWO):
            put_master(store, content)
        happen(store, UpstreamRefreshed(names_sha256=names_digest(ONE), count=2))
        index = open_index(store)
        assert follow(index).standing(ProjectName("brand-new")) is Standing.UNKNOWN
        happen(store, UpstreamRefreshed(names_sha256=names_digest(TWO), count=2))
        assert follow(index).standing(ProjectName("brand-new")) is Standing.UPSTREAM

    def test_lost_list_keeps_the_one_before(self, store: FolderStore) -> None:
        """When a new list cannot be loaded, the names of the old one are still there."""
        put_master(store, ONE)
        happen(store, UpstreamRefreshed(names_sha256=names_digest(ONE), count=2))
        index = open_index(store)
        follow(index)
        happen(store, UpstreamRefreshed(names_sha256=names_digest(TWO), count=2))
        assert follow(index).standing(ProjectName("numpy")) is Standing.UPSTREAM

    def test_damaged_filter_denies_nobody(self, store: FolderStore) -> None:
        """A damaged filter without its list leaves all names to the upstream."""
        put_master(store, ONE)
        happen(store, UpstreamRefreshed(names_sha256=names_digest(ONE), count=2))
        store.delete(names_key(names_digest(ONE)))
        store.put(filter_key(names_digest(ONE)), b"?")
        assert follow(open_index(store)).standing(ProjectName("numpy")) is Standing.UPSTREAM

    def test_reserved_name(self, store: FolderStore) -> None:
        """A reserved name is nowhere until it has a file, and never the upstream's."""
        happen(store, NamesReserved(patterns=("our-*",)))
        index = open_index(store)
        assert follow(index).standing(ProjectName("our-app")) is Standing.RESERVED
        happen(store, added("our-app"))
        assert follow(index).standing(ProjectName("our-app")) is Standing.PRIVATE


class TestPage:
    @settings(max_examples=40)
    @given(
        changes=st.lists(file_changes(), max_size=12),
        rebuilt=st.integers(0, 12),
        started=st.integers(0, 12),
        name=names,
    )
    def test_page_is_the_log_s(self, changes: list[Change], rebuilt: int, started: int, name: ProjectName) -> None:
        """Wherever the snapshot stands and whenever the process started, a page shows the whole log."""
        with TemporaryDirectory(dir=MEMORY) as folder:
            self.check_page(FolderStore(Path(folder)), changes, rebuilt, started, name)

    def check_page(
        self, store: FolderStore, changes: list[Change], rebuilt: int, started: int, name: ProjectName
    ) -> None:
        happen(store, *changes[:rebuilt])
        rebuild(store, RENDERER)
        index = open_index(store) if started <= rebuilt else None
        happen(store, *changes[rebuilt:started])
        index = index or open_index(store)
        happen(store, *changes[max(rebuilt, started) :])
        view = follow(index)
        if view.current.projects.find(name) is None:
            assert folded(store, name).files == {}
            return
        expected = folded(store, name)
        assert decode_page("page", shown(index, view, name)) == expected
        assert shown(index, view, name, "html") == RENDERER.render_html(expected)

    def test_rebuild_changes_no_byte(self, store: FolderStore) -> None:
        """A page and its tag stay the same when a rebuild turns a tail into a stored page."""
        happen(store, added(), added(version="2.0"))
        index = open_index(store)
        before = [index.page(follow(index), DEMO, extension) for extension in ("json", "html")]
        rebuild(store, RENDERER)
        after = open_index(store)
        assert [after.page(after.view, DEMO, extension) for extension in ("json", "html")] == before

    def test_stored_page_is_one_read(self, store: FolderStore) -> None:
        """A page that is stored is read once, and then at hand."""
        happen(store, added())
        rebuild(store, RENDERER)
        adversary = Adversary(store)
        index = open_index(adversary)
        calls = len(adversary.calls)
        shown(index, index.view)
        shown(index, index.view)
        assert [call.key for call in adversary.calls[calls:]] == [RENDERER.json_key(DEMO, 1)]

    def test_page_read_ahead_is_used(self, store: FolderStore) -> None:
        """What was read at the same time as the log is not read again."""
        happen(store, added())
        rebuild(store, RENDERER)
        adversary = Adversary(store)
        index = open_index(adversary)
        key = index.find_page_key(index.view, DEMO, "json")
        assert key == RENDERER.json_key(DEMO, 1)
        ahead = read_ahead(store, (key,))
        calls = len(adversary.calls)
        page = index.page(index.view, DEMO, "json", ahead)
        assert page.body == store.get(key).body
        assert adversary.calls[calls:] == []

    def test_page_read_ahead_of_its_time_is_not_used(self, store: FolderStore) -> None:
        """A page that was read while a file was being published is not shown once the log has the file."""
        happen(store, added())
        rebuild(store, RENDERER)
        index = open_index(store)
        view = index.view
        key = index.find_page_key(view, DEMO, "json")
        assert key is not None
        ahead = read_ahead(store, (key,))
        happen(store, added(version="2.0"))
        later = index.follow(view, index.next_event(view))
        page = index.page(later, DEMO, "json", ahead)
        assert len(orjson.loads(decompress(key, page.body))["files"]) == 2

    @pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
    @pytest.mark.parametrize("extension", ["json", "html"])
    def test_damaged_page_is_made_anew(
        self, store: FolderStore, caplog: pytest.LogCaptureFixture, damage: str, extension: str
    ) -> None:
        """A page that cannot be read is made from the log; that is said, and a repair is asked for."""
        happen(store, added(), added(version="2.0"))
        rebuild(store, RENDERER)
        key = RENDERER.json_key(DEMO, 2) if extension == "json" else RENDERER.html_key(DEMO, 2)
        expected = store.get(key).body
        for each in (RENDERER.json_key(DEMO, 2), RENDERER.html_key(DEMO, 2)):
            if damage == "missing":
                store.delete(each)
            else:
                store.put(each, b"" if damage == "empty" else store.get(each).body[:-1])
        repairs: list[None] = []
        index = open_index(store, repairs=repairs)
        with caplog.at_level(logging.WARNING):
            assert index.page(index.view, DEMO, extension).body == expected
        assert key in caplog.text
        assert repairs

    def test_tail_needs_no_repair(self, store: FolderStore) -> None:
        """A page whose tail is not yet in a snapshot is made of the page before and the tail, and nothing is amiss."""
        happen(store, added())
        rebuild(store, RENDERER)
        happen(store, added(version="2.0"))
        repairs: list[None] = []
        adversary = Adversary(store)
        index = open_index(adversary, repairs=repairs)
        follow(index)
        calls = len(adversary.calls)
        assert index.find_page_key(index.view, DEMO, "json") is None
        assert len(listed(index, index.view)) == 2
        assert [call.key for call in adversary.calls[calls:]] == [RENDERER.json_key(DEMO, 1)]
        assert repairs == []

    def test_yank_is_seen_at_once(self, store: FolderStore) -> None:
        """A yank changes the page of a running process with its next request."""
        happen(store, added())
        rebuild(store, RENDERER)
        index = open_index(store)
        shown(index, index.view)
        happen(store, FileYanked(project=DEMO, filename=Filename("demo-1.0-py3-none-any.whl"), reason="broken"))
        assert orjson.loads(shown(index, follow(index)))["files"][0]["yanked"] == "broken"

    def test_pages_of_another_renderer_are_not_shown(self, store: FolderStore) -> None:
        """Pages that were rendered otherwise are rendered anew, as this process renders them."""
        happen(store, added())
        rebuild(store, RENDERER)
        other = Renderer(hash_dist_info_metadata=False)
        index = open_index(store, renderer=other)
        assert shown(index, index.view) == other.render_json(folded(store))

    def test_what_is_not_private_has_no_page(self, store: FolderStore) -> None:
        """A name that is not private has neither a page nor files."""
        index = open_index(store)
        with pytest.raises(Missing):
            index.page(index.view, DEMO, "json")
        with pytest.raises(Missing):
            index.project(index.view, DEMO)


class TestTail:
    def test_long_tail_turns_to_a_newer_snapshot(self, store: FolderStore) -> None:
        """A process whose tail grew long starts afresh from the snapshot that was built meanwhile."""
        index = open_index(store)
        happen(store, *(added(version=str(number)) for number in range(RELOAD_EVENTS - 1)))
        assert follow(index).tail_length == RELOAD_EVENTS - 1
        rebuild(store, RENDERER)
        happen(store, added())
        view = follow(index)
        assert (view.base.head.seq, view.tail_length, view.current.head.seq) == (RELOAD_EVENTS - 1, 1, RELOAD_EVENTS)
        assert index.view is view

    def test_long_tail_behind_the_newest_snapshot_is_read_once(self, store: FolderStore) -> None:
        """A process that finds a long tail and no newer snapshot than its own asks for one once, and goes on."""
        happen(store, *(added(version=str(number)) for number in range(RELOAD_EVENTS + 1)))
        adversary = Adversary(store)
        index = open_index(adversary)
        view = follow(index)
        assert (view.base.head, view.tail_length) == (ORIGIN, RELOAD_EVENTS + 1)
        happen(store, added())
        follow(index)
        keys = [call.key for call in adversary.calls if call.method == "find"]
        assert {key: keys.count(key) for key in (SNAPSHOT_KEY, log_key(2))} == {SNAPSHOT_KEY: 2, log_key(2): 1}

    def test_reload_takes_the_new_snapshot(self, store: FolderStore) -> None:
        """After a rebuild the process goes on from it, with the same content and no tail."""
        happen(store, added(), added(version="2.0"))
        index = open_index(store)
        before = shown(index, follow(index))
        rebuild(store, RENDERER)
        view = index.reload()
        assert (index.view is view, view.tail_length, dict(view.tail)) == (True, 0, {})
        assert shown(index, view) == before

    def test_old_snapshot_is_not_gone_back_to(self, store: FolderStore) -> None:
        """A reload that finds an older snapshot, or none, does not lose what is known."""
        happen(store, added())
        rebuild(store, RENDERER)
        index = open_index(store)
        happen(store, added(version="2.0"))
        follow(index)
        store.delete(SNAPSHOT_KEY)
        index.reload()
        assert len(listed(index, index.view)) == 2

    def test_threads_share_a_view(self, store: FolderStore) -> None:
        """Threads that follow the log at once all see all of it, and the process keeps the newest view."""
        index = open_index(store)
        barrier = Barrier(5)
        short: list[tuple[int, int]] = []

        def read() -> None:
            barrier.wait()
            for _ in range(60):
                least = newest[0]
                seen = follow(index).current.head.seq
                if seen < least:
                    short.append((seen, least))

        newest = [0]
        readers = [Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        barrier.wait()
        for number in range(80):
            happen(store, added(version=str(number)))
            newest[0] = number + 1
        for reader in readers:
            reader.join()
        assert short == []
        assert follow(index).current.head.seq == index.view.current.head.seq == 80


class TestStaleness:
    @pytest.mark.parametrize(("seconds", "seen"), [(0, b"new"), (5, b"old")])
    def test_recent_object(self, store: FolderStore, seconds: float, seen: bytes) -> None:
        """A user's record is read anew by each request, or where that is permitted, as old as a view may be."""
        clock = Clock()
        index = open_index(store, max_staleness_seconds=seconds, clock=clock)
        store.put("users/a.json", b"old")
        index.find_recent("users/a.json", limit=100)
        store.put("users/a.json", b"new")
        clock.now = 4.9
        within = index.find_recent("users/a.json", limit=100)
        clock.now = 5.0
        after = index.find_recent("users/a.json", limit=100)
        assert within is not None
        assert after is not None
        assert (within.body, after.body) == (seen, b"new")

    @pytest.mark.parametrize("look", [Index.find_recent_file, Index.stat_recent_file])
    def test_recent_file(self, store: FolderStore, look: Callable[[Index, str], Stored | Stat | None]) -> None:
        """Where staleness is permitted, a file that was found is not asked for again; one that was not there is."""
        adversary = Adversary(store)
        index = open_index(adversary, max_staleness_seconds=5)
        calls = len(adversary.calls)
        assert look(index, "cache/a/b") is None
        store.put("cache/a/b", b"here")
        found = look(index, "cache/a/b")
        assert found is not None
        assert look(index, "cache/a/b") == found
        assert len(adversary.calls) - calls == 2

    def test_permitted_staleness_saves_the_question(self, store: FolderStore) -> None:
        """Within the permitted time nobody is asked; after it, the next request is up to date."""
        clock = Clock()
        index = open_index(store, max_staleness_seconds=5, clock=clock)
        follow(index)
        happen(store, added())
        clock.now = 4.9
        assert follow(index).current.head.seq == 0
        clock.now = 5.0
        assert follow(index).current.head.seq == 1

    def test_time_counts_from_the_question(self, store: FolderStore) -> None:
        """An answer counts as current from when it was asked for, not from when it came."""
        clock = Clock()

        class Slow(Adversary):
            def find(self, key: str, *, limit: int = 0) -> Stored | None:
                found = super().find(key, limit=limit)
                clock.now += 3
                return found

        index = open_index(Slow(store), max_staleness_seconds=5, clock=clock)
        clock.now = 10
        follow(index)
        happen(store, added())
        clock.now = 15
        assert follow(index).current.head.seq == 1

    def test_old_view_does_not_become_current(self, store: FolderStore) -> None:
        """A view from long ago is not taken for current because another request has just asked."""
        clock = Clock()
        index = open_index(store, max_staleness_seconds=5, clock=clock)
        before = index.view
        happen(store, added())
        clock.now = 3_600
        assert follow(index).current.head.seq == 1
        assert index.follow(before, index.next_event(before)).current.head.seq == 1

    def test_question_under_way_makes_nothing_current(self, store: FolderStore) -> None:
        """While a request still reads the tail, another one does not take the old view for checked."""
        clock = Clock()
        seen: list[int] = []

        class Meanwhile(Adversary):
            def find(self, key: str, *, limit: int = 0) -> Stored | None:
                if key == log_key(2) and not seen:
                    seen.append(-1)
                    seen.append(follow(index).current.head.seq)
                return super().find(key, limit=limit)

        index = open_index(Meanwhile(store), max_staleness_seconds=5, clock=clock)
        happen(store, added())
        clock.now = 3_600
        follow(index)
        assert seen == [-1, 1]

    def test_overtaken_request_does_not_take_the_view_back(self, store: FolderStore) -> None:
        """A request that was overtaken does not leave its older view behind, to be taken for just checked."""

        class Overtaken(Adversary):
            def find(self, key: str, *, limit: int = 0) -> Stored | None:
                found = super().find(key, limit=limit)
                if key == log_key(2) and found is None:
                    happen(store, added(version="2.0"))
                    index.refresh()
                return found

        index = open_index(Overtaken(store), max_staleness_seconds=5)
        happen(store, added())
        index.refresh()
        assert index.view.current.head.seq == 2


def test_index_writes_nothing(store: FolderStore) -> None:
    """Answering changes nothing in the store, whatever is missing from it."""
    happen(store, added(), added("other"))
    rebuild(store, RENDERER)
    for key in contents(store, "pages/"):
        store.delete(key)
    before = contents(store)
    index = open_index(store)
    for name in (DEMO, ProjectName("other")):
        shown(index, follow(index), name)
    assert contents(store) == before
