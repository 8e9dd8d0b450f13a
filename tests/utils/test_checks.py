from __future__ import annotations

import math

import pytest

from opto_gym.llm import LIMITS
from opto_gym.utils.checks import AMOUNTS, COUNTS, at_least, budget_limits, number_in, one_of, seed_list


def test_settings():
    at_least(1, n=1, m=5)
    number_in("(0, 1]", p=1, q=0.5)
    one_of(["a", "b"], x="a")
    for bad in (0, 1.0, True, "1", None):
        with pytest.raises(ValueError, match="expected n to be a whole number of 1 or more, got"):
            at_least(1, n=bad)
    for bad in (0, 1.5, math.nan, True, "1"):
        with pytest.raises(ValueError, match=r"expected p to be a number in \(0, 1\], got"):
            number_in("(0, 1]", p=bad)
    with pytest.raises(ValueError, match="expected x to be one of 'alpha', 'beta', got 'alpa'; did you mean 'alpha'"):
        one_of(["alpha", "beta"], x="alpa")


def test_seeds():
    assert seed_list(3) == [0, 1, 2]
    assert seed_list([7, 0]) == [7, 0]
    assert seed_list(range(2, 4)) == [2, 3]


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (0, "at least one seed, got 0"),
        (-3, "at least one seed, got -3"),
        ([], "at least one seed, got an empty list"),
        ([1, 1], "seeds that differ, got 1 more than once"),
        ([0, 2, 1, 2, 0], "got 0, 2 more than once"),
        ([1, -1], "seed to be a whole number of 0 or more, got -1"),
        ([1.5], "seed to be a whole number of 0 or more, got 1.5"),
        ([True], "got True"),
        (True, "a number of seeds, or a list of seeds, got True"),
        (2.0, "a number of seeds, or a list of seeds, got 2.0"),
        ("12", "a number of seeds, or a list of seeds, got '12'"),
        (None, "a number of seeds, or a list of seeds, got None"),
    ],
)
def test_wrong_seeds(seeds, message):
    with pytest.raises(ValueError, match=message):
        seed_list(seeds)


def test_budgets_have_the_limits_of_the_language_model_s_budget():
    assert {*COUNTS, *AMOUNTS} == set(LIMITS)
    assert budget_limits({"oracle_calls": 5.0, "usd": 0, "seconds": 0.5, "tokens": None, "llm_calls": 0}) == {
        "oracle_calls": 5,
        "usd": 0,
        "seconds": 0.5,
        "llm_calls": 0,
    }


@pytest.mark.parametrize("name", [*COUNTS, *AMOUNTS])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "5", True, [1]])
def test_amounts_that_no_limit_can_be(name, value):
    with pytest.raises(ValueError, match=f"expected {name} "):
        budget_limits({name: value})


def test_counts_are_whole_and_some_at_least_1():
    for name, least in COUNTS.items():
        with pytest.raises(ValueError, match=f"expected {name} to be a whole number, got 2.5"):
            budget_limits({name: 2.5})
        with pytest.raises(ValueError, match=f"expected {name} of at least {least}, got {least - 1}"):
            budget_limits({name: least - 1})
    with pytest.raises(ValueError, match=r"expected limits of oracle_calls, .*, got 'calls'"):
        budget_limits({"calls": 1})
