"""`serverless-pypi log`: every change, with when, who, from where and what."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from indexer.errors import IndexerError
from indexer.log.describe import tell_change
from pypi_lambda.terminal.place import Place, Result, at_place
from pypi_lambda.terminal.progress import Progress

DEFAULT_EVENTS = 50
AT_ONCE = 1_000  # events asked for at a time
POLL_SECONDS = 2.0
POLL_FUNCTION_SECONDS = 10.0  # each is an invocation that somebody pays for


@click.command("log", short_help="Show what happened: when, who, from where, what.")
@click.option("--follow", "-f", is_flag=True, help="Go on and print events as they happen, until interrupted.")
@click.option("--project", metavar="PROJECT", help="Only what happened to this project.")
@click.option("--user", metavar="NAME", help="Only what this user did, and what was done to it.")
@click.option("--since", metavar="WHEN", help="Only events since then: 7d, 24h, 30m, 2026-11-01, 2026-11-01T12:00:00Z.")
@click.option(
    "--limit",
    "-n",
    metavar="N",
    type=click.IntRange(min=0),
    help=f"Only the last N events; 0 for all.  [default {DEFAULT_EVENTS}; with --since all]",
)
@at_place
def log(
    place: Place, follow: bool, project: str | None, user: str | None, since: str | None, limit: int | None
) -> None:
    """Show what happened to the index: each change with when, who, from where and what.

    With --json every event is a line of JSON, with its number, its id, its digest and that of the event before.

    \b
    serverless-pypi log --since 7d --user ann
    serverless-pypi log --limit 0 --json > log.jsonl
    """
    wanted = {"project": project, "user": user, "since": since}
    if limit is None:
        limit = 0 if since else DEFAULT_EVENTS
    head = _show_last(place, wanted, limit) if limit else _show_on(place, wanted, 0)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(place, wanted, head)


def _show_last(place: Place, wanted: Result, limit: int) -> int:
    """Show the last events; return the number of the last one that was there."""
    done = place.run("log", {**wanted, "limit": min(limit, AT_ONCE)})
    head, found = done["head"], done["events"]
    if done["earlier"] is not None and len(found) < limit:
        with Progress("looking back", unit="events") as progress:
            while done["earlier"] is not None and len(found) < limit:
                progress.update(head - done["earlier"], head)
                more = {"limit": min(limit - len(found), AT_ONCE), "before": done["earlier"]}
                done = place.run("log", {**wanted, **more})
                found = [*done["events"], *found]
    for event in found:
        place.show_line(event, render_event(event))
    return int(head)


def _show_on(place: Place, wanted: Result, after: int | None) -> int:
    """Show the events after a number; return the number of the last one that was there."""
    head = after or 0
    while after is not None:
        done = place.run("log", {**wanted, "limit": AT_ONCE, "after": after})
        for event in done["events"]:
            place.show_line(event, render_event(event))
        head, after = max(head, int(done["head"])), done["next"]
    return head


def _follow(place: Place, wanted: Result, head: int) -> None:
    fault = ""
    while True:
        time.sleep(POLL_SECONDS if place.function is None else POLL_FUNCTION_SECONDS)
        try:
            head = _show_on(place, wanted, head)
            fault = ""
        except (IndexerError, click.ClickException) as error:  # a store may come back
            if str(error) != fault:
                fault = str(error)
                place.say(fault)


def render_event(event: Mapping[str, Any]) -> str:
    """Return an event as a line: number, when, who, from where, what; of a kind that is not known here, all it says."""
    who = event["by"] + (f" ({event['client']})" if event["client"] else "")
    return f"{event['seq']}  {event['at'][:19]}Z  {who}  {tell_change(event['kind'], event)}"
