"""Statistics over trials, computed with numpy and scipy. Every random draw is seeded.

An agent's scores are reported as the mean, the median, and the interquartile mean (the mean of the middle half, Agarwal
et al., NeurIPS 2021) with its 95 % percentile bootstrap interval. That interval is too narrow for few trials: over
2,000 simulated samples of normal scores, the nominal 95 % interval covered the true value with probability 0.73 for 3
trials, 0.90 for 5, 0.93 for 10 and 0.94 for 20. Use three seeds for a smoke run, at least five for publication, and ten
to support a claim.

Two agents are compared by paired trials, where both trials of a pair have the same seed (`compare_scores`). The
comparison consists of an exact sign-flip test of the mean difference with the matching interval, the probability of
improvement, Holm's correction for several environments, a smaller significance level for each further analysis of the
same question, and an estimate of how many more seeds a verdict needs. docs/comparing.md has the measured error rates.
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
    """Summary statistics of several trials' scores; a statistic is None where there are too few trials.

    Attributes:
        n: Number of trials.
        mean: Mean.
        median: Median.
        iqm: Interquartile mean.
        low: Lower end of the 95 % interval of the interquartile mean.
        high: Upper end of that interval.
    """

    n: int
    mean: float | None
    median: float | None
    iqm: float | None
    low: float | None
    high: float | None


def iqm(scores: Array, axis: int = -1) -> Any:
    """The interquartile mean: the mean without the lowest and the highest quarter of the scores.

    The number of scores that are left out at each end is rounded down.

    Args:
        scores: Scores, of any shape.
        axis: The axis to average over.
    """
    from scipy import stats

    return stats.trim_mean(scores, 0.25, axis=axis)


def mean(scores: Array, axis: int = -1) -> Any:
    """The mean along an axis, with the same signature as `iqm`."""
    return scores.mean(axis=axis)


def interval(
    scores: Sequence[float] | Array, *, of: Callable[..., Any] = iqm, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """The percentile bootstrap interval of a statistic, from `RESAMPLES` resamples.

    Args:
        scores: Scores, shape (n,).
        of: The statistic: `iqm` or `mean`.
        seed: Seed of the resampling.
        level: Nominal coverage.

    Returns:
        (lower end, upper end), or None for fewer than two scores.
    """
    x = np.asarray(scores, dtype=np.float64)
    if len(x) < 2:
        return None
    draws = np.random.default_rng(seed).integers(len(x), size=(RESAMPLES, len(x)))
    means = of(x[draws], axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarize(scores: Sequence[float], *, seed: int = 0) -> Summary:
    """Computes the `Summary` of scores.

    Args:
        scores: Scores, shape (n,); n may be 0.
        seed: Seed of the bootstrap.
    """
    if not len(scores):
        return Summary(0, None, None, None, None, None)
    x = np.asarray(scores, dtype=np.float64)
    low, high = interval(scores, seed=seed) or (None, None)
    return Summary(len(x), float(x.mean()), float(np.median(x)), float(iqm(x)), low, high)


def curve(points: Sequence[Sequence[tuple[float, float]]]) -> tuple[Array, Array, Array, Array]:
    """Combines the anytime curves of several trials.

    Each trial is a step function: from a point (x, y) on it has the value y, until its next point. It has the value of
    its first point before that point, and the value of its last point after that point.

    Args:
        points: For each trial, its points (x, y) in order of x. Trials without points are ignored.

    Returns:
        (x, mean, lowest, highest), each of shape (k,), where k is the number of distinct x.
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
"""Scores of two optimizers, shape (n,) each; scores at the same index come from the same seed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """Whether one optimizer is better than another.

    Attributes:
        verdict: ``better``, ``worse`` or ``cannot tell yet``.
        n: Number of pairs of trials.
        difference: Mean of the paired differences; over several environments, the mean of their means.
        low: Lower end of the interval of `difference`, with coverage 1 - `level`; None if there are too few pairs for
            an interval.
        high: Upper end of that interval.
        p: p-value of the two-sided test.
        level: The significance level that `p` is compared with.
        improvement: Probability of improvement.
        chance: The 95 % interval of `improvement`.
        more: Approximate number of further seeds that a verdict needs; None if there is a verdict already, or if more
            than `MOST` seeds are needed.
        solid: False if `more` is only the smallest number that can give a verdict, because a single pair shows no
            spread.
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
    """The significance level of one look, that is, of one analysis of the same question after seeds were added.

    If every look used the level 5 %, adding seeds until there is a verdict would give a wrong verdict far more often
    than in 5 % of cases. The levels of all looks therefore add up to `ALPHA` at most. The first look has 5/8 of
    `ALPHA`, so that 6 pairs can give a verdict; each later look has half of what is left.

    Args:
        look: The number of the look, from 1.
    """
    return ALPHA * (5 / 8 if look == 1 else 3 / 8 / 2 ** (look - 1))


