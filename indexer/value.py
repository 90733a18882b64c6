"""Values: classes of named, immutable fields, as `dataclasses` makes them, without what that costs at import.

A frozen dataclass with slots takes 0.5 to 0.8 ms to make, because its methods are compiled from text, and `dataclasses`
itself imports `inspect`: with some forty values that was a third of a cold start. Here one set of methods serves all.

Type checkers see dataclasses (PEP 681). `replace` and `field` stand for their namesakes.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast, dataclass_transform

T = TypeVar("T")


class _Field(NamedTuple):
    default: Any
    default_factory: Callable[[], Any] | None
    repr: bool


_REQUIRED: Any = object()


def field(*, default: Any = _REQUIRED, default_factory: Callable[[], Any] | None = None, repr: bool = True) -> Any:
    """Say more about a field than its type.

    Args:
        default_factory: called for each value made without this field.
        repr: whether it is shown; not, for a secret.
    """
    return _Field(default, default_factory, repr)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a class of immutable values of its annotations: keywords only, compared by class and fields, with slots.

    A class with a `cached_property` also gets the dict which that needs.
    """
    names = tuple(cls.__annotations__)
    given = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    fields = {name: item if isinstance(item, _Field) else _Field(item, None, True) for name, item in given.items()}
    kept = {name: item for name, item in cls.__dict__.items() if name not in (*names, "__dict__", "__weakref__")}
    members = {
        **_METHODS,
        **kept,
        "__slots__": (*names, "__dict__") if any(map(_is_cached, kept.values())) else names,
        "_names": names,
        "_defaults": {name: item for name, item in fields.items() if _has_default(item)},
        "_shown": tuple(name for name in names if name not in fields or fields[name].repr),
        "__qualname__": cls.__qualname__,
    }
    return cast(type[T], type(cls.__name__, cls.__bases__, members))


def replace(item: T, **changes: Any) -> T:
    """Return the value with some fields changed."""
    return type(item)(**{**values_of(item), **changes})


def values_of(item: object) -> Mapping[str, Any]:
    """Return a value's fields by name, in their order."""
    return {name: getattr(item, name) for name in names_of(type(item))}


def names_of(cls: type) -> tuple[str, ...]:
    """Return the names of a value class's fields, in their order."""
    names: tuple[str, ...] = cls._names  # type: ignore[attr-defined]
    return names


def required_names_of(cls: type) -> tuple[str, ...]:
    """Return the names of the fields without which no value can be made."""
    return tuple(name for name in names_of(cls) if name not in cls._defaults)  # type: ignore[attr-defined]


def _has_default(item: _Field | None) -> bool:
    return item is not None and (item.default is not _REQUIRED or item.default_factory is not None)


def _is_cached(member: object) -> bool:
    return isinstance(member, cached_property)


_set = object.__setattr__


def _init(self: Any, /, **values: Any) -> None:
    for name in self._names:
        if name in values:
            _set(self, name, values.pop(name))
        elif name in self._defaults:
            item = self._defaults[name]
            _set(self, name, item.default if item.default_factory is None else item.default_factory())
        else:
            raise TypeError(f"{type(self).__name__} lacks {name!r}")
    if values:
        raise TypeError(f"{type(self).__name__} has no {', '.join(map(repr, values))}")


def _eq(self: Any, other: object) -> bool:
    if type(self) is not type(other):
        return cast(bool, NotImplemented)
    return values_of(self) == values_of(other)


def _hash(self: Any) -> int:
    return hash((type(self), *(getattr(self, name) for name in self._names)))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_value: object) -> None:
    raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be changed")


def _reduce(self: Any) -> tuple[Any, ...]:
    return _remade, (type(self), dict(values_of(self)))


def _remade(cls: type, values: dict[str, Any]) -> object:
    return cls(**values)


_METHODS: Mapping[str, Any] = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__reduce__": _reduce,
}
