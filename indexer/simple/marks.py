"""What a mirrored page says of files under keys of ours: which are left out and why, which nothing proves. Pure.

PEP 691 ("Keys (at any level) with a leading underscore are reserved as private for index server use").
"""

from collections.abc import Iterable, Mapping
from typing import Any

DROPPED = "_dropped"
UNVERIFIED = "_unverified"
MAX_NAMED = 50  # of a page's dropped files: whoever wants to know looks for a few, and a hostile page has millions
_MAX_SHOWN = 300


def with_dropped(page: Mapping[str, Any], dropped: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the page with word of files that are left out of it, beside those of which it says so already.

    Args:
        dropped: name, as far as there is one, and reason, as a sentence about the file.
    """
    before = page.get(DROPPED, {"count": 0, "files": []})
    news = list(dropped)
    room = max(0, MAX_NAMED - len(before["files"]))
    named = [{"filename": _shown(filename), "reason": _shown(reason)} for filename, reason in news[:room]]
    return {**page, DROPPED: {"count": before["count"] + len(news), "files": [*before["files"], *named]}}


def find_dropped(page: Mapping[str, Any], filename: str) -> str | None:
    """Return why a file is left out of the page, or None where that is not said."""
    named = page.get(DROPPED, {"files": []})["files"]
    return next((each["reason"] for each in named if each["filename"] == filename), None)


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
