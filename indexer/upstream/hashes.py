"""Digests as upstream pages spell them: in a JSON entry's `hashes`, or in a link. Pure.

Whatever a client would compare is read here, in every spelling that one of them takes. What looks like a digest and is
not understood is a fault and no absence: a client that is given the link refuses the file, or compares what we do not.

PEP 503 (fragment), PEP 691 (`hashes`); pip's `LinkHash`, uv's `Hashes::parse_fragment`.
"""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from indexer.digests import LENGTHS, NAMELESS, Hashes, find_strongest, proves
from indexer.value import value

_MAX_SHOWN = 100
_BY_LETTERS = {re.sub("[-_]", "", name): name for name in LENGTHS} | {"blake2256": "blake2b_256"}
_HEX = re.compile(r"[0-9a-f]+")
_PAIR = re.compile(r"\s*([A-Za-z0-9_-]+)\s*[=:](.*)", re.DOTALL)
_FIRST_WORD = re.compile(r"[A-Za-z0-9]+")
_NAMELESS_DIGEST = re.compile(r"[0-9A-Fa-f]{32,128}")
# pip looks for these with `[#&]NAME=` in the whole URL, so in its query, too; in small letters.
_IN_QUERIES = frozenset({"sha512", "sha384", "sha256", "sha224", "sha1", "md5"})


@value
class Digests:
    """What was said of a file.

    Attributes:
        hashes: hexadecimal digests in small letters by hashlib's names, of known algorithms alone.
        fault: what is wrong, as the beginning of a sentence, where no digest proves the file; else None.
    """

    hashes: Hashes
    fault: str | None = None


NONE = Digests(hashes={})


def read_hashes(given: object) -> Digests:
    """Return the digests in a JSON entry's `hashes`. Algorithms that nobody knows are passed over."""
    if given is None:
        return NONE
    if isinstance(given, str):
        return _read(_pairs_of(given))
    if not isinstance(given, dict):
        return _fault(f"its hashes are {_shown(given)}")
    return _read((name, text) for name, text in given.items() if text is not None and isinstance(name, str))


def read_link(link: str) -> Digests:
    """Return the digests in a link: in its fragment, or where pip finds one in its query."""
    if "#" not in link and "&" not in link:  # nearly all links of JSON pages
        return NONE
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return NONE
    return _read([*_query_pairs(parts.query), *_pairs_of(parts.fragment)])


def joined(*found: Digests) -> Digests:
    """Return what several places say of one file."""
    faults = [one.fault for one in found if one.fault is not None]
    return _read([pair for one in found for pair in one.hashes.items()], faults)


def strongest(hashes: Hashes) -> Hashes:
    """Return the one digest that is compared: of several, clients pick each its own, by order or by strength."""
    algorithm = find_strongest(hashes)
    return {} if algorithm is None else {algorithm: hashes[algorithm]}


def shown(hashes: Hashes) -> Hashes:
    """Return what a page says: pip ends with an error at an algorithm that Python has no name for."""
    return {} if NAMELESS in hashes else hashes


def _query_pairs(query: str) -> Iterator[tuple[str, str]]:
    for position, part in enumerate(query.split("&")):
        name, mark, text = part.partition("=")
        if position and mark and name in _IN_QUERIES:  # what follows `?` itself pip does not find
            yield name, text


def _pairs_of(text: str) -> Iterator[tuple[str, object]]:
    """Yield the parts of a fragment that could be digests; a name without a value has None."""
    for _ in range(2):  # percent-encoded, and once more by whoever wrote the page
        text = unquote(text)
    for part in re.split("[&;]", text):
        if found := _PAIR.fullmatch(part):
            yield found[1], found[2]
        elif _NAMELESS_DIGEST.fullmatch(part.strip()):
            yield "sha256", None
        elif (word := _FIRST_WORD.match(part.strip())) and _find_algorithm(word[0]) is not None:
            yield word[0], None


def _read(pairs: Iterable[tuple[str, object]], faults: Iterable[str] = ()) -> Digests:
    hashes: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name, given in pairs:
        algorithm = _find_algorithm(name)
        if algorithm is None:
            continue
        digest = _find_digest(algorithm, given)
        if digest is None:
            wrong[algorithm] = f"its {algorithm} is {_shown(given)}, which is none"
        elif hashes.setdefault(algorithm, digest) != digest:
            wrong[algorithm] = f"it has two different digests by {algorithm}"
    good = {algorithm: digest for algorithm, digest in hashes.items() if algorithm not in wrong}
    # Of several digests a file has all or none, so that one which proves it makes up for what stands beside it.
    fault = None if proves(good) else next(iter([*faults, *wrong.values()]), None)
    return Digests(hashes=good, fault=fault)


def _find_algorithm(name: str) -> str | None:
    return _BY_LETTERS.get(re.sub(r"[-_\s]", "", name).lower())


def _find_digest(algorithm: str, given: object) -> str | None:
    if not isinstance(given, str):
        return None
    text = given.strip().lower()
    if (
        len(text) != LENGTHS[algorithm]
        and (prefixed := _PAIR.fullmatch(text))
        and _find_algorithm(prefixed[1]) == algorithm
    ):
        text = prefixed[2].strip()
    return text if len(text) == LENGTHS[algorithm] and _HEX.fullmatch(text) else None


def _fault(reason: str) -> Digests:
    return Digests(hashes={}, fault=reason)


def _shown(given: object) -> str:
    shown = "missing" if given is None else ascii(given)
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "…"
