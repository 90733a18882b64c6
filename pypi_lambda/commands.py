"""What the function can be told to do by an invocation, in the words of serverless-pypi 0.0.6 and some more.

    "reindex" | {"reindex": …} | {"rebuild": seq} | {"rebuild": "from zero"}
    {"putUser": {"username", "password", "upload"}} | {"removeUser": "name"}
    {"ingest": {"project", "filename"}}: take a file in from the upstream

An invocation that plainly means a command but is none is refused by name; what means nothing keeps the container warm.
"""

from collections.abc import Callable, Mapping
from typing import Any

from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, check_filename, normalize_name
from indexer.value import value

FROM_ZERO = "from zero"
# What a scheduler sends: a scheduled event of EventBridge, an empty input, or what people write to keep a function
# warm.
_SCHEDULED = frozenset({"source", "detail-type", "warm", "keepWarm", "keep-warm"})


@value
class Reindex:
    """Refresh the upstream's list, adopt files, rebuild."""


@value
class Rebuild:
    """Bring the snapshot up to event `seq` at least; None stands for writing everything derived again."""

    seq: int | None


@value
class PutUser:
    """Add a user or change one."""

    username: str
    password: str
    upload: bool

    def __repr__(self) -> str:
        return f"PutUser(username={self.username!r}, upload={self.upload!r})"  # never the password


@value
class RemoveUser:
    """Remove a user."""

    username: str


@value
class Ingest:
    """Have a mirrored file in the store."""

    project: ProjectName
    filename: Filename


Command = Reindex | Rebuild | PutUser | RemoveUser | Ingest


def find_command(event: object) -> Command | None:
    """Return the command that an invocation's payload is, or None when it means nothing.

    Raises:
        InvalidValue: it means a command, but an unknown one, or one with wrong arguments.
    """
    if isinstance(event, str) and event.strip():
        event = {event: None}
    if not isinstance(event, dict) or not event:
        return None
    known = [name for name in event if name in _PARSERS]
    if not known and (len(event) > 1 or not _SCHEDULED.isdisjoint(event)):
        return None
    if len(event) != 1 or not known:
        accepted = f"one of {', '.join(_PARSERS)}, alone"
        raise InvalidValue("command", " and ".join(map(str, event)), accepted)
    (name,) = known
    return _PARSERS[name](event[name])


def _parse_reindex(_argument: object) -> Command:
    return Reindex()


def _parse_rebuild(argument: object) -> Command:
    if argument == FROM_ZERO:
        return Rebuild(seq=None)
    if isinstance(argument, bool) or not isinstance(argument, int) or argument < 0:
        raise InvalidValue("rebuild", argument, f"an event's number, or {FROM_ZERO!r}")
    return Rebuild(seq=argument)


def _parse_put_user(argument: object) -> Command:
    if not isinstance(argument, Mapping):
        raise InvalidValue("putUser", "(not shown)", "an object with username, password and, optionally, upload")
    if unknown := sorted(str(name) for name in set(argument) - {"username", "password", "upload"}):
        raise InvalidValue("putUser", ", ".join(unknown), "the members are username, password and upload")
    upload = argument.get("upload", False)
    if not isinstance(upload, bool):
        raise InvalidValue("putUser.upload", upload, "true or false")
    return PutUser(
        username=_text(argument, "username", shown=True),
        password=_text(argument, "password", shown=False),
        upload=upload,
    )


def _parse_remove_user(argument: object) -> Command:
    if not isinstance(argument, str) or not argument:
        raise InvalidValue("removeUser", argument, "a username")
    return RemoveUser(username=argument)


def _parse_ingest(argument: object) -> Command:
    if not isinstance(argument, Mapping) or set(argument) != {"project", "filename"}:
        raise InvalidValue("ingest", argument, "an object with project and filename")
    return Ingest(
        project=normalize_name(str(argument["project"]), field="ingest.project"),
        filename=check_filename(str(argument["filename"]), field="ingest.filename"),
    )


def _text(argument: Mapping[str, Any], name: str, *, shown: bool) -> str:
    value = argument.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"putUser.{name}", value if shown else "(not shown)", "text that is not empty")
    return value


_PARSERS: Mapping[str, Callable[[object], Command]] = {
    "reindex": _parse_reindex,
    "rebuild": _parse_rebuild,
    "putUser": _parse_put_user,
    "removeUser": _parse_remove_user,
    "ingest": _parse_ingest,
}
