"""Failures of the upstream: for how long it is left alone after one, and how a page says that it outlived one.

RFC 9110 (10.2.3 Retry-After), RFC 7234 (5.5 Warning).
"""

from datetime import UTC, datetime

from indexer.errors import UpstreamNonsense, UpstreamRefused, UpstreamUnavailable
from indexer.names import Filename, ProjectName
from indexer.value import replace, value
from pypi_lambda.mirror.check import Check
from pypi_lambda.mirror.kept_pages import KeptPage

BACK_OFF_SECONDS = 10  # after a failure the project's stored page is served without asking again
_KINDS = (UpstreamNonsense, UpstreamRefused)  # made of a reason alone, and answered each in its way
MAX_BACK_OFF_SECONDS = 300  # an upstream that asks for more rest than that is asked again all the same


@value
class Failure:
    """A failure that may still count.

    Attributes:
        at: seconds since the epoch.
        told_seconds: for how long the upstream asked to be left alone; 0 where it did not.
    """

    at: float
    reason: str
    kind: type[UpstreamUnavailable]
    retry_after_seconds: int
    told_seconds: int

    def is_recent(self, at: float, *, has_page: bool) -> bool:
        """Tell whether the upstream is to be left alone: for want of a page only if it asked for that."""
        rest = max(self.told_seconds, BACK_OFF_SECONDS if has_page else 0)
        return 0 <= at - self.at < min(rest, MAX_BACK_OFF_SECONDS)

    def fault(self, at: float) -> UpstreamUnavailable:
        """Return the fault anew, with the time that is left. It is not kept itself: it holds on to what it came by."""
        left = max(1, round(self.at + self.told_seconds - at)) if self.told_seconds else self.retry_after_seconds
        return self.kind(self.reason, retry_after_seconds=left)


def failure_of(fault: UpstreamUnavailable, at: float) -> Failure:
    """Return what is remembered of a fault."""
    return Failure(
        at=at,
        reason=fault.reason,
        kind=next((kind for kind in _KINDS if isinstance(fault, kind)), UpstreamUnavailable),
        retry_after_seconds=fault.retry_after_seconds,
        told_seconds=fault.told_seconds or 0,
    )


def left_out(name: ProjectName, filename: Filename, reason: str) -> UpstreamNonsense:
    """Return the fault of a file that the upstream lists in a way that cannot be served."""
    return UpstreamNonsense(f"its page of {name} lists {filename!r}, which is left out: {reason}")


def marked(kept: KeptPage) -> KeptPage:
    """Return the page with word that it is not what the upstream says now.

    In the form of the `Warning` field of RFC 7234 (111, "Revalidation Failed"). RFC 9111 has made that obsolete, as no
    client acts on it; people who look for the cause of a missing release read it.
    """
    warning = f'111 serverless-pypi "Revalidation Failed: {_age(kept.check)}"'
    return replace(kept, page=replace(kept.page, warning=warning))


def _age(check: Check) -> str:
    if not check.at:
        return "the age of this page is unknown"
    stale_since = check.missing_since or check.at + check.fresh_seconds
    return f"page of {_moment(check.at)}, stale since {_moment(stale_since)}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
