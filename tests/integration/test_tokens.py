"""Tokens from the command line, in the hands of real pip, uv and twine."""

from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.integration.clients import Clients
from tests.integration.commands import Place, run_command
from tests.integration.running import Server, User, eventually, serving
from tests.integration.test_secrets import unpacked
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

on_a_folder = pytest.mark.parametrize("shared_server", ["folder"], indirect=True)
with_each_installer = pytest.mark.parametrize("tool", ["pip", "uv"])


@pytest.fixture
def name() -> str:
    """A project's name that is normalised and no other test's."""
    return f"own-{uuid4().hex}"


def create(place: Place, user: str, *options: str) -> str:
    """Create a token and return it."""
    sentence, text = run_command(place, "token", "create", user, *options).succeeded().splitlines()
    assert sentence.startswith("Token ")
    return text


def status(server: Server, name: str, password: str) -> int:
    return server.request("GET", "/simple/", user=User(name=name, password=password)).status_code


@with_each_installer
@pytest.mark.parametrize("credentials", ["__token__:{token}", "{user}:{token}", "{token}", "{token}:"])
def test_in_the_url(tool: str, credentials: str, shared_server: Server, clients: Clients) -> None:
    """A token in the index URL installs: as password of `__token__` or of its owner, or as the username."""
    server = shared_server
    text = create(server.place, server.user.name)
    scheme, _, rest = server.url.partition("://")
    index = f"{scheme}://{credentials.format(token=text, user=server.user.name)}@{rest}/simple/"
    assert clients.install(tool, index, "demo-app")["Demo.App"] == "1.0"


@on_a_folder
@with_each_installer
def test_in_netrc(tool: str, shared_server: Server, clients: Clients) -> None:
    """A token in `.netrc` installs."""
    text = create(shared_server.place, shared_server.user.name)
    netrc = clients.home / "netrc"
    netrc.write_text(f"machine {urlsplit(shared_server.url).hostname} login __token__ password {text}\n")
    netrc.chmod(0o600)
    target = clients.new_folder("target")
    options = ["install", "--index-url", f"{shared_server.url}/simple/", "--target", str(target), "demo-app"]
    command = ["python", "-m", "pip", *options] if tool == "pip" else ["uv", "pip", *options]
    clients.run(*command, NETRC=str(netrc)).succeeded()
    assert any(path.name.startswith("demo") for path in target.iterdir())


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_upload(tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """A token uploads as `-u __token__ -p`, and installs what it uploaded."""
    text = create(shared_server.place, shared_server.user.name, "--upload", "--projects", "own-*", "--name", "ci")
    token = User(name="__token__", password=text)
    clients.try_upload(tool, shared_server, make_wheel(name, "1.0"), user=token).succeeded()
    for installer in ("pip", "uv"):
        assert clients.install(installer, shared_server.index_of(token), name) == {name: "1.0"}


@on_a_folder
def test_upload_with_uv_s_own_option(name: str, shared_server: Server, clients: Clients) -> None:
    """`uv publish --token` needs nothing else."""
    text = create(shared_server.place, shared_server.user.name, "--upload")
    wheel = make_wheel(name, "1.0")
    path = clients.new_folder("dist") / wheel.filename
    path.write_bytes(wheel.content)
    clients.uv("publish", "--publish-url", f"{shared_server.url}/", "--token", text, str(path)).succeeded()
    assert shared_server.get_filenames(name) == [wheel.filename]


@on_a_folder
@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_what_a_token_may_not(tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """A token that may read, or upload to other projects, uploads nothing, and the client shows 403."""
    for options in ([], ["--upload", "--projects", "acme-*"]):
        text = create(shared_server.place, shared_server.user.name, *options)
        token = User(name="__token__", password=text)
        output = clients.try_upload(tool, shared_server, make_wheel(name, "1.0"), user=token).failed()
        assert "403" in output
    assert shared_server.get(f"/simple/{name}/").status_code == 404


def test_revoked_and_listed(server: Server) -> None:
    """The list shows tokens with their last use and no secret; a revoked one's next request is refused."""
    place, user = server.place, server.user.name
    texts = [create(place, user, "--name", name, "--expires", "never") for name in ("ci", "laptop")]
    assert [status(server, "__token__", text) for text in texts] == [200, 200]
    eventually(lambda: "used never" not in run_command(place, "token", "list").succeeded())
    lines = run_command(place, "token", "list", user).succeeded().splitlines()
    fields = [line.split("\t") for line in lines]
    assert [[*line[1:5], line[6]] for line in fields] == [
        [user, name, "may read", "expires never", "valid"] for name in ("ci", "laptop")
    ]
    assert not any(text.partition(".")[2][:16] in line for text in texts for line in lines)
    first = fields[0][0]
    assert run_command(place, "token", "revoke", first).succeeded() == f"Token {first} of {user} is revoked.\n"
    assert [status(server, "__token__", text) for text in texts] == [401, 200]
    assert run_command(place, "token", "revoke", first).failed(1) == f"Error: there is no token '{first}'\n"
    assert len(run_command(place, "token", "list").succeeded().splitlines()) == 1


@on_a_folder
def test_a_removed_user(shared_server: Server) -> None:
    """With its user a token ends, and a user added under that name brings it back to nobody."""
    place = shared_server.place
    run_command(place, "user", "add", "eve", input="a password\n").succeeded()
    text = create(place, "eve")
    seen = [status(shared_server, "__token__", text)]
    run_command(place, "user", "add", "eve", input="another password\n").succeeded()
    seen.append(status(shared_server, "__token__", text))
    run_command(place, "user", "remove", "eve").succeeded()
    seen.append(status(shared_server, "__token__", text))
    run_command(place, "user", "add", "eve", input="a password\n").succeeded()
    seen.append(status(shared_server, "__token__", text))
    assert seen == [200, 200, 401, 401]


@on_a_folder
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "nobody"], "Error: invalid username 'nobody': there is no such user\n"),
        (["create", "nobody", "--expires", "soon"], "Error: invalid expires 'soon': a lifetime such as '90d'"),
        (["create", "nobody", "--projects", "a/b"], "Error: invalid projects 'a/b': a normalised project name"),
        (["revoke", "nothing"], "Error: invalid id 'nothing': a token's id, 16 hex digits, as the list has it\n"),
    ],
)
def test_what_cannot_be(arguments: list[str], sentence: str, shared_server: Server) -> None:
    """Bad input is refused with one sentence and exit code 2."""
    output = run_command(shared_server.place, "token", *arguments).failed(2)
    assert (output[: len(sentence)], output.count("\n")) == (sentence, 1)


