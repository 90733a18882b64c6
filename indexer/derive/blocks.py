"""The upstream's names as entries of the root listing, compressed in blocks: some names can be taken out of a million
without the rest being compressed again. Pure.

The object is a line of JSON that says where each block is, and then the blocks.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from operator import attrgetter

from indexer.derive.deflate import EMPTY, Part, join_parts, pack_part, shift_crc, text_of
from indexer.errors import CorruptObject
from indexer.json_bytes import decode_json, encode_json
from indexer.names import ProjectName
from indexer.simple.root_text import RootText
from indexer.value import value

FORMAT_VERSION = 1
NAMES_EACH = 1_000  # 2 ms to compress; with 10,000, all would be 3 % smaller

_first = attrgetter("first")


@value
class Block:
    """A run of names.

    Attributes:
        first: the first of them.
        end: where its bytes end; they begin where those of the block before do.
        size: of its text.
        crc: of all text up to its end.
    """

    first: str
    end: int
    size: int
    crc: int


@value
class Blocks:
    """The entries of sorted names.

    Attributes:
        body: the blocks' bytes, one after the other: a part as well.
    """

    blocks: tuple[Block, ...]
    body: memoryview

    def place_of(self, name: str) -> int:
        """Return the number of the only block that may have the name."""
        return max(0, bisect_right(self.blocks, name, key=_first) - 1)

    def places_of(self, prefix: str) -> range:
        """Return the numbers of the blocks that may have names that begin with this."""
        start = self.place_of(prefix)
        end = bisect_right(self.blocks, prefix + "\x7f", key=_first)  # behind every character of a name
        return range(start, end)

    def without(
        self, wanted: Callable[[ProjectName], bool], places: Collection[int], text: RootText, *, is_first: bool
    ) -> Part:
        """Return the entries as a part, without some.

        Args:
            wanted: tells whether an entry stays.
            places: the numbers of the blocks in which others may be.
            is_first: whether nothing comes before these entries.
        """
        parts: list[Part] = []
        begun = 0  # where the run of blocks begins that stay as they are
        strip = text.between.encode() if is_first else b""
        for place in sorted({*places, *((0,) if strip else ())}):
            if not begun <= place < len(self.blocks):
                continue
            end, rest = place + 1, self._chosen(place, wanted, text)
            # What stands between two entries is not before the listing's first, wherever that is.
            while strip and rest == b"" and end < len(self.blocks):
                end, rest = end + 1, self._chosen(end, wanted, text)
            if rest is None and not strip:
                continue
            if rest is None:
                rest = b"".join(text_of(self._bytes(end - 1, end)))
            parts += [self._run(begun, place), pack_part(rest.removeprefix(strip))]
            strip, begun = b"", end
        return join_parts([*parts, self._run(begun, len(self.blocks))])

    def _chosen(self, place: int, wanted: Callable[[ProjectName], bool], text: RootText) -> bytes | None:
        """Return what stays of a block's text, or None for all of it."""
        found = b"".join(text_of(self._bytes(place, place + 1)))
        names = [ProjectName(name.decode()) for name in text.entry.findall(found)]
        chosen = list(filter(wanted, names))
        return None if len(chosen) == len(names) else text.upstream(chosen).encode()

    def _run(self, start: int, end: int) -> Part:
        if start >= end:
            return EMPTY
        size = sum(block.size for block in self.blocks[start:end])
        before = self.blocks[start - 1].crc if start else 0
        return Part(
            body=bytes(self._bytes(start, end)), size=size, crc=shift_crc(before, size) ^ self.blocks[end - 1].crc
        )

    def _bytes(self, start: int, end: int) -> memoryview:
        return self.body[self.blocks[start - 1].end if start else 0 : self.blocks[end - 1].end]


def encode_blocks(names: Sequence[ProjectName], text: RootText) -> bytes:
    """Return sorted names in blocks; the same names give the same bytes."""
    rows, bodies, end, crc = [], [], 0, 0
    for start in range(0, len(names), NAMES_EACH):
        some = names[start : start + NAMES_EACH]
        entries = text.upstream(some).encode()
        body, crc = pack_part(entries).body, zlib.crc32(entries, crc)
        end += len(body)
        bodies.append(body)
        rows.append([some[0], end, len(entries), crc])
    content = b"".join(bodies)
    head = {"v": FORMAT_VERSION, "digest": _digest(content), "blocks": rows}
    return encode_json(head) + b"\n" + content


def decode_blocks(key: str, body: bytes) -> Blocks:
    """Return the blocks.

    Args:
        key: where they were stored, for the error.

    Raises:
        CorruptObject: they are damaged, or of another version.
    """
    try:
        length = body.index(b"\n")
        head = decode_json(body[:length])
        if head["v"] != FORMAT_VERSION:
            raise ValueError(f"unknown version {head['v']!r}")
        content = memoryview(body)[length + 1 :]
        if _digest(content) != head["digest"]:
            raise ValueError("the blocks have another digest")
        blocks = tuple([Block(first=first, end=end, size=size, crc=crc) for first, end, size, crc in head["blocks"]])
        if any(not isinstance(block.first, str) for block in blocks):
            raise ValueError("a name is no text")
        return Blocks(blocks=blocks, body=content)
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        raise CorruptObject(key, f"no readable blocks: {fault}") from fault


def are_blocks_of(blocks: Blocks, names: Sequence[ProjectName], text: RootText) -> bool:
    """Tell whether these are the blocks of the names, however they are compressed."""
    expected = decode_blocks("", encode_blocks(names, text)).blocks
    crc = 0
    try:
        for piece in text_of(blocks.body):
            crc = zlib.crc32(piece, crc)
    except zlib.error:
        return False
    told, wanted = ([(block.first, block.size, block.crc) for block in each] for each in (blocks.blocks, expected))
    return told == wanted and crc == (expected[-1].crc if expected else 0)


def _digest(content: bytes | memoryview) -> str:
    return blake2b(content, digest_size=16).hexdigest()
