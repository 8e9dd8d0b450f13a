from __future__ import annotations

import ast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym import Choice, Code, Number, Parameter, Permutation, Prompt
from opto_gym.agents.random_search import RandomSearch
from opto_gym.agents.toolkit.moves import mutate, sample
from tests.support.tasks import Valley

SPACES = [
    (Number(), 1.5),
    (Number(0.0), 5.0),
    (Number(1e6), 2e6),
    (Number(0.5, integer=True), 1),
    (Number(-9.5, -8.5, integer=True), -9),
    (Number(-2, 3), 3),
    (Number(0, 1e6), 0.0),
    (Number(1, 5, integer=True), 1),
    (Number(integer=True), 7),
    (Choice(["a", "b", 3]), "a"),
    (Permutation(2), [1, 0]),
    (Permutation(9), list(range(9))),
    (Prompt(60), "Answer the question. Be kind.\nThank you!"),
    (Prompt(60), ""),
]
FUNCTIONS = [
    "def f(x, y):\n    return\n",
    "def f(x, y):\n    pass\n",
    "def f(x, y):\n    if x < 3:\n        return x + 1\n    return [y, 2.5]\n",
    "def f(x, y):\n    '''Only a docstring.'''\n",
]


@pytest.mark.parametrize(("space", "value"), SPACES, ids=str)
@given(seed=st.integers(0, 10**6))
def test_moves_stay_in_the_space(space, value, seed):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        value = (sample if seed % 2 else mutate)(space, value, rng)
        assert space.invalid_reason(value) is None


@pytest.mark.parametrize("source", FUNCTIONS)
def test_changed_code_runs_and_differs(source):
    rng, seen = np.random.default_rng(0), set()
    for _ in range(40):
        changed = mutate(Code("f(x, y)"), source, rng)
        space: dict = {}
        exec(compile(ast.parse(changed), "changed", "exec"), space)
        space["f"](1, 2)
        seen.add(changed)
    assert len(seen) > 5 or "docstring" in source


def test_code_that_does_not_parse_is_left_alone():
    assert mutate(Code("f(x)"), "def f(x:", np.random.default_rng(0)) == "def f(x:"


@pytest.mark.parametrize("explore", [0.0, 1 / 3, 1.0])
def test_it_finds_the_valley(explore):
    env, agent = Valley(), RandomSearch(explore=explore)
    agent.reset(env.problem, seed=1)
    observation, best = env.evaluate(env.problem.start).observation, np.inf
    for _ in range(80):
        evaluation = env.evaluate(agent.propose(observation))
        observation, best = evaluation.observation, min(best, evaluation.score)
    assert best <= 1.0  # 9 at the start


@pytest.mark.parametrize("explore", [-0.1, 1.5])
def test_a_share_is_between_0_and_1(explore):
    with pytest.raises(ValueError, match="explore"):
        RandomSearch(explore=explore)


class Square(Valley):
    """Two numbers."""

    parameters = (Parameter("a", Number(0, 1), 0.5), Parameter("b", Number(0, 1), 0.5))

    def forward(self, p, example):
        return p.a + p.b


def test_numbers_drawn_anew_fill_their_space():
    env, agent = Square(), RandomSearch(explore=1)
    agent.reset(env.problem, seed=0)
    observation = env.evaluate(env.problem.start).observation
    proposals = [agent.propose(observation) for _ in range(48)]
    assert len({(int(p["a"] * 4), int(p["b"] * 4)) for p in proposals}) == 16


def test_a_bound_at_zero_gathers_no_proposals():
    rng = np.random.default_rng(0)
    drawn = [sample(Number(0, 1e6), 5.0, rng) for _ in range(200)]
    assert min(drawn) > 0
    assert sum(x > 1000 for x in drawn) > 50
