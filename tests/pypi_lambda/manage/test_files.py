"""Yank, unyank, remove and restore: what they change, what they refuse, and what they read."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.derive.snapshot import ProjectTable, Snapshot, encode_snapshot
from indexer.errors import InvalidValue
from indexer.keys import SNAPSHOT_KEY, file_key, log_key
from indexer.log.events import FileAdded, FileRemoved, FileRestored, FileUnyanked, FileYanked, NamesReserved
from indexer.log.log import ORIGIN, Head, Log, head_of
from indexer.log.project import Project, empty_project, fold
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.value import replace
from pypi_lambda.clock import utc_now
from pypi_lambda.manage.registry import parse_command
from tests.support.adversary import Adversary
from tests.support.builders import added, event_bytes, file, project, sha256, write_log
from tests.support.contexts import refusal, run_command, running_context

DEMO = ProjectName("demo")
OLD, WHEEL, SDIST = (
    added("demo", version="1.0"),
    added("demo", version="2.0"),
    added("demo", "demo-2.0.tar.gz", version="2.0"),
)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An index with three files in two versions of one project, whose contents are their names."""
    store = FolderStore(tmp_path)
    write_log(store, OLD, WHEEL, SDIST)
    for change in (OLD, WHEEL, SDIST):
        put_content(store, change)
    return store


def put_content(store: ObjectStore, change: FileAdded) -> None:
    key = file_key(change.project, change.filename)
    store.put(key, change.filename.encode())
    if change.metadata_sha256 is not None:
        store.put(f"{key}.metadata", f"{change.filename}.metadata".encode())


def demo(store: ObjectStore) -> Project:
    return fold(empty_project(DEMO), Log(store).read_after(ORIGIN))


def changes(store: ObjectStore) -> list[object]:
    """Return what happened since the fixture."""
    return [event.change for event in Log(store).read_after(ORIGIN) if event.seq > 3]


class TestYank:
    def test_version(self, store: ObjectStore) -> None:
        """A version means all its files; the answer names those that changed."""
        done = run_command(store, "yank", {"project": "Demo", "version": "2.0", "reason": "broken"})
        names = [WHEEL.filename, SDIST.filename]
        assert done == {"project": "demo", "changed": True, "files": names, "unchanged": []}
        assert changes(store) == [FileYanked(project=DEMO, filename=name, reason="broken") for name in names]

    def test_file(self, store: ObjectStore) -> None:
        """One file is yanked alone."""
        run_command(store, "yank", {"project": "demo", "filename": SDIST.filename})
        assert changes(store) == [FileYanked(project=DEMO, filename=SDIST.filename, reason="")]

    @pytest.mark.parametrize("version", ["2", "2.0.0", "v2.0", "2.0"])
    def test_spellings(self, store: ObjectStore, version: str) -> None:
        """A version is found however PEP 440 lets it be written."""
        assert run_command(store, "yank", {"project": "demo", "version": version})["files"] == [
            WHEEL.filename,
            SDIST.filename,
        ]

    def test_again(self, store: ObjectStore) -> None:
        """The same again changes nothing, and says so; without a reason the old one stays."""
        run_command(store, "yank", {"project": "demo", "version": "1.0", "reason": "broken"})
        for argument in ({"reason": "broken"}, {}):
            done = run_command(store, "yank", {"project": "demo", "version": "1.0", **argument})
            assert done == {"project": "demo", "changed": False, "files": [], "unchanged": [OLD.filename]}
        assert len(changes(store)) == 1

    def test_another_reason(self, store: ObjectStore) -> None:
        """Another reason takes the place of the one before."""
        for reason in ("broken", "dangerous"):
            assert run_command(store, "yank", {"project": "demo", "version": "1.0", "reason": reason})["changed"]
        assert demo(store).files[OLD.filename].yanked == "dangerous"

    def test_the_rest(self, store: ObjectStore) -> None:
        """A version of which a file is yanked already has only the others yanked."""
        run_command(store, "yank", {"project": "demo", "filename": SDIST.filename})
        done = run_command(store, "yank", {"project": "demo", "version": "2.0"})
        assert (done["files"], done["unchanged"]) == ([WHEEL.filename], [SDIST.filename])

    def test_unyank(self, store: ObjectStore) -> None:
        """A yank is taken back, once."""
        run_command(store, "yank", {"project": "demo", "version": "2.0"})
        found = [run_command(store, "unyank", {"project": "demo", "version": "2"})["changed"] for _ in range(2)]
        assert (found, [f.yanked for f in demo(store).files.values()]) == ([True, False], [None] * 3)
        assert changes(store)[2:] == [
            FileUnyanked(project=DEMO, filename=name) for name in (WHEEL.filename, SDIST.filename)
        ]


