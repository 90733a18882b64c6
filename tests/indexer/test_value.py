"""Values: made of keywords, compared by class and fields, never changed."""

import copy
import pickle
from functools import cached_property

import pytest

from indexer.value import field, names_of, replace, value, values_of


@value
class Point:
    """A value with a required field and one with a default."""

    x: int
    y: int = 0

    @property
    def total(self) -> int:
        """Methods stay."""
        return self.x + self.y


@value
class Other:
    """The same fields as `Point`, another class."""

    x: int
    y: int = 0


@value
class Account:
    """A value with a secret and a list of its own."""

    name: str
    secret: str = field(repr=False)
    tags: list[str] = field(default_factory=list)

    @cached_property
    def greeting(self) -> str:
        """Computed once."""
        self.tags.append("computed")
        return f"hello {self.name}"


def test_defaults() -> None:
    """A field that is not given has its default, and one of a factory is nobody else's."""
    one, other = Account(name="a", secret="s"), Account(name="a", secret="s")
    one.tags.append("mine")
    assert (Point(x=1).y, other.tags) == (0, [])


def test_equality() -> None:
    """Values are equal when class and fields are, and then hash alike."""
    assert Point(x=1) == Point(x=1, y=0)
    assert hash(Point(x=1)) == hash(Point(x=1, y=0))
    assert Point(x=1) != Point(x=2)
    other: object = Other(x=1)
    assert Point(x=1) != other


@pytest.mark.parametrize(("fields", "message"), [({}, "Point lacks 'x'"), ({"x": 1, "z": 2}, "Point has no 'z'")])
def test_wrong_fields(fields: dict[str, int], message: str) -> None:
    """A missing or an unknown field is refused by name."""
    with pytest.raises(TypeError, match=message):
        Point(**fields)


def test_immutable() -> None:
    """No field can be set or deleted, and none added."""
    point = Point(x=1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(point, name, 2)
    with pytest.raises(AttributeError, match="immutable"):
        del point.x
    assert point == Point(x=1)


def test_secret_is_not_shown() -> None:
    """A field that is hidden is not in the value's text."""
    assert repr(Account(name="a", secret="s3cret")) == "Account(name='a', tags=[])"


def test_replace() -> None:
    """A changed copy has the other fields as they were, and an unknown field is refused."""
    assert replace(Point(x=1, y=2), x=3) == Point(x=3, y=2)
    with pytest.raises(TypeError, match="has no 'z'"):
        replace(Point(x=1), z=2)


def test_fields_in_their_order() -> None:
    """Fields are listed as the class has them, which is what codecs go by."""
    assert names_of(Point) == ("x", "y")
    assert list(values_of(Point(y=2, x=1)).items()) == [("x", 1), ("y", 2)]


def test_methods_and_cached_properties() -> None:
    """What else a class has stays, and a cached property is computed once."""
    account = Account(name="a", secret="s")
    assert (Point(x=1, y=2).total, account.greeting, account.greeting) == (3, "hello a", "hello a")
    assert account.tags == ["computed"]


def test_copies() -> None:
    """A value survives pickling, as between processes, and copying."""
    account = Account(name="a", secret="s", tags=["t"])
    assert pickle.loads(pickle.dumps(account)) == copy.deepcopy(account) == account


def test_match() -> None:
    """A value can be matched by class and fields."""
    match Point(x=1, y=2):
        case Point(x=1, y=found):
            assert found == 2
        case _:
            pytest.fail("no match")
