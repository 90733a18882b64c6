"""The command line for files, projects, names, users and the log: what a person types and reads, over a folder."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from indexer.derive.rebuild import load_snapshot
from indexer.keys import file_key, log_key, user_key
from indexer.log.events import FileRemoved, FileYanked, ProjectStatusSet, TokenCreated, UserPut
from indexer.log.log import ORIGIN, Log, head_of
from indexer.names import ProjectName
from indexer.simple.page import Renderer
from indexer.store.folder import FolderStore
from pypi_lambda.access.records import decode_user
from pypi_lambda.cli import SECTIONS, main
from pypi_lambda.cli.audit import render_event
from pypi_lambda.manage.audit import document_of
from pypi_lambda.manage.projects import MAX_FILES_SHOWN
from pypi_lambda.settings import SETTINGS
from pypi_lambda.terminal.place import printable
from tests.support.builders import AT, added, chain, contents, event_bytes, sha256, write_log

OLD, WHEEL, SDIST = (
    added("demo", version="1.0"),
    added("demo", version="2.0"),
    added("demo", "demo-2.0.tar.gz", version="2.0"),
)
DEMO = ProjectName("demo")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of its own for each test."""
    for name in (*SETTINGS, "FUNCTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BUCKET", f"file://{tmp_path}")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Three files of one project, in two versions."""
    store = FolderStore(tmp_path)
    write_log(store, OLD, WHEEL, SDIST)
    for change in (OLD, WHEEL, SDIST):
        store.put(file_key(DEMO, change.filename), change.filename.encode())
        store.put(file_key(DEMO, change.filename) + ".metadata", f"{change.filename}.metadata".encode())
    return store


def run(*arguments: str, entered: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=entered, catch_exceptions=False)


def said(*arguments: str) -> str:
    """Return what a command says that succeeds and was asked for nothing."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    return result.stderr


