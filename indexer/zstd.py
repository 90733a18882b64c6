"""zstd, whichever library this Python has for it: three functions, the same frames. Pure.

Knows nothing of limits, nor of what is packed (`indexer.frame`).

PEP 784 (compression.zstd), RFC 8878 (Zstandard).
"""

import sys
from typing import Any


def _load_zstandard() -> Any:
    """Return zstandard's compiled module without the package around it, which asks `platform` what runs here: 5 ms."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    name = "zstandard.backend_c"
    package = PathFinder.find_spec("zstandard")
    spec = package and PathFinder.find_spec(name, package.submodule_search_locations)
    if name in sys.modules or spec is None or spec.loader is None:
        import zstandard

        return zstandard
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module  # where the package looks, should somebody import it
    return module


if sys.version_info >= (3, 15):
    # The standard library's takes twice the time and memory of zstandard's one call: it collects what comes out piece
    # by piece. zstandard has no wheel for 3.15, and Lambda's first images of 3.14 had no `_zstd`.
    from compression import zstd

    ZstdFault = zstd.ZstdError

    def compress(content: bytes, level: int) -> bytes:
        """Return the content as one frame, with its size and a checksum."""
        parameter = zstd.CompressionParameter
        return zstd.compress(content, options={parameter.compression_level: level, parameter.checksum_flag: 1})

    def read_size(body: bytes) -> int | None:
        """Return how many bytes the frame says that it holds, or None when it does not say it.

        Raises:
            ZstdFault: it has no header of a frame.
        """
        return zstd.get_frame_info(body).decompressed_size

    def decompress(body: bytes, size: int) -> bytes:
        """Return what one whole frame holds, at most `size` bytes.

        Raises:
            ZstdFault: truncated, altered, larger, or followed by something else.
        """
        decompressor = zstd.ZstdDecompressor()
        content = decompressor.decompress(body, max_length=size)
        if not decompressor.eof:
            raise ZstdFault("the frame does not end")
        if decompressor.unused_data:
            raise ZstdFault("something follows the frame")
        return content

else:
    zstandard = _load_zstandard()

    ZstdFault = zstandard.ZstdError

    def compress(content: bytes, level: int) -> bytes:
        """Return the content as one frame, with its size and a checksum."""
        frame: bytes = zstandard.ZstdCompressor(level=level, write_checksum=True).compress(content)
        return frame

    def read_size(body: bytes) -> int | None:
        """Return how many bytes the frame says that it holds, or None when it does not say it.

        Raises:
            ZstdFault: it has no header of a frame.
        """
        size = zstandard.frame_content_size(body)
        return None if size < 0 else size

    def decompress(body: bytes, size: int) -> bytes:
        """Return what one whole frame holds, as many bytes as `read_size` says: zstd holds it to that itself.

        Raises:
            ZstdFault: truncated, altered, larger, or followed by something else.
        """
        if size:  # by one call: an object takes five times as long for a large frame
            content: bytes = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
            return content
        decompressor = zstandard.ZstdDecompressor().decompressobj()  # the one call reads no further than a size of zero
        content = decompressor.decompress(body)
        if not decompressor.eof or decompressor.unused_data:
            raise ZstdFault("the frame does not end with its content")
        return content
