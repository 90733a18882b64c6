"""Which files of an upstream's page are old enough, or proved, and the page with these alone. Pure.

PEP 700 (upload-time, versions), PEP 691 (private keys).
"""

from datetime import datetime, timedelta
from typing import Any

from indexer.distributions.versions import version_finder
from indexer.log.events import timestamp
from indexer.names import ProjectName
from indexer.simple.marks import UNVERIFIED, with_dropped
from indexer.value import value
from indexer.version import version_key
from pypi_lambda.cooldown.moments import find_moment

HELD_BACK = "_held-back"
UNPROVED = "the upstream announces no digest that proves it (UPSTREAM_REQUIRE_DIGEST)"


@value
class Choice:
    """What of a page is offered.

    Attributes:
        filenames: of the files that are.
        held: how many are too young, or may be.
        until: when the next of these is old enough; None when that is not known of any.
    """

    filenames: frozenset[str]
    held: int
    until: datetime | None


def choose(files: list[Any], *, now: datetime, min_age: timedelta, moment: datetime | None = None) -> Choice:
    """Decide which of an upstream page's files are offered now. One without an upload time is old only where any is.

    Args:
        files: as the page has them.
        moment: leave out what was not there at that time.
    """
    offered, held, releases = [], 0, []
    for file in files:
        uploaded = find_moment(file.get("upload-time"))
        if moment is not None and (uploaded is None or uploaded > moment):
            continue
        if is_old(uploaded, min_age, now):
            offered.append(file["filename"])
        else:
            held += 1
            if uploaded is not None:
                releases.append(release_of(uploaded, min_age))
    return Choice(filenames=frozenset(offered), held=held, until=min(releases, default=None))


def is_old(uploaded: datetime | None, min_age: timedelta, now: datetime) -> bool:
    """Tell whether a file of which this is known is old enough."""
    return not min_age or (uploaded is not None and now >= release_of(uploaded, min_age))


def release_of(uploaded: datetime, min_age: timedelta) -> datetime:
    """Return when a file is old enough."""
    return min(uploaded, datetime.max.replace(tzinfo=uploaded.tzinfo) - min_age) + min_age


def with_choice(name: ProjectName, page: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """Return the page with what is offered, the versions of that, and word of what is held back."""
    files = [file for file in page["files"] if file["filename"] in choice.filenames]
    held = {HELD_BACK: {"files": choice.held, "until": choice.until and timestamp(choice.until)}} if choice.held else {}
    if len(files) == len(page["files"]):
        return {**page, **held}
    return {**page, "versions": _versions(name, page.get("versions", []), choice.filenames), "files": files, **held}


def proved_only(name: ProjectName, page: dict[str, Any]) -> dict[str, Any]:
    """Return the page without the files that no announced digest proves, which it names as left out."""
    unproved = [file["filename"] for file in page["files"] if UNVERIFIED in file]
    if not unproved:
        return page
    proved = frozenset(file["filename"] for file in page["files"]) - frozenset(unproved)
    chosen = with_choice(name, page, Choice(filenames=proved, held=0, until=None))
    return with_dropped(chosen, [(filename, UNPROVED) for filename in unproved])


def _versions(name: ProjectName, versions: list[str], filenames: frozenset[str]) -> list[str]:
    find_version = version_finder(name)
    found = {version_key(version) for version in map(find_version, filenames) if version}
    return [version for version in versions if version_key(version) in found]
