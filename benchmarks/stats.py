"""What a handful of samples says: their middle, their spread, and ratios between things that were measured in turn.

Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

RESAMPLES = 2_000  # enough for the ends of the interval to hold still to two digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The middle of some samples and where most of them lie.

    Attributes:
        low: the first quartile.
        high: the third quartile.
    """

    count: int
    least: float
    low: float
    median: float
    high: float
    p90: float
    greatest: float


def summarize(samples: Sequence[float]) -> Summary:
    """Return the summary of at least one sample."""
    return Summary(
        count=len(samples),
        least=min(samples),
        low=quantile(samples, 0.25),
        median=median(samples),
        high=quantile(samples, 0.75),
        p90=quantile(samples, 0.9),
        greatest=max(samples),
    )


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the value below which this share of the samples lies, interpolated between neighbours."""
    ordered = sorted(samples)
    place = share * (len(ordered) - 1)
    before = int(place)
    after = min(before + 1, len(ordered) - 1)
    return ordered[before] + (place - before) * (ordered[after] - ordered[before])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times as large one thing is as another, with the range it was seen in."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{shown(self.middle)}× ({shown(self.low)}–{shown(self.high)})"


def ratio_by_round(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Return the ratio of two things measured in turn: round by round, so that a drift of the machine drops out.

    Args:
        denominators: as many as the numerators, round by round; none is 0.
    """
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return Ratio(middle=median(ratios), low=min(ratios), high=max(ratios))


def ratio_of_medians(numerators: Sequence[float], denominators: Sequence[float], *, seed: int = 0) -> Ratio:
    """Return the ratio of two medians with its 95 % bootstrap interval, where samples do not come in pairs."""
    random = Random(seed)

    def resampled(samples: Sequence[float]) -> float:
        return median(random.choices(samples, k=len(samples)))

    ratios = [resampled(numerators) / resampled(denominators) for _ in range(RESAMPLES)]
    return Ratio(
        middle=median(numerators) / median(denominators), low=quantile(ratios, 0.025), high=quantile(ratios, 0.975)
    )


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return e where the cost grows as size**e: the slope of the least-squares line through the logarithms."""
    from math import log

    points = [(log(size), log(cost)) for size, cost in zip(sizes, costs, strict=True)]
    middle_x, middle_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    rise: float = sum((x - middle_x) * (y - middle_y) for x, y in points)
    run: float = sum((x - middle_x) * (x - middle_x) for x, _ in points)
    return rise / run


def shown(value: float) -> str:
    """Return the number with as many digits as a measurement deserves: three."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000:
        return f"{round(value, 2 - len(str(int(abs(value)))) + 1):,.0f}"
    return f"{value:.3g}"