def told(*arguments: str) -> str:
    """Return what a command was asked for."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(store: FolderStore, *arguments: str) -> str:
    """Return the sentence of a command that is refused and changes nothing."""
    before = contents(store)
    result = run(*arguments)
    assert (result.exit_code, result.stdout, contents(store)) == (2, "", before), result.output
    return result.stderr


class TestFiles:
    def test_yank(self, store: FolderStore) -> None:
        """Each file that changed is named, and what changed nothing is said."""
        assert said("yank", "demo", "2", "--reason", "broken") == (
            f"yanked {WHEEL.filename}\nyanked {SDIST.filename}\n"
        )
        assert said("yank", "demo", "2.0") == "nothing changed: 2.0 was yanked before\n"
        assert said("unyank", "demo", SDIST.filename) == f"unyanked {SDIST.filename}\n"
        *_, first, _, _ = Log(store).read_after(ORIGIN)
        assert first.change == FileYanked(project=DEMO, filename=WHEEL.filename, reason="broken")
        assert first.by == "command line"
        assert "@" in first.client

    def test_up_to_date(self, store: FolderStore) -> None:
        """When a command ends, snapshot and pages have its change."""
        said("yank", "demo", "1.0")
        snapshot = load_snapshot(store, Renderer()).snapshot
        assert (snapshot.head.seq, snapshot.projects.find(DEMO)) == (4, 4)
        assert store.find(Renderer().json_key(DEMO, 4)) is not None

    def test_json(self, store: FolderStore) -> None:
        """`--json` prints the result, and nothing else."""
        assert json.loads(told("yank", "demo", "1.0", "--json")) == {
            "project": "demo",
            "changed": True,
            "files": [OLD.filename],
            "unchanged": [],
        }

    def test_remove_and_restore(self, store: FolderStore) -> None:
        """Removing takes `--yes`; what was removed can be restored."""
        assert refused(store, "remove", "demo", "2.0") == (
            "Error: invalid yes False: nothing is removed without it (--yes); "
            f"it would remove 2 files of 'demo': {WHEEL.filename}, {SDIST.filename}\n"
        )
        assert said("remove", "demo", SDIST.filename, "--yes", "--reason", "leaked") == f"removed {SDIST.filename}\n"
        assert said("remove", "demo", "--yes") == f"removed {OLD.filename}\nremoved {WHEEL.filename}\n"
        assert said("remove", "demo", "--yes") == "nothing changed: demo was removed before\n"
        assert said("restore", "demo", "1.0") == f"restored {OLD.filename}\n"
        assert said("restore", "demo", "1.0") == "nothing changed: 1.0 is not removed\n"
        assert said("unyank", "demo", "1.0") == "nothing changed: 1.0 is not yanked\n"
        removals = [event.change for event in Log(store).read_after(ORIGIN) if isinstance(event.change, FileRemoved)]
        assert removals[0].reason == "leaked"

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("yank", "nope", "1.0"), "invalid project 'nope': there is no private project of this name"),
            (("yank", "demo", "3"), "invalid version '3': a version of 'demo': 1.0, 2.0"),
            (
                ("yank", "demo", "x.whl"),
                f"invalid filename 'x.whl': a file of 'demo': {OLD.filename}, ",
            ),
            (("yank", "demo", "dist/x.whl"), "invalid filename 'dist/x.whl': a file name is at most 246"),
            (("restore", "demo", "9"), "invalid version '9': a version of 'demo': 1.0, 2.0"),
        ],
    )
    def test_nonsense(self, store: FolderStore, arguments: tuple[str, ...], sentence: str) -> None:
        """What is not there is one sentence and exit code 2."""
        assert refused(store, *arguments).startswith(f"Error: {sentence}")


class TestProjects:
    def test_status(self, store: FolderStore) -> None:
        """The status is shown, set, and said to be as before."""
        assert told("project", "status", "demo") == "demo is active\n"
        assert said("project", "status", "demo", "archived", "--reason", "moved") == "demo is archived: moved\n"
        assert said("project", "status", "demo", "archived") == "demo is archived: moved (as before)\n"
        assert told("project", "status", "demo") == "demo is archived: moved\n"
        assert "'gone' is not one of 'archived', 'quarantined'" in refused(store, "project", "status", "demo", "gone")

    def test_list(self, store: FolderStore) -> None:
        """Projects are listed by name, one a line, or as JSON."""
        *_, last = Log(store).read_after(ORIGIN)
        write_log(store, added("acme"), after=head_of(last))
        assert told("project", "list") == "acme\ndemo\n"
        assert json.loads(told("project", "list", "--json")) == {
            "projects": [{"name": "acme", "seq": 4}, {"name": "demo", "seq": 3}]
        }

    def test_show(self, store: FolderStore) -> None:
        """Files are shown with versions, sizes, dates, yanks and removals."""
        said("yank", "demo", "1.0", "--reason", "broken")
        said("remove", "demo", SDIST.filename, "--yes")
        *_, last = Log(store).read_after(ORIGIN)
        assert told("project", "show", "demo") == (
            "demo is active\n"
            f"  {OLD.filename}  1.0  25  {AT[:10]}  yanked: broken\n"
            f"  {WHEEL.filename}  2.0  25  {AT[:10]}\n"
            f"  {SDIST.filename}            2.0  15  {AT[:10]}  removed {last.at[:10]}\n"
        )
        shown = json.loads(told("project", "show", "demo", "--json"))
        assert (shown["status"], [file["yanked"] for file in shown["files"]]) == ("active", ["broken", None, None])

    def test_show_many(self, tmp_path: Path) -> None:
        """A project with more files than fit into one answer is shown whole."""
        (tmp_path / "log").mkdir()
        prev = ""
        for number in range(1, MAX_FILES_SHOWN + 4):
            body = event_bytes(added("big", version=f"{number}.0"), seq=number, prev=prev)
            (tmp_path / log_key(number)).write_bytes(body)  # not through the store, which waits for the disk each time
            prev = sha256(body)
        assert len(told("project", "show", "big").splitlines()) == 1 + MAX_FILES_SHOWN + 3


class TestNames:
    def test_reserve(self, store: FolderStore) -> None:
        """Patterns are reserved, listed and unreserved."""
        assert said("reserve", "Acme_*", "zoo") == "reserved acme-*\nreserved zoo\n"
        assert said("reserve", "zoo") == "nothing changed: reserved before\n"
        assert told("reserved") == "acme-*\nzoo\n"
        assert said("unreserve", "zoo") == "unreserved zoo\n"
        assert refused(store, "unreserve", "zoo") == "Error: invalid patterns 'zoo': reserved is acme-*\n"


class TestUsers:
    def test_patterns(self, store: FolderStore) -> None:
        """Uploads can be limited to patterns, repeated or separated by commas; the list shows them."""
        arguments = ("user", "add", "ann", "--upload", "--projects", "Acme_*,zoo", "--projects", "x")
        for note in ("", ", as before"):
            result = run(*arguments, entered="a password\n")
            assert result.stderr == f"ann may read and upload to acme-*, x, zoo{note}.\n"
        assert decode_user("", store.get(user_key("ann")).body).projects == ("acme-*", "x", "zoo")
        assert told("user", "list") == "ann\tupload\tacme-*, x, zoo\n"
        *_, event = Log(store).read_after(ORIGIN)
        assert event.change == UserPut(username="ann", upload=True, projects=("acme-*", "x", "zoo"))

    def test_patterns_of_a_reader(self, store: FolderStore) -> None:
        """Patterns for a user that may not upload are refused."""
        before = contents(store)
        result = run("user", "add", "ann", "--projects", "x", entered="a password\n")
        sentence = "invalid projects 'x': they limit uploads, and this user may not upload at all"
        assert (result.exit_code, result.stderr, contents(store)) == (2, f"Error: {sentence}\n", before)

    def test_json(self, store: FolderStore) -> None:
        """With `--json` a generated password is in the result."""
        result = run("user", "add", "ann", "--generate", "--json")
        made = json.loads(result.stdout)
        assert {**made, "password": len(made["password"])} == {
            "put": "ann",
            "upload": False,
            "projects": [],
            "changed": True,
            "password": 32,
        }
        assert json.loads(told("user", "list", "--json"))["users"][0]["username"] == "ann"


class TestLog:
    def test_lines(self, store: FolderStore) -> None:
        """An event is a line: number, when, who, from where, what."""
        assert told("log", "-n", "1") == f"3  {AT[:19]}Z  me  published {SDIST.filename} of demo, 15 bytes\n"

    def test_json_lines(self, store: FolderStore) -> None:
        """With `--json` each event is a line that holds all of it; the chain can be followed from them."""
        lines = [json.loads(line) for line in told("log", "--json", "--limit", "0").splitlines()]
        assert [line["seq"] for line in lines] == [1, 2, 3]
        assert [line["prev"] for line in lines] == ["", lines[0]["digest"], lines[1]["digest"]]
        assert lines == [document_of(event) for event in Log(store).read_after(ORIGIN)]

    def test_wanted(self, store: FolderStore) -> None:
        """Events are chosen by project, user and time."""
        run("user", "add", "ann", "--generate")
        said("yank", "demo", "1.0")
        assert [line[0] for line in told("log", "--project", "demo").splitlines()] == ["1", "2", "3", "5"]
        assert [line[0] for line in told("log", "--user", "ann").splitlines()] == ["4"]
        assert [line[0] for line in told("log", "--since", "1d").splitlines()] == ["4", "5"]
        assert [line[0] for line in told("log", "--since", "2020-01-01", "-n", "2").splitlines()] == ["4", "5"]
        assert refused(store, "log", "--since", "soon").startswith("Error: invalid since 'soon': an age such as '7d'")
        assert refused(store, "log", "--project", "nope").startswith("Error: invalid project 'nope': there is no ")

    def test_every_kind(self) -> None:
        """Every kind of event is told in words; one that is not known with all that it says."""
        token = TokenCreated(token="abc", username="ann", name="ci", upload=True, projects=("acme-*",), expires=AT)
        status = ProjectStatusSet(project=DEMO, status="archived", reason="old")
        lines = [render_event(document_of(event)).split("  ", 3)[3] for event in chain(OLD, token, status)]
        assert lines == [
            f"published {OLD.filename} of demo, 25 bytes",
            "made the token 'ci' (abc) of user ann, which may read and upload to acme-* until 2024-11-23T10:20:30Z",
            "made demo archived: old",
        ]
        later = {**document_of(chain(OLD)[0]), "kind": "FilePraised"}
        assert "FilePraised {'project': 'demo'" in render_event(later)


@pytest.mark.parametrize("name", [name for section in SECTIONS.values() for name in section])
def test_help(name: str) -> None:
    """Every command has a help text that says what it does in whole sentences."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    for each in commands:
        summary = (each.help or "").strip().partition("\n\n")[0]
        assert summary[:1].isupper(), each.name
        assert summary.endswith("."), each.name
    assert run(name, "--help").exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("project",), ("user",), ("token",), ("import",)])
