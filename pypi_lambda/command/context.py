"""What a command works with, whoever gives it: the Lambda function or the command line."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from indexer.log.events import Change, Event
from indexer.log.journal import Journal, Step, pass_by
from indexer.value import value
from pypi_lambda.app.service import Service
from pypi_lambda.settings import Settings

Result = Mapping[str, object]
"""What a command answers: JSON, as an object."""

Progress = Callable[[int, int | None], None]
"""Called with what is done and, where it is known, what there is to do."""


def no_progress(_done: int, _total: int | None) -> None:
    """Show nothing."""


@value
class Context:
    """What a command works with.

    Attributes:
        now: the current time.
        new_id: 128 random bits as hex.
        sleep: waits for seconds.
        by: who gives the command, for the log.
        client: from where, for the log; "" where that says nothing.
        on_rebuilt: called with the number of the last event when a new snapshot was written here.
        on_progress: told how far a long command is.
    """

    service: Service
    settings: Settings
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    sleep: Callable[[float], None]
    by: str
    on_rebuilt: Callable[[int], None]
    on_progress: Progress = no_progress
    client: str = ""

    def journal(self) -> Journal:
        """Return a journal of who gives the command that begins where the service's view ends."""
        return Journal(
            self.service.store,
            by=self.by,
            client=self.client,
            now=self.now,
            new_id=self.new_id,
            head=self.service.index.view.current.head,
        )

    def append(self, change: Change, *, step: Step = pass_by) -> Event:
        """Write a change into the log, ask for a rebuild, and return the event.

        Args:
            step: called with each event that others wrote since the service's view was brought up to date; may raise
                to withdraw the change.
        """
        return self.append_all((change,), step=step)[0]

    def append_all(self, changes: tuple[Change, ...], *, step: Step = pass_by) -> tuple[Event, ...]:
        """Write changes one after another, ask for one rebuild, and return the events; see `append`."""
        journal = self.journal()
        try:
            return journal.append_all(changes, step=step)
        finally:  # also for the first ones, should a later one fail
            if journal.written:
                self.service.rebuilds.request(journal.written)


class Command(Protocol):
    """A command with its arguments."""

    def run(self, context: Context) -> Result:
        """Carry it out.

        Raises:
            InvalidValue: an argument names something that is not there, or cannot be.
            IndexerError: it failed.
        """
