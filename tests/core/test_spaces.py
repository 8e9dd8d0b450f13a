from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym import Choice, Code, Number, Permutation, Prompt
from opto_gym.problems import TraceSpace
from opto_gym.spaces import space_from_dict

SPACES = [
    Number(), Number(0, 1), Number(-5, 5, integer=True), Number(low=2), Number(high=-7, integer=True), Number(1e6, 1e7),
    Choice(["a", "b"]), Choice([1, 2, True]), Prompt(), Prompt(30), Code("act(map, plan)"), Code("f(x, *rest)"),
    Permutation(2), Permutation(20), TraceSpace(),
]  # fmt: skip
ids = [repr(s) for s in SPACES]


@pytest.mark.parametrize("space", SPACES, ids=ids)
def test_samples_are_inside_and_seeded(space):
    space.seed(0)
    first = [space.sample() for _ in range(20)]
    space.seed(0)
    assert [space.sample() for _ in range(20)] == first
    assert all(x in space for x in first)
    assert space.describe()


@pytest.mark.parametrize("space", SPACES, ids=ids)
@given(
    x=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers()))
)
def test_membership_never_raises_and_agrees_with_invalid_reason(space, x):
    assert (x in space) == (space.invalid_reason(x) is None)


@pytest.mark.parametrize("space", SPACES[:-1], ids=ids[:-1])
def test_json_both_ways(space):
    again = space_from_dict(json.loads(json.dumps(space.to_dict(), allow_nan=False)))
    assert again == space
    assert repr(again) == repr(space)


def test_unequal_spaces():
    assert Number(0, 1) != Number(0, 2)
    assert Number(0, 1) != Prompt()
    assert Code("f(x)") != Code("g(x)")


@pytest.mark.parametrize(
    ("space", "value", "said"),
    [
        (Number(0, 1), 2, r"\[0, 1\], got 2"),
        (Number(), math.nan, "finite"),
        (Number(), True, "bool"),
        (Number(integer=True), 1.5, "whole"),
        (Number(), "1", "str"),
        (Choice(["a"]), "b", r"\['a'\], got 'b'"),
        (Permutation(3), "012", "list .* 0 to 2, got str"),
        (Permutation(3), [0, 1.0, 2], r"from 0 to 2, got 1\.0"),
        (Permutation(3), [0, 1, True], "got True"),
        (Permutation(3), [0, 1, 3], "from 0 to 2, got 3"),
        (Permutation(3), [0, 1, 1], r"missing: \[2\], more than once: \[1\]"),
        (Permutation(3), [], r"missing: \[0, 1, 2\]"),
        (Permutation(3), [0] * 10**6, "more than once"),
        (Prompt(3), "four", "at most 3 characters, got 4"),
        (Prompt(), "\ud800", "surrogate"),
        (Code("f(x)"), "  ", r"defines f\(x\)"),
        (Code("f(x)"), 5, "Python code as text, got int"),
    ],
)
def test_invalid_reason_says_what_was_expected_and_what_came(space, value, said):
    assert space.contains(value) is False
    assert re.search(said, space.invalid_reason(value))


def test_numbers_may_be_numpy_s():
    assert np.float64(0.5) in Number(0, 1)
    assert np.int32(3) in Number(integer=True)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Number(1, 1),
        lambda: Choice([]),
        lambda: Permutation(1),
        lambda: Permutation(3.0),
        lambda: Code("not a signature("),
        lambda: space_from_dict({"kind": "?"}),
    ],
)
def test_impossible_spaces_are_refused(bad):
    with pytest.raises(ValueError, match="expected"):
        bad()
