"""Metrics as Prometheus reads them.

"Exposition formats", text format 0.0.4.
"""

from collections.abc import Iterator, Mapping

from pypi_lambda.metrics.metrics import BUCKET_SECONDS, Series, Timing

PREFIX = "serverless_pypi_"
_HELP = {
    "requests": "Requests answered, by what they asked for and by status.",
    "store_calls": "Calls of the store.",
    "upstream_requests": "Requests to the upstream, by status; 0 where there was no answer.",
    "rebuilds": "Rebuilds of the snapshot in this process.",
    "pages": "Project pages answered, by whether they were in memory.",
}


def render(timings: Mapping[Series, Timing], counts: Mapping[Series, int], gauges: Mapping[str, float]) -> bytes:
    """Return the metrics of one process as text.

    Args:
        gauges: values as they are now, by name.
    """
    lines = [*_timings(timings), *_counts(counts), *_gauges(gauges)]
    return "".join(f"{line}\n" for line in lines).encode()


def _timings(timings: Mapping[Series, Timing]) -> Iterator[str]:
    before = None
    for series, timing in timings.items():
        name = f"{PREFIX}{series.name}_seconds"
        if series.name != before:
            yield f"# HELP {name} {_HELP.get(series.name, series.name)}"
            yield f"# TYPE {name} histogram"
            before = series.name
        labels = _labels(series)
        comma = "," if labels else ""
        done = 0
        for limit, count in zip(BUCKET_SECONDS, timing.buckets, strict=True):
            done += count
            yield f'{name}_bucket{{{labels}{comma}le="{limit}"}} {done}'
        yield f'{name}_bucket{{{labels}{comma}le="+Inf"}} {timing.times}'
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {timing.seconds:.6f}"
        yield f"{name}_count{braces} {timing.times}"


def _counts(counts: Mapping[Series, int]) -> Iterator[str]:
    before = None
    for series, count in counts.items():
        name = f"{PREFIX}{series.name}_total"
        if series.name != before:
            yield f"# HELP {name} {_HELP.get(series.name, series.name)}"
            yield f"# TYPE {name} counter"
            before = series.name
        yield f"{name}{{{_labels(series)}}} {count}"


def _labels(series: Series) -> str:
    return ",".join(f'{key}="{_escape(value)}"' for key, value in series.labels)


def _gauges(gauges: Mapping[str, float]) -> Iterator[str]:
    for name, value in sorted(gauges.items()):
        yield f"# TYPE {PREFIX}{name} gauge"
        yield f"{PREFIX}{name} {value:g}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
