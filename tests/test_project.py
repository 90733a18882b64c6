"""Events change a project's files in the same way, however often and in however many pieces they are folded."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from indexer.events import Change, FileAdded, FileChange, FileRemoved, FileUnyanked, FileYanked, UserPut
from indexer.names import Filename, ProjectName
from indexer.project import File, Project, empty_project, fold
from indexer.value import replace
from tests.builders import added, chain, file, file_changes, names, other_changes, project

DEMO = ProjectName("demo")
WHEEL = Filename("demo-1.0-py3-none-any.whl")
logs = st.lists(file_changes() | other_changes(), max_size=30)


def folded(*changes: Change) -> Project:
    return fold(empty_project(DEMO), chain(*changes))


def offered(changes: list[Change], name: ProjectName) -> dict[str, tuple[str, str | None]]:
    """Return digest and yank reason of the files on offer: what the log says, worked out per file and backwards."""
    mine = [change for change in changes if isinstance(change, FileChange) and change.project == name]
    found = {}
    for filename in {change.filename for change in mine}:
        history = [change for change in mine if change.filename == filename]
        start = next((index for index, change in enumerate(history) if isinstance(change, FileAdded)), None)
        if start is None or any(isinstance(change, FileRemoved) for change in history[start:]):
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
    expected: File = replace(folded(added()).files[WHEEL], removed=True)
    assert folded(added(), remove, added(sha256="0" * 64)).files == {WHEEL: expected}


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
