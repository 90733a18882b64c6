"""Users from the command line, and what they may from the next request on."""

import pytest

from tests.integration.commands import Place, run_command
from tests.integration.running import Server, User
from tests.support.distributions import make_wheel

pytestmark = pytest.mark.parametrize("place", ["folder"], indirect=True)

WHEEL = make_wheel("own", "1.0")


def _status(server: Server, user: User) -> int:
    return server.request("GET", "/simple/requests/", user=user).status_code


def _upload_status(server: Server, user: User) -> int:
    from dataclasses import replace

    return replace(server, user=user).upload(WHEEL).status_code


def test_a_reader(server: Server, place: Place) -> None:
    """A user whose password came from standard input may read, and not upload."""
    reader = User(name="reader", password="with: spaces, and ü")
    assert _status(server, reader) == 401
    output = run_command(place, "user", "add", "reader", input=f"{reader.password}\n").succeeded()
    assert output == "reader may read.\n"
    assert (_status(server, reader), _upload_status(server, reader)) == (200, 403)


def test_a_generated_password(server: Server, place: Place) -> None:
    """`--generate` prints a password that works, once and alone on the last line."""
    output = run_command(place, "user", "add", "robot", "--upload", "--generate").succeeded()
    role, password = output.splitlines()
    assert role == "robot may read and upload."
    assert _upload_status(server, User(name="robot", password=password)) == 200


def test_another_role(server: Server, place: Place) -> None:
    """A changed role holds from the next request on, in both directions."""
    user = User(name="user", password="password")
    seen = []
    for options in ([], ["--upload"], []):
        run_command(place, "user", "add", user.name, *options, input=f"{user.password}\n").succeeded()
        seen.append((_status(server, user), _upload_status(server, user)))
    assert seen == [(200, 403), (200, 200), (200, 403)]


def test_another_password(server: Server, place: Place) -> None:
    """After a change of password the old one is refused at once."""
    old, new = User(name="user", password="old"), User(name="user", password="new")
    for user in (old, new):
        run_command(place, "user", "add", user.name, input=f"{user.password}\n").succeeded()
        assert _status(server, user) == 200
    assert _status(server, old) == 401


def test_a_removed_user(server: Server, place: Place) -> None:
    """A removed user's next request is refused."""
    assert _status(server, server.user) == 200
    assert run_command(place, "user", "remove", server.user.name).succeeded() == f"{server.user.name} is removed.\n"
    assert _status(server, server.user) == 401
    output = run_command(place, "user", "remove", server.user.name).failed(1)
    assert output == f"Error: there is no user {server.user.name!r}\n"


def test_the_list(server: Server, place: Place) -> None:
    """The list shows names and roles, and nothing secret."""
    run_command(place, "user", "add", "zoe", input="password\n").succeeded()
    assert run_command(place, "user", "list").succeeded() == f"{server.user.name}\tupload\nzoe\tread\n"


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("a:b", "password", "Error: invalid username 'a:b': 1 to 128 printable characters without ':'\n"),
        ("user", "", "Error: there is no password on standard input: write one there, or use --generate\n"),
    ],
)
def test_what_cannot_be(name: str, password: str, sentence: str, place: Place) -> None:
    """A name or a password that no client could send is refused with one sentence."""
    assert run_command(place, "user", "add", name, input=f"{password}\n").failed(2) == sentence
    assert list(place.open().list("")) == []
