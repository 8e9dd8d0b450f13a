"""Wrappers that come with an environment are honoured by a trial, or refused by name."""

from __future__ import annotations

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import WrapperSpec
from gymnasium.wrappers import (
    Autoreset,
    DelayObservation,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    TimeAwareObservation,
    TimeLimit,
    TransformAction,
    TransformObservation,
    TransformReward,
)

import opto_gym
from opto_gym.agents import Agent
from opto_gym.errors import OptoGymError
from opto_gym.leaderboard import TrialFolder, replay, run
from opto_gym.wrappers import DelayedFeedback, FeedbackKinds, MaskGraph, NoisyFeedback, ScalarOnly
from opto_gym.wrappers.channels import Channel
from opto_gym.wrappers.supported import check_wrappers
from tests.support.tasks import Valley

HERE = __name__


class Shifted(gym.ActionWrapper):
    def action(self, action):
        return {"x": action["x"] + 1}


class Doubled(gym.RewardWrapper):
    def reward(self, reward):
        return 2 * reward


class Steps(gym.Wrapper):
    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward + 1, terminated, truncated, info


class Resets(gym.Wrapper):
    def reset(self, *, seed=None, options=None):
        return self.env.reset(seed=7, options=options)


class StepsToo(gym.ObservationWrapper):
    def observation(self, observation):
        return observation

    def step(self, action):
        return super().step({"x": 3})


class OwnChannel(Channel):
    def delivered(self, episode, call):
        return self._said[call]

    def step(self, action):
        return super().step({"x": 3})


class Inherits(Steps):
    pass


class Counts(gym.Wrapper):
    """Only adds an attribute."""

    calls = 0


