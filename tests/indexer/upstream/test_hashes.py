"""Every spelling of a digest that a client compares is read; what looks like one and is none is a fault."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.digests import LENGTHS
from indexer.upstream.hashes import NONE, Digests, joined, read_hashes, read_link

SHA = "0a" * 32
MD5 = "0b" * 16
SHA512 = "0c" * 64
FOUND = Digests(hashes={"sha256": SHA})


@pytest.mark.parametrize(
    "fragment",
    [
        f"sha256={SHA}",
        f"sha256={SHA}&egg=six",
        f"egg=six&sha256={SHA}",
        f"egg=six&sha256={SHA}&subdirectory=src",
        f"SHA256={SHA.upper()}",
        f"Sha256={SHA}",
        f"sha256%3D{SHA}",
        f"sha256%3d{SHA}",
        f"sha256%253D{SHA}",
        f"egg%3Dsix%26sha256%3D{SHA}",
        f" sha256={SHA} ",
        f"sha256={SHA}%20",
        f"sha256 = {SHA}",
        f"sha-256={SHA}",
        f"sha256:{SHA}",
        f"sha256=sha256={SHA}",
        f"made-up=12&sha256={SHA}",
        f"sha256={SHA}&sha256={SHA.upper()}",
    ],
)
def test_fragments(fragment: str) -> None:
    """The digest is found beside other parameters, percent-encoded, in capitals, with white space around it."""
    assert read_link(f"https://files.example/six-1.0.zip#{fragment}") == FOUND


@pytest.mark.parametrize(
    "link",
    [
        f"six.zip?x=1&sha256={SHA}",
        f"six.zip?x=1&sha256={SHA}&y=2#egg=six",
        f"six.zip?x=1&sha256={SHA}#sha256={SHA}",
    ],
)
def test_queries(link: str) -> None:
    """pip takes a parameter of the query for a digest, so it is one."""
    assert read_link(link) == FOUND


@pytest.mark.parametrize("link", ["six.zip", "six.zip?sha256=x", "six.zip?a=1&SHA256=UNSIGNED", "six.zip#egg=six", "#"])
def test_no_digest(link: str) -> None:
    """What no client takes for a digest is none: what else a query says, the name of an egg."""
    assert read_link(link) == NONE


@pytest.mark.parametrize(
    "fragment",
    [
        "sha256=",
        "sha256",
        "sha256=xyz",
        f"sha256={SHA[:-1]}",
        f"sha256={SHA}0",
        f"sha256={MD5}",
        f"sha256-{SHA}",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        SHA,
        f"egg=six&{SHA.upper()}",
        f"sha256={SHA}&sha256={SHA[::-1]}",
        f"md5={MD5}&sha256=x",
        "md5=xyz",
    ],
)
def test_a_fragment_that_is_not_understood(fragment: str) -> None:
    """What looks like a digest and is none is a fault, and no file without a digest."""
    assert read_link(f"six.zip#{fragment}").fault is not None


@pytest.mark.parametrize(
    ("hashes", "found"),
    [
        ({"sha256": SHA}, {"sha256": SHA}),
        ({"SHA256": SHA.upper()}, {"sha256": SHA}),
        ({"sha256": f"sha256={SHA}"}, {"sha256": SHA}),
        ({"sha256": f" SHA256:{SHA}\n"}, {"sha256": SHA}),
        ({"sha-256": SHA, "SHA_256": SHA}, {"sha256": SHA}),
        (f"sha256={SHA}", {"sha256": SHA}),
        ({"blake2b_256": SHA, "sha256": SHA}, {"sha256": SHA, "blake2b_256": SHA}),
        ({"blake2_256": SHA}, {"blake2b_256": SHA}),
        ({"md5": MD5, "sha512": SHA512}, {"md5": MD5, "sha512": SHA512}),
        ({"md5": "x", "sha256": SHA}, {"sha256": SHA}),
        ({"sha256": SHA, "foo": "ab", "sha512": None}, {"sha256": SHA}),
        ({"foo": "ab"}, {}),
        ({"shake_128": "ab" * 16}, {}),
        ({}, {}),
        (None, {}),
        ({"sha256": None}, {}),
        ("", {}),
    ],
)
def test_hashes(hashes: Any, found: dict[str, str]) -> None:
    """A JSON entry's digests are read by the algorithms' names as hashlib has them; unknown ones are passed over."""
    assert read_hashes(hashes) == Digests(hashes=found)


@pytest.mark.parametrize(
    "hashes",
    [
        {"sha256": ""},
        {"sha256": "xyz"},
        {"sha256": SHA[2:]},
        {"sha256": f"sha512={SHA}"},
        {"sha256": [SHA]},
        {"sha256": 5},
        {"sha256": "x", "md5": MD5},
        {"sha256": SHA, "SHA256": SHA[::-1]},
        [SHA],
        [],
        SHA,
        7,
    ],
)
def test_hashes_that_are_not_understood(hashes: Any) -> None:
    """A digest of the wrong form or length, or two that differ, are a fault unless another digest proves the file."""
    found = read_hashes(hashes)
    assert found.fault is not None
    assert joined(found, read_link(f"six.zip#sha512={SHA512}")).fault is None


def test_places_are_joined() -> None:
    """pip prefers the link's digest and uv the entry's: both count, and two that differ are a fault."""
    link = read_link(f"six.zip#sha256={SHA}")
    assert joined(NONE, link) == joined(link, NONE) == joined(link, link) == FOUND
    assert joined(read_hashes({"md5": MD5}), link).hashes == {"md5": MD5, "sha256": SHA}
    other = read_hashes({"sha256": SHA[::-1]})
    assert joined(other, link).fault == "it has two different digests by sha256"


@given(st.text(max_size=200), st.sampled_from(sorted(LENGTHS)))
def test_no_text_is_more_than_a_fault(text: str, algorithm: str) -> None:
    """Whatever stands where a digest should, it is a digest of the right length or none."""
    for found in (read_hashes({algorithm: text}), read_hashes(text), read_link(f"x#{algorithm}={text}")):
        assert all(len(digest) == LENGTHS[name] for name, digest in found.hashes.items())
        assert found.fault is None or len(found.fault) < 300
