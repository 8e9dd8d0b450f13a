from __future__ import annotations

import statistics

import pytest

import opto_gym
from opto_gym.baselines.adam_bare import AdamBare
from opto_gym.errors import BudgetSpent, OptoGymError
from opto_gym.llm import Budget

NAMES = ["AdamBare", "LBFGS", "NelderMead", "Bisection"]


class Oracle:
    """So many calls, over when the problem is solved; keeps what was asked and the best score."""

    def __init__(self, env, calls):
        self.env, self.left, self.budget = env, calls, Budget()
        self.asked, self.scores = [], []
        self.start = env.evaluate(env.problem.start).observation
        self.solved = False

    @property
    def over(self):
        return self.solved or self.left == 0

    def __call__(self, parameters, examples=None, split="train"):
        if self.over:
            raise BudgetSpent("oracle_calls")
        self.left -= 1
        observation = self.env.evaluate(parameters).observation
        self.asked.append(parameters)
        self.scores.append(observation.feedback.score)
        self.solved = observation.feedback.success
        return observation


def optimized(name, calls=100, **arguments):
    env = opto_gym.make("NumericalOptimization-v0", **arguments).unwrapped
    agent, oracle = opto_gym.make_agent(name), Oracle(env, calls)
    agent.reset(env.problem, seed=0)
    try:
        agent.optimize(env.problem, oracle)
    except BudgetSpent:
        pass
    return oracle


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_errors_come_down(name, n):
    ratios = []
    for problem in range(12):
        oracle = optimized(name, problem=problem, n_parameters=n)
        start = oracle.start.feedback.score
        ratios.append(min(oracle.scores) / start)
        assert all(oracle.env.problem.invalid_reasons(v) == {} for v in oracle.asked)
    assert statistics.median(ratios) < 0.2


def test_bisection_solves_the_papers_problems_in_few_calls():
    taken = [len(o.asked) for o in (optimized("Bisection", sampler="paper", problem=k) for k in range(30)) if o.solved]
    assert len(taken) == 30
    assert statistics.median(taken) <= 6


def test_bisection_finds_one_crossing_after_another():
    oracle = optimized("Bisection", problem=0, n_parameters=3, calls=400)
    assert oracle.solved
    assert oracle.env.evaluate(oracle.asked[-1]).success


def test_adam_on_the_bare_function_makes_the_steps_of_adam_by_the_trace():
    compared = 0
    for problem in range(6):
        bare = optimized("AdamBare", problem=problem, n_parameters=2, calls=24)
        traced = optimized("Adam", problem=problem, n_parameters=2, calls=8)
        if bare.solved or traced.solved:
            continue
        for own, other in zip(bare.asked[2::3], traced.asked, strict=True):  # two differences, then a step
            assert own == pytest.approx(other, abs=1e-3)
        compared += 1
    assert compared >= 4


def test_adam_rests_when_solved():
    env = opto_gym.make("NumericalOptimization-v0").unwrapped
    agent = AdamBare()
    agent.reset(env.problem)
    solved = env.evaluate(env.reference_solution()).observation
    assert agent.propose(solved) == agent.propose(solved) == env.problem.start


@pytest.mark.parametrize("name", ["LBFGS", "NelderMead"])
def test_scipys_methods_begin_anew_and_stop_with_the_budget(name):
    oracle = optimized(name, calls=150, problem=2, n_parameters=6)
    assert oracle.over
    assert len(oracle.asked) == len({tuple(v.values()) for v in oracle.asked})  # no point is paid for twice
    again = optimized(name, calls=150, problem=2, n_parameters=6)
    assert again.asked == oracle.asked


@pytest.mark.parametrize("name", NAMES)
def test_minimizers_refuse_other_problems(name):
    for other in ("Battleship-v0", "BinaryLock-v0"):
        with pytest.raises(OptoGymError, match="needs parameters that are all real numbers"):
            opto_gym.make_agent(name).reset(opto_gym.make(other).unwrapped.problem)


def test_bisection_needs_a_direction():
    env = opto_gym.make("NumericalOptimization-v0", feedback=["reward"]).unwrapped
    with pytest.raises(OptoGymError, match="future_positive"):
        opto_gym.make_agent("Bisection").reset(env.problem)