class Shouts(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    """Changes what is said."""

    def __init__(self, env, mark="!"):
        gym.utils.RecordConstructorArgs.__init__(self, mark=mark)
        gym.ObservationWrapper.__init__(self, env)
        self.mark = mark

    def observation(self, observation):
        parts = tuple(p._replace(content=p.content.upper() + self.mark) for p in observation.feedback.parts)
        return observation._replace(feedback=dataclasses.replace(observation.feedback, parts=parts))


class Echoes(Channel):
    """Says everything twice."""

    def delivered(self, episode, call):
        return self._parts[call] * 2


class Looks(Agent):
    """Proposes 1, 2 and 3, and keeps what it sees."""

    seen = []

    def run(self):
        observation = yield
        for x in (1, 2, 3):
            self.seen.append(observation)
            observation = yield {"x": x}


def space(env):
    return env.observation_space


REFUSED = {
    "Shifted": (Shifted, "changes the parameters"),
    "Doubled": (Doubled, "changes the reward"),
    "TransformAction": (lambda env: TransformAction(env, lambda a: a, env.action_space), "changes the parameters"),
    "TransformReward": (lambda env: TransformReward(env, lambda r: r), "changes the reward"),
    "TimeLimit": (lambda env: TimeLimit(env, 5), "give oracle_calls"),
    "Steps": (Steps, "defines step, which"),
    "Resets": (Resets, "defines reset, which"),
    "Inherits": (Inherits, "defines step, which"),
    "StepsToo": (StepsToo, "defines step, which"),
    "OwnChannel": (OwnChannel, "defines step, which"),
    "Autoreset": (Autoreset, "defines reset and step, which"),
    "RecordEpisodeStatistics": (RecordEpisodeStatistics, "defines reset and step, which"),
}
HONOURED = {
    "OrderEnforcing": OrderEnforcing,
    "PassiveEnvChecker": PassiveEnvChecker,
    "MaskGraph": lambda env: MaskGraph(env, ["code"]),
    "FeedbackKinds": lambda env: FeedbackKinds(env, ["reward"]),
    "ScalarOnly": ScalarOnly,
    "NoisyFeedback": lambda env: NoisyFeedback(env, 0.5),
    "DelayedFeedback": lambda env: DelayedFeedback(env, 1),
    "TransformObservation": lambda env: TransformObservation(env, lambda o: o, space(env)),
    "Counts": Counts,
    "Shouts": Shouts,
    "Echoes": Echoes,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrapper_that_no_trial_calls_is_refused_by_name(name):
    wrap, reason = REFUSED[name]
    for env in (wrap(Valley()), MaskGraph(OrderEnforcing(wrap(Valley())), ["code"])):
        with pytest.raises(OptoGymError, match=rf"can't honour the wrapper {name}: .*{reason}"):
            check_wrappers(env)


@pytest.mark.parametrize("cls", [DelayObservation, TimeAwareObservation])
def test_gymnasium_s_wrappers_of_observations_that_count_steps_are_refused(cls):
    class Box(gym.Env):
        observation_space = action_space = gym.spaces.Box(0, 1, (1,), np.float32)

    env = cls(Box(), 1) if cls is DelayObservation else cls(TimeLimit(Box(), 5))
    with pytest.raises(OptoGymError, match=cls.__name__):
        check_wrappers(env)


@pytest.mark.parametrize("name", HONOURED)
def test_a_wrapper_that_changes_observations_alone_is_accepted(name):
    check_wrappers(HONOURED[name](Valley()))


def test_what_gymnasium_adds_by_itself_is_accepted():
    check_wrappers(opto_gym.make("NumericalOptimization-v0"))
    check_wrappers(gym.make("opto_gym/NumericalOptimization-v0"))


@opto_gym.env_factory
def shifted(**arguments):
    """An environment factory with a wrapper that a trial can't honour."""
    return Shifted(Valley(**arguments))


@opto_gym.env_factory
def heard(**arguments):
    """An environment factory with wrappers that a trial honours."""
    return Echoes(Shouts(Valley(**arguments)))


def go(out, env, **keywords):
    return run([env], ["RandomSearch"], out=out, seeds=1, oracle_calls=3, progress=False, **keywords)


def test_a_run_refuses_a_factory_s_wrapper_before_anything_is_recorded(tmp_path):
    with pytest.raises(OptoGymError, match="can't honour the wrapper Shifted"):
        go(tmp_path / "run", f"{HERE}:shifted")
    assert not list((tmp_path / "run").glob("trials/*"))


def registered(name, **keywords):
    opto_gym.register(name, entry_point=f"{Valley.__module__}:Valley", **keywords)
    return name


@pytest.fixture(autouse=True)
def _registry():
    before = dict(gym.registry)
    yield
    gym.registry.clear()
    gym.registry.update(before)


def test_a_run_refuses_a_spec_s_wrappers(tmp_path):
    reward = WrapperSpec("Doubled", f"{HERE}:Doubled", {})
    name = registered("Doubled-v0", additional_wrappers=(reward,))
    with pytest.raises(OptoGymError, match="can't honour the wrapper Doubled"):
        go(tmp_path, name)
    with pytest.raises(OptoGymError, match=r"TimeLimit: .* oracle_calls"):
        go(tmp_path, registered("Limited-v0", max_episode_steps=4))


@pytest.mark.parametrize("how", ["factory", "spec"])
def test_a_run_honours_wrappers_of_observations(tmp_path, how):
    if how == "factory":
        name, env, echo = f"{HERE}:heard", heard(), 2
    else:
        shout = WrapperSpec("Shouts", f"{HERE}:Shouts", {"mark": "?"})
        name, env, echo = registered("Shouted-v0", additional_wrappers=(shout,)), Shouts(Valley(), "?"), 1
    Looks.seen.clear()
    result = run([name], [f"{HERE}:Looks"], out=tmp_path, seeds=1, oracle_calls=3, progress=False)
    seen = list(Looks.seen)
    expected = [env.reset(seed=0)[0], *[env.step({"x": x})[0] for x in (1, 2)]]
    assert [(o.graph, o.feedback.parts) for o in seen] == [(o.graph, o.feedback.parts) for o in expected]
    assert len(seen[0].feedback.parts) == 2 * echo
    (outcome,) = result.trials
    assert [step.reward for step in TrialFolder(outcome.path).steps()] == [-9.0, -4.0, -1.0, 0.0]
    assert replay(outcome.path).differences == []
