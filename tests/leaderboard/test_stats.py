from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from opto_gym.leaderboard.stats import (
    compare_scores,
    curve,
    fewest_pairs,
    holm,
    improvement,
    improvement_interval,
    interval,
    iqm,
    look_level,
    mean,
    more_seeds,
    sign_flip_test,
    summarize,
    typical_interval,
)


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


def test_the_mean_is_along_the_last_axis_unless_told_otherwise():
    x = np.arange(6.0).reshape(2, 3)
    assert list(mean(x)) == [1.0, 4.0]
    assert list(mean(x, axis=0)) == [1.5, 2.5, 3.5]


def test_a_curve_has_its_ends_values_beyond_its_ends():
    x, mean, low, high = curve([[(1, 5.0), (2, 7.0), (3, 6.0)], [(0, 1.0), (4, 2.0)]])
    assert list(x) == [0, 1, 2, 3, 4]
    assert list(mean) == [3.0, 3.0, 4.0, 3.5, 4.0]
    assert (list(low), list(high)) == ([1, 1, 1, 1, 2], [5, 5, 7, 6, 6])


def test_curves_are_step_functions():
    x, mean, low, high = curve([[(0, 0.0), (2, 1.0)], [(0, 1.0), (1, 3.0)], []])
    assert list(x) == [0, 1, 2]
    assert list(mean) == [0.5, 1.5, 2.0]
    assert list(low) == [0, 0, 1]
    assert list(high) == [1, 3, 3]


@pytest.mark.parametrize("n", [2, 3, 5, 6, 9, 13])
def test_the_sign_flip_test_is_scipy_s_exact_permutation_test(n):
    rng = np.random.default_rng(n)
    for d in (rng.normal(0.5, size=n), rng.integers(-2, 3, size=n) / 10):
        p = scipy_stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flip_test(d) == pytest.approx(p)


def test_many_differences_take_random_flips():
    d = np.random.default_rng(0).normal(0.3, size=40)
    exact = scipy_stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=50_000, rng=np.random.default_rng(1)
    )
    assert sign_flip_test(d) == pytest.approx(exact.pvalue, abs=0.02)
    assert sign_flip_test(d) == sign_flip_test(d)
    assert sign_flip_test(d + 10) == pytest.approx(2 / 2**13)


@pytest.mark.parametrize("n", [6, 8, 11, 30])
def test_the_interval_is_what_the_test_does_not_refuse(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        d, w = rng.normal(size=n), rng.uniform(1, 3, size=n)
        for weights in (None, w):
            low, high = typical_interval(d, weights)
            for value in (low - 1e-6, low + 1e-6, high - 1e-6, high + 1e-6):
                assert (low <= value <= high) == (sign_flip_test(d - value, weights) > 0.05)


def test_five_pairs_have_no_interval_and_no_verdict():
    d = np.arange(1.0, 6.0)
    assert sign_flip_test(d) == 2 / 32
    assert typical_interval(d) is None
    assert sign_flip_test(np.ones(1)) == 1.0
    assert typical_interval(np.arange(1.0, 7.0)) == (1.0, 6.0)
    assert [fewest_pairs(0.05 / k) for k in (1, 2, 17)] == [6, 7, 10]
    for k in (1, 2, 17):
        n = fewest_pairs(0.05 / k)
        assert sign_flip_test(np.ones(n)) <= 0.05 / k < sign_flip_test(np.ones(n - 1))


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.05 / 3, 0.025, 0.025])  # the last two are not refused
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.05, 0.05 / 3, 0.025])  # all are
    assert holm([0.5]) == [0.05]


def test_all_looks_together_err_with_five_percent():
    assert sum(look_level(k) for k in range(1, 60)) == pytest.approx(0.05)
    assert fewest_pairs(look_level(1)) == 6


def test_the_probability_of_improvement_is_mann_whitney_s():
    rng = np.random.default_rng(0)
    x, y = rng.integers(5, size=9).astype(float), rng.integers(4, size=9).astype(float)
    assert improvement(x, y) == pytest.approx(scipy_stats.mannwhitneyu(x, y).statistic / 81)
    wilson = scipy_stats.binomtest(7, 7).proportion_ci(method="wilson")
    assert improvement_interval([(np.ones(7), np.zeros(7))]) == pytest.approx((wilson.low, wilson.high))
    half = scipy_stats.binomtest(7, 14).proportion_ci(method="wilson")
    assert improvement_interval([(np.ones(7), np.zeros(7)), (np.zeros(7), np.ones(7))]) == pytest.approx(
        (half.low, half.high)
    )


