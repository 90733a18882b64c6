"""`GET /health`: whether this process can answer, for balancers and monitors. No secrets, so no credentials.

The store is asked at most once in a few seconds, whoever asks us how often.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from indexer.errors import CorruptObject, Missing, StoreUnavailable
from indexer.json_bytes import encode_json
from indexer.store.base import ObjectStore
from indexer.value import value
from pypi_lambda import __version__
from pypi_lambda.http.model import NO_SNIFFING, Response
from pypi_lambda.settings import Settings, default_upstream
from pypi_lambda.view.index import Index
from pypi_lambda.view.view import View

ASK_EVERY_SECONDS = 5.0
OLD_LIST = timedelta(hours=25)  # it is read every hour; a day without is more than an hour's trouble
LONG_TAIL = 1_000  # events that every fresh process reads one by one: nobody rebuilds

logger = logging.getLogger(__name__)


@value
class _Answer:
    status: int
    body: bytes
    at: float


class Health:
    """The health of one process.

    Args:
        now: the current time.
        clock: monotonic seconds.
        find_advice: returns what keeps the upstream's files away, if that is known.
    """

    def __init__(
        self,
        index: Index,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        find_advice: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._find_advice = find_advice
        self._index = index
        self._now = now
        self._clock = clock
        self._lock = Lock()
        self._last: _Answer | None = None

    def answer(self) -> Response:
        """Return 200 when requests can be answered, degraded or not, and 503 when they cannot."""
        with self._lock:
            now = self._clock()
            if self._last is None or now - self._last.at >= ASK_EVERY_SECONDS:
                status, document = self._look()
                self._last = _Answer(status=status, body=encode_json(document), at=now)
            last = self._last
        headers = (("Content-Type", "application/json"), NO_SNIFFING, ("Cache-Control", "no-store"))
        return Response(status=last.status, headers=headers, body=last.body)

    def _look(self) -> tuple[int, dict[str, object]]:
        try:
            view = self._index.refresh()
        except (StoreUnavailable, CorruptObject, Missing) as fault:
            logger.error("not healthy: %s", fault)
            return 503, {"status": "failing", "version": __version__, "reasons": ["the store cannot be read"]}
        age = self._list_age(view)
        reasons = list(self._reasons(view, age))
        try:
            reasons += filter(None, [self._find_advice()])
        except (StoreUnavailable, CorruptObject) as fault:  # a remark, without which everything works
            logger.warning("%s", fault)
        return 200, {
            "status": "degraded" if reasons else "ok",
            "version": __version__,
            "seq": view.current.head.seq,
            "upstreamListAgeSeconds": None if age is None else int(age.total_seconds()),
            "reasons": reasons,
        }

    def _list_age(self, view: View) -> timedelta | None:
        upstream = view.current.upstream if view.has_upstream else None
        return None if upstream is None else self._now() - datetime.fromisoformat(upstream.at)

    def _reasons(self, view: View, age: timedelta | None) -> list[str]:
        reasons = []
        if age is None and view.has_upstream:
            reasons.append("the upstream's list of projects was never read")
        elif age is not None and age > OLD_LIST:
            reasons.append("the upstream's list of projects is more than a day old")
        if view.tail_length > LONG_TAIL:
            reasons.append("the snapshot is far behind the log")
        return reasons


def find_advice(store: ObjectStore, settings: Settings) -> str | None:
    """Return what is known to keep all files of the upstream away, with the cure, or None where nothing is."""
    if not settings.has_upstream:
        return None
    from indexer.upstream.url import parse_index_url
    from pypi_lambda.mirror.file_hosts import find_hosts, sentence

    index_url = parse_index_url(settings.upstream_index_url or default_upstream()).root
    hosts, _ = find_hosts(store, index_url, settings.upstream_private_hosts)
    return sentence(hosts) if hosts else None
