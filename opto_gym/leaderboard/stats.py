"""Statistics over trials, on numpy and scipy, seeded.

What is reported: mean, median, interquartile mean (the mean of the middle half, Agarwal et al., NeurIPS 2021) and its
95 % percentile bootstrap interval. Such an interval is too narrow for few trials: over 2,000 simulated samples of
normal scores the nominal 95 % covered 0.73 with 3 trials, 0.90 with 5, 0.93 with 10 and 0.94 with 20. Three seeds are a
smoke run, five the least to publish, ten for a claim.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What is said of several trials' scores; None where there are too few.

    Attributes:
        n: Number of trials.
        mean: Mean.
        median: Median.
        iqm: Interquartile mean.
        low: Lower end of the interquartile mean's interval.
        high: Upper end.
    """

    n: int
    mean: float | None
    median: float | None
    iqm: float | None
    low: float | None
    high: float | None


def iqm(scores: Array, axis: int = -1) -> Any:
    """The mean without the lowest and the highest quarter (rounded down)."""
    from scipy import stats

    return stats.trim_mean(scores, 0.25, axis=axis)


def mean(scores: Array, axis: int = -1) -> Any:
    """The mean."""
    return scores.mean(axis=axis)


def interval(
    scores: Sequence[float] | Array, *, of: Callable[..., Any] = iqm, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """The percentile bootstrap interval of the interquartile mean, or `of` the mean; None for fewer than two scores."""
    x = np.asarray(scores, dtype=np.float64)
    if len(x) < 2:
        return None
    draws = np.random.default_rng(seed).integers(len(x), size=(RESAMPLES, len(x)))
    means = of(x[draws], axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarize(scores: Sequence[float], *, seed: int = 0) -> Summary:
    """The summary of scores."""
    if not len(scores):
        return Summary(0, None, None, None, None, None)
    x = np.asarray(scores, dtype=np.float64)
    low, high = interval(scores, seed=seed) or (None, None)
    return Summary(len(x), float(x.mean()), float(np.median(x)), float(iqm(x)), low, high)


def curve(points: Sequence[Sequence[tuple[float, float]]]) -> tuple[Array, Array, Array, Array]:
    """Anytime curves of several trials as one: (x, mean, lowest, highest).

    Each trial is a step function: from x on it has the value y, until its next point; before its first point its first
    value, after its last point its last.

    Args:
        points: For each trial (x, y) in order of x.
    """
    trials = [p for p in points if p]
    xs = np.unique(np.array([x for p in trials for x, _ in p], dtype=np.float64))
    rows = []
    for p in trials:
        x, y = np.array([q[0] for q in p]), np.array([q[1] for q in p], dtype=np.float64)
        rows.append(y[np.clip(np.searchsorted(x, xs, side="right") - 1, 0, len(y) - 1)])
    values = np.array(rows)
    return xs, values.mean(0), values.min(0), values.max(0)
