"""What happened, in words: an event's change as a sentence without its subject. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

_AROUND = {"seq", "id", "prev", "digest", "at", "by", "client", "kind"}


def tell_change(kind: str, change: Mapping[str, Any]) -> str:
    """Return what a change did; of a kind that is not known here, all that it says.

    Args:
        kind: the name of the change's class.
        change: its fields; those of the event around it may be among them.
    """
    tell = _TELLERS.get(kind)
    if tell is None:
        return f"{kind} { ({name: member for name, member in change.items() if name not in _AROUND}) }"
    return tell(change)


def _file(change: Mapping[str, Any]) -> str:
    return f"{change['filename']} of {change['project']}"


def _because(change: Mapping[str, Any]) -> str:
    return f": {change['reason']}" if change["reason"] else ""


def _limited(change: Mapping[str, Any]) -> str:
    return f" to {', '.join(change['projects'])}" if change["projects"] else ""


def _rights(change: Mapping[str, Any]) -> str:
    return f"read and upload{_limited(change)}" if change["upload"] else "read"


def _token(change: Mapping[str, Any]) -> str:
    named = f" {change['name']!r}" if change["name"] else ""
    until = f" until {change['expires'][:19]}Z" if change["expires"] else ""
    return f"made the token{named} ({change['token']}) of user {change['username']}, which may {_rights(change)}{until}"


_TELLERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "FileAdded": lambda change: f"published {_file(change)}, {change['size']:,} bytes",
    "FileYanked": lambda change: f"yanked {_file(change)}{_because(change)}",
    "FileUnyanked": lambda change: f"unyanked {_file(change)}",
    "FileRemoved": lambda change: f"removed {_file(change)}{_because(change)}",
    "FileRestored": lambda change: f"restored {_file(change)}",
    "ProjectStatusSet": lambda change: f"made {change['project']} {change['status']}{_because(change)}",
    "NamesReserved": lambda change: f"reserved {', '.join(change['patterns'])}",
    "NamesUnreserved": lambda change: f"unreserved {', '.join(change['patterns'])}",
    "UserPut": lambda change: f"put user {change['username']}, who may {_rights(change)}",
    "UserRemoved": lambda change: f"removed user {change['username']}",
    "TokenCreated": _token,
    "TokenRevoked": lambda change: f"revoked the token {change['token']} of user {change['username']}",
    "UpstreamRefreshed": lambda change: f"read the upstream's list: {change['count']:,} projects",
}
