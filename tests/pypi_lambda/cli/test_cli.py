"""The command line over a folder; what it does as a server is in `tests/integration`."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from indexer.derive.rebuild import load_snapshot
from indexer.keys import user_key
from indexer.simple.page import Renderer
from indexer.store.folder import FolderStore
from pypi_lambda import __version__
from pypi_lambda.access.auth import Authenticator
from pypi_lambda.access.records import User
from pypi_lambda.cli import main
from pypi_lambda.settings import SETTINGS
from tests.support.builders import added, contents, write_log
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

DEMO = make_wheel("demo", "1.0")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of its own for each test; commands put more of them into the environment."""
    for name in (*SETTINGS, "FUNCTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BUCKET", f"file://{tmp_path}")
    monkeypatch.setenv("UPSTREAM_INDEX_URL", "http://127.0.0.1:9/simple/")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def run(*arguments: str, entered: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=entered, catch_exceptions=False)


def log_in(store: FolderStore, username: str, password: str) -> User:
    return Authenticator().check(username, password, store.find(user_key(username)))


class TestUsers:
    def test_add(self, store: FolderStore) -> None:
        """The password is the first line of standard input."""
        result = run("user", "add", "ann", entered="a password\nanother line\n")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "ann may read.\n")
        assert log_in(store, "ann", "a password") == User(username="ann", upload=False)

    def test_generate(self, store: FolderStore) -> None:
        """A generated password is all that goes to standard output."""
        result = run("user", "add", "ann", "--upload", "--generate")
        assert (result.exit_code, result.stderr) == (0, "ann may read and upload.\n")
        assert log_in(store, "ann", result.stdout.rstrip("\n")) == User(username="ann", upload=True)

    def test_list(self, store: FolderStore) -> None:
        """Each user is a line: the name, or the digest where only that is known, and the role."""
        run("user", "add", "zoe", "--generate")
        run("user", "add", "ann", "--generate", "--upload")
        store.put("users/0123.json", b'{"hash": "", "upload": true}')
        assert run("user", "list").stdout == "ann\tupload\nzoe\tread\nsha256:0123\tupload\n"

    def test_remove(self, store: FolderStore) -> None:
        """Who was removed is gone; who was not there is an error."""
        run("user", "add", "ann", "--generate")
        assert (run("user", "remove", "ann").exit_code, list(store.list("users/"))) == (0, [])
        again = run("user", "remove", "ann")
        assert (again.exit_code, again.stderr) == (1, "Error: there is no user 'ann'\n")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("add", "a:b"), "invalid username 'a:b': 1 to 128 printable characters without ':'"),
            (("remove", ""), "invalid username '': text that is not empty"),
            (("add", "ann"), "there is no password on standard input: write one there, or use --generate"),
        ],
    )
    def test_wrong_input(self, store: FolderStore, arguments: tuple[str, ...], sentence: str) -> None:
        """Wrong input is one sentence and exit code 2, and changes nothing."""
        result = run("user", *arguments, entered="\n" if arguments[1] == "ann" else "a password\n")
        assert (result.exit_code, result.stderr, contents(store)) == (2, f"Error: {sentence}\n", {})


