"""The page on the architecture shows the house as it stands: its rooms, its arrows, and what it names."""

import re
from collections import Counter
from importlib import import_module

import pytest

from tests.floor_plan import (
    ENTRY_POINT,
    PACKAGES,
    ROOT,
    drawn,
    find_circle,
    find_modules,
    levels,
    reached,
    room_graph,
)
from tests.test_documents import exists, section

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_IN_A_ROOM = 14
# Of these the docstring is about all below them, or importing them does something.
GROUND = {*PACKAGES, ENTRY_POINT}
# How many rooms lie on the longest way down: a number to lower.
FLOORS = 16


def said_of_rooms() -> dict[str, str]:
    """Return what the page's table says of each room."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", section(PAGE, "## The rooms"), re.MULTILINE)
    return dict(rows)


def arrows_of_the_picture() -> dict[str, set[str]]:
    """Return the arrows of the page's picture."""
    picture = PAGE.partition("```mermaid\n")[2].partition("```")[0]
    names = dict(re.findall(r"(\w+)\[\"([\w.]+)\"\]", picture))
    arrows: dict[str, set[str]] = {name: set() for name in names.values()}
    for start, ends in re.findall(r"^ *(\w+) --> ([\w &]+)$", picture, re.MULTILINE):
        arrows[names[start]].update(names[end] for end in ends.split(" & "))
    return arrows


def test_each_room_has_a_sentence() -> None:
    """The page says of each room, and of nothing else, what lives there."""
    said = said_of_rooms()
    assert said.keys() == room_graph().keys()
    assert [room for room, sentence in said.items() if not sentence.endswith(".")] == []


def test_a_room_says_the_same_of_itself() -> None:
    """What the page says of a room is what the room's docstring begins with."""
    said = said_of_rooms()
    own = {room: str(import_module(room).__doc__).partition("\n\n")[0] for room in said if room not in GROUND}
    assert own == {room: said[room] for room in own}


def test_the_picture_has_the_arrows() -> None:
    """The page's picture has the arrows that the code has, less those that follow from others."""
    assert arrows_of_the_picture() == drawn(room_graph())


def test_no_circle_of_rooms() -> None:
    """Rooms do not import each other in a circle."""
    assert find_circle(room_graph()) == ()
    assert levels(room_graph()) <= FLOORS


def test_no_room_is_a_hall() -> None:
    """At most fourteen modules lie in one folder."""
    lying = Counter(path.parent for path in find_modules().values() if path.name != "__init__.py")
    assert {folder.name: count for folder, count in lying.items() if count > MOST_IN_A_ROOM} == {}


def test_every_name_on_the_page_exists() -> None:
    """Each dotted name that the page gives leads to something that there is."""
    names = re.findall(r"`((?:indexer|pypi_lambda)(?:\.\w+)+)(?:\(\))?`", PAGE)
    assert len(names) > 40
    assert [name for name in names if not exists(name)] == []


@pytest.mark.parametrize("title", ["An upload's bytes", "A page request's name", "An upstream's file"])
def test_walks_are_short(title: str) -> None:
    """Each walk through the house has at most ten hops."""
    hops = re.findall(r"^\d+\. ", section(PAGE, f"## {title}"), re.MULTILINE)
    assert 3 <= len(hops) <= 10


def test_drawn_arrows() -> None:
    """An arrow that follows from two others is not drawn, and all that was reached still is."""
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set[str]()}
    assert drawn(graph) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert reached(drawn(graph), "a") == {"b", "c", "d"}
    assert (levels(graph), find_circle(graph)) == (4, ())


def test_circles_would_be_found() -> None:
    """A circle is told by its names."""
    assert set(find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
