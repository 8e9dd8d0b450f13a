from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym import Choice, Feedback, Number, OptoEnv, Parameter
from opto_gym.baselines.grid import Grid, fair_counts
from opto_gym.baselines.search import reach
from opto_gym.errors import OptoGymError
from tests.support.rollouts import drive

SEARCHERS = ["GaussianProcess", "PSO", "CMA-ES", "TPE", "Grid"]


class Bowl(OptoEnv):
    """A whole number and a real one; the least value is 0 at (7, 0.25)."""

    objective, scores = "Make the output small.", (1e4, 0.0)
    splits = {"train": (None,), "test": (None,)}
    instance = True
    parameters = (
        Parameter("n", Number(-20, 20, integer=True), -10),
        Parameter("x", Number(-1, 1), -0.9),
    )

    def forward(self, p, example):
        return (p.n - 7) ** 2 + (p.x * 10 - 2.5) ** 2

    def judge(self, output, example):
        return Feedback(output)


class Menu(Bowl):
    """With a choice among the parameters."""

    parameters = (*Bowl.parameters, Parameter("mood", Choice(["bad", "good"]), "bad"))

    def forward(self, p, example):
        return super().forward(p, example) + (0 if p.mood.data == "good" else 100)


class Wide(Bowl):
    """Numbers without bounds."""

    parameters = (Parameter("n", Number(integer=True), 0), Parameter("x", Number(-1), 3.0))


@pytest.mark.parametrize("name", [pytest.param(SEARCHERS[0], marks=pytest.mark.slow), *SEARCHERS[1:]])
def test_searchers_improve_on_the_start_without_warnings(name):
    env = Bowl(oracle_calls=12)
    env.reset(seed=0)
    start = env.last.score
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = drive(opto_gym.make_agent(name), env, 12, seed=3)
    assert min(scores) < start / 2


@pytest.mark.parametrize("name", SEARCHERS)
def test_proposals_are_in_their_spaces(name):
    env = Wide()
    agent = opto_gym.make_agent(name)
    agent.reset(env.problem, seed=0)
    for _ in range(8):
        values = agent.propose(env.evaluate(env.problem.start).observation)
        assert env.problem.invalid_reasons(values) == {}
        assert type(values["n"]) is int
        assert type(values["x"]) is float


@pytest.mark.parametrize("name", [pytest.param("GaussianProcess", marks=pytest.mark.slow), "TPE", "Grid"])
def test_choices_are_searched_where_the_library_can(name):
    env = Menu(oracle_calls=8)
    agent = opto_gym.make_agent(name)
    agent.reset(env.problem, seed=0)
    observation, _ = env.reset(seed=0)
    moods = set()
    for _ in range(8):
        values = agent.propose(observation)
        observation, *_ = env.step(values)
        moods.add(values["mood"])
    assert moods == {"bad", "good"}


