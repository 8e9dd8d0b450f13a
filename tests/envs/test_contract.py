"""What every registered environment promises: Gymnasium's interface, rendering, and calls that raise."""

from __future__ import annotations

import json
import pickle
import time
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import Autoreset, RecordEpisodeStatistics, TimeLimit, TransformReward

import opto_gym
from opto_gym import Code, Number, Problem, TraceFeedback
from opto_gym.errors import ProposalError
from opto_gym.wrappers import FeedbackKinds, MaskGraph
from tests.support.env_contract import ALL, FULL, SIBLINGS, arguments, best, code_of


# ------------------------------------------------------------------ Gymnasium
def ignore_first_versions():
    """Lets Gymnasium say that there is a newer version, in a test in which other warnings are errors."""
    warnings.filterwarnings("ignore", ".* is out of date", DeprecationWarning)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SIBLINGS)
def test_check_env_is_silent(name):
    check_env(opto_gym.make(name, oracle_calls=5).unwrapped)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ALL)
def test_check_env_is_silent_of_what_gymnasium_makes(name):
    ignore_first_versions()
    check_env(gym.make(f"opto_gym/{name}", oracle_calls=5).unwrapped)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SIBLINGS)
def test_gymnasium_makes_the_same(name):
    ignore_first_versions()
    ours, theirs = opto_gym.make(name, oracle_calls=5).unwrapped, gym.make(f"opto_gym/{name}", oracle_calls=5).unwrapped
    assert type(theirs) is type(ours)
    assert theirs.problem == ours.problem
    assert theirs.spec.id == ours.spec.id


def test_wrappers(env):
    action = env.problem.start
    wrapped = RecordEpisodeStatistics(TimeLimit(TransformReward(env, lambda r: 2 * r), 2))
    wrapped = Autoreset(FeedbackKinds(MaskGraph(wrapped, ["code", "others"]), ["reward"]))
    (graph, feedback), _ = wrapped.reset(seed=1)
    assert graph.hidden == ("code", "others")
    assert {p.kind for p in feedback.parts} <= {"reward"}
    assert wrapped.step(action)[3] is False
    _, reward, _, truncated, info = wrapped.step(action)
    assert truncated
    assert reward == 2 * env.last.reward
    assert info["episode"]["l"] == 2
    assert wrapped.step(action)[4]["call"] == 0  # the reset


@pytest.mark.parametrize("kind", ["sync", pytest.param("async", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FULL)
def test_vector_environments(name, kind):
    keywords = {"vector_kwargs": {"shared_memory": False}} if kind == "async" else {}
    vector = gym.make_vec(f"opto_gym/{name}", 2, vectorization_mode=kind, **keywords)
    try:
        observations, _ = vector.reset(seed=4)
        single = opto_gym.make(name)
        assert observations[0] == single.reset(seed=4)[0]
        start = single.unwrapped.problem.start
        numeric = all(isinstance(p.space, Number) for p in single.unwrapped.parameters)
        batched = {k: np.array([v] * 2) if numeric else (v, v) for k, v in start.items()}
        after, rewards, *_ = vector.step(batched)
        assert isinstance(after[1], TraceFeedback)
        assert rewards[0] == single.step(start)[1]
    finally:
        vector.close()


def test_pickled_and_respecified_environments_are_the_same(env):
    _, info = env.reset(seed=2)
    copy = pickle.loads(pickle.dumps(env))
    spec = env.spec
    again = opto_gym.make(EnvSpec.from_json(spec.to_json())).unwrapped
    assert again.spec == spec
    assert copy.problem == again.problem == env.problem
    assert copy.reset(seed=2) == again.reset(seed=2) == env.reset(seed=2)
    assert copy.step(env.problem.start) == again.step(env.problem.start)
    assert info["call"] == 0


def test_the_problem_is_plain_data(env):
    problem = env.problem
    assert Problem.from_json(problem.to_json()) == problem
    assert problem.oracle_calls == 3
    assert "test" not in problem.examples
    assert json.loads(problem.to_json())["id"] == problem.id


def test_render_modes_need_no_display(env, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert set(env.metadata["render_modes"]) == {"rgb_array", "ansi"}
    for mode in env.metadata["render_modes"]:
        shown = opto_gym.make(env.spec.id, render_mode=mode)
        shown.reset(seed=0)
        start = shown.unwrapped.problem.start
        nonsense = {p.name: "" if isinstance(p.space, Code) else None for p in shown.unwrapped.parameters}
        for values in (start, best(shown.unwrapped), nonsense):
            shown.unwrapped.step(values)
            picture = shown.render()
            if mode == "ansi":
                assert isinstance(picture, str)
                assert picture.strip()
            else:
                assert picture.dtype == np.uint8
                assert picture.shape[2] == 3
                assert picture.std() > 5  # something is drawn
    with pytest.raises(ValueError, match="render_mode"):
        type(env)(render_mode="human")


ODD = [r"'\ud800'", "'x' * 2**20", "10**5000"]


@pytest.mark.parametrize("value", [r"'$\\frac{x$'", *(pytest.param(v, marks=pytest.mark.slow) for v in ODD)])
def test_any_proposal_can_be_rendered(env, value):
    code = {p.name: f"def {p.space.signature}:\n    raise ValueError({value})\n" for p in code_of(env)}
    plain = {p.name: eval(value) for p in env.parameters if p.name not in code}
    results = [env.evaluate({**env.problem.start, **values}) for values in (code, plain) if values]
    for mode in env.metadata["render_modes"]:
        shown = opto_gym.make(env.spec.id, render_mode=mode).unwrapped
        for shown.last in results:
            began = time.process_time()
            assert len(shown.render()) > 0
            assert time.process_time() - began < 2


def test_bad_calls_raise(env):
    start = env.problem.start
    for bad in ({}, {**start, "nonsense": 1}, dict(list(start.items())[1:]), None, [start]):
        with pytest.raises(ProposalError, match=next(iter(start))):
            env.evaluate(bad)
    with pytest.raises(KeyError, match="train"):
        env.evaluate(start, split="nonsense")
    with pytest.raises(ValueError, match="at least one example"):
        env.evaluate(start, examples=[])
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        env.step(start)
    env.reset(seed=0)
    for _ in range(3):
        env.step(start)
    with pytest.raises(gym.error.ResetNeeded, match="3 oracle calls"):
        env.step(start)
    with pytest.raises(TypeError):
        opto_gym.make(env.spec.id, nonsense=1)


@pytest.mark.parametrize("bad", ["3", 2.5, True, 0.0, [1]])
def test_an_argument_that_must_be_a_whole_number_is_checked(env, bad):
    numbers = {n for n, p in arguments(env).items() if p.annotation in ("int", "int | None")}
    assert "oracle_calls" in numbers
    for name in numbers:
        with pytest.raises((ValueError, TypeError), match=r"expected|no argument"):
            opto_gym.make(env.spec.id, **{name: bad})
