from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from opto_gym.leaderboard.stats import curve, interval, iqm, summarize


def test_the_interquartile_mean_is_scipy_s():
    x = np.random.default_rng(0).normal(size=21)
    assert iqm(x) == pytest.approx(scipy_stats.trim_mean(x, 0.25))
    assert iqm(np.array([1.0, 2.0, 3.0, 100.0])) == pytest.approx(2.5)


def test_the_interval_is_scipy_s_percentile_bootstrap():
    x = np.random.default_rng(1).normal(size=15)
    ours = interval(list(x))
    theirs = scipy_stats.bootstrap(
        (x,), lambda a, axis: scipy_stats.trim_mean(a, 0.25, axis=axis), method="percentile", n_resamples=20_000, rng=0
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_intervals_are_seeded_and_need_two():
    x = list(np.random.default_rng(2).normal(size=9))
    assert interval(x) == interval(x)
    assert interval(x) != interval(x, seed=1)
    assert interval([0.5]) is None
    assert summarize([0.5]).low is None
    assert summarize([]).mean is None


@pytest.mark.parametrize(("n", "covered"), [(3, 0.73), (5, 0.90), (10, 0.93), (20, 0.94)])
def test_coverage_is_as_documented(n, covered):
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(600, n))
    draws = rng.integers(n, size=(400, n))
    ends = np.quantile(iqm(samples[:, draws], axis=2), [0.025, 0.975], axis=1)
    assert np.mean((ends[0] <= 0) & (ends[1] >= 0)) == pytest.approx(covered, abs=0.05)


def test_curves_are_step_functions():
    x, mean, low, high = curve([[(0, 0.0), (2, 1.0)], [(0, 1.0), (1, 3.0)], []])
    assert list(x) == [0, 1, 2]
    assert list(mean) == [0.5, 1.5, 2.0]
    assert list(low) == [0, 0, 1]
    assert list(high) == [1, 3, 3]
