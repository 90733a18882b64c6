"""What lies in the store, by area: one listing, from which figures and the search for strays are made.

The layout of the store as a table; what lies outside of it is nobody's here.
"""

from collections.abc import Iterator

from indexer.snapshot import SNAPSHOT_KEY
from indexer.store import ObjectStore, Stat
from indexer.value import value

LOG, PROJECTS, PAGES, INDEX = "log/", "projects/", "pages/", "index/"
CACHE, MIRRORED_PAGES, LISTS, USES = "cache/", "upstream/pages/", "upstream/lists/", "cache-uses/"
USERS, TOKENS, TOKEN_USES, INCOMING = "users/", "tokens/", "token-uses/", "incoming/"
PART_SUFFIX = ".part"  # below `incoming/`: a part of an upload, which is `pypi_lambda.parts`' to put together
# Copies of pages for one client, claims, probes, and large objects on their way: made anew whenever they are needed.
TRANSIENT = ("copies/", "probe/", "rebuilding/", "staging/")
_NAMED = (SNAPSHOT_KEY, LOG, PROJECTS, PAGES, INDEX, CACHE, MIRRORED_PAGES, LISTS, USES)
AREAS = (*_NAMED, USERS, TOKENS, TOKEN_USES, INCOMING, *TRANSIENT)
UNKNOWN = ""


@value
class Amount:
    """So many objects with so many bytes."""

    objects: int = 0
    size: int = 0

    def plus(self, stat: Stat) -> "Amount":
        """Return the amount with one object more."""
        return Amount(objects=self.objects + 1, size=self.size + stat.size)


NOTHING = Amount()


def list_by_area(store: ObjectStore) -> Iterator[tuple[str, Stat]]:
    """Yield every object with its area, one of `AREAS`, or `UNKNOWN`."""
    for stat in store.list(""):
        yield area_of(stat.key), stat


def area_of(key: str) -> str:
    """Return the area that a key belongs to."""
    first, slash, rest = key.partition("/")
    area = first + slash
    if area == "upstream/":
        area += rest.partition("/")[0] + "/"
    return area if area in _AREAS else UNKNOWN


def project_of(area: str, key: str) -> str:
    """Return the name under which an object of an area that is ordered by projects lies."""
    name = key.removeprefix(area)
    return name.partition(".")[0] if area == MIRRORED_PAGES else name.partition("/")[0]


_AREAS = frozenset(AREAS)
