"""The arguments of commands: from JSON to a command's fields, each checked by its type.

A command is a value class; its annotations say what it accepts, those of types that are not in the table below as
`Annotated[type, parse]`. In JSON the words of a name are joined in camel case.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NewType, TypeVar, cast, get_type_hints

from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, check_listed_filename, normalize_name
from indexer.value import names_of, required_names_of

if TYPE_CHECKING:
    from pypi_lambda.command.context import Command

T = TypeVar("T", bound="Command")

Secret = NewType("Secret", str)
"""Text that no error and no log may show."""

Text = NewType("Text", str)
"""Text that is not empty."""

NOT_SHOWN = "(not shown)"


def parse_arguments(cls: type[T], command: str, argument: object) -> T:
    """Return the command with these arguments.

    Args:
        cls: may name, as `short`, the field that an argument which is no object stands for.
        command: its name, for errors.
        argument: a JSON value; None is an empty object.

    Raises:
        InvalidValue: an argument is missing, unknown, or not what its field accepts.
    """
    short: str | None = getattr(cls, "short", None)
    if argument is None and short is None:
        argument = {}
    if not isinstance(argument, Mapping):
        if short is None:
            raise InvalidValue(command, NOT_SHOWN, f"an object with {_members(cls)}")
        return _made(cls, command, {short: argument}, named=False)
    by_member = {member_name(name): name for name in names_of(cls)}
    if unknown := sorted(str(member) for member in set(argument) - set(by_member)):
        raise InvalidValue(command, ", ".join(unknown), f"the members are {_members(cls)}")
    return _made(cls, command, {by_member[member]: value for member, value in argument.items()}, named=True)


def member_name(name: str) -> str:
    """Return a field's name as JSON has it: `dry_run` is `dryRun`."""
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def _members(cls: type) -> str:
    required = required_names_of(cls)
    return ", ".join(member_name(name) + ("" if name in required else " (optional)") for name in names_of(cls))


def _made(cls: type[T], command: str, given: Mapping[str, Any], *, named: bool) -> T:
    types = get_type_hints(cls, include_extras=True)
    values = {}
    for name in names_of(cls):
        if name in given or name in required_names_of(cls):
            field = f"{command}.{member_name(name)}" if named else command
            values[name] = _parser(types[name])(field, given.get(name))
    return cls(**values)


def _parser(type_: Any) -> Callable[[str, object], Any]:
    parser: Callable[[str, object], Any] = getattr(type_, "__metadata__", (None,))[0] or _PARSERS[type_]
    return parser


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(field, value, "text")
    return value


def _filled_text(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue(field, value, "text that is not empty")
    return value


def _secret(field: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidValue(field, NOT_SHOWN, "text that is not empty")
    return value


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(field, value, "true or false")
    return value


def _number(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidValue(field, value, "a whole number, not negative")
    return value


def _texts(field: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise InvalidValue(field, value, "a list of texts")
    return tuple(value)


def _optional(parse: Callable[[str, object], Any]) -> Callable[[str, object], Any]:
    return lambda field, value: None if value is None else parse(field, value)


def _project(field: str, value: object) -> ProjectName:
    return normalize_name(_text(field, value), field=field)


def _file(field: str, value: object) -> Filename:
    return check_listed_filename(_text(field, value), field=field)


_PARSERS: Mapping[Any, Callable[[str, object], Any]] = {
    str: _text,
    Text: _filled_text,
    Secret: _secret,
    bool: _flag,
    int: _number,
    ProjectName: _project,
    Filename: _file,
    tuple[str, ...]: _texts,
    cast(Any, str | None): _optional(_text),
    cast(Any, int | None): _optional(_number),
    cast(Any, Filename | None): _optional(_file),
    cast(Any, ProjectName | None): _optional(_project),
}
