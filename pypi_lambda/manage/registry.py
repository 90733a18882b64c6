"""The commands by name, in the words of serverless-pypi 0.0.6 and many more, and how an invocation's payload names one.

    "reindex" | {"reindex": …} | {"rebuild": seq} | {"rebuild": "from zero"}
    {"putUser": {"username", "password", "upload"}} | {"removeUser": "name"} | {"yank": {"project", "version"}} | …

An invocation that plainly means a command but is none is refused by name; what means nothing keeps the container warm.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from indexer.errors import InvalidValue

if TYPE_CHECKING:
    from pypi_lambda.command.context import Command

# Where each command is. Imported one at a time: a rebuild needs nothing of a migration.
COMMANDS: Mapping[str, str] = {
    "reindex": "index:Reindex",
    "rebuild": "index:Rebuild",
    "ingest": "index:Ingest",
    "verify": "verify:Verify",
    "stats": "stats:Stats",
    "gc": "retention:CollectGarbage",
    "yank": "files:Yank",
    "unyank": "files:Unyank",
    "remove": "files:Remove",
    "restore": "files:Restore",
    "projectStatus": "projects:ProjectStatus",
    "listProjects": "projects:ListProjects",
    "showProject": "projects:ShowProject",
    "reserve": "names:Reserve",
    "unreserve": "names:Unreserve",
    "reserved": "names:ListReserved",
    "log": "audit:ReadLog",
    "putUser": "users:PutUser",
    "removeUser": "users:RemoveUser",
    "listUsers": "users:ListUsers",
    "createToken": "tokens:CreateToken",
    "revokeToken": "tokens:RevokeToken",
    "listTokens": "tokens:ListTokens",
    "why": "why:Why",
    "publishParts": "parts:PublishParts",
    "adopt": "migrate:Adopt",
    "importFolder": "migrate:ImportFolder",
    "importIndex": "migrate:ImportIndex",
    "importDevpi": "migrate:ImportDevpi",
}
# What a scheduler sends: a scheduled event of EventBridge, an empty input, or what people write to keep a function
# warm.
_SCHEDULED = frozenset({"source", "detail-type", "warm", "keepWarm", "keep-warm"})


def find_command(event: object) -> "Command | None":
    """Return the command that an invocation's payload is, or None when it means nothing.

    Raises:
        InvalidValue: it means a command, but an unknown one, or one with wrong arguments.
    """
    if isinstance(event, str) and event.strip():
        event = {event: None}
    if not isinstance(event, dict) or not event:
        return None
    known = [name for name in event if name in COMMANDS]
    if not known and (len(event) > 1 or not _SCHEDULED.isdisjoint(event)):
        return None
    if len(event) != 1 or not known:
        accepted = f"one of {', '.join(COMMANDS)}, alone"
        raise InvalidValue("command", " and ".join(map(str, event)), accepted)
    return parse_command(known[0], event[known[0]])


def parse_command(name: str, argument: object) -> "Command":
    """Return the command of this name.

    Args:
        name: one of `COMMANDS`.
        argument: its arguments as an object, or None for none; what else stands for an object of one member is the
            command's own.

    Raises:
        InvalidValue: an argument is missing, unknown, or not what it accepts.
    """
    from pypi_lambda.command.arguments import parse_arguments

    module, _, cls = COMMANDS[name].partition(":")
    found: type[Command] = getattr(import_module(f"pypi_lambda.manage.{module}"), cls)
    return parse_arguments(found, name, argument)
