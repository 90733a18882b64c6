"""`serverless-pypi reindex` and `rebuild`: what is derived, and what was put straight into the store."""

import logging
import os
import signal
import threading
from datetime import datetime, timedelta

import click

from indexer.errors import IndexerError
from pypi_lambda.clock import utc_now
from pypi_lambda.mirror import file_hosts
from pypi_lambda.settings import Settings
from pypi_lambda.terminal.faults import WrongInput
from pypi_lambda.terminal.place import Place, Result, at_place, read_settings_here, upstream_option

REINDEX_EVERY = timedelta(hours=1)
PARENT_CHECK_SECONDS = 5.0  # how soon a background reindexer notices that its server is gone
TO_THE_END = 2**53 - 1  # the number of an event that no log reaches

logger = logging.getLogger(__name__)


@click.command(short_help="Read the upstream's list anew; publish what was put in.")
@click.option("--hourly", is_flag=True, help="Go on, once an hour, for as long as the parent process lives.")
@upstream_option
@at_place
def reindex(place: Place, hourly: bool, upstream: str | None) -> None:
    """Read the upstream's list of projects anew and publish files put under projects/NAME/."""
    if place.function is not None and (hourly or upstream is not None):
        raise WrongInput("--hourly and --upstream do not go with --function, which has its own schedule and settings")
    if hourly:
        _reindex_hourly(place, read_settings_here(None, upstream))
    else:
        if place.function is None:
            place.read_settings(upstream=upstream)
        done = _reindex(place)
        if done["upstreamFault"] is not None or done["refused"]:
            raise SystemExit(1)


def _reindex_hourly(place: Place, settings: Settings) -> None:
    # The server's Ctrl-C reaches this process too; its end is the server's to announce.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    pause = threading.Event()
    due = _due(settings)
    while os.getppid() == parent:
        if utc_now() < due:
            pause.wait(PARENT_CHECK_SECONDS)
            continue
        due = utc_now() + REINDEX_EVERY
        try:
            _reindex(place)
        except IndexerError as fault:
            logger.error("the reindex failed: %s", fault)
        except Exception:  # a bug must not end all reindexes to come
            logger.exception("the reindex failed")


def _due(settings: Settings) -> datetime:
    """Return when the list of names is an hour old: a server that restarts, or one of several, need not read it."""
    from indexer.derive.rebuild import load_snapshot
    from indexer.store.open import open_store
    from pypi_lambda.app.service import renderer_of

    store = open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
    known = load_snapshot(store, renderer_of(settings)).snapshot.upstream
    if known is None:
        return utc_now()
    return datetime.fromisoformat(known.at) + REINDEX_EVERY


def _reindex(place: Place) -> Result:
    done = place.run("reindex", doing="reading the upstream's list of projects")
    fault = done["upstreamFault"]
    count = "unknown" if done["upstream"] is None else f"{done['upstream']:,}"
    names = "no upstream" if done["upstream"] is None and fault is None else f"{count} upstream projects"
    place.tell(
        done,
        *done["incoming"],
        f"reindexed: {names}, {len(done['adopted'])} files adopted",
        *(f"not published: {key}: {reason}" for key, reason in done["refused"].items()),
        *([] if fault is None else [fault]),
        *([file_hosts.sentence(done["privateHosts"])] if done.get("privateHosts") else []),
    )
    return done


@click.command(short_help="Bring snapshot and pages up to the end of the log.")
@click.option("--from-zero", is_flag=True, help="Fold the whole log and write every page again: the repair.")
@at_place
def rebuild(place: Place, from_zero: bool) -> None:
    """Bring the snapshot and the pages up to the end of the log."""
    if from_zero or place.function is not None:
        done = place.run("rebuild", "from zero" if from_zero else TO_THE_END)
    else:
        done = _rebuild_here(place.read_settings())
    what = f"wrote the pages of {done['pages']:,} projects" if done["changed"] else "nothing was new"
    place.tell(done, f"event {done['seq']:,}: {what}")


def _rebuild_here(settings: Settings) -> Result:
    # Not by the command, which waits for more of a burst.
    from indexer.derive.rebuild import rebuild as rebuild_now
    from indexer.store.open import open_store
    from pypi_lambda.app.service import renderer_of

    store = open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
    done = rebuild_now(store, renderer_of(settings))
    return {"seq": done.snapshot.head.seq, "changed": done.changed, "pages": done.pages}
