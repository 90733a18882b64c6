"""The codec of file sources."""

import hashlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import frame
from indexer.errors import CorruptObject
from indexer.names import Filename
from indexer.upstream.sources import Source, decode_sources, encode_sources

KEY = "upstream/six.sources"
DIGEST = hashlib.sha256(b"").hexdigest()

hashes = st.dictionaries(st.sampled_from(["sha256", "md5", "blake2b"]), st.text("0123456789abcdef", max_size=8))
sources = st.dictionaries(
    st.from_regex(r"[a-z0-9]{1,6}\.whl", fullmatch=True).map(Filename),
    st.builds(
        Source,
        url=st.text(max_size=20).map("https://upstream.example/{}".format),
        hashes=hashes,
        size=st.none() | st.integers(min_value=0, max_value=2**63),
        metadata=st.booleans() | hashes,
        upload_time=st.none() | st.text(max_size=20),
    ),
    max_size=5,
)


def make_source(
    *, url: str = "https://upstream.example/files/six.whl", metadata: bool | dict[str, str] = False
) -> Source:
    return Source(url=url, hashes={"sha256": DIGEST}, size=7, metadata=metadata)


def pack(value: object) -> bytes:
    return frame.pack(msgpack.packb(value))


@given(sources)
def test_sources_come_back(written: dict[Filename, Source]) -> None:
    """What was encoded is what is decoded."""
    assert decode_sources(KEY, encode_sources(written)) == written


@given(sources)
def test_equal_sources_give_equal_bytes(written: dict[Filename, Source]) -> None:
    """The order in which an upstream lists files and digests leaves no trace."""
    turned = {
        name: Source(
            url=source.url,
            hashes=dict(reversed(list(source.hashes.items()))),
            size=source.size,
            metadata=source.metadata,
            upload_time=source.upload_time,
        )
        for name, source in reversed(list(written.items()))
    }
    assert encode_sources(turned) == encode_sources(written)


def test_every_truncation_is_refused() -> None:
    """No beginning of the bytes decodes."""
    body = encode_sources({Filename("six.whl"): make_source(metadata={"sha256": DIGEST})})
    for length in range(len(body)):
        with pytest.raises(CorruptObject, match=KEY):
            decode_sources(KEY, body[:length])


def test_every_altered_byte_is_refused() -> None:
    """No byte can change without notice, and nothing may follow."""
    body = encode_sources({Filename("six.whl"): make_source(metadata=True)})
    written = decode_sources(KEY, body)
    for position in range(len(body)):
        altered = bytearray(body)
        altered[position] ^= 0x55
        try:
            assert decode_sources(KEY, bytes(altered)) == written
        except CorruptObject:
            continue
    with pytest.raises(CorruptObject):
        decode_sources(KEY, body + b"\0")


@pytest.mark.parametrize(
    "value",
    [(1, []), (3, []), (2, [("six.whl",)]), (2, 7), (2,), None, (2, [()]), {"version": 2}, (2, [(*"abcdefg",)])],
)
def test_what_is_of_another_shape_is_refused(value: object) -> None:
    """An unknown version, or anything but rows of six, is an error that names the key."""
    with pytest.raises(CorruptObject, match=KEY):
        decode_sources(KEY, pack(value))


def test_a_size_above_the_limit_is_refused_unread() -> None:
    """A frame that says it is huge is not unpacked."""
    with pytest.raises(CorruptObject, match="more than the limit"):
        decode_sources(KEY, frame.pack(bytes(70_000_000)))


def test_the_sha256_digests_are_at_hand() -> None:
    """What the mirror checks is found by name, or known to be absent."""
    with_metadata = make_source(metadata={"sha256": "ab"})
    assert (with_metadata.sha256, with_metadata.metadata_sha256, make_source(metadata=True).metadata_sha256) == (
        DIGEST,
        "ab",
        None,
    )
