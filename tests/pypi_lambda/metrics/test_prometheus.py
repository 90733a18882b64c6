"""Metrics as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from pypi_lambda.metrics.metrics import Metrics
from pypi_lambda.metrics.prometheus import render
from tests.support.apps import Site
from tests.support.distributions import make_wheel


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read an exposition with Prometheus' own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
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
