"""A mirrored page as an older version of this program stored it, in the form in which this one makes them. Pure.

The upstream is asked for such a page again; what is made of it here is for when it does not answer. So nothing is kept
that would not be taken from the upstream today.
"""

from collections.abc import Mapping
from typing import Any

from indexer.digests import proves
from indexer.distributions.wheel_names import is_wheel_of
from indexer.simple.marks import UNVERIFIED, with_dropped
from indexer.upstream.entry import read_values
from indexer.upstream.fills import FILLED
from indexer.upstream.hashes import read_hashes, shown, strongest


def renewed(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the page; it itself, where it has today's form.

    Args:
        page: trusted, for nobody but this program writes it.
    """
    files, dropped = [], []
    for file in page["files"]:
        digests = read_hashes(file["hashes"])
        if digests.fault is None:
            files.append(_renewed(page["name"], file, strongest(digests.hashes)))
        else:
            dropped.append((file["filename"], f"{digests.fault}: it cannot be checked"))
    if not dropped and files == page["files"]:
        return page
    whole = {**page, "files": files}
    return with_dropped(whole, dropped) if dropped else whole


def _renewed(project: Any, file: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    entry = read_values(file, url="") | {"filename": file["filename"], "url": file["url"], "hashes": shown(hashes)}
    metadata = file.get("core-metadata")
    if metadata is not None and (not file["filename"].endswith(".whl") or is_wheel_of(project, file["filename"])):
        entry["core-metadata"] = metadata
    if not proves(hashes):
        entry[UNVERIFIED] = True
    if ours := [key for key in file.get(FILLED, ()) if key in entry]:
        entry[FILLED] = ours
    return entry
