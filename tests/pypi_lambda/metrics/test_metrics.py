"""What a process did is counted and timed, and written as Prometheus and CloudWatch read it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from indexer.store.folder import FolderStore
from pypi_lambda.app.health import Health
from pypi_lambda.http.model import Request, Response
from pypi_lambda.metrics.emf import MetricLines
from pypi_lambda.metrics.metrics import Metrics, TimedStore, Timing, kind_of, metered
from pypi_lambda.metrics.prometheus import render
from pypi_lambda.server.logs import REQUEST_ID, JsonFormatter
from tests.support.apps import Site, running_site
from tests.support.builders import NOW, request
from tests.support.distributions import make_wheel


class Ticks:
    """A clock that goes on by a quarter of a second with every look."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        self._seconds += 0.25
        return self._seconds


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as site:
        yield site


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read an exposition with Prometheus' own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_timings() -> None:
    """A timing has how often, how long in all, and in which bucket each fell."""
    metrics = Metrics()
    for seconds in (0.001, 0.005, 0.2, 60.0):
        metrics.time("requests", seconds, ("kind", "root"))
    assert {tuple(series): timing for series, timing in metrics.read().items()} == {
        ("requests", (("kind", "root"),)): Timing(4, 60.206, (2, 0, 0, 1, 0, 0))
    }


def test_prometheus_text() -> None:
    """Prometheus reads what was timed: cumulative buckets, sum and count, and gauges."""
    metrics = Metrics()
    metrics.time("requests", 0.25, ("kind", 'a"b\\c'), ("status", "200"))
    metrics.time("load", 20.0)
    metrics.count("pages", ("cache", "hit"))
    metrics.count("pages", ("cache", "hit"))
    found = samples(render(metrics.read(), metrics.read_counts(), {"tail_length": 3}).decode())
    labels = (("kind", 'a"b\\c'), ("status", "200"))
    name = "serverless_pypi_requests_seconds"
    assert found[f"{name}_bucket", tuple(sorted((*labels, ("le", "0.1"))))] == 0
    assert found[f"{name}_bucket", tuple(sorted((*labels, ("le", "0.5"))))] == 1
    assert found[f"{name}_bucket", tuple(sorted((*labels, ("le", "+Inf"))))] == 1
    assert (found[f"{name}_sum", labels], found[f"{name}_count", labels]) == (0.25, 1)
    assert found["serverless_pypi_load_seconds_bucket", (("le", "10.0"),)] == 0
    assert found["serverless_pypi_load_seconds_count", ()] == 1
    assert found["serverless_pypi_pages_total", (("cache", "hit"),)] == 2
    assert found["serverless_pypi_tail_length", ()] == 3


def test_cloudwatch_lines() -> None:
    """Each line has what happened since the one before, and declares every number that it has as a metric."""
    metrics, lines = Metrics(), MetricLines("pypi")
    metrics.time("init", 0.1)
    metrics.time("requests", 0.25, ("kind", "project"), ("status", "503"))
    metrics.time("store_calls", 0.02, ("call", "find"))
    metrics.time("store_calls", 0.01, ("call", "stat"))
    metrics.count("pages", ("cache", "miss"))
    first = json.loads(lines.line(metrics.read(), metrics.read_counts(), {"TailLength": 2}, at_ms=1_700_000_000_000))
    numbers = {
        "TailLength": 2,
        "ColdStarts": 1,
        "InitDuration": 100.0,
        "Requests": 1,
        "Duration": 250.0,
        "StoreCalls": 2,
        "StoreTime": 30.0,
        "CacheMisses": 1,
        "ClientErrors": 0,
        "ServerErrors": 1,
    }
    directive = first.pop("_aws")
    assert first == {"FunctionName": "pypi", "Kind": "project", "Status": "503", **numbers}
    assert directive["Timestamp"] == 1_700_000_000_000
    (declared,) = directive["CloudWatchMetrics"]
    assert {metric["Name"] for metric in declared["Metrics"]} == set(numbers)
    assert declared["Dimensions"] == [["FunctionName"]]
    metrics.time("commands", 2.0, ("kind", "Rebuild"))
    second = json.loads(lines.line(metrics.read(), metrics.read_counts(), {}, at_ms=1))
    assert {name: value for name, value in second.items() if name != "_aws"} == {
        "FunctionName": "pypi",
        "Kind": "Rebuild",
        "Commands": 1,
        "CommandDuration": 2_000.0,
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


class TestMetricsPage:
    """`GET /metrics`."""

    def test_for_readers(self, site: Site) -> None:
        """A reader sees requests, store and upstream calls of this process, and the log's end."""
        wheel = make_wheel("demo", "1.0")
        site.upload(wheel)
        site.get("/simple/demo/")
        site.get("/simple/demo/")
        site.get("/simple/missing-here/")
        site.rebuild()
        answer = site.get("/metrics")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        found = samples(answer.text)
        project = (("kind", "project"), ("status", "200"))
        assert found["serverless_pypi_requests_seconds_count", project] == 2
        assert found["serverless_pypi_pages_total", (("cache", "hit"),)] >= 1
        assert found["serverless_pypi_rebuilds_seconds_count", ()] >= 1
        assert found["serverless_pypi_upstream_requests_seconds_count", (("status", "404"),)] == 1
        assert found["serverless_pypi_store_calls_seconds_count", (("call", "put_new"),)] >= 1
        assert found["serverless_pypi_log_seq", ()] == 1

    def test_not_for_anybody(self, site: Site) -> None:
        """Without credentials there are no metrics."""
        assert site.get("/metrics", user=None).status == 401


class TestHealth:
    """`GET /health`."""

    def test_what_it_says(self, site: Site) -> None:
        """It names the version, the log's end and the age of the upstream's list, and what is degraded."""
        site.upload(make_wheel("demo", "1.0"))
        document = json.loads(site.get("/health", user=None).text)
        assert (document["status"], document["seq"], document["upstreamListAgeSeconds"], document["reasons"]) == (
            "degraded",
            1,
            None,
            ["the upstream's list of projects was never read"],
        )
        assert site.head("/health", user=None).status == 200

    def test_failing_store(self, tmp_path: Path) -> None:
        """A process that cannot read its store is not healthy, and says no more than that."""
        with running_site(tmp_path) as site:
            health = Health(site.service.index, now=lambda: NOW, clock=Ticks())
            (tmp_path / "data" / "log").mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / "log" / f"{1:020}.json").write_bytes(b"damaged")
            response = health.answer()
            assert isinstance(response.body, bytes)
            assert (response.status, json.loads(response.body)["reasons"]) == (503, ["the store cannot be read"])


def record(message: str, **extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": message, "created": 0.0, **extra})


def test_json_records() -> None:
    """A record is one line of JSON, with the id of the request it belongs to."""
    token = REQUEST_ID.set("7f")
    try:
        line = JsonFormatter().format(record("two\nlines", fields={"status": 200}))
    finally:
        REQUEST_ID.reset(token)
    assert (line.count("\n"), json.loads(line)) == (
        0,
        {
            "time": "1970-01-01T00:00:00.000+00:00",
            "level": "INFO",
            "logger": "x",
            "message": "two\nlines",
            "requestId": "7f",
            "status": 200,
        },
    )
