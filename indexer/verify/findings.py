"""What `verify` finds wrong with an index: where, what, how bad, and what helps. Knows nothing of how it is found."""

from collections import Counter
from collections.abc import Callable
from enum import Enum

from indexer.keys import LOG
from indexer.value import value


class Severity(Enum):
    """What is at stake."""

    TRUTH = "truth"
    """What nothing else in the store can tell again: an event, a private file, a user's record."""
    DERIVED = "derived"
    """What can be made or fetched again."""
    ORPHAN = "orphan"
    """An object that nothing names; it does no harm."""
    NOTE = "note"
    """No damage, but worth knowing."""


class Remedy(Enum):
    """What to do about it, as a sentence."""

    RESTORE = "bring it back from a backup, or from an earlier version where the bucket keeps those"
    REBUILD = "`verify --repair`, or `rebuild --from-zero`, writes it again"
    FETCH = "`verify --repair` deletes it, so that it is fetched again when it is asked for"
    REINDEX = "`reindex` reads the list from the upstream again"
    LOOK = "look at it, and delete it when nobody needs it"
    WAIT = "there is nothing to do: it is made when it is needed"


@value
class Finding:
    """One thing that is not as it should be; `problem` says what, without the key."""

    key: str
    problem: str
    severity: Severity
    remedy: Remedy


class Findings:
    """Takes findings, counts them, and remembers what a repair must know.

    Attributes:
        log_is_damaged: an event is missing, unreadable or altered.
        lists_are_whole: the upstream's names are as they were read.
        to_rebuild: something that the log makes is damaged.
        to_list: a root listing is not made yet.
        to_fetch: keys of what came from the upstream and is damaged.

    Args:
        on_finding: called with each one; there may be as many as there are objects.
    """

    def __init__(self, on_finding: Callable[[Finding], None] = lambda finding: None) -> None:
        self._on_finding = on_finding
        self._counts: Counter[Severity] = Counter()
        self.log_is_damaged = False
        self.lists_are_whole = True
        self.to_rebuild = False
        self.to_list = False
        self.to_fetch: list[str] = []

    def add(self, key: str, problem: str, severity: Severity, remedy: Remedy) -> None:
        """Take one."""
        self._counts[severity] += 1
        self.log_is_damaged = self.log_is_damaged or (severity is Severity.TRUTH and key.startswith(LOG))
        self.to_rebuild = self.to_rebuild or remedy is Remedy.REBUILD
        self.lists_are_whole = self.lists_are_whole and remedy is not Remedy.REINDEX
        self.to_list = self.to_list or remedy is Remedy.WAIT
        if remedy is Remedy.FETCH:
            self.to_fetch.append(key)
        self._on_finding(Finding(key=key, problem=problem, severity=severity, remedy=remedy))

    def lost(self, key: str, problem: str) -> None:
        """Take damage of the truth."""
        self.add(key, problem, Severity.TRUTH, Remedy.RESTORE)

    def stale(self, key: str, problem: str) -> None:
        """Take damage of what the log makes again."""
        self.add(key, problem, Severity.DERIVED, Remedy.REBUILD)

    def unneeded(self, key: str, problem: str) -> None:
        """Take an object that nothing names."""
        self.add(key, problem, Severity.ORPHAN, Remedy.LOOK)

    def count(self, severity: Severity) -> int:
        """Return how many there were of a kind."""
        return self._counts[severity]

    @property
    def damage(self) -> int:
        """How many of them are damage, of the truth or of what is derived."""
        return self.count(Severity.TRUTH) + self.count(Severity.DERIVED)