class TestReindex:
    def test_whole(self, store: FolderStore, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
        """The upstream's names are read, files put into the folder are published, and the counts are said."""
        monkeypatch.setenv("UPSTREAM_INDEX_URL", upstream.url)
        upstream.names = ["six", "seven"]
        store.put(f"projects/demo/{DEMO.filename}", DEMO.content)
        result = run("reindex")
        assert result.exit_code == 0
        assert "reindexed: 2 upstream projects, 1 files adopted\n" in result.stderr
        known = load_snapshot(store, Renderer()).snapshot
        assert (known.head.seq, known.projects.find("demo") is not None) == (2, True)  # type: ignore[arg-type]  # a name

    def test_failures(self, store: FolderStore) -> None:
        """A failing upstream and a file that is none are said, the rest is done, and the exit code is 1."""
        store.put(f"projects/demo/{DEMO.filename}", DEMO.content)
        store.put("projects/demo/demo-2.0-py3-none-any.whl", b"no wheel")
        result = run("reindex")
        assert result.exit_code == 1
        assert "reindexed: unknown upstream projects, 1 files adopted\n" in result.stderr
        assert "not published: projects/demo/demo-2.0-py3-none-any.whl: invalid " in result.stderr
        assert "the upstream index failed: http://127.0.0.1:9/simple/ cannot be reached" in result.stderr


class TestRebuild:
    def test_whole(self, store: FolderStore) -> None:
        """A rebuild says how far it came and what it wrote; a second one has nothing to do."""
        write_log(store, added("demo"), added("another"))
        assert [run("rebuild").stderr for _ in range(2)] == [
            "event 2: wrote the pages of 2 projects\n",
            "event 2: nothing was new\n",
        ]

    def test_from_zero(self, store: FolderStore) -> None:
        """The repair writes pages again that are damaged."""
        write_log(store, added("demo"))
        run("rebuild")
        whole = contents(store, "pages/")
        for key in whole:
            store.put(key, b"damaged")
        assert run("rebuild", "--from-zero").exit_code == 0
        assert contents(store, "pages/") == whole

    def test_a_damaged_log(self, store: FolderStore) -> None:
        """A fault of the index is one sentence that names the object, and exit code 1."""
        store.put("log/00000000000000000001.json", b"{}")
        result = run("rebuild")
        assert result.exit_code == 1
        assert "corrupt object: no readable event" in result.stderr
        assert "at 'log/00000000000000000001.json'" in result.stderr


class TestSettings:
    def test_an_option_wins(self, tmp_path: Path) -> None:
        """What the command line says wins over the environment, also for the processes it starts."""
        location = f"file://{tmp_path / 'another'}"
        run("user", "add", "ann", "--generate", "--bucket", location)
        assert (len(list((tmp_path / "another" / "users").iterdir())), os.environ["BUCKET"]) == (1, location)

    def test_wrong(self) -> None:
        """A wrong setting is one sentence with the variable, the value and what is accepted."""
        result = run("rebuild", "--bucket", "no/bucket")
        accepted = "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'"
        assert (result.exit_code, result.stderr) == (2, f"Error: invalid BUCKET 'no/bucket': {accepted}\n")

    def test_credentials_are_not_shown(self) -> None:
        """A wrong upstream is shown without its credentials."""
        result = run("reindex", "--upstream", "https://user:s3cret@upstream.example/?x")
        assert (result.exit_code, "s3cret" in result.output) == (2, False)

    def test_version(self) -> None:
        """The program says its version."""
        assert run("--version").stdout == f"serverless-pypi, version {__version__}\n"


class TestSetUp:
    def test_once(self, store: FolderStore) -> None:
        """An empty folder gets a user that may upload, whose password is shown with commands to paste, once."""
        first, second = (run("set-up", "http://127.0.0.1:8080/pypi") for _ in range(2))
        password = next(line.split()[1] for line in first.stdout.splitlines() if line.startswith("    password"))
        assert log_in(store, "admin", password) == User(username="admin", upload=True)
        assert f"pip install --index-url http://admin:{password}@127.0.0.1:8080/pypi/simple/ requests" in first.stdout
        assert (
            f"twine upload --repository-url http://127.0.0.1:8080/pypi/ -u admin -p {password} dist/*" in first.stdout
        )
        assert second.stdout == ""
        assert list(contents(store, "probe/")) == []

    def test_more_users(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command for more users names the bucket, unless it is the one that is taken without a name."""
        elsewhere = f"file://{tmp_path / 'a folder'}"
        monkeypatch.setenv("BUCKET", elsewhere)
        last = run("set-up", "http://127.0.0.1:8080").stdout.rstrip().splitlines()[-1]
        command = "More users:  serverless-pypi user add NAME [--upload]"
        assert last == f"{command} --bucket '{elsewhere}'"
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("BUCKET")
        assert run("set-up", "http://127.0.0.1:8080").stdout.rstrip().splitlines()[-1] == command
