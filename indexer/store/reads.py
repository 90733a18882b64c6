"""What was read ahead: side by side, before anybody knew what of it would be needed.

All of it is as it was then. Whoever uses it has a reason to: it never changes, or the log was asked at the same time.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from indexer.value import value

if TYPE_CHECKING:
    from indexer.store.base import ObjectStore, Stat, Stored


@value
class Reads:
    """Objects of a store, some of which were read already.

    Attributes:
        objects: what was read, by key; None where there was nothing.
        stats: what was asked about objects, by key; likewise.
    """

    store: "ObjectStore"
    objects: "Mapping[str, Stored | None]"
    stats: "Mapping[str, Stat | None]"

    def __contains__(self, key: object) -> bool:
        """Tell whether the object was read ahead."""
        return key in self.objects

    def find(self, key: str) -> "Stored | None":
        """Return the object as it was read ahead; one that was not is read now."""
        return self.objects[key] if key in self.objects else self.store.find(key)

    def stat(self, key: str) -> "Stat | None":
        """Return what is known of the object, as it was asked ahead; one that was not is asked about now."""
        return self.stats[key] if key in self.stats else self.store.stat(key)


def read_ahead(store: "ObjectStore", keys: Iterable[str] = ()) -> Reads:
    """Read these objects, side by side where that saves time."""
    return Reads(store=store, objects=dict(store.find_all(keys)), stats={})