class TestRemove:
    def test_only_when_meant(self, store: ObjectStore) -> None:
        """Without `yes` nothing is removed, and the error says what would be."""
        assert refusal(store, "remove", {"project": "demo", "version": "2.0"}) == (
            "invalid remove.yes False: nothing is removed without it (--yes); "
            f"it would remove 2 files of 'demo': {WHEEL.filename}, {SDIST.filename}"
        )
        assert refusal(store, "remove", {"project": "demo"}).endswith(
            f"it would remove 3 files of 'demo': {OLD.filename}, {WHEEL.filename}, {SDIST.filename}"
        )

    def test_version(self, store: ObjectStore) -> None:
        """All files of a version are removed, with a reason; the same again changes nothing."""
        argument = {"project": "demo", "version": "2.0", "reason": "leaked", "yes": True}
        assert [run_command(store, "remove", argument)["changed"] for _ in range(2)] == [True, False]
        assert changes(store) == [
            FileRemoved(project=DEMO, filename=name, reason="leaked") for name in (WHEEL.filename, SDIST.filename)
        ]

    def test_project(self, store: ObjectStore) -> None:
        """Without a version or file the whole project is removed, and stays private."""
        done = run_command(store, "remove", {"project": "demo", "yes": True})
        assert done["files"] == [OLD.filename, WHEEL.filename, SDIST.filename]
        assert run_command(store, "listProjects")["projects"] == [{"name": "demo", "seq": 6}]

    def test_yank_of_what_was_removed(self, store: ObjectStore) -> None:
        """What was removed can be neither yanked nor unyanked."""
        run_command(store, "remove", {"project": "demo", "version": "2.0", "yes": True})
        for command in ("yank", "unyank"):
            sentence = refusal(store, command, {"project": "demo", "version": "2.0"})
            assert sentence == f"invalid {command}.version '2.0': it was removed; restore it first"


class TestRestore:
    def test_version(self, store: ObjectStore) -> None:
        """A removed version is offered again, with its yanks; the same again changes nothing."""
        before = {name: (each.removed, each.yanked) for name, each in demo(store).files.items()}
        run_command(store, "remove", {"project": "demo", "version": "2.0", "yes": True})
        done = [run_command(store, "restore", {"project": "demo", "version": "2.0"})["changed"] for _ in range(2)]
        assert (done, {name: (each.removed, each.yanked) for name, each in demo(store).files.items()}) == (
            [True, False],
            before,
        )
        assert changes(store)[2:] == [
            FileRestored(project=DEMO, filename=name) for name in (WHEEL.filename, SDIST.filename)
        ]

    @pytest.mark.parametrize(
        ("damage", "why"),
        [
            (None, "its content is no longer stored"),
            (b"other", "its stored content was altered"),
            (WHEEL.filename[::-1].encode(), "its stored content was altered"),
        ],
    )
    def test_not_what_it_was(self, store: ObjectStore, damage: bytes | None, why: str) -> None:
        """What is gone, or altered, in length or not, is not restored, nor are the version's other files."""
        run_command(store, "remove", {"project": "demo", "version": "2.0", "yes": True})
        key = file_key(DEMO, WHEEL.filename)
        store.delete(key)
        if damage is not None:
            store.put(key, damage)
        assert refusal(store, "restore", {"project": "demo", "version": "2.0"}) == (
            f"invalid restore.filename '{WHEEL.filename}': it cannot be restored: {why}"
        )

    def test_other_metadata(self, store: ObjectStore) -> None:
        """A file whose metadata installers would refuse is not restored."""
        run_command(store, "remove", {"project": "demo", "version": "2.0", "yes": True})
        store.put(f"{file_key(DEMO, WHEEL.filename)}.metadata", b"other")
        sentence = refusal(store, "restore", {"project": "demo", "filename": WHEEL.filename})
        assert sentence.endswith("it cannot be restored: its stored metadata is missing or was altered")

    def test_after_retention(self, store: ObjectStore) -> None:
        """After the retention a file is not restored, even if its content is still there; with 0 days it always is."""
        run_command(store, "remove", {"project": "demo", "version": "1.0", "yes": True})
        command = parse_command("restore", {"project": "demo", "version": "1.0"})
        removed_at = demo(store).files[OLD.filename].removed_at
        for days, expected in ((30, False), (0, True)):
            with running_context(store, removed_retention_days=days) as context:
                late = replace(context, now=lambda: utc_now() + timedelta(days=30, hours=1))
                if expected:
                    assert command.run(late)["changed"]
                    continue
                with pytest.raises(InvalidValue) as caught:
                    command.run(late)
        assert removed_at is not None
        assert str(caught.value).endswith(
            f"it cannot be restored: it was removed on {removed_at[:10]}, and what is removed is kept for 30 days"
        )


