"""Metrics as CloudWatch reads them, out of lines of the log."""

import json

from pypi_lambda.metrics.emf import MetricLines
from pypi_lambda.metrics.metrics import Metrics


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
