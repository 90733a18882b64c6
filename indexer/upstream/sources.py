"""Where an upstream project's files come from: address, digests and size by file name, and the codec of it.

The served page says none of the addresses, so that a client asks us; this is what we then look up.
"""

from collections.abc import Mapping
from typing import Any

import msgpack

from indexer.digests import Hashes, proves
from indexer.errors import CorruptObject
from indexer.frame import pack, unpack
from indexer.keys import METADATA
from indexer.names import Filename
from indexer.value import value

FORMAT_VERSION = 2
MAX_DECODED_BYTES = 67_108_864  # 64 MiB: as much as the page it comes from may have
PACK_LEVEL = 1  # 46,589 sources of 63 projects: 4.5 MB in 28 ms; 3 makes 4.9 MB of them, and 9 4.7 MB in 237 ms


@value
class Source:
    """One file at the upstream.

    Attributes:
        url: absolute, http or https, without credentials.
        hashes: the strongest announced digest, hexadecimal, by its algorithm; empty when there is none that we know.
        size: bytes, where the upstream says so.
        metadata: whether `{url}.metadata` is announced, or its announced digests.
        upload_time: as `YYYY-MM-DDThh:mm:ss.ffffffZ`, where the upstream says so or it was filled in.
    """

    url: str
    hashes: Hashes
    size: int | None
    metadata: bool | Hashes
    upload_time: str | None = None

    @property
    def sha256(self) -> str | None:
        """The digest the mirror checks, where it was announced."""
        return self.hashes.get("sha256")

    @property
    def is_proved(self) -> bool:
        """Whether the bytes that have its digest are the announced ones: none, or a weak one, proves nothing."""
        return proves(self.hashes)

    @property
    def metadata_url(self) -> str:
        """Where its `.metadata` is: beside the file, whatever its address ends in."""
        path, mark, query = self.url.partition("?")
        return f"{path}{METADATA}{mark}{query}"

    @property
    def metadata_hashes(self) -> Hashes:
        """The announced digests of `{url}.metadata`; none where none was announced."""
        return {} if isinstance(self.metadata, bool) else self.metadata

    @property
    def metadata_sha256(self) -> str | None:
        """The digest of `{url}.metadata`, where it was announced."""
        return self.metadata_hashes.get("sha256")


def encode_sources(sources: Mapping[Filename, Source]) -> bytes:
    """Return the sources as bytes, the same for equal sources."""
    rows = [
        (name, source.url, _sorted(source.hashes), source.size, _metadata(source.metadata), source.upload_time)
        for name, source in sorted(sources.items())
    ]
    return pack(msgpack.packb((FORMAT_VERSION, rows)), PACK_LEVEL)


def _metadata(metadata: bool | Hashes) -> bool | Hashes:
    return metadata if isinstance(metadata, bool) else _sorted(metadata)


def _sorted(hashes: Hashes) -> Hashes:
    return dict(sorted(hashes.items())) if len(hashes) > 1 else hashes


def decode_sources(key: str, body: bytes) -> Mapping[Filename, Source]:
    """Return what `encode_sources` was given.

    Args:
        key: where the bytes were stored, for the error.

    Raises:
        CorruptObject: truncated, altered, or of another version.
    """
    try:
        version, rows = msgpack.unpackb(unpack(body, limit=MAX_DECODED_BYTES))
        if version != FORMAT_VERSION:
            raise CorruptObject(key, f"sources of format {version!r}, which this version does not know")
        return {Filename(row[0]): _source(*row[1:]) for row in rows}
    except (ValueError, TypeError, LookupError) as fault:
        raise CorruptObject(key, f"no readable sources: {fault}") from fault


def _source(url: str, hashes: dict[str, str], size: int | None, metadata: Any, upload_time: str | None) -> Source:
    return Source(url=url, hashes=hashes, size=size, metadata=metadata, upload_time=upload_time)
