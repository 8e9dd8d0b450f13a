"""No example is in two splits, and an index that a split does not have is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym import registered_envs, spec
from opto_gym.envs.function import from_function
from opto_gym.registration import make
from opto_gym.splits import shared_example
from opto_gym.trace import parameter
from tests.support.tasks import Adder, Valley

NESTED = {"input": ["a", {"b": None}], "target": "x"}


def with_splits(instance=False, overlapping=False, **splits):
    class Task(Adder):
        pass

    Task.splits, Task.instance, Task.overlapping_splits = splits, instance, overlapping
    return Task


OVERLAPPING = {
    "the same object": dict.fromkeys(("train", "test"), (None,)),
    "ranges": {"train": range(100), "test": range(99, 200)},
    "ranges with steps": {"train": range(0, 1000, 6), "test": range(999, 500, -15)},
    "a range and a list": {"train": range(10**9), "test": [5, 10**10]},
    "a list and a range": {"train": [[1], 7], "test": range(7, 8)},
    "unhashable examples": {"train": [NESTED, 1], "test": [2, dict(reversed(NESTED.items()))]},
    "a tuple and a list": {"train": [(1, 2)], "test": [[1, 2]]},
    "texts": {"train": ["one", "two"], "test": ["two"]},
    "val and test": {"train": [0], "val": [1, 2], "test": [2]},
    "val and train": {"train": [0], "val": [0, 2], "test": [3]},
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_overlapping_splits_are_refused_when_the_environment_is_made(name):
    splits = OVERLAPPING[name]
    with pytest.raises(ValueError, match=r"Task: expected splits without common examples, but \w+ and \w+ share"):
        with_splits(**splits)()
    with_splits(instance=True, **splits)()
    with_splits(overlapping=True, **splits)()


@pytest.mark.parametrize(
    "splits",
    [
        {"train": range(10), "test": range(10, 20)},
        {"train": range(0, 100, 2), "test": range(1, 100, 2)},
        {"train": range(0), "test": range(5)},
        {"train": [True, 1.0], "test": [1, None]},
        {"train": [object], "test": [object]},  # not plain data: equal to nothing
        {"train": [{1: 2, "a": 3}], "test": [{"a": 3, 1: 2}]},
        {"train": [0], "val": [1], "test": [2]},
        {"train": [0, 1]},
    ],
)
def test_splits_without_common_examples_are_accepted(splits):
    with_splits(**splits)()


@given(*[st.builds(range, *[st.integers(-40, 40)] * 2, st.integers(-7, 7).filter(bool))] * 2)
def test_ranges_are_compared_as_their_numbers_would_be(one, other):
    shared = min(set(one) & set(other), default=None)
    assert shared_example(one, other) == (None if shared is None else str(shared))


def test_a_program_of_one_s_own_is_tested_on_its_training_examples_unless_others_are_given():
    x = parameter(1.0, "x")

    def program(example):
        return x * example

    def judge(output, example):
        return output

    assert from_function(program, judge, parameters=[x], examples=[1, 2]).splits["test"] == [1, 2]
    with pytest.raises(ValueError, match="share 2"):
        from_function(program, judge, parameters=[x], examples=[1, 2], test=[2, 3])


@pytest.mark.parametrize("name", [n for n in registered_envs() if not n.startswith(("BBH", "GSM8K", "MMLU"))])
def test_every_registered_environment_keeps_its_splits_apart_or_has_one_case(name):
    env = make(name).unwrapped
    assert not env.overlapping_splits
    assert env.instance or not shared_example(env.splits["train"], env.splits["test"])


@pytest.mark.parametrize("name", [n for n in registered_envs() if n.startswith(("BBH", "GSM8K", "MMLU"))])
def test_every_sample_of_a_data_set_keeps_its_splits_apart(name):
    assert "data" in spec(name).kwargs or make(name, data="sample").unwrapped.splits


@pytest.mark.parametrize(
    ("split", "size", "index"),
    [("train", 50, 50), ("train", 50, -51), ("val", 2, 2), ("val", 2, -3), ("test", 5, 10**30), ("test", 5, -6)],
)
@pytest.mark.parametrize("integer", [int, np.int64, np.int8, lambda k: np.array([k])[0]])
def test_an_index_out_of_range_is_named_with_its_split_and_size(split, size, index, integer):
    try:
        given = integer(index)
    except OverflowError:
        return
    message = (
        rf"Adder: the split '{split}' has {size} examples, so that an index is from -{size} to {size - 1}; got {index}$"
    )
    env = Adder()
    with pytest.raises(IndexError, match=message):
        env.evaluate(env.problem.start, split=split, examples=[0, given])


def test_a_split_of_one_example_is_named_as_such():
    with pytest.raises(IndexError, match=r"the split 'train' has 1 example, so that an index is from -1 to 0; got 5"):
        Valley().evaluate({"x": 1}, examples=[5])


def test_indices_may_count_from_the_end_as_python_s():
    env = Adder()
    last = env.evaluate(env.problem.start, split="test", examples=[-1])
    assert last.graph == env.evaluate(env.problem.start, split="test", examples=[4]).graph


def test_examples_that_draw_gives_are_checked_too():
    class Beyond(Adder):
        def draw(self, seed, call, last=None):
            return [0, 50]

    with pytest.raises(IndexError, match="Beyond: the split 'train' has 50 examples"):
        Beyond().reset(seed=0)


def test_nothing_runs_before_an_index_is_refused():
    class Never(Valley):
        def forward(self, p, example):
            raise AssertionError

    with pytest.raises(IndexError):
        Never().evaluate({"x": 1}, examples=[0, 1])
