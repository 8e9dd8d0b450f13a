from __future__ import annotations

import pytest

import opto_gym
from opto_gym.baselines.scripted_expert import ScriptedExpert
from opto_gym.envs.metaworld.environment import TASKS
from opto_gym.errors import OptoGymError

EXPERT = opto_gym.make_agent("ScriptedExpert")


@pytest.mark.parametrize("name", ["MetaWorld-Reach-v0", "MetaWorld-Reach-v1"])
@pytest.mark.parametrize("keywords", [{}, {"relative": False}])
def test_the_scripted_expert_is_proposed_in_the_mode_of_the_environment(name, keywords):
    env = opto_gym.make(name, **keywords)
    EXPERT.reset(env.unwrapped.problem)
    observation, _ = env.reset(seed=0)
    proposal = EXPERT.propose(observation)
    assert proposal == env.unwrapped.reference_solution()
    assert env.step(proposal)[1] == 1.0
    assert EXPERT.propose(observation) == proposal


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in opto_gym.registered_envs() if n.startswith("MetaWorld-")])
def test_the_scripted_expert_knows_each_task(name):
    env = opto_gym.make(name).unwrapped
    EXPERT.reset(env.problem)
    proposal = EXPERT.propose(env.reset(seed=0)[0])
    assert env.task in TASKS
    assert env.evaluate(proposal, split="test", examples=[0, 1]).score == 1.0


def test_it_refuses_other_problems():
    problem = opto_gym.make("Battleship-v0").unwrapped.problem
    assert ScriptedExpert.unsupported_reason(problem)
    with pytest.raises(OptoGymError, match="Battleship-v0"):
        EXPERT.reset(problem)
