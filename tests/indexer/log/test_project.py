"""Events change a project's files in the same way, however often and in however many pieces they are folded."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from indexer.log.events import (
    Change,
    Event,
    FileAdded,
    FileChange,
    FileRemoved,
    FileRestored,
    FileUnyanked,
    FileYanked,
    ProjectStatusSet,
    UserPut,
    decode_event,
)
from indexer.log.project import FileTurn, Project, StatusTurn, as_of, empty_project, fold
from indexer.names import Filename, ProjectName
from indexer.value import replace
from tests.support.builders import AT, added, chain, event_bytes, file, file_changes, names, other_changes, project

DEMO = ProjectName("demo")
WHEEL = Filename("demo-1.0-py3-none-any.whl")
DAY_1, DAY_2, DAY_3 = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3))
logs = st.lists(file_changes() | other_changes(), max_size=30)


def folded(*changes: Change) -> Project:
    return fold(empty_project(DEMO), chain(*changes))


def at(moment: str, seq: int, change: Change) -> Event:
    return decode_event("log/x.json", event_bytes(change, seq=seq, at=moment))


def offered(changes: list[Change], name: ProjectName) -> dict[str, tuple[str, str | None]]:
    """Return digest and yank reason of the files on offer: what the log says, worked out per file and backwards."""
    mine = [change for change in changes if isinstance(change, FileChange) and change.project == name]
    found = {}
    for filename in {change.filename for change in mine}:
        history = [change for change in mine if change.filename == filename]
        start = next((index for index, change in enumerate(history) if isinstance(change, FileAdded)), None)
        if start is None:
            continue
        moves = [change for change in history[start:] if isinstance(change, FileRemoved | FileRestored)]
        if moves and isinstance(moves[-1], FileRemoved):
            continue
        yanks = [change for change in history[start:] if isinstance(change, FileYanked | FileUnyanked)]
        last = yanks[-1] if yanks else None
        first = history[start]
        assert isinstance(first, FileAdded)
        found[str(filename)] = (first.sha256, last.reason if isinstance(last, FileYanked) else None)
    return found


def test_added_file() -> None:
    """A project has the files that were added, each as its event says."""
    assert folded(added()) == project(
        file(requires_python=">=3.9", metadata_sha256=added().metadata_sha256), name="demo", seq=1
    )


def test_first_one_wins() -> None:
    """A file name that was added stays what it was, whatever is added under it later."""
    twice = folded(added(), added(filename=WHEEL, version="2", sha256="0" * 64, size=1))
    assert twice == replace(folded(added()), seq=2)


def test_yank_and_unyank() -> None:
    """A yank keeps its reason, which may be empty, until it is taken back."""
    yank = FileYanked(project=DEMO, filename=WHEEL, reason="")
    unyank = FileUnyanked(project=DEMO, filename=WHEEL)
    assert folded(added(), yank).files[WHEEL].yanked == ""
    assert folded(added(), yank, replace(yank, reason="broken")).files[WHEEL].yanked == "broken"
    assert folded(added(), yank, unyank).files[WHEEL].yanked is None


def test_removed_name_stays_taken() -> None:
    """A removed file is remembered with its digest, and adding it again does not bring it back."""
    remove = FileRemoved(project=DEMO, filename=WHEEL)
    turn = FileTurn(at=AT, yanked=None, removed=True)
    expected = replace(folded(added()).files[WHEEL], turns=(turn,))
    assert folded(added(), remove, added(sha256="0" * 64)).files == {WHEEL: expected}


def test_restored_file() -> None:
    """A removed file that is restored is what it was, yanked if it was."""
    yank = FileYanked(project=DEMO, filename=WHEEL, reason="broken")
    remove, restore = FileRemoved(project=DEMO, filename=WHEEL), FileRestored(project=DEMO, filename=WHEEL)
    file = folded(added(), yank, remove, restore).files[WHEEL]
    assert (file.yanked, file.removed, file.removed_at) == ("broken", False, None)


def test_removed_at() -> None:
    """A removed file knows since when, whatever happened to it afterwards."""
    remove, yank = FileRemoved(project=DEMO, filename=WHEEL), FileYanked(project=DEMO, filename=WHEEL, reason="")
    project = fold(empty_project(DEMO), [at(DAY_1, 1, added()), at(DAY_2, 2, remove), at(DAY_3, 3, yank)])
    assert project.files[WHEEL].removed_at == DAY_2


def test_status() -> None:
    """A project has the status, and its reason, that it was given last; before that it is active."""
    assert (folded(added()).status, folded(added()).status_reason) == ("active", "")
    set_ = ProjectStatusSet(project=DEMO, status="archived", reason="old")
    project = folded(added(), set_, replace(set_, status="deprecated", reason=""))
    assert (project.status, project.status_reason) == ("deprecated", "")


def test_status_of_no_project() -> None:
    """A status set before the first file is passed over, as the snapshot passes it over."""
    set_ = ProjectStatusSet(project=DEMO, status="archived", reason="")
    assert folded(set_, added()).statuses == ()


def test_project_as_of_a_moment() -> None:
    """At an earlier moment a project has what was uploaded by then, as it was marked then."""
    second = Filename("demo-2.0-py3-none-any.whl")
    events = [
        at(DAY_1, 1, added(upload_time=DAY_1)),
        at(DAY_2, 2, FileYanked(project=DEMO, filename=WHEEL, reason="broken")),
        at(DAY_2, 3, ProjectStatusSet(project=DEMO, status="archived", reason="")),
        at(DAY_3, 4, added(filename=second, version="2.0", upload_time=DAY_3)),
        at(DAY_3, 5, FileRemoved(project=DEMO, filename=WHEEL)),
    ]
    project = fold(empty_project(DEMO), events)
    for moment, count in ((DAY_1, 1), (DAY_2, 3), (DAY_3, 5)):
        expected = fold(empty_project(DEMO), events[:count])
        assert as_of(project, moment) == replace(expected, seq=project.seq)
    assert as_of(project, "2025-01-01T00:00:00.000000Z").files == {}
    assert as_of(project, DAY_2).statuses == (StatusTurn(at=DAY_2, status="archived", reason=""),)


def test_unknown_file_is_passed_over() -> None:
    """A change of a file that was never added changes no file."""
    changes: list[Change] = [
        FileYanked(project=DEMO, filename=WHEEL, reason="x"),
        FileUnyanked(project=DEMO, filename=WHEEL),
        FileRemoved(project=DEMO, filename=WHEEL),
    ]
    assert folded(*changes) == Project(name=DEMO, seq=3, files={})


def test_other_projects_are_passed_over() -> None:
    """What concerns others, or no project, changes neither the files nor the number."""
    assert folded(added(), added("other"), UserPut(username="ann", upload=True)) == folded(added())


@given(changes=logs, name=names)
def test_fold_is_what_the_log_says(changes: list[Change], name: ProjectName) -> None:
    """The files on offer are those that an independent reading of the log gives."""
    files = fold(empty_project(name), chain(*changes)).files
    assert {str(f.filename): (f.sha256, f.yanked) for f in files.values() if not f.removed} == offered(changes, name)


@given(changes=logs, name=names, cuts=st.lists(st.integers(0, 30), max_size=3))
def test_pieces_give_the_whole(changes: list[Change], name: ProjectName, cuts: list[int]) -> None:
    """Folding in pieces, wherever they are cut, gives what folding at once gives."""
    events = chain(*changes)
    bounds = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    pieces = [events[start:end] for start, end in pairwise(bounds)]
    *_, last = accumulate(pieces, fold, initial=empty_project(name))
    assert last == fold(empty_project(name), events)


@given(changes=logs, name=names, start=st.integers(0, 30), count=st.integers(0, 30))
def test_replay_is_harmless(changes: list[Change], name: ProjectName, start: int, count: int) -> None:
    """Events that were folded already change nothing when any of them come again."""
    events = chain(*changes)
    once = fold(empty_project(name), events)
    assert fold(once, events[start : start + count]) == once
    assert fold(fold(empty_project(name), events[:start]), events) == once


def test_replayed_yank_is_passed_over() -> None:
    """A yank that was taken back does not return with a replay."""
    yank = FileYanked(project=DEMO, filename=WHEEL, reason="broken")
    events = chain(added(), yank, FileUnyanked(project=DEMO, filename=WHEEL))
    once = fold(empty_project(DEMO), events)
    assert fold(once, events[:2]) == once


@given(changes=logs, name=names)
def test_fold_leaves_its_argument(changes: list[Change], name: ProjectName) -> None:
    """A project that is folded on stays what it was."""
    events = chain(*changes)
    before = fold(empty_project(name), events[:5])
    files = dict(before.files)
    fold(before, events)
    assert before.files == files
