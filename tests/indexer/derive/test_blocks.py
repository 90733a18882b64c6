"""Entries in blocks: what is taken out is gone, and everything else is what it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.derive.blocks import Blocks, are_blocks_of, decode_blocks, encode_blocks
from indexer.derive.deflate import text_of
from indexer.errors import CorruptObject
from indexer.names import ProjectName
from indexer.simple.root_text import ROOT_TEXTS

MANY = [ProjectName(f"name-{number:05}") for number in range(3_500)]
some_names = st.lists(st.integers(0, 3_499).map(MANY.__getitem__), max_size=8).map(set)
formats = st.sampled_from(sorted(ROOT_TEXTS))
ENCODED = {extension: encode_blocks(MANY, text) for extension, text in ROOT_TEXTS.items()}


def decoded(extension: str) -> Blocks:
    return decode_blocks("key", ENCODED[extension])


def test_blocks() -> None:
    """A thousand names are in each block; the same names give the same bytes."""
    for extension, text in ROOT_TEXTS.items():
        assert [block.first for block in decoded(extension).blocks] == MANY[::1_000]
        assert encode_blocks(MANY, text) == ENCODED[extension]
        assert b"".join(text_of(decoded(extension).body)) == text.upstream(MANY).encode()


@given(formats, some_names, st.booleans())
def test_without(extension: str, hidden: set[ProjectName], is_first: bool) -> None:
    """Names are taken out wherever they are, and the first entry has nothing before it where it is the first of all."""
    text, blocks = ROOT_TEXTS[extension], decoded(extension)
    part = blocks.without(
        lambda name: name not in hidden, {blocks.place_of(name) for name in hidden}, text, is_first=is_first
    )
    expected = text.upstream(name for name in MANY if name not in hidden)
    expected = expected.removeprefix(text.between) if is_first else expected
    assert b"".join(text_of(part.body)) == expected.encode()
    assert part.size == len(expected)


@pytest.mark.parametrize("extension", sorted(ROOT_TEXTS))
@pytest.mark.parametrize("kept", [0, 1, 999, 1_000, 1_001, 2_500])
def test_whole_blocks_go(extension: str, kept: int) -> None:
    """Blocks of which nothing stays are gone, also the first ones: the entry after them is the first."""
    text, blocks = ROOT_TEXTS[extension], decoded(extension)
    rest = MANY[len(MANY) - kept :]
    part = blocks.without(lambda name: name in rest, range(4), text, is_first=True)
    assert b"".join(text_of(part.body)) == text.upstream(rest).removeprefix(text.between).encode()


@given(st.integers(0, 3_499), st.integers(0, 10))
def test_where_names_are(number: int, length: int) -> None:
    """The block of a name, and those of all that begin like it, are found."""
    blocks, name = decoded("json"), MANY[number]
    assert blocks.place_of(name) == number // 1_000
    prefix = name[:length]
    having = {place // 1_000 for place, each in enumerate(MANY) if each.startswith(prefix)}
    assert having <= set(blocks.places_of(prefix))


def test_none() -> None:
    """No names are no blocks."""
    for text in ROOT_TEXTS.values():
        blocks = decode_blocks("key", encode_blocks([], text))
        places = [blocks.place_of("a"), *blocks.places_of("")]
        assert blocks.without(lambda name: True, places, text, is_first=True).size == 0
        assert are_blocks_of(blocks, [], text)


@pytest.mark.parametrize("damage", ["half", "flipped", "followed", "empty", "version", "table", "first"])
def test_damage(damage: str) -> None:
    """Damaged blocks are noticed before anything is made of them."""
    body = ENCODED["json"]
    middle = len(body) // 2
    damaged = {
        "half": body[:middle],
        "flipped": body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :],
        "followed": body + b"more",
        "empty": b"",
        "version": body.replace(b'"v":1', b'"v":2', 1),
        "table": body.replace(b'"blocks":[[', b'"blocks":[3,[', 1),
        "first": body.replace(b'"name-00000"', b"7", 1),
    }
    with pytest.raises(CorruptObject, match="key"):
        decode_blocks("key", damaged[damage])


def test_other_names_are_noticed() -> None:
    """Blocks are those of one list of names only, however they are compressed."""
    text = ROOT_TEXTS["html"]
    assert are_blocks_of(decoded("html"), MANY, text)
    assert not are_blocks_of(decoded("html"), MANY[1:], text)
    assert not are_blocks_of(decoded("html"), [*MANY[:-1], ProjectName("name-99999")], text)
    assert not are_blocks_of(decoded("json"), MANY, text)
