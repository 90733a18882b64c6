"""What lies in the store, by area: one listing, from which figures and the search for strays are made."""

from collections.abc import Iterator

from indexer.keys import area_of
from indexer.store.base import ObjectStore, Stat
from indexer.value import value


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