@pytest.mark.parametrize("command", ["yank", "unyank", "remove", "restore"])
@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            {"project": "nope", "version": "1.0"},
            "invalid {}.project 'nope': there is no private project of this name",
        ),
        ({"project": "demo", "version": "3"}, "invalid {}.version '3': a version of 'demo': 1.0, 2.0"),
        ({"project": "demo", "version": "not a version"}, "invalid {}.version 'not a version': a version of 'demo':"),
        (
            {"project": "demo", "version": "9" * 5_000},
            "invalid {}.version '" + "9" * 199 + "…: a version of 'demo': 1.0, 2.0",
        ),
        ({"project": "demo", "filename": "demo-3.whl"}, "invalid {}.filename 'demo-3.whl': a file of 'demo': demo-1.0"),
        (
            {"project": "demo", "version": "1.0", "filename": "demo-2.0.tar.gz"},
            "invalid {} '1.0 and demo-2.0.tar.gz': either a version or a filename is needed",
        ),
        ({"project": "a/b", "version": "1.0"}, "invalid {}.project 'a/b': a project name is "),
        ({"project": "demo", "filename": "../demo.whl"}, "invalid {}.filename '../demo.whl': a file name is "),
        ({"project": "demo", "version": 1}, "invalid {}.version 1: text"),
        ({"version": "1.0"}, "invalid {}.project None: text"),
    ],
)
def test_nonsense(store: ObjectStore, command: str, argument: dict[str, Any], sentence: str) -> None:
    """What is not there, or cannot be, is refused in a sentence with the field, the value and what is accepted."""
    more = {"yes": True} if command == "remove" else {}
    assert refusal(store, command, {**argument, **more}).startswith(sentence.format(command))


@pytest.mark.parametrize("command", ["yank", "unyank", "restore"])
def test_neither(store: ObjectStore, command: str) -> None:
    """What a project alone does not say is refused."""
    sentence = refusal(store, command, {"project": "demo"})
    assert sentence == f"invalid {command} None: either a version or a filename is needed"


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[31m", "x" * 1_001, 7])
@pytest.mark.parametrize("command", ["yank", "remove"])
def test_reasons(store: ObjectStore, command: str, reason: object) -> None:
    """A reason is one line of a thousand printable characters at most."""
    sentence = refusal(store, command, {"project": "demo", "version": "1.0", "reason": reason})
    assert sentence.endswith(": one line of at most 1,000 printable characters")


def test_many_names(store: ObjectStore) -> None:
    """An error names some versions of many, the newest ones."""
    *_, last = Log(store).read_after(ORIGIN)
    write_log(store, *(added("big", version=f"{number}.0") for number in range(40)), after=head_of(last))
    sentence = refusal(store, "yank", {"project": "big", "version": "40"})
    newest = ", ".join(f"{number}.0" for number in range(30, 40))
    assert sentence == f"invalid yank.version '40': a version of 'big': {newest} and 30 more"


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("yank", {"version": "1.0"}),
        ("remove", {"version": "1.0", "yes": True}),
        ("projectStatus", {"status": "archived"}),
    ],
)
def test_cost(tmp_path: Path, command: str, argument: dict[str, Any]) -> None:
    """With 20,000 projects and 200,000 events a command asks the store as often as with one project."""
    asked = []
    for number, count in enumerate((1, 20_000)):
        store = Adversary(large_store(tmp_path / str(number), projects=count, seq=10 * count))
        run_command(store, command, {"project": "demo", **argument})
        asked.append(Counter(call.method for call in store.calls))
    assert asked[0] == asked[1]
    assert asked[1]["list"] == 0
    assert asked[1].total() < 20


def large_store(folder: Path, *, projects: int, seq: int) -> FolderStore:
    """Make the store of an index of so many projects and events: the snapshot, the last event and one page."""
    store, renderer = FolderStore(folder), Renderer()
    others = (f"other-{number:06} {number + 1}\n".encode() for number in range(projects - 1))
    table = ProjectTable(b"".join([b"demo %d\n" % seq, *others]))
    event = event_bytes(NamesReserved(patterns=()), seq=seq, prev="d" * 64)
    store.put(log_key(seq), event)
    head = Head(seq=seq, digest=sha256(event))
    snapshot = Snapshot(head=head, renderer=renderer.tag, index_seq=seq, projects=table)
    store.put(SNAPSHOT_KEY, encode_snapshot(snapshot))
    page = project(file(OLD.filename), seq=seq)
    store.put(renderer.json_key(DEMO, seq), compress(renderer.render_json(page)))
    return store


def test_who_and_from_where(store: ObjectStore) -> None:
    """The event says who gave the command, from where, and when."""
    with running_context(store) as context:
        parse_command("yank", {"project": "demo", "version": "1.0"}).run(replace(context, by="me", client="me@here"))
    event = Log(store).get_event(4)
    assert (event.by, event.client) == ("me", "me@here")


def test_order_of_files(store: ObjectStore) -> None:
    """Files are changed in the order in which they were published, one event each, without gaps."""
    names: Sequence[Filename] = [OLD.filename, WHEEL.filename, SDIST.filename]
    run_command(store, "remove", {"project": "demo", "yes": True})
    assert [change.filename for change in changes(store) if isinstance(change, FileRemoved)] == names
