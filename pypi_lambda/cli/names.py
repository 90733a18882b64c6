"""`serverless-pypi reserve`, `unreserve` and `reserved`: names that are private even before their first upload."""

import click

from pypi_lambda.terminal.place import Place, at_place


@click.command(short_help="Make names private, even before their first upload.")
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@at_place
def reserve(place: Place, patterns: tuple[str, ...]) -> None:
    """Make all names that match PATTERN private: the upstream is not asked for them, and does not serve them.

    In a pattern * stands for any run of characters: quote it, as in 'acme-*', or the shell may replace it. Case makes
    no difference, nor do runs of - _ .
    """
    done = place.run("reserve", {"patterns": list(patterns)})
    lines = [f"reserved {pattern}" for pattern in done["added"]]
    place.tell(done, *lines or ["nothing changed: reserved before"])


@click.command(short_help="Reserve names no longer.")
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@at_place
def unreserve(place: Place, patterns: tuple[str, ...]) -> None:
    """Reserve these patterns no longer; they are written as `reserved` shows them.

    Private projects of such names stay private.
    """
    done = place.run("unreserve", {"patterns": list(patterns)})
    place.tell(done, *(f"unreserved {pattern}" for pattern in done["removed"]))


@click.command()
@at_place
def reserved(place: Place) -> None:
    """List the reserved patterns."""
    done = place.run("reserved")
    place.show(done, *done["reserved"])