def test_more_seeds():
    assert more_seeds([np.zeros(4)]) is None
    assert more_seeds([np.full(3, 0.2)]) == 3
    assert more_seeds([np.full(3, 0.2)], level=0.05 / 17) == 7
    spread = scipy_stats.norm.ppf((np.arange(10) + 0.5) / 10)  # mean 0, spread 0.9
    small, large = (more_seeds([d + spread]) for d in (0.4, 0.8))
    assert large < small < 200
    assert more_seeds([0.4 + spread] * 4) < small  # more tasks, each with as many seeds
    # the first number that reaches the power: in the draws of seeds 6 and 8 exactly, and one more passes it
    assert [more_seeds([0.4 + spread], seed=k) for k in (0, 6, 8)] == [38, 37, 39]


def test_the_number_of_more_seeds_gives_the_promised_power():
    rng, told = np.random.default_rng(0), []
    d = rng.normal(size=12)
    d = 0.6 + (d - d.mean()) / d.std(ddof=1)  # exactly what more_seeds supposes of the truth
    more = more_seeds([d])
    for _ in range(200):
        told.append(sign_flip_test(np.concatenate([d, rng.normal(0.6, 1, size=more)])) <= 0.05)
    assert 0.65 < np.mean(told) < 0.95


def test_judge_answers():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3, 12))
    each, overall = compare_scores([(y[0] + 1, y[0]), (y[1] - 1, y[1]), (rng.normal(size=12), y[2])])
    assert [a.verdict for a in each] == ["better", "worse", "cannot tell yet"]
    assert overall.verdict == "cannot tell yet"
    assert all((a.low <= 0 <= a.high) == (a.verdict == "cannot tell yet") for a in each)
    assert each[2].more is not None
    assert each[0].more is None
    with pytest.raises(ValueError, match="at least one pair"):
        compare_scores([(y[0], y[1][:3])])


def test_the_clearest_difference_meets_the_strictest_level():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2, 12))
    each, _ = compare_scores([(y[0] + rng.normal(0, 0.1, size=12), y[0]), (y[1] + 1, y[1])])
    assert [a.level for a in each] == [look_level(1), look_level(1) / 2]
    assert each[0].p > each[1].p


def test_all_environments_weigh_the_same_however_many_pairs_they_have():
    rng = np.random.default_rng(2)
    differences = [rng.normal(0.8, size=4), rng.normal(0.2, size=7)]
    _, overall = compare_scores([(d, np.zeros(len(d))) for d in differences])
    assert overall.difference == pytest.approx(np.mean([d.mean() for d in differences]))
    flips = np.array(list(itertools.product([1, -1], repeat=11)))
    means = ((flips[:, :4] * differences[0]).mean(axis=1) + (flips[:, 4:] * differences[1]).mean(axis=1)) / 2
    assert overall.p == pytest.approx(np.mean(np.abs(means) >= abs(overall.difference) - 1e-12))


def test_an_answer_is_solid_once_it_is_told_or_a_spread_is_seen():
    def solid(*pairs):
        return compare_scores([(np.arange(1.0, n + 1), np.zeros(n)) for n in pairs])[1].solid

    assert [solid(1), solid(1, 1), solid(1, 2), solid(2)] == [False, False, True, True]
    assert solid(*[1] * 12)  # no spread within any, but a verdict


def simulation():
    path = Path(__file__).parents[2] / "scripts" / "make_comparing.py"
    spec = importlib.util.spec_from_file_location("make_comparing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_decides_as_judge_does():
    script, rng = simulation(), np.random.default_rng(0)
    word = {1: "better", -1: "worse", 0: "cannot tell yet"}
    for look in (1, 2):
        for _ in range(5):
            made = [script.normal(1.0)(rng, 10) for _ in range(3)]
            each, overall = compare_scores(made, look=look)
            decided = script.verdicts(made, look)
            assert [word[d] for d in decided[0]] == [a.verdict for a in each]
            assert word[decided[1]] == overall.verdict


@pytest.mark.slow
def test_error_rates_power_and_coverage():
    script = simulation()
    for name in list(script.EQUAL)[:-2]:  # those that could change places
        assert script.rates(script.EQUAL[name], 10, repeats=800)["any"] <= 0.05, name
        assert script.rates(script.EQUAL[name], 10, environments=5, repeats=200)["any"] <= 0.08, name
        assert script.rates(script.EQUAL[name], 5, environments=5, repeats=400)["overall"] <= 0.06, name
    strong = script.rates(script.normal(2.0), 10, repeats=300)
    assert strong["better"] > 0.9
    assert strong["worse"] == 0
    assert script.rates(script.normal(0.5), 6, environments=10, repeats=200)["overall better"] > 0.7
    for n, tasks in ((6, 1), (10, 1), (3, 5)):
        assert min(script.coverage(n, tasks, 1.0, repeats=500)) > 0.92
    assert script.advice(0.0, 6, repeats=300)["in all"] <= 0.08
