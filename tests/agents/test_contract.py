"""What every registered agent promises; a new one is covered by being registered."""

from __future__ import annotations

import inspect
import math
import re

import pytest

import opto_gym
from opto_gym.agents.base import Agent
from opto_gym.baselines.adam import Adam
from opto_gym.baselines.blame import BlameGraph
from opto_gym.baselines.least_squares import LeastSquares
from opto_gym.baselines.locks import LockGraph
from opto_gym.baselines.prompting import FewShot
from opto_gym.baselines.scats import SCATS
from opto_gym.baselines.tours import Tour
from opto_gym.errors import BudgetSpent, OptoGymError
from opto_gym.problems import TraceFeedback
from opto_gym.registration import agent_class
from opto_gym.wrappers import ScalarOnly
from tests.support.registered import AGENTS
from tests.support.rollouts import Oracle, rollout
from tests.support.tasks import Valley

READERS = (Adam, LeastSquares, SCATS, Tour, LockGraph, BlameGraph, FewShot)
"""Agents that are nothing without the graph."""


def test_proposals_name_every_parameter_and_repeat_for_a_seed(made, server):
    make, env = made
    first = rollout(make(), env, 4)
    server.requests.clear()
    assert all(set(v) == set(env.problem.start) for v in first)
    assert rollout(make(), env, 4) == first


def test_propose_and_optimize_agree(made, server):
    make, env = made
    first = rollout(make(), env, 4)
    server.requests.clear()
    agent, oracle = make(), Oracle(env, 4)
    agent.reset(env.problem, seed=0)
    agent.optimize(env.problem, oracle)
    assert oracle.seen == first


def test_an_agent_can_be_used_again(made, server):
    make, env = made
    agent = make()
    first = rollout(agent, env, 3)
    server.requests.clear()
    assert rollout(agent, env, 3) == first


def test_error_observations_are_survived(made):
    make, env = made
    agent = make()
    agent.reset(env.problem, seed=0)
    bad = env.evaluate(dict.fromkeys(env.problem.start, "nonsense"), seed=0).observation
    for _ in range(3):
        assert set(agent.propose(bad)) == set(env.problem.start)


def test_masked_graphs_are_survived_or_refused_plainly(made):
    make, env = made

    def masked(observation):
        return TraceFeedback(
            observation.graph.masked(["code", "documentation", "inputs", "others"]), observation.feedback
        )

    if isinstance(make(), READERS):
        with pytest.raises(OptoGymError, match=f"{type(make()).__name__} reads the trace graph, .* masked: unmask "):
            rollout(make(), env, 2, change=masked)
    else:
        assert len(rollout(make(), env, 2, change=masked)) == 2


def test_a_graph_of_the_score_alone_is_survived_or_refused_plainly(made):
    make, env = made
    alone = ScalarOnly(Valley()).observation
    if isinstance(make(), READERS):
        said = f"{type(make()).__name__} reads the trace graph, of which only the score is left: remove ScalarOnly"
        with pytest.raises(OptoGymError, match=said):
            rollout(make(), env, 2, change=alone)
    else:
        assert len(rollout(make(), env, 2, change=alone)) == 2


def test_the_class_is_documented(made):
    make, _ = made
    page = inspect.getdoc(type(make()))
    assert page
    assert "docstring" not in page  # which who asks for the class does not see
    assert inspect.getmodule(type(make())).__doc__


def test_unknown_settings_are_refused(made):
    make, _ = made
    with pytest.raises(TypeError):
        type(make())(no_such_setting=1)


def numbers_of(cls):
    """The names of an agent's settings that are numbers."""
    signatures = [inspect.signature(vars(c)["__init__"]) for c in cls.__mro__[:-1] if "__init__" in vars(c)]
    parameters = [p for s in signatures for p in s.parameters.values()]
    return [p.name for p in parameters if re.fullmatch(r"(int|float)( \| None)?", str(p.annotation))]


SETTINGS = [(name, setting) for name in AGENTS for setting in numbers_of(agent_class(name))]


@pytest.mark.parametrize("bad", ["x", -1, True, math.nan, [1]])
def test_settings_that_are_numbers_are_checked_at_once(bad):
    assert {("Adam", "beta1"), ("PSO", "w"), ("OptoPrime", "temperature"), ("Grid", "points")} <= set(SETTINGS)
    for name, setting in SETTINGS:
        with pytest.raises(ValueError, match=f"expected {setting} to be a (whole )?number"):
            opto_gym.make_agent(name, **{setting: bad})


class Population(Agent):
    """Lists of three."""

    def run(self):
        yield
        k = 0
        while True:
            observations = yield [{"x": k}, {"x": k + 1}, {"x": k + 2}]
            assert [o.feedback.score for o in observations] == [(x - 3.0) ** 2 for x in (k, k + 1, k + 2)]
            k = (k + 3) % 9


class OwnLoop(Agent):
    """Owns its loop, and ends it."""

    def optimize(self, problem, oracle):
        for x in range(5):
            oracle({"x": x})


@pytest.mark.parametrize("cls", [Population, OwnLoop])
def test_propose_is_derived_from_the_other_two(cls):
    env = Valley()
    oracle, agent = Oracle(env, 5), cls()
    agent.reset(env.problem, seed=0)
    try:
        agent.optimize(env.problem, oracle)
    except BudgetSpent:
        pass
    assert rollout(cls(), env, 5) == oracle.seen


def test_an_optimizer_that_ends_stops_the_hand_written_loop():
    env, agent = Valley(), OwnLoop()
    with pytest.raises(StopIteration):
        rollout(agent, env, 9)


def test_an_agent_without_a_method_is_refused():
    class Nothing(Agent):
        pass

    with pytest.raises(TypeError, match="implements none of"):
        rollout(Nothing(), Valley(), 1)
