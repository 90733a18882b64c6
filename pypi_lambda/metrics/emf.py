"""Metrics as lines of the log that CloudWatch makes metrics of: one for each invocation of the function.

"Specification: Embedded metric format" in the Amazon CloudWatch user guide.
"""

from collections.abc import Mapping

from indexer.json_bytes import encode_json
from pypi_lambda.metrics.metrics import Series, Timing

NAMESPACE = "serverless-pypi"
_COUNT, _MILLISECONDS = "Count", "Milliseconds"
# What is timed, as the names of how often it happened and how long it took.
_NAMES = {
    "requests": ("Requests", "Duration"),
    "commands": ("Commands", "CommandDuration"),
    "store_calls": ("StoreCalls", "StoreTime"),
    "upstream_requests": ("UpstreamRequests", "UpstreamTime"),
    "init": ("ColdStarts", "InitDuration"),  # from the start of the process
    "load": ("Loads", "LoadDuration"),  # of that, what came after the imports: the rest of the wait for the snapshot
}

_COUNTED = {
    Series("pages", (("cache", "hit"),)): "CacheHits",
    Series("pages", (("cache", "miss"),)): "CacheMisses",
}


class MetricLines:
    """Writes what happened since the line before.

    Args:
        function: the function's name.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._before: Mapping[Series, Timing] = {}
        self._counted: Mapping[Series, int] = {}

    def line(
        self,
        timings: Mapping[Series, Timing],
        counts: Mapping[Series, int],
        gauges: Mapping[str, float],
        *,
        at_ms: int,
    ) -> str:
        """Return the line.

        Args:
            timings: all of them, since the process began; so are the counts.
            gauges: values as they are now, by their names in CloudWatch.
            at_ms: milliseconds since the epoch.
        """
        values: dict[str, float] = dict(gauges)
        units = dict.fromkeys(gauges, "None")
        properties: dict[str, str] = {"FunctionName": self._function, "Kind": "other"}
        for series, timing in timings.items():
            before = self._before.get(series)
            count = timing.times - (before.times if before else 0)
            if not count or series.name not in _NAMES:
                continue
            milliseconds = (timing.seconds - (before.seconds if before else 0.0)) * 1_000
            counted, took = _NAMES[series.name]
            values[counted] = values.get(counted, 0) + count
            values[took] = round(values.get(took, 0) + milliseconds, 3)
            units |= {counted: _COUNT, took: _MILLISECONDS}
            if series.name in ("requests", "commands"):
                properties |= {key.title(): value for key, value in series.labels}
        for series, number in counts.items():
            if (name := _COUNTED.get(series)) and number > self._counted.get(series, 0):
                values[name] = number - self._counted.get(series, 0)
                units[name] = _COUNT
        status = properties.get("Status", "")
        for name, first in (("ClientErrors", "4"), ("ServerErrors", "5")):
            if status:
                values[name] = int(status.startswith(first))
                units[name] = _COUNT
        self._before, self._counted = timings, counts
        metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [["FunctionName"]],  # each further one is paid for by metric: kinds stay properties
            "Metrics": metrics,
        }
        document = {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [directive]}, **properties, **values}
        return encode_json(document).decode()
