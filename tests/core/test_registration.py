from __future__ import annotations

import importlib.metadata

import gymnasium as gym
import pytest

import opto_gym
from opto_gym import registration
from opto_gym.wrappers import FeedbackKinds, MaskGraph
from tests.support.tasks import Valley


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(gym.error.NameNotFound, match="Battleship"):
        opto_gym.make("Batleship-v0")
    with pytest.raises(gym.error.NameNotFound, match="`opto-gym envs MMLU-"):
        opto_gym.make("MMLU-abstract_algebra-v0")
    with pytest.raises(KeyError, match="did you mean 'OptoPrime'"):
        opto_gym.make_agent("OptoPrim")
    with pytest.raises(ValueError, match="no module 'nowhere'"):
        opto_gym.make("nowhere:Task")
    with pytest.raises(ValueError, match="has no 'Nothing'"):
        opto_gym.make_agent("tests.support.tasks:Nothing")


@pytest.mark.parametrize("id", ["Battleship", "opto_gym/Battleship"])
def test_a_name_without_its_version_comes_with_the_whole_id(id):
    with pytest.raises(gym.error.VersionNotFound, match="such as 'Battleship-v0', got"):
        opto_gym.make(id)


class Greedy(Valley):
    """Takes arguments of its own out of its keywords, and makes a mistake with others."""

    def __init__(self, *, size, **keywords):
        self.size, self.depth = size, keywords.pop("depth", 1)
        if size == 0:
            keywords["typo"] = 1
        super().__init__(**keywords)


def test_an_unknown_argument_comes_with_those_that_there_are():
    with pytest.raises(TypeError, match=r"^Battleship has no argument 'foo'; it has: batch, feedback, fleet, .*width$"):
        opto_gym.make("Battleship-v0", foo=3)
    with pytest.raises(TypeError, match=r"^TPE has no argument 'foo'; it has: base_url, model$"):
        opto_gym.make_agent("TPE", foo=1)
    with pytest.raises(TypeError, match=r"^PSO has no argument 'momentum'; it has: base_url, c1, c2, .*, w$"):
        opto_gym.make_agent("PSO", momentum=1)


def test_a_class_takes_arguments_out_of_its_keywords():
    path = f"{__name__}:Greedy"
    assert opto_gym.make(path, size=2, depth=5, oracle_calls=3, max_episode_steps=7).unwrapped.depth == 5
    with pytest.raises(
        TypeError, match=r"^Greedy has no argument 'width'; it has: feedback, oracle_calls, .*size, test_seed$"
    ):
        opto_gym.make(path, size=2, depth=5, width=1)
    with pytest.raises(TypeError, match=r"^Greedy needs the argument 'size'; it has: feedback"):
        opto_gym.make(path)
    with pytest.raises(TypeError, match="unexpected keyword argument 'typo'"):  # not the caller's mistake
        opto_gym.make(path, size=0)


def test_ids_need_a_version():
    with pytest.raises(ValueError, match="Mine-v0"):
        opto_gym.register("Mine", "tests.support.tasks:Valley")
    with pytest.raises(ValueError, match="Name-v0"):
        opto_gym.register("other/Mine-v0", "tests.support.tasks:Valley")


def test_a_registered_task_is_found_by_both_makes():
    opto_gym.register("Registered-v0", "tests.support.tasks:Valley")
    try:
        assert "Registered-v0" in opto_gym.registered_envs()
        assert opto_gym.make("Registered-v0").unwrapped.problem.id == "Registered-v0"
        assert gym.make("opto_gym/Registered-v0", oracle_calls=3).unwrapped.oracle_calls == 3
    finally:
        del gym.registry["opto_gym/Registered-v0"]


@pytest.mark.parametrize(("players", "nondeterministic"), [("rules", False), ("model", True)])
def test_the_spec_says_whether_the_arguments_make_it_nondeterministic(players, nondeterministic):
    env = opto_gym.make("Negotiation-v1", players=players)
    assert env.spec.nondeterministic is env.unwrapped.spec.nondeterministic is nondeterministic


class Point:
    def __init__(self, name, value):
        self.name, self.value = name, value


@pytest.fixture
def plugins(monkeypatch):
    def install(**groups):
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: groups.get(group.split(".")[1], []))
        registration.load_plugins.cache_clear()

    yield install
    registration.load_plugins.cache_clear()
    for name in ("opto_gym/Plugged-v0", "opto_gym/Fine-v0"):
        gym.registry.pop(name, None)
    registration.AGENTS.pop("Plugged", None)


def test_plugins_join_and_a_broken_one_hides_nothing(plugins):
    plugins(
        envs=[Point("Broken-v0", "no colon"), Point("Plugged-v0", "tests.support.tasks:Valley")],
        agents=[Point("Bad", "x y"), Point("Plugged", "opto_gym.agents.random_search:RandomSearch")],
    )
    with pytest.warns(UserWarning, match="'B") as said:
        names = opto_gym.registered_envs()
    assert "Plugged-v0" in names
    assert "Plugged" in opto_gym.registered_agents()
    assert {"Broken-v0" in str(w.message) for w in said} == {True, False}
    assert opto_gym.make("Plugged-v0").reset(seed=0)


def test_wrappers_are_recorded_in_the_spec_and_rebuilt():
    env = FeedbackKinds(MaskGraph(opto_gym.make("tests.support.tasks:Adder"), ["code", "inputs"]), "hindsight_negative")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.reset(seed=0)[0] == env.reset(seed=0)[0]
    assert again.reset(seed=0)[0].graph.hidden == ("code", "inputs")


def test_feedback_kinds_keep_the_score():
    env = FeedbackKinds(opto_gym.make("tests.support.tasks:Adder"), ["reward"])
    observation, _ = env.reset(seed=0)
    assert observation.feedback.parts == ()
    assert observation.feedback.score == 0.0


@pytest.mark.parametrize(("wrapper", "names"), [(MaskGraph, ["coed"]), (FeedbackKinds, ["praise"])])
def test_wrappers_refuse_unknown_parts(wrapper, names):
    with pytest.raises(ValueError, match=names[0]):
        wrapper(opto_gym.make("tests.support.tasks:Valley"), names)
