"""The index at one moment, and whose a project name is then.

A view is a value. A request takes the current one, asks the log for the next event while it reads whatever else it
needs, and goes on with that view when there is none, or with the view advanced to the end of the log. So an answer
shows everything that was acknowledged before its request began, and being strict costs no extra round trip.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.derive.rebuild import events_by_project
from indexer.derive.snapshot import Snapshot, advance
from indexer.log.events import Event
from indexer.names import ProjectName
from indexer.value import replace, value

if TYPE_CHECKING:
    from pypi_lambda.view.policy import Policy

MAX_STANDINGS = 4_096  # names that a view has looked up, some 200 bytes each


class Standing(Enum):
    """Whose a project name is."""

    PRIVATE = "private"
    UPSTREAM = "upstream"
    RESERVED = "reserved"  # private, and without a file yet
    DENIED = "denied"
    NOT_ALLOWED = "not allowed"
    UNKNOWN = "unknown"  # not on the upstream's list, or there is no upstream


# What is stored of such a project, because the policy was another one then, is not delivered either.
CLOSED_STANDINGS = frozenset({Standing.RESERVED, Standing.DENIED, Standing.NOT_ALLOWED})


@value
class View:
    """The index at one moment.

    Attributes:
        base: the snapshot as it was loaded; the pages it names are in the store.
        current: the base after the tail.
        tail: the events about files since the base, by project.
        tail_length: how many events there were since the base.
        policy: which of the upstream's names may enter; None for all that it lists.
    """

    base: Snapshot
    current: Snapshot
    tail: Mapping[ProjectName, tuple[Event, ...]]
    tail_length: int = 0
    policy: "Policy | None" = None

    def standing(self, name: ProjectName) -> Standing:
        """Return whose the name is; until a list of upstream names was read, every unknown one is the upstream's."""
        standing = self._standings.get(name)
        if standing is None:
            if len(self._standings) >= MAX_STANDINGS:
                self._standings.clear()
            standing = self._standings[name] = self._find_out(name)
        return standing

    @cached_property
    def _standings(self) -> dict[ProjectName, Standing]:
        return {}

    def _find_out(self, name: ProjectName) -> Standing:
        if self.current.projects.find(name) is not None:
            return Standing.PRIVATE
        if self.current.is_reserved(name):
            return Standing.RESERVED
        if self.policy is not None:
            if self.policy.is_denied(name):
                return Standing.DENIED
            if not self.policy.is_allowed(name):
                return Standing.NOT_ALLOWED
            if not self.policy.has_upstream:
                return Standing.UNKNOWN
            if self.policy.ask_unknown:
                return Standing.UPSTREAM
        return Standing.UPSTREAM if self.is_on_list(name) else Standing.UNKNOWN

    @property
    def has_upstream(self) -> bool:
        """Whether there is an upstream whose names could be asked for."""
        return self.policy is None or self.policy.has_upstream

    def is_on_list(self, name: ProjectName) -> bool:
        """Tell whether the upstream's list has the name, or there is no list yet that could tell."""
        upstream = self.current.upstream
        return upstream is None or upstream.filter is None or name in upstream.filter

    def advanced(self, events: list[Event]) -> "View":
        """Return the view after these events, which follow it."""
        tail = dict(self.tail)
        for name, changes in events_by_project(events).items():
            tail[name] = (*tail.get(name, ()), *changes)
        current = advance(self.current, events)
        return replace(self, current=current, tail=tail, tail_length=self.tail_length + len(events))
