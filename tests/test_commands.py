"""What an invocation's payload tells the function to do."""

import pytest

from indexer.errors import InvalidValue
from pypi_lambda.arguments import Secret, Text
from pypi_lambda.commands import COMMANDS, find_command
from pypi_lambda.context import Command
from pypi_lambda.manage.index import Rebuild, Reindex
from pypi_lambda.manage.users import PutUser, RemoveUser

SCHEDULED_EVENT = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2015-10-08T16:53:06Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule"],
    "detail": {},
}
S3_TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2014-10-13T15:57:02.089Z",
    "Bucket": "bucketname",
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
}
ONE = f"one of {', '.join(COMMANDS)}, alone"
USER = {"username": "ada", "password": "secret", "upload": True}


@pytest.mark.parametrize(
    ("event", "command"),
    [
        ("reindex", Reindex()),
        ({"reindex": None}, Reindex()),
        ({"reindex": {}}, Reindex()),
        ({"reindex": "whatever 0.0.6 let pass"}, Reindex(ignored="whatever 0.0.6 let pass")),
        ({"rebuild": 0}, Rebuild(up_to=0)),
        ({"rebuild": 42}, Rebuild(up_to=42)),
        ({"rebuild": "from zero"}, Rebuild(up_to=None)),
        ({"putUser": USER}, PutUser(username=Text("ada"), password=Secret("secret"), upload=True)),
        (
            {"putUser": {"username": "ada", "password": "secret"}},
            PutUser(username=Text("ada"), password=Secret("secret"), upload=False),
        ),
        ({"removeUser": {"username": "ada"}}, RemoveUser(username=Text("ada"))),
        ({"removeUser": "ada"}, RemoveUser(username=Text("ada"))),
    ],
)
def test_command(event: object, command: Command) -> None:
    """Each command is understood as serverless-pypi 0.0.6 had it, and the new one."""
    assert find_command(event) == command


@pytest.mark.parametrize(
    "event",
    [
        None,
        "",
        " \n",
        {},
        [],
        [1, 2],
        42,
        True,
        {"warm": True},
        {"keep-warm": 1},
        {"source": "aws.events"},
        SCHEDULED_EVENT,
        S3_TEST_EVENT,
        {"some": "event", "of": "another service"},
    ],
    ids=repr,
)
def test_no_command(event: object) -> None:
    """What a scheduler or another service sends means nothing."""
    assert find_command(event) is None


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("reindexx", f"invalid command 'reindexx': {ONE}"),
        ({"reIndex": None}, f"invalid command 'reIndex': {ONE}"),
        ({"reindex": None, "removeUser": "ada"}, f"invalid command 'reindex and removeUser': {ONE}"),
        ({"rebuild": 1, "because": "I say so"}, f"invalid command 'rebuild and because': {ONE}"),
        ({"rebuild": None}, "invalid rebuild None: an event's number, or 'from zero'"),
        ({"rebuild": -1}, "invalid rebuild -1: an event's number, or 'from zero'"),
        ({"rebuild": True}, "invalid rebuild True: an event's number, or 'from zero'"),
        ({"rebuild": 1.0}, "invalid rebuild 1.0: an event's number, or 'from zero'"),
        ({"rebuild": "1"}, "invalid rebuild '1': an event's number, or 'from zero'"),
        ("rebuild", "invalid rebuild None: an event's number, or 'from zero'"),
        ("removeUser", "invalid removeUser None: text that is not empty"),
        ({"removeUser": ""}, "invalid removeUser '': text that is not empty"),
        ({"removeUser": {}}, "invalid removeUser.username None: text that is not empty"),
        ({"putUser": "ada"}, "invalid putUser '(not shown)': an object with username, password, upload (optional)"),
        (
            {"putUser": {**USER, "admin": True}},
            "invalid putUser 'admin': the members are username, password, upload (optional)",
        ),
        ({"putUser": {"username": "ada"}}, "invalid putUser.password '(not shown)': text that is not empty"),
        ({"putUser": {"password": "secret"}}, "invalid putUser.username None: text that is not empty"),
        ({"putUser": {**USER, "username": 1}}, "invalid putUser.username 1: text that is not empty"),
        ({"putUser": {**USER, "password": 1234}}, "invalid putUser.password '(not shown)': text that is not empty"),
        ({"putUser": {**USER, "upload": "yes"}}, "invalid putUser.upload 'yes': true or false"),
    ],
)
def test_refused(event: object, message: str) -> None:
    """What plainly means a command, but is none, is refused in a sentence that names it and shows no password."""
    with pytest.raises(InvalidValue) as raised:
        find_command(event)
    assert str(raised.value) == message
    assert "secret" not in message


def test_password_is_not_in_the_log() -> None:
    """A command can be logged: it does not show the password."""
    assert repr(find_command({"putUser": USER})) == "PutUser(username='ada', upload=True)"
