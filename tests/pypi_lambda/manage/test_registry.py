"""What an invocation's payload tells the function to do."""

import pytest

from indexer.errors import InvalidValue
from indexer.log.log import Head
from pypi_lambda.command.arguments import Secret, Text
from pypi_lambda.command.context import Command
from pypi_lambda.manage.index import Rebuild, Reindex
from pypi_lambda.manage.registry import COMMANDS, find_command
from pypi_lambda.manage.retention import CollectGarbage
from pypi_lambda.manage.stats import Stats
from pypi_lambda.manage.users import PutUser, RemoveUser
from pypi_lambda.manage.verify import Verify

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
        (
            {"putUser": {**USER, "projects": ["Acme_*", "zoo"]}},
            PutUser(username=Text("ada"), password=Secret("secret"), upload=True, projects=("acme-*", "zoo")),
        ),
        ({"removeUser": {"username": "ada"}}, RemoveUser(username=Text("ada"))),
        ({"removeUser": "ada"}, RemoveUser(username=Text("ada"))),
        ("verify", Verify()),
        ({"verify": {"deep": True, "repair": True, "after": "six"}}, Verify(deep=True, repair=True, after="six")),
        ({"verify": {"expect": f"7:{'0' * 64}"}}, Verify(expect=Head(seq=7, digest="0" * 64))),
        ("stats", Stats()),
        ({"stats": {}}, Stats()),
        ({"gc": {"dryRun": True}}, CollectGarbage(dry_run=True)),
        ({"gc": {"orphans": True}}, CollectGarbage(orphans=True)),
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
        (
            {"putUser": "ada"},
            "invalid putUser '(not shown)': an object with username, password, upload (optional), projects (optional)",
        ),
        (
            {"putUser": {**USER, "admin": True}},
            "invalid putUser 'admin': the members are username, password, upload (optional), projects (optional)",
        ),
        ({"putUser": {"username": "ada"}}, "invalid putUser.password '(not shown)': text that is not empty"),
        ({"putUser": {"password": "secret"}}, "invalid putUser.username None: text that is not empty"),
        ({"putUser": {**USER, "username": 1}}, "invalid putUser.username 1: text that is not empty"),
        ({"putUser": {**USER, "password": 1234}}, "invalid putUser.password '(not shown)': text that is not empty"),
        ({"putUser": {**USER, "upload": "yes"}}, "invalid putUser.upload 'yes': true or false"),
        (
            {"putUser": {**USER, "projects": []}},
            "invalid putUser.projects []: patterns of project names, such as 'acme-*'",
        ),
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
    assert repr(find_command({"putUser": USER})) == "PutUser(username='ada', upload=True, projects=())"