def test_what_can_not_be_searched_is_refused():
    code = opto_gym.make("Battleship-v0").unwrapped.problem
    for name in SEARCHERS:
        with pytest.raises(OptoGymError, match="parameters that are numbers"):
            opto_gym.make_agent(name).reset(code)
    for name in ("PSO", "CMA-ES"):
        assert "that are numbers" in opto_gym.make_agent(name).unsupported_reason(Menu().problem)
    assert "2 parameters" in opto_gym.make_agent("CMA-ES").unsupported_reason(
        opto_gym.make("NumericalOptimization-v0").unwrapped.problem
    )


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("GaussianProcess", {"initial": 0}),
        ("PSO", {"particles": 0}),
        ("CMA-ES", {"sigma": 0}),
        ("CMA-ES", {"population": 1}),
        ("Grid", {"points": 0}),
    ],
)
def test_bad_settings_are_refused(name, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        opto_gym.make_agent(name, **bad)


def test_unbounded_numbers_are_searched_as_they_are_sampled():
    assert reach(Number()) == (-1000, 1000)
    assert reach(Number(5)) == (5, 1005)
    assert reach(Number(0.5, 3.5, integer=True)) == (1, 3)


# ------------------------------------------------------------------ the particle swarm
def test_the_first_swarm_has_a_particle_at_the_start_which_costs_nothing():
    env = Bowl()
    agent = opto_gym.make_agent("PSO")
    agent.reset(env.problem, seed=0)
    loop = agent.run()
    next(loop)
    first = loop.send(env.evaluate(env.problem.start).observation)
    assert len(first) == 4
    assert len(loop.send([env.evaluate(v).observation for v in first])) == 5


SWARM_IN_A_FRESH_PROCESS = """
import logging, os
import numpy as np
import opto_gym
from tests.baselines.test_search import Bowl
from tests.support.rollouts import drive

handlers, state = list(logging.getLogger().handlers), np.random.get_state()[1].tolist()
drive(opto_gym.make_agent("PSO"), Bowl(), 12)
assert logging.getLogger().handlers == handlers
assert np.random.get_state()[1].tolist() == state
assert "LOG_CFG" not in os.environ
"""


def test_pyswarms_leaves_the_process_as_it_was(tmp_path):
    """What it does, it does at its first import: in a process that has not seen it."""
    variables = {name: value for name, value in os.environ.items() if name != "LOG_CFG"}
    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", SWARM_IN_A_FRESH_PROCESS], cwd=tmp_path, env=variables, check=True)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ the grid
@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 500))
def test_grids_keep_to_the_budget_and_are_as_even_as_can_be(sizes, points):
    counts = fair_counts(sizes, points)
    assert math.prod(counts) <= points
    assert all(1 <= n <= size for n, size in zip(counts, sizes, strict=True))
    for n, size in zip(counts, sizes, strict=True):  # not another point fits
        assert n == size or math.prod(counts) // n * (n + 1) > points


def test_the_grid_is_from_bound_to_bound_and_ends():
    env = Bowl(oracle_calls=20)
    agent = Grid()
    agent.reset(env.problem)
    observation = env.evaluate(env.problem.start).observation
    proposed = []
    for _ in range(20):
        proposed.append(tuple(agent.propose(observation).values()))
    with pytest.raises(StopIteration):
        agent.propose(observation)
    assert len(set(proposed)) == len(proposed) == 20
    assert {n for n, _ in proposed} >= {-20, 20}
    assert {x for _, x in proposed} >= {-1.0, 1.0}


# ------------------------------------------------------------------ SCATS
def test_scats_makes_its_plan_of_the_flows():
    env = opto_gym.make("Traffic-v0").unwrapped
    agent = opto_gym.make_agent("SCATS")
    agent.reset(env.problem)
    bad = env.evaluate({"EW_time": 0, "NS_time": 0}).observation
    assert agent.propose(bad) == env.problem.start  # no run has shown the flows yet
    plan = agent.propose(env.evaluate(env.problem.start).observation)
    assert plan["EW_time"] in (19, 20, 21, 22)
    assert plan["NS_time"] in (15, 16, 17)
    assert agent.propose(bad) == plan
    assert env.evaluate(plan).score < env.evaluate(env.problem.start).score / 1.5


def test_scats_times_the_grid():
    env = opto_gym.make("TrafficGrid-v0", n=2).unwrapped
    agent = opto_gym.make_agent("SCATS")
    agent.reset(env.problem)
    plan = agent.propose(env.evaluate(env.problem.start).observation)
    assert env.problem.invalid_reasons(plan) == {}
    assert env.evaluate(plan).score < env.evaluate(env.problem.start).score / 2


def test_scats_says_what_it_misses_and_refuses_other_problems():
    env = opto_gym.make("Traffic-v0").unwrapped
    graph, feedback = env.evaluate(env.problem.start).observation
    agent = opto_gym.make_agent("SCATS")
    agent.reset(env.problem)
    with pytest.raises(OptoGymError, match="masked"):
        agent.propose(opto_gym.TraceFeedback(graph.masked(["inputs"]), feedback))
    assert agent.unsupported_reason(Bowl().problem)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SEARCHERS, "SCATS"])
def test_the_leaderboard_runs_them(name, tmp_path):
    from opto_gym.leaderboard import run

    result = run(["Traffic-v0"], [name], out=tmp_path, seeds=1, oracle_calls=7, test_scores="never", progress=False)
    assert [(t.status, t.error) for t in result.trials] == [("done", None)]
    assert result.trials[0].steps >= 6
