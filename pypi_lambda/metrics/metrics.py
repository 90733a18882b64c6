"""What this process did, counted and timed; and the two wrappers that measure: around the app, and around the store.

Knows no format: `pypi_lambda.metrics.prometheus` and `pypi_lambda.metrics.emf` write it down.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple, ParamSpec, TypeVar

from indexer.keys import METADATA
from indexer.store.base import BINARY, MAX_OBJECT_BYTES, ObjectStore, Stat, Stored, find_side_by_side
from pypi_lambda.http.model import Request, Response

BUCKET_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)  # a warm answer, a cold one, an upstream's, a client's patience

Clock = Callable[[], float]
App = Callable[[Request], Response]
P = ParamSpec("P")
T = TypeVar("T")


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


class TimedStore:
    """A store with each call timed; of what is read in pieces, the time until it begins.

    Signing, which is no round trip, and `gather`, whose calls are timed themselves, are not.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, store: ObjectStore, metrics: Metrics, *, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Return the object, or None when there is none."""
        return self._time("find", self._store.find, key, limit=limit)

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Yield each key with its object, or None where there is none, each timed by itself."""
        return find_side_by_side(self, keys, limit=limit)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Return the object."""
        return self._time("get", self._store.get, key, limit=limit)

    def stat(self, key: str) -> Stat | None:
        """Return what is known of the object, or None when there is none."""
        return self._time("stat", self._store.stat, key)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to `end`, in chunks."""
        return self._time("read", self._store.read, key, start=start, end=end)

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object where there is none and return its etag."""
        put_new = self._store.put_new
        return self._time("put_new", put_new, key, body, content_type=content_type, immutable=immutable)

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object whether or not there is one and return its etag."""
        return self._time("put", self._store.put, key, body, content_type=content_type, immutable=immutable)

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object in the place of the one that has this etag and return the new etag."""
        replace = self._store.replace
        return self._time("replace", replace, key, body, etag=etag, content_type=content_type, immutable=immutable)

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str = BINARY,
        new: bool = False,
        immutable: bool = False,
    ) -> None:
        """Write an object of any size from chunks."""
        write = self._store.write
        self._time("write", write, key, chunks, content_type=content_type, new=new, immutable=immutable)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield the objects whose keys begin with `prefix` and sort after `after`."""
        return self._time("list", self._store.list, prefix, after=after)

    def delete(self, key: str) -> None:
        """Remove the object."""
        self._time("delete", self._store.delete, key)

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Return a URL that lets anybody GET the object for so long."""
        return self._store.signed_url(key, seconds=seconds)

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Return a URL by which anybody may PUT the object for so long."""
        return self._store.signed_put_url(key, seconds=seconds)

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Run the calls, side by side where that saves time."""
        return self._store.gather(*calls)

    def _time(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        began = self._clock()
        try:
            return call(*args, **kwargs)
        finally:
            self._metrics.time("store_calls", self._clock() - began, ("call", name))


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
