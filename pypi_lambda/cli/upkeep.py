"""`serverless-pypi verify`, `stats` and `gc`: what lies in the store, whether it is whole, and what can go."""

from collections.abc import Iterator

import click

from pypi_lambda.terminal.place import Place, Result, at_place

UNITS = ("B", "KB", "MB", "GB", "TB")
TIME_ENOUGH_SECONDS = 1_000_000_000  # thirty years
# Severities of `indexer.verify.findings`, and what a person reads.
WORDS = {"truth": "LOST", "derived": "damaged", "orphan": "orphan", "note": "note"}


@click.command(short_help="Compare everything stored with the log.")
@click.option("--deep", is_flag=True, help="Read every file and compare its digest, too.")
@click.option("--repair", is_flag=True, help="Write again what is derived; the log, private files and users stay.")
@click.option("--expect", metavar="SEQ:DIGEST", help="The head that an earlier run printed, which must still be there.")
@at_place
def verify(place: Place, deep: bool, repair: bool, expect: str | None) -> None:
    """Compare everything stored with the log, event by event, from the first.

    Exits with 1 when something is damaged; orphans, which nothing names, do no harm. Nothing can prove that the last
    events were not cut off, but a head that was noted before: keep the one that is printed elsewhere.
    """
    # A function has 900 seconds, so it reads files for some of that and is asked again; here there is all the time.
    seconds = {} if place.function is not None else {"seconds": TIME_ENOUGH_SECONDS}
    argument = {"deep": deep, "repair": repair, "expect": expect, **seconds}
    done = place.run("verify", argument, doing="verifying", unit="objects")
    while done["next"]:
        more = place.run("verify", {**argument, "after": done["next"]}, doing="verifying", unit="objects")
        done = _joined(done, more)
    place.show(done, *_findings(done), *_verified(done))
    if done["damage"]:
        raise SystemExit(1)


def _joined(one: Result, other: Result) -> Result:
    """Return the result of both; but for files' content both looked at everything, and mostly found the same."""
    findings = one["findings"] + [found for found in other["findings"] if found not in one["findings"]]
    counts = {name: sum(found["severity"] == name for found in findings) for name in one["counts"]}
    counts = {name: max(count, one["counts"][name], other["counts"][name]) for name, count in counts.items()}
    return {
        **other,
        "findings": findings,
        "counts": counts,
        "damage": counts["truth"] + counts["derived"],
        "bytesRead": one["bytesRead"] + other["bytesRead"],
        "repaired": one["repaired"] + other["repaired"],
    }


def _findings(done: Result) -> Iterator[str]:
    for found in done["findings"]:
        yield f"{WORDS[found['severity']]}: {found['key']}: {found['problem']}; {found['remedy']}"
    more = sum(done["counts"].values()) - len(done["findings"])
    if more:
        yield f"and {more:,} more"
    yield from done["repaired"]


def _verified(done: Result) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {WORDS[severity]}" for severity, count in done["counts"].items() if count)
    read = f", {_size(done['bytesRead'])} of them read" if done["bytesRead"] else ""
    whole = "" if done["damage"] else f"nothing is damaged{', ' if counts else ''}"
    yield f"{done['projects']:,} projects, {done['files']:,} files{read}: {whole}{counts}"
    if done["mirroredFilesUnproved"]:
        yield f"{done['mirroredFilesUnproved']:,} mirrored files have nothing stored that says what they must be"
    yield "the log is empty" if done["head"] is None else f"head {done['head']}"


@click.command()
@at_place
def stats(place: Place) -> None:
    """Say how large the index is, and how it grows."""
    done = place.run("stats", doing="counting", unit="objects")
    place.show(done, *_stats(done))


def _stats(done: Result) -> Iterator[str]:
    yield f"private    {done['projects']:,} projects, {done['files']:,} files, {_size(done['fileBytes'])}"
    mirrored = f"{done['mirroredProjects']:,} projects, {done['mirroredFiles']:,} files"
    yield f"mirrored   {mirrored}, {_size(done['mirroredBytes'])}"
    yield f"log        {done['events']:,} events, {_size(done['logBytes'])}"
    growth = f"{done['eventsLastDay']:,} in a day, {done['eventsLastWeek']:,} in a week"
    yield f"           {growth}, {done['eventsLastMonth']:,} in 30 days"
    yield f"snapshot   event {done['snapshotSeq']:,}, {_size(done['snapshotBytes'])}; {done['tail']:,} events since"
    yield f"users      {done['users']:,}, {done['tokens']:,} tokens"
    if done["upstreamNames"] is None:
        yield "upstream   its list of projects was never read"
    else:
        yield f"upstream   {done['upstreamNames']:,} projects, unchanged since {done['upstreamChanged'][:19]}Z"
    yield f"superseded {done['supersededObjects']:,} objects, {_size(done['supersededBytes'])}"
    yield f"in all     {done['objects']:,} objects, {_size(done['bytes'])}"


@click.command(short_help="Delete what nobody needs any more.")
@click.option("--dry-run", is_flag=True, help="Delete nothing; say what would be.")
@click.option("--orphans", is_flag=True, help="Also what no event names, is 30 days old, and cannot be published.")
@at_place
def gc(place: Place, dry_run: bool, orphans: bool) -> None:
    """Delete what is superseded, left behind, unused or over; the reindex does so too, but for orphans.

    Mirrored files that nobody used for MIRROR_RETENTION_DAYS, and the bytes of removed private files after
    REMOVED_RETENTION_DAYS. Never a file that is offered.
    """
    done = place.run("gc", {"dryRun": dry_run, "orphans": orphans}, doing="looking", unit="projects")
    would = "would be deleted" if dry_run else "deleted"
    lines = [f"{found['reason']}\t{_size(found['bytes'])}\t{found['key']}" for found in done["keys"]]
    if done["objects"] > len(lines):
        lines.append(f"and {done['objects'] - len(lines):,} more")
    place.show(done, *lines, f"{done['objects']:,} objects, {_size(done['bytes'])} {would}")


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    power = min((len(str(count)) - 1) // 3, len(UNITS) - 1)
    return f"{count / 1_000**power:,.{min(power, 1)}f} {UNITS[power]}"
