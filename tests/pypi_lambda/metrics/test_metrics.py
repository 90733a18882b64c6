"""What a process did is counted and timed, and written as Prometheus and CloudWatch read it."""

from pathlib import Path

import pytest

from indexer.store.folder import FolderStore
from pypi_lambda.http.model import Request, Response
from pypi_lambda.metrics.metrics import Metrics, TimedStore, Timing, kind_of, metered
from tests.support.builders import request
from tests.support.clocks import Ticks


def test_timings() -> None:
    """A timing has how often, how long in all, and in which bucket each fell."""
    metrics = Metrics()
    for seconds in (0.001, 0.005, 0.2, 60.0):
        metrics.time("requests", seconds, ("kind", "root"))
    assert {tuple(series): timing for series, timing in metrics.read().items()} == {
        ("requests", (("kind", "root"),)): Timing(4, 60.206, (2, 0, 0, 1, 0, 0))
    }


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/", "home"),
        ("POST", "/", "upload"),
        ("POST", "/simple/", "upload"),
        ("PUT", "/uploads/00/1", "upload"),
        ("GET", "/simple", "root"),
        ("GET", "/simple/", "root"),
        ("GET", "/+simple/six/", "project"),
        ("GET", "/simple/six/", "project"),
        ("GET", "/simple/six/six-1.tar.gz", "file"),
        ("GET", "/simple/six/six-1-py3-none-any.whl.metadata", "metadata"),
        ("GET", "/simple/a/b/c", "other"),
        ("GET", "/simple/a/b/c/d/e/f/g/h", "other"),
        ("GET", "/at/2026-01-01/simple/six/", "dated"),
        ("HEAD", "/health", "health"),
        ("GET", "/metrics", "metrics"),
        ("GET", "/wp-login.php", "other"),
    ],
)
def test_kinds(method: str, path: str, kind: str) -> None:
    """Whatever is asked for is one of a few kinds, so that no client can make more of them."""
    assert kind_of(method, path) == kind


def test_requests_are_timed() -> None:
    """A request is timed with its status; one that ends in a bug counts as 500."""
    metrics = Metrics()

    def app(request: Request) -> Response:
        if request.path != "/simple/":
            raise ZeroDivisionError
        return Response(status=304, headers=(), body=b"")

    call = metered(app, metrics, clock=Ticks())
    call(request("GET", "/simple/"))
    with pytest.raises(ZeroDivisionError):
        call(request("GET", "/simple/six/"))
    assert [(series.labels, timing.times, timing.seconds) for series, timing in metrics.read().items()] == [
        ((("kind", "project"), ("status", "500")), 1, 0.25),
        ((("kind", "root"), ("status", "304")), 1, 0.25),
    ]


def test_store_is_timed(tmp_path: Path) -> None:
    """A timed store does what the store does, and each call that goes to it is timed, failures too."""
    metrics = Metrics()
    store = TimedStore(FolderStore(tmp_path), metrics, clock=Ticks())
    store.put("a/b", b"content")
    assert [stat.key for stat in store.list("a/")] == ["a/b"]
    assert store.gather(lambda: store.find("a/b"), lambda: store.find("a/c"))[1] is None
    assert [key for key, _ in store.find_all(["a/b", "a/c"])] == ["a/b", "a/c"]
    with pytest.raises(Exception, match="a/c"):
        store.get("a/c")
    assert {series.labels[0][1]: timing.times for series, timing in metrics.read().items()} == {
        "find": 4,
        "get": 1,
        "list": 1,
        "put": 1,
    }
