"""Statistics over trials, on numpy and scipy, seeded.

What is reported of an agent: mean, median, interquartile mean (the mean of the middle half, Agarwal et al., NeurIPS
2021) and its 95 % percentile bootstrap interval. Such an interval is too narrow for few trials: over 2,000 simulated
samples of normal scores the nominal 95 % covered 0.73 with 3 trials, 0.90 with 5, 0.93 with 10 and 0.94 with 20. Three
seeds are a smoke run, five the least to publish, ten for a claim.

Two agents are compared by pairs of trials with the same seed (`compare_scores`): an exact sign-flip test of the mean
difference with the interval that belongs to it, the probability of improvement, Holm's correction for several
environments, a lower level for each further look, and an estimate of how many more seeds an open question takes.
docs/comparing.md has the error rates.
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


# Comparisons of two optimizers -------------------------------------------------------------------------------------


ALPHA, POWER, MOST = 0.05, 0.8, 1_000
SUBSETS = 2**13 - 1
Pairs = tuple[Array, Array]
"""Scores of two optimizers, shape (n,) each; those at the same place had the same seed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """Whether one optimizer is better than another.

    Attributes:
        verdict: ``better``, ``worse`` or ``cannot tell yet``.
        n: Pairs of trials.
        difference: Mean of the paired differences; over environments, the mean of their means.
        low: Lower end of its interval at the level `level`; None where too few pairs give none.
        high: Upper end.
        p: Of the two-sided test.
        level: What p is compared with.
        improvement: Probability of improvement.
        chance: Its 95 % interval.
        more: About how many more seeds give a verdict; None where there is one already, or where `MOST` are too few.
        solid: False where `more` is only the fewest that can give a verdict: one pair shows no spread.
    """

    verdict: str
    n: int
    difference: float
    low: float | None
    high: float | None
    p: float
    level: float
    improvement: float
    chance: tuple[float, float]
    more: int | None
    solid: bool = True


def look_level(look: int) -> float:
    """What a look at one question may err, so that all looks together err with probability `ALPHA` at most.

    Adding seeds until a verdict comes would err far more often than 5 %, were each look at 5 %. The first look has 5/8
    of it, so that 6 pairs can tell; each later one half of what is left.
    """
    return ALPHA * (5 / 8 if look == 1 else 3 / 8 / 2 ** (look - 1))


def compare_scores(environments: Sequence[Pairs], *, look: int = 1, seed: int = 0) -> tuple[list[Answer], Answer]:
    """Answers for each environment, corrected for their number, and for all together, which is one more question.

    Args:
        environments: (scores of the optimizer in question, scores of the baseline), normalized, higher is better.
        look: The number of this look at the question, from 1; see `look_level`.
        seed: Of all that is drawn.

    Raises:
        ValueError: If there is no environment, or one has no pairs, or not as many of the one as of the other.
    """
    if not environments or any(len(x) != len(y) or not len(x) for x, y in environments):
        shapes = [(len(x), len(y)) for x, y in environments]
        raise ValueError(f"expected at least one pair of scores for each environment, got {shapes}")
    p = [sign_flip_test(x - y, seed=seed) for x, y in environments]
    levels = holm(p, look_level(look))
    each = [_answer([pairs], level, look, seed) for pairs, level in zip(environments, levels, strict=True)]
    return each, _answer(environments, look_level(look), look, seed)


def _answer(environments: Sequence[Pairs], level: float, look: int, seed: int) -> Answer:
    differences = [x - y for x, y in environments]
    weights = np.concatenate([np.full(len(d), 1 / len(d)) for d in differences])
    together = np.concatenate(differences)
    p = sign_flip_test(together, weights, seed=seed)
    difference = float(np.mean([d.mean() for d in differences]))
    told = p <= level
    next_level = level * look_level(look + 1) / look_level(look)
    low, high = typical_interval(together, weights, level=level, seed=seed) or (None, None)
    return Answer(
        "cannot tell yet" if not told else "better" if difference > 0 else "worse",
        len(together),
        difference,
        low,
        high,
        p,
        level,
        float(np.mean([improvement(x, y) for x, y in environments])),
        improvement_interval(environments),
        None if told else more_seeds(differences, level=next_level, seed=seed),
        told or any(len(d) > 1 for d in differences),
    )


def subset_means(d: Array, weights: Array | None = None, *, seed: int = 0) -> Array:
    """The weighted means of the nonempty subsets of differences, sorted: all of them, or `SUBSETS` random ones.

    If differences are symmetric about a value θ, then θ is equally likely to lie in each of the gaps between
    these means (Hartigan, "Using Subsample Values as Typical Values", JASA 1969). Flipping the signs of a subset's
    differences leaves a sum as large as the observed one exactly where that subset's mean is not positive, so that the
    sign-flip test and its interval are both read off these means.

    Args:
        d: Differences, shape (n,).
        weights: Positive, shape (n,); equal by default.
        seed: Of the random subsets, which more than 13 differences need.
    """
    n = len(d)
    w = np.ones(n) if weights is None else weights
    if 2**n - 1 <= SUBSETS:
        chosen = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    else:
        chosen = np.random.default_rng(seed).integers(2, size=(SUBSETS, n), dtype=np.int8)
        chosen = chosen[chosen.any(axis=1)]
    chosen = chosen.astype(np.float64)
    return np.sort(chosen @ (w * d) / (chosen @ w))


