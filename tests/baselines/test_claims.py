"""The solvers with and without the graph, and the numbers of calls that they take."""

from __future__ import annotations

import statistics

import pytest

import opto_gym
from opto_gym.baselines.blame import candidates
from opto_gym.errors import OptoGymError
from opto_gym.wrappers import MaskGraph


def calls(agent, env, seed=0, most=10_000):
    """Oracle calls until the problem is solved."""
    env, agent = opto_gym.make(*env[:1], **env[1]), opto_gym.make_agent(agent)
    agent.reset(env.unwrapped.problem, seed=seed)
    observation, _ = env.reset(seed=seed)
    for n in range(1, most + 1):
        observation, _, solved, *_ = env.step(agent.propose(observation))
        if solved:
            return n
    raise AssertionError(f"{most} calls were not enough")


# ------------------------------------------------------------------ Theorem 2's example
@pytest.mark.parametrize("k", [2, 6, 16, 64])
def test_with_the_graph_a_lock_takes_one_call_a_digit_at_most(k):
    for problem in range(8):
        env = opto_gym.make("BinaryLock-v0", digits=k, problem=problem).unwrapped
        wrong = sum(env.reference_solution().values())
        assert calls("LockGraph", ("BinaryLock-v0", {"digits": k, "problem": problem})) == wrong <= k


def test_without_the_graph_a_lock_takes_half_of_all_combinations():
    """Of 2^k - 1 combinations each is as likely: 2^(k-1) calls on average, 32 for six digits."""
    taken = [calls("LockBlind", ("BinaryLock-v0", {"digits": 6, "problem": n}), seed=n) for n in range(100)]
    assert statistics.mean(taken) == pytest.approx(2**5, abs=5.5)  # three standard errors
    assert max(taken) <= 2**6 - 1


def test_a_large_lock_is_tried_at_random():
    agent, env = opto_gym.make_agent("LockBlind"), opto_gym.make("BinaryLock-v0", digits=40)
    agent.reset(env.unwrapped.problem, seed=0)
    observation, _ = env.reset(seed=0)
    tried = [agent.propose(observation) for _ in range(3)]
    assert len({str(t) for t in tried}) == 3
    assert env.unwrapped.problem.invalid_reasons(tried[0]) == {}


# ------------------------------------------------------------------ blame
@pytest.mark.parametrize("length", [100, 500])
def test_blame_by_the_graph_takes_a_stages_candidates_at_any_length(length):
    graph, blind = (
        [calls(agent, ("LongTrace-v0", {"length": length, "problem": n}), seed=n) for n in range(8)]
        for agent in ("BlameGraph", "BlameBlind")
    )
    assert max(graph) <= 9
    assert max(blind) <= 72
    assert statistics.mean(blind) > 3 * statistics.mean(graph)


def test_broken_pipelines_are_mended_by_the_graph():
    for problem in range(5):
        env = opto_gym.make("BlameAssign-v0", problem=problem).unwrapped
        broken = next(p for p in env.parameters if p.name == env.broken)
        assert calls("BlameGraph", ("BlameAssign-v0", {"problem": problem})) <= len(candidates(broken))


@pytest.mark.slow
def test_blame_without_the_graph_takes_many_more_calls():
    graph, blind = (
        [calls(agent, ("BlameAssign-v0", {"problem": n}), seed=n) for n in range(8)]
        for agent in ("BlameGraph", "BlameBlind")
    )
    assert statistics.mean(blind) > 4 * statistics.mean(graph)


@pytest.mark.parametrize(
    ("agent", "env"), [("LockGraph", "BinaryLock-v0"), ("BlameGraph", "BlameAssign-v0"), ("BlameGraph", "LongTrace-v0")]
)
def test_who_needs_the_graph_says_so(agent, env):
    masked = MaskGraph(opto_gym.make(env), ["code", "documentation", "inputs", "others"])
    solver = opto_gym.make_agent(agent)
    solver.reset(masked.unwrapped.problem)
    with pytest.raises(OptoGymError, match="masked"):
        solver.propose(masked.reset(seed=0)[0])


@pytest.mark.parametrize("agent", ["LockGraph", "LockBlind", "BlameGraph", "BlameBlind"])
def test_solvers_refuse_other_problems(agent):
    for other in (
        "NumericalOptimization-v0",
        "Battleship-v0",
        "BlameAssign-v0" if "Lock" in agent else "BinaryLock-v0",
    ):
        problem = opto_gym.make(other).unwrapped.problem
        with pytest.raises(OptoGymError, match=other):
            opto_gym.make_agent(agent).reset(problem)