def compare_scores(environments: Sequence[Pairs], *, look: int = 1, seed: int = 0) -> tuple[list[Answer], Answer]:
    """Decides for each environment, and over all environments, whether an optimizer is better than a baseline.

    The levels of the environments are corrected for their number by `holm`. The answer over all environments is a
    separate question with its own level.

    Args:
        environments: For each environment (scores of the optimizer in question, scores of the baseline), of shape (n,)
            each, normalized, higher is better.
        look: The number of this analysis of the question, from 1; see `look_level`.
        seed: Seed of all random draws.

    Returns:
        (the answer for each environment, the answer over all environments).

    Raises:
        ValueError: If there is no environment, or if an environment has no pairs or differing numbers of scores.
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

    If the differences are symmetric about a value θ, then θ is equally likely to lie in each of the gaps between these
    means (Hartigan, "Using Subsample Values as Typical Values", JASA 1969). Flipping the signs of a subset's
    differences leaves a sum at least as large as the observed one exactly if the subset's mean is not positive.
    Therefore both the sign-flip test and its interval follow from these means.

    Args:
        d: Differences, shape (n,).
        weights: Positive weights, shape (n,); equal by default.
        seed: Seed of the random subsets, which are used for more than 13 differences.

    Returns:
        The means in ascending order, shape (2ⁿ - 1,) or at most (`SUBSETS`,).
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
    """The two-sided p-value of the paired permutation test of the mean; exact for up to 13 differences.

    Under the null hypothesis the optimizer and the baseline are exchangeable within each seed. n pairs can be exchanged
    in 2ⁿ ways, hence p is at least 2/2ⁿ: 0.0625 for 5 pairs, 0.031 for 6.

    Args:
        d: Differences, shape (n,).
        weights: Positive weights, shape (n,); equal by default.
        seed: Seed of the random subsets, see `subset_means`.
    """
    means = subset_means(d, weights, seed=seed)
    rounding = 1e-12 * float(np.abs(d).max())
    fewer = min(np.count_nonzero(means <= rounding), np.count_nonzero(means >= -rounding))
    return float(min(1.0, 2 * (1 + fewer) / (1 + len(means))))


def typical_interval(
    d: Array, weights: Array | None = None, *, level: float = ALPHA, seed: int = 0
) -> tuple[float, float] | None:
    """The interval of the mean difference: all values that `sign_flip_test` does not reject at a level.

    The interval covers the centre of symmetric differences with probability at least 1 - `level`.

    Args:
        d: Differences, shape (n,).
        weights: Positive weights, shape (n,); equal by default.
        level: Significance level.
        seed: Seed of the random subsets, see `subset_means`.

    Returns:
        (lower end, upper end), or None if n is too small: 5 pairs have no 95 % interval, whatever their values.
    """
    means = subset_means(d, weights, seed=seed)
    out = int(level / 2 * (1 + len(means)) + 1e-9)
    return None if out < 1 else (float(means[out - 1]), float(means[-out]))


def fewest_pairs(level: float = ALPHA) -> int:
    """The smallest number of pairs with which the sign-flip test can reject at a level: 6 at 5 %, 10 at 5 % / 17."""
    return int(np.ceil(1 - np.log2(level) - 1e-9))


def holm(p: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The significance level of each of several tests, such that their family-wise error is `alpha` (Holm 1979).

    The smallest of k p-values is compared with alpha / k, the next with alpha / (k - 1), and so on. From the first
    hypothesis that is not rejected, all remaining ones keep that level. A hypothesis is rejected if its p-value is at
    most its level.

    Args:
        p: p-values, shape (k,).
        alpha: Family-wise error rate.

    Returns:
        The levels in the order of `p`.
    """
    levels, left, going = [alpha] * len(p), len(p), True
    for i in np.argsort(p, kind="stable"):
        levels[i] = alpha / left
        going = going and p[i] <= levels[i]
        left -= going
    return levels


def improvement(x: Array, y: Array) -> float:
    """The probability that a trial of x scores higher than a trial of y, where a tie counts one half.

    It is computed over all combinations of a trial of x and a trial of y, as in Agarwal et al., "Deep Reinforcement
    Learning at the Edge of the Statistical Precipice", NeurIPS 2021. It equals the Mann-Whitney statistic divided by
    its largest value.

    Args:
        x: Scores, shape (n,).
        y: Scores, shape (m,).
    """
    return float((np.sign(x[:, None] - y).mean() + 1) / 2)


def improvement_interval(environments: Sequence[Pairs], *, level: float = ALPHA) -> tuple[float, float]:
    """An interval of the mean probability of improvement that is valid for few seeds.

    It is Wilson's interval for a binomial proportion with as many trials as there are pairs; the true variance is at
    most the binomial one. With few seeds it keeps its coverage, which the percentile bootstrap does not: for 3 wins out
    of 3, the bootstrap interval has length zero.

    Args:
        environments: As for `compare_scores`.
        level: 1 - the nominal coverage.

    Returns:
        (lower end, upper end).
    """
    from scipy import stats

    p = float(np.mean([improvement(x, y) for x, y in environments]))
    n = len(environments) ** 2 / sum(1 / len(x) for x, _ in environments)
    z = float(stats.norm.ppf(1 - level / 2))
    middle, half = p + z * z / (2 * n), z * float(np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def more_seeds(differences: Sequence[Array], *, level: float = ALPHA, seed: int = 0) -> int | None:
    """The approximate number of further seeds per environment that give a verdict with probability `POWER`.

    The number comes from a simulation. It adds pairs that are drawn from the recorded ones, with their deviations from
    the mean scaled by √(n / (n - 1)), because a sample underestimates the spread. The simulation assumes that the true
    difference and spread are those seen so far, so the number is rough if there are few pairs. It uses the normal
    approximation of the sign-flip test, together with the smallest number of pairs that the test needs.

    Args:
        differences: Paired differences of each environment, shape (n,) each.
        level: Significance level of the test.
        seed: Seed of the simulation.

    Returns:
        The number of seeds, or None if it is more than `MOST`.
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