def test_help_in_a_line(arguments: tuple[str, ...]) -> None:
    """The line about a command in a list of commands is whole."""
    assert "..." not in run(*arguments, "--help").stdout.partition("\n\nOptions:")[2]


def test_upload_without_password() -> None:
    """An upload that has no password, and nobody to ask, is refused with the ways of giving one."""
    result = run("upload", "--repository-url", "https://pypi.example/", __file__)
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: there is no password: give -p, set TWINE_PASSWORD, or put it into the URL\n",
    )


def test_printable() -> None:
    """What a terminal would obey is shown, not sent."""
    assert printable("a\x1b[31mb\tc\nü\ud800") == "a\\x1b[31mb\tc\\nü\\ud800"


def test_both_places(store: FolderStore) -> None:
    """A bucket and a function at once are refused."""
    sentence = "Error: --bucket and --function exclude each other: the function knows its bucket\n"
    assert refused(store, "reserved", "--bucket", "x", "--function", "y") == sentence


@pytest.mark.parametrize("command", [("stats",), ("verify",), ("log",), ("user", "list"), ("yank", "demo", "1.0")])
def test_folder_that_is_not_there(command: tuple[str, ...], tmp_path: Path) -> None:
    """A mistyped folder is refused by all commands that begin no index, and is not made."""
    done = CliRunner().invoke(main, [*command, "--bucket", (tmp_path / "typo").as_uri()])
    assert (done.exit_code, "there is no such folder" in done.stderr, (tmp_path / "typo").exists()) == (2, True, False)