def sign_flip_test(d: Array, weights: Array | None = None, *, seed: int = 0) -> float:
    """The two-sided p of the paired permutation test of the mean: exact for up to 13 differences.

    Under no difference, an optimizer and the baseline could change places within each seed. n pairs have 2ⁿ ways to do
    so, hence p is 2/2ⁿ at least: 0.0625 with 5 pairs, 0.031 with 6.
    """
    means = subset_means(d, weights, seed=seed)
    rounding = 1e-12 * float(np.abs(d).max())
    fewer = min(np.count_nonzero(means <= rounding), np.count_nonzero(means >= -rounding))
    return float(min(1.0, 2 * (1 + fewer) / (1 + len(means))))


def typical_interval(
    d: Array, weights: Array | None = None, *, level: float = ALPHA, seed: int = 0
) -> tuple[float, float] | None:
    """The interval of the mean difference that holds all that `sign_flip_test` does not refuse at a level.

    Covers the centre of symmetric differences with probability 1 - `level` at least. None where n is too small: 5 pairs
    have no 95 % interval, however they lie.
    """
    means = subset_means(d, weights, seed=seed)
    out = int(level / 2 * (1 + len(means)) + 1e-9)
    return None if out < 1 else (float(means[out - 1]), float(means[-out]))


def fewest_pairs(level: float = ALPHA) -> int:
    """How many pairs the sign-flip test needs to be able to refuse anything at a level: 6 at 5 %, 10 at 5 % / 17."""
    return int(np.ceil(1 - np.log2(level) - 1e-9))


def holm(p: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level that each of several tests is compared with, so that all hold together at `alpha` (Holm 1979).

    The smallest p is compared with alpha / k, the next with alpha / (k - 1), and so on; where the first is not refused,
    all that are left stay at that level. A test is refused where its p is at most its level.
    """
    levels, left, going = [alpha] * len(p), len(p), True
    for i in np.argsort(p, kind="stable"):
        levels[i] = alpha / left
        going = going and p[i] <= levels[i]
        left -= going
    return levels


def improvement(x: Array, y: Array) -> float:
    """The probability of improvement: that a trial of x scores higher than one of y, ties counted half.

    Over all pairs of trials, as in Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
    Precipice", NeurIPS 2021; the Mann-Whitney statistic over its largest value.
    """
    return float((np.sign(x[:, None] - y).mean() + 1) / 2)


def improvement_interval(environments: Sequence[Pairs], *, level: float = ALPHA) -> tuple[float, float]:
    """An interval of the mean probability of improvement, for trials of few seeds.

    Wilson's, as if it were a share of as many successes as there are pairs: the true variance is at most that. With few
    seeds this covers, where the percentile bootstrap does not: that of 3 wins of 3 ends where it begins.
    """
    from scipy import stats

    p = float(np.mean([improvement(x, y) for x, y in environments]))
    n = len(environments) ** 2 / sum(1 / len(x) for x, _ in environments)
    z = float(stats.norm.ppf(1 - level / 2))
    middle, half = p + z * z / (2 * n), z * float(np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def more_seeds(differences: Sequence[Array], *, level: float = ALPHA, seed: int = 0) -> int | None:
    """About how many more seeds an environment give a verdict with probability `POWER`; None for more than `MOST`.

    By simulation: to the recorded pairs come more, drawn from them, their spread about the mean stretched by
    √(n / (n - 1)) as a sample shows too little of it. What is supposed is that the true difference and spread are those
    seen so far, so that the answer is rough where these are few. The simulated test is the sign-flip test's normal
    form, with its fewest pairs.

    Args:
        differences: Paired differences of each environment.
        level: Of the test.
        seed: Of the simulation.
    """
    rng = np.random.default_rng(seed)
    repeats, more = 200, np.arange(1, MOST + 1)
    total, square = np.zeros((repeats, MOST)), np.zeros((repeats, MOST))
    for d in differences:
        stretch = np.sqrt(len(d) / max(1, len(d) - 1))
        new = d.mean() + stretch * (rng.choice(d, size=(repeats, MOST)) - d.mean())
        n = len(d) + more
        total += (d.sum() + new.cumsum(axis=1)) / n
        square += (d @ d + (new * new).cumsum(axis=1)) / n**2
    from scipy import stats

    pairs = sum(map(len, differences)) + len(differences) * more
    told = (total**2 > stats.norm.ppf(1 - level / 2) ** 2 * square) & (pairs >= fewest_pairs(level))
    enough = np.flatnonzero(told.mean(axis=0) >= POWER)
    return int(more[enough[0]]) if len(enough) else None