@on_a_folder
def test_clients_that_are_told_to_wait(shared_server: Server, clients: Clients) -> None:
    """pip and uv with a wrong token end with an error that says so."""
    scheme, _, rest = shared_server.url.partition("://")
    text = create(shared_server.place, shared_server.user.name)
    index = f"{scheme}://__token__:{text[:-1]}@{rest}/simple/"
    for tool in ("pip", "uv"):
        output = clients.try_install(tool, index, clients.new_folder("target"), "demo-app").failed()
        assert text[:-1] not in output
        assert "demo-app" in output


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_secrets(place: Place, upstream: FakeUpstream, logs: Path, clients: Clients) -> None:
    """Neither tokens nor passwords, right or wrong, are in any log line, output, list, event or stored object."""
    with serving(place, logs, upstream=upstream.url, LOGGING_LEVEL="DEBUG") as server:
        server.await_reindexed()
        secrets = [server.user.password, "a-wrong-password"]
        shown = ""
        for options in (["--upload"], ["--name", "ci"]):
            text = create(place, server.user.name, *options)
            secrets += [text.partition(".")[2][:32], b64encode(f"__token__:{text}".encode()).decode()[20:60]]
            tokens = [text, text[:-1], text[:-1] + ("0" if text[-1] != "0" else "1")]
            users = [(name, token) for token in tokens for name in ("__token__", "bob", server.user.name)]
            for name, password in [*users, *((token, "") for token in tokens), (server.user.name, "a-wrong-password")]:
                answer = server.request("GET", "/simple/demo-app/", user=User(name=name, password=password))
                shown += f"{answer.status_code} {answer.headers} {answer.text}\n"
            owner = User(name="__token__", password=text)
            shown += clients.try_upload("twine", server, make_wheel("own", "1.0"), user=owner).output
            listed = run_command(place, "token", "list", LOGGING_LEVEL="DEBUG").succeeded()
            shown += listed
            shown += run_command(place, "token", "revoke", text, LOGGING_LEVEL="DEBUG").succeeded()
        shown += "\n".join(server.find_processes().values())
    assert {"200", "401"} <= {line[:3] for line in shown.splitlines()}
    shown += server.log  # on standard output is the first user's password, once, for whoever started the server
    assert [secret for secret in secrets if secret in shown] == []
    folder = Path(place.environ["BUCKET"].removeprefix("file://"))
    contents = {path: unpacked(path.read_bytes()).decode("latin-1") for path in folder.rglob("*") if path.is_file()}
    assert len(contents) > 10
    assert {path for path, content in contents.items() if any(secret in content for secret in secrets)} == set()
