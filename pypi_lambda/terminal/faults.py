"""What goes wrong on the command line: one sentence on standard error, and an exit code: 2 for wrong input, 1 for the
rest.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from indexer.errors import IndexerError, InvalidValue


class WrongInput(click.ClickException):
    """One sentence, without the lines on usage that click puts before its own: settings are not only given here."""

    exit_code = 2


@contextmanager
def told() -> Iterator[None]:
    """Turn the faults of what is done inside into a sentence and an exit code."""
    try:
        yield
    except InvalidValue as error:
        raise WrongInput(str(error)) from None
    except IndexerError as error:
        raise click.ClickException(str(error)) from None
