"""What this process did, counted and timed; and the two wrappers that measure: around the app, and around the store.

Knows no format: `pypi_lambda.prometheus` and `pypi_lambda.emf` write it down.
"""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple, cast

from indexer.keys import METADATA
from indexer.store import ObjectStore
from pypi_lambda.http import Request, Response

BUCKET_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)  # a warm answer, a cold one, an upstream's, a client's patience

Clock = Callable[[], float]
App = Callable[[Request], Response]

_CALLS = ("find", "get", "stat", "read", "put_new", "put", "replace", "write", "list", "delete")
_FREE = ("signed_url", "signed_put_url", "gather")  # no round trip, or those of other calls


class Series(NamedTuple):
    """What is timed: a name, and what tells one of its kind from another."""

    name: str
    labels: tuple[tuple[str, str], ...]


class Timing(NamedTuple):
    """How often something happened, and how long it took in all.

    Attributes:
        buckets: how often it took no longer than each of `BUCKET_SECONDS`, each counted once, in the smallest.
    """

    times: int
    seconds: float
    buckets: tuple[int, ...]


class Metrics:
    """Everything since the process began."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._timings: dict[Series, list[float]] = {}
        self._counts: dict[Series, int] = {}

    def count(self, name: str, *labels: tuple[str, str]) -> None:
        """Note that something happened that takes no time."""
        with self._lock:
            series = Series(name, labels)
            self._counts[series] = self._counts.get(series, 0) + 1

    def read_counts(self) -> Mapping[Series, int]:
        """Return all counts, sorted by name and labels."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def time(self, name: str, seconds: float, *labels: tuple[str, str]) -> None:
        """Note that something happened, and how long it took."""
        with self._lock:
            timing = self._timings.setdefault(Series(name, labels), [0.0] * (len(BUCKET_SECONDS) + 2))
            timing[0] += 1
            timing[1] += seconds
            for place, limit in enumerate(BUCKET_SECONDS, 2):
                if seconds <= limit:
                    timing[place] += 1
                    break

    def read(self) -> Mapping[Series, Timing]:
        """Return all timings, sorted by name and labels."""
        with self._lock:
            found = {series: tuple(timing) for series, timing in self._timings.items()}
        return {
            series: Timing(int(values[0]), values[1], tuple(map(int, values[2:])))
            for series, values in sorted(found.items())
        }


def metered(app: App, metrics: Metrics, *, clock: Clock) -> App:
    """Return the app with each request timed, by what it asks for and how it was answered.

    Args:
        clock: monotonic seconds.
    """

    def call(request: Request) -> Response:
        began = clock()
        status = 500
        try:
            response = app(request)
            status = response.status
        finally:
            kind = kind_of(request.method, request.path)
            metrics.time("requests", clock() - began, ("kind", kind), ("status", str(status)))
        return response

    return call


def timed_store(store: ObjectStore, metrics: Metrics, *, clock: Clock) -> ObjectStore:
    """Return the store with each call timed; of what is read in pieces, the time until it begins.

    Args:
        clock: monotonic seconds.
    """
    timed: Any = _Timed()
    for name in _CALLS:
        setattr(timed, name, _timed(getattr(store, name), metrics, clock, ("call", name)))
    for name in _FREE:
        setattr(timed, name, getattr(store, name))
    return cast(ObjectStore, timed)


class _Timed:
    """Has the methods of a store as attributes."""


def _timed(call: Callable[..., Any], metrics: Metrics, clock: Clock, label: tuple[str, str]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        began = clock()
        try:
            return call(*args, **kwargs)
        finally:
            metrics.time("store_calls", clock() - began, label)

    return run


_BY_FIRST = {
    "health": "health",
    "metrics": "metrics",
    "uploads": "upload",
    "legacy": "upload",
    "at": "dated",
    "project": "home",
}
_BY_DEPTH = {1: "root", 2: "project", 3: "file"}


def kind_of(method: str, path: str) -> str:
    """Return what a request asks for: one of a few words, whatever a client sends."""
    segments = [segment for segment in path.split("/", 6) if segment]
    if method == "POST":
        return "upload"
    if not segments:
        return "home"
    if segments[0] not in ("simple", "+simple"):
        return _BY_FIRST.get(segments[0], "other")
    kind = _BY_DEPTH.get(len(segments), "other")
    return "metadata" if kind == "file" and path.endswith(METADATA) else kind
