"""The command line with `--function`: the commands are carried out by the deployed function, invoked by real boto3."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.log.log import ORIGIN, Log
from indexer.store.folder import FolderStore
from tests.aws.lambda_control import INVOKE_DENIED
from tests.aws.lambda_site import LambdaSite, running_function
from tests.integration.commands import Finished, Place, run_command
from tests.support.builders import added, contents, put_user, write_log

WHEEL = added("demo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("function") / "data"


@pytest.fixture(scope="module")
def store(folder: Path) -> FolderStore:
    """The function's store, with one file; the tests leave it as it is, but for what they say."""
    store = FolderStore(folder)
    put_user(store)
    write_log(store, WHEEL)
    return store


@pytest.fixture(scope="module")
def site(
    function_code: Path, folder: Path, store: FolderStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LambdaSite]:
    environ = {"BUCKET": f"file://{folder}", "UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/"}
    with running_function(function_code, tmp_path_factory.mktemp("site"), environ=environ) as site:
        yield site


def run(site: LambdaSite, *arguments: str, input: str = "", function: str = "pypi") -> Finished:
    """Run the command line with the function's name in the environment."""
    environ = {
        "AWS_ENDPOINT_URL_LAMBDA": site.control.url,
        "AWS_ACCESS_KEY_ID": "testkey",
        "AWS_SECRET_ACCESS_KEY": "testsecret",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "BUCKET": "",
        "FUNCTION": function,
    }
    return run_command(Place(environ=environ), *arguments, input=input)


def test_commands(site: LambdaSite, store: FolderStore) -> None:
    """Commands change what the function's store holds, and say the same as on the store itself."""
    assert run(site, "yank", "demo", "1.0", "--reason", "broken").succeeded() == f"yanked {WHEEL.filename}\n"
    assert run(site, "project", "show", "demo").succeeded().endswith("  yanked: broken\n")
    assert run(site, "unyank", "demo", "1.0").succeeded() == f"unyanked {WHEEL.filename}\n"
    assert run(site, "unyank", "demo", "1.0").succeeded() == "nothing changed: 1.0 is not yanked\n"
    assert run(site, "reserve", "acme-*").succeeded() == "reserved acme-*\n"
    assert run(site, "reserved", "--json").succeeded() == '{\n  "reserved": [\n    "acme-*"\n  ]\n}\n'
    events = [event for event in Log(store).read_after(ORIGIN) if event.seq > 1]
    assert [(event.by, type(event.change).__name__) for event in events] == [
        ("command", "FileYanked"),
        ("command", "FileUnyanked"),
        ("command", "NamesReserved"),
    ]
    assert {event.client.partition("@")[2] for event in events} == {socket.gethostname()}


def test_users(site: LambdaSite) -> None:
    """A password goes to the function from standard input, and comes back in no output."""
    added = run(site, "user", "add", "zoe", "--upload", "--projects", "acme-*", input="a password\n").succeeded()
    assert added == "zoe may read and upload to acme-*.\n"
    assert "zoe\tupload\tacme-*\n" in run(site, "user", "list").succeeded()
    assert run(site, "user", "remove", "zoe").succeeded() == "zoe is removed.\n"
    assert "a password" not in site.service.read_logs()


def test_the_log(site: LambdaSite, store: FolderStore) -> None:
    """The log is read through the function, as lines of JSON too."""
    lines = run(site, "log", "--json", "--limit", "0").succeeded().splitlines()
    assert [json.loads(line)["digest"] for line in lines] == [event.digest for event in Log(store).read_after(ORIGIN)]


def test_rebuild(site: LambdaSite) -> None:
    """A rebuild is carried out by the function."""
    assert run(site, "rebuild").succeeded().startswith("event ")
    assert run(site, "rebuild", "--from-zero").succeeded().endswith(": wrote the pages of 1 projects\n")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("yank", "nope", "1.0"), 2, "invalid project 'nope': there is no private project of this name"),
        (("remove", "demo", "1.0"), 2, "invalid yes False: nothing is removed without it (--yes); it would remove 1 "),
        (("unreserve", "zoo"), 2, "invalid patterns 'zoo': reserved is "),
        (("user", "add", "a:b"), 2, "invalid username 'a:b': 1 to 128 printable characters without ':'"),
        (("reindex", "--hourly"), 2, "--hourly and --upstream do not go with --function, which has its own schedule"),
        (("user", "remove", "nobody"), 1, "there is no user 'nobody'"),
    ],
)
def test_refused(site: LambdaSite, store: FolderStore, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    """What the function refuses is one sentence and exit code 2, as on the store itself; nothing is changed."""
    before = contents(store, "log/") | contents(store, "users/")
    assert run(site, *arguments, input="a password\n").failed(code).startswith(f"Error: {sentence}")
    assert contents(store, "log/") | contents(store, "users/") == before


def test_failed(site: LambdaSite, store: FolderStore) -> None:
    """A fault of the index is the function's sentence and exit code 1."""
    key = "log/00000000000000000001.json"
    whole = store.get(key).body
    store.put(key, whole.replace(b'"v":1', b'"v":9'))
    try:
        output = run(site, "log", "--limit", "0").failed(1)
    finally:
        store.put(key, whole)
    assert output.startswith(
        "Error: the function 'pypi' failed: corrupt object: no readable event: unknown event version"
    )


def test_unknown(site: LambdaSite) -> None:
    """A function that is not there is one sentence, and exit code 1."""
    output = run(site, "reserved", function="nope").failed(1)
    assert output.startswith("Error: the function 'nope' could not be invoked: ")
    assert len(output.splitlines()) == 1


def test_denied(site: LambdaSite) -> None:
    """An invocation that is refused is not tried again, for it may have been carried out."""
    site.control.inject(INVOKE_DENIED)
    before = sum(site.control.calls.values())
    try:
        assert "AccessDeniedException" in run(site, "reserved").failed(1)
    finally:
        site.control.inject()
    assert sum(site.control.calls.values()) == before + 1
