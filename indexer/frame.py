"""How derived objects are packed: one zstd frame with a checksum, unpacked only up to a limit. Pure.

Knows nothing of what is packed, nor where it is stored.

RFC 8878 (Zstandard).
"""

import zstandard

# Of what is written seldom. Lists of names: 4.0 MB for 927,000 in 0.7 s, where 19 saves a tenth and takes 8 s.
LEVEL = 9
# Of the snapshot, which each upload writes anew: with 100,000 projects 17 ms, where 9 saves 5 % and takes 74 ms.
QUICK_LEVEL = 3


class BadFrame(ValueError):
    """The bytes are no whole frame, or one of more than the limit."""


def pack(content: bytes, level: int = LEVEL) -> bytes:
    """Return the content as one frame, the same bytes for the same content."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(content)


def unpack(body: bytes, *, limit: int) -> bytes:
    """Return the content of one whole frame of at most `limit` bytes.

    Raises:
        BadFrame: truncated, altered, larger than the limit, or followed by something else.
    """
    try:
        # zstd allocates what the frame's header says, before any checksum can tell that it was altered.
        size = zstandard.frame_content_size(body)
        if size < 0:
            raise BadFrame("a frame that does not say its size")
        if size > limit:
            raise BadFrame(f"a frame of {size:,} bytes, more than the limit of {limit:,}")
        # Not `decompressobj`, which takes five times as long for a large frame.
        content: bytes = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as fault:
        raise BadFrame(f"truncated, altered, or followed by something else: {fault}") from fault
    return content
