"""What every registered environment promises."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import pickle
import re
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import Autoreset, RecordEpisodeStatistics, TimeLimit, TransformReward

import opto_gym
from opto_gym import Code, Feedback, Number, Problem, TraceFeedback, data, registered_envs
from opto_gym.envs.traffic.intersection import day
from opto_gym.envs.tutorials.strange_sort import number_lists
from opto_gym.errors import ProposalError
from opto_gym.problems import KINDS
from opto_gym.wrappers import FeedbackKinds, MaskGraph
from tests.support.registered import ENVS

ALL = registered_envs()
LONG = "TrafficPaper-v0"  # a second a call
SIBLINGS = [pytest.param(n, marks=() if n in ENVS and n != LONG else pytest.mark.slow) for n in ALL]
FULL = [pytest.param(name, marks=pytest.mark.slow if name == LONG else ()) for name in ENVS]
CODE = [name for name in ENVS if any(isinstance(p.space, Code) for p in opto_gym.make(name).unwrapped.parameters)]


@pytest.fixture(params=FULL)
def env(request):
    return opto_gym.make(request.param, oracle_calls=3).unwrapped


def best(env):
    """The reference solution, or the start where none is known."""
    return env.reference_solution() or env.problem.start


def code_of(env):
    """The parameters of kind code."""
    return [p for p in env.parameters if isinstance(p.space, Code)]


# ------------------------------------------------------------------ Gymnasium
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SIBLINGS)
def test_check_env_is_silent(name):
    check_env(opto_gym.make(name, oracle_calls=5).unwrapped)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ALL)
def test_check_env_is_silent_of_what_gymnasium_makes(name):
    check_env(gym.make(f"opto_gym/{name}", oracle_calls=5).unwrapped)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SIBLINGS)
def test_gymnasium_makes_the_same(name):
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


@pytest.mark.parametrize("value", [r"'$\\frac{x$'", "'x' * 2**20", r"'\ud800'", "10**5000"])
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


# ------------------------------------------------------------------ the oracle
def test_evaluate_is_stateless(env):
    start, reference = env.problem.start, best(env)
    first = [env.evaluate(v, seed=s) for v in (start, reference) for s in (0, 5)]
    env.reset(seed=9)
    env.step(reference)
    assert [env.evaluate(v, seed=s) for v in (start, reference) for s in (0, 5)] == first
    assert env.evaluate(start) == first[0]


@pytest.mark.slow
def test_another_process_gives_the_same_answer(env):
    program = (
        "import opto_gym\n"
        f"env = opto_gym.make({env.problem.id!r}, oracle_calls=3).unwrapped\n"
        "for values in (env.problem.start, env.reference_solution() or env.problem.start):\n"
        "    e = env.evaluate(values, seed=7)\n"
        "    print(e.graph.content_hash, e.score, str(e.feedback))\n"
    )
    here = ""
    for values in (env.problem.start, best(env)):
        e = env.evaluate(values, seed=7)
        here += f"{e.graph.content_hash} {e.score} {e.feedback}\n"
    variables = {**os.environ, "PYTHONHASHSEED": "77"}
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=True)
    assert there.stdout == here


@pytest.mark.parametrize("name", SIBLINGS)
def test_start_and_reference_give_no_error_and_the_reference_beats_the_floor(name):
    env = opto_gym.make(name, oracle_calls=3).unwrapped
    examples = range(min(5, len(env.splits["test"])))
    for values in (env.problem.start, best(env)):
        assert env.problem.invalid_reasons(values) == {}
        assert env.evaluate(values).error is None
    start = env.evaluate(env.problem.start, split="test", examples=examples)
    reference = env.evaluate(best(env), split="test", examples=examples)
    assert (start.error, reference.error) == (None, None)
    assert min(env.scores) <= start.score <= max(env.scores)
    if env.reference_solution() is None:
        return
    assert not start.success
    assert reference.reward > start.reward
    assert opto_gym.normalized(reference.score, start.score, env.anchors.best, env.scale) > 0.5


def test_feedback_is_of_the_declared_kinds(env):
    for values in (env.problem.start, best(env)):
        feedback = env.evaluate(values).feedback
        assert {p.kind for p in feedback.parts} <= set(env.feedback_kinds) <= set(KINDS)
        assert feedback.parts
        assert math.isfinite(feedback.reward)
        assert Feedback.from_dict(json.loads(json.dumps(feedback.to_dict()))) == feedback


# What an agent sees of an example that is a seed.
MADE_OF_SEEDS = {
    "StrangeSortList-v0": lambda env, seed: number_lists(seed)[1:],  # the first has at most two numbers
    "BatchRegression-v0": lambda env, seed: [env.point(seed)[0]],
    "Traffic-v0": lambda env, seed: [day(seed, legacy=False)[0]],
    "MetaWorld-Reach-v0": lambda env, seed: [_places(env, seed)],
}
HIDDEN = ("Battleship-v0", "BattleshipOnline-v0", "TrafficGrid-v0")  # boards, and days of which only queues are seen


@pytest.mark.parametrize("name", FULL)
def test_test_examples_stay_unseen(name):
    keywords = {"features": 8} if name == "BatchRegression-v0" else {}  # two features recur by chance
    env = opto_gym.make(name, **keywords).unwrapped
    test = env.splits["test"]
    if list(test) == list(env.splits["train"]):
        assert env.instance  # one case: said so
        return
    drawn = [e for seed in range(30) for call in range(3) for e in env.draw(seed, call)]
    assert not [e for e in drawn if _example(env, e) in test]
    received, tried = [json.loads(env.problem.to_json())], []
    for (graph, feedback), *rest in (env.reset(seed=0), env.step(env.problem.start), env.step(best(env))):
        received.append([json.loads(graph.to_json()), feedback.to_dict(), rest])
        tried += [_example(env, result.example) for result in env.last.per_example]
    text = _compact(received)
    assert [_seen(text, env, e) for e in tried] == [name not in HIDDEN] * len(tried)  # so that a leak would be found
    assert not [e for e in test if _seen(text, env, e)]


def _example(env, which):
    """The example of an index; of a board that lives on, its number."""
    example = env.splits["train"][which] if type(which) is int else which
    return example["board"] if isinstance(example, dict) and "board" in example else example


def _seen(text, env, example):
    """Whether an example can be recognized in what an agent receives: by a long text of its record, or as a list."""
    if isinstance(example, dict):
        signs = [v for v in example.values() if isinstance(v, str) and len(v) > 9]
    elif isinstance(example, list):
        signs = [example]
    else:
        signs = MADE_OF_SEEDS.get(env.problem.id, lambda *_: [])(env, example)
    return any(_compact(sign).strip('"') in text for sign in signs)


def _compact(data):
    """JSON without spaces and escapes: lists look alike in a text and in a graph, whose values are JSON in JSON."""
    return re.sub(r"[ \\]", "", json.dumps(data))


def _places(env, condition):
    env.simulation.reset(condition)
    return env.simulation.view()


# ------------------------------------------------------------------ bad proposals are feedback, bad calls raise
BAD = [None, math.nan, math.inf, -math.inf, True, 3, [], {}, "", " \n", "\ud800", b"x", object(), "x" * 2**20]


def test_values_of_another_kind_are_feedback(env):
    for p in env.parameters:
        for bad in BAD:
            if p.space.contains(bad):
                continue
            e = env.evaluate({**env.problem.start, p.name: bad})
            assert e.score == env.scores[0], repr(bad)[:50]
            assert e.error is not None, repr(bad)[:50]
            assert p.name in e.error
            assert math.isfinite(e.reward)
            assert env.observation_space.contains(e.observation)
    assert env.evaluate(best(env), seed=1).error is None


LOOP = "while True:\n        pass"
BAD_CODE = {
    "syntax": ("def {s}:\n    return (\n", "SyntaxError", 2),
    "other signature": ("def {f}():\n    return 0\n", "TypeError", None),
    "another function": ("def other({a}):\n    return 0\n", "NameError", None),
    "raises": ("def {s}:\n    x = 1\n    return [][x]\n", "IndexError", 3),
    "exits": ("import sys\ndef {s}:\n    sys.exit(0)\n", None, None),
    "ends the process": ("import os\ndef {s}:\n    os._exit(0)\n", "ProcessDied", None),
    "recursion": ("def {s}:\n    return {f}({a})\n", "RecursionError", 2),
    "10 GB list": ("def {s}:\n    return [0] * (10 * 2**27)\n", "MemoryError", 2),
    "1 MB text": ("def {s}:\n    return 0\n" + "# " + "x" * 2**20, "ValueError", None),
    "a million answers": ("def {s}:\n    return list(range(10**6))\n", "OutputLimit", None),
    "no plain data": ("def {s}:\n    return {f}\n", "TypeError", None),
    "print": ("def {s}:\n    for _ in range(1000):\n        print('x' * 10**5)\n    raise KeyError\n", "KeyError", 4),
}


@pytest.mark.parametrize("case", BAD_CODE)
@pytest.mark.parametrize("name", CODE)
def test_bad_code_is_feedback(name, case):
    env = opto_gym.make(name).unwrapped
    source, error, line = BAD_CODE[case]
    p = code_of(env)[0]
    arguments = re.search(r"\((.*)\)", p.space.signature).group(1)
    e = env.evaluate({**env.problem.start, p.name: source.format(s=p.space.signature, f=p.space.function, a=arguments)})
    assert e.score == env.scores[0]
    assert f"({error})" in e.error if error else e.error
    assert (f"line {line}" in str(e.feedback)) == (line is not None)
    assert "/" not in str(e.feedback)  # no path of this machine
    assert env.evaluate(best(env), seed=1).error is None


@pytest.mark.slow
@pytest.mark.parametrize("name", CODE)
def test_an_endless_loop_is_stopped(name):
    env = opto_gym.make(name).unwrapped
    p = code_of(env)[-1]
    e = env.evaluate({**env.problem.start, p.name: f"def {p.space.signature}:\n    {LOOP}\n"})
    assert "(TimeLimit) stopped: time limit 2" in e.error
    assert e.score == env.scores[0]
    assert env.evaluate(best(env), seed=1).error is None


def test_an_episode_survives_bad_proposals(env):
    env.reset(seed=0)
    bad = dict.fromkeys(env.problem.start)
    observation, reward, terminated, truncated, info = env.step(bad)
    assert (reward, terminated, truncated) == (env.reward(env.scores[0]), False, False)
    assert observation.graph.error == info["error"]
    assert env.step(best(env))[4]["error"] is None


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


def arguments(env):
    """The constructor's arguments by name, with those of its bases."""
    signatures = [inspect.signature(c.__init__) for c in type(env).__mro__ if "__init__" in vars(c)]
    return {n: p for s in signatures for n, p in s.parameters.items() if p.kind is p.KEYWORD_ONLY}


@pytest.mark.parametrize("bad", ["3", 2.5, True, 0.0, [1]])
def test_an_argument_that_must_be_a_whole_number_is_checked(env, bad):
    numbers = {n for n, p in arguments(env).items() if p.annotation in ("int", "int | None")}
    assert "oracle_calls" in numbers
    for name in numbers:
        with pytest.raises((ValueError, TypeError), match=r"expected|no argument"):
            opto_gym.make(env.spec.id, **{name: bad})


# ------------------------------------------------------------------ pages
SECTIONS = (
    "Description",
    "Parameters (action space)",
    "Observation",
    "Reward",
    "Feedback",
    "Start",
    "End",
    "Score and anchors",
    "Arguments",
    "Kind, cost and source",
    "Version history",
)


def test_feedback_can_be_switched_off(env):
    kinds = env.feedback_kinds
    kept = opto_gym.make(env.spec.id, feedback=list(kinds[:1])).unwrapped
    assert kept.problem.feedback_kinds == kinds[:1]
    for values in (env.problem.start, best(env), dict.fromkeys(env.problem.start)):
        few, all_of_it = kept.evaluate(values), env.evaluate(values)
        assert {p.kind for p in few.feedback.parts} <= set(kinds[:1])
        assert (few.score, few.reward) == (all_of_it.score, all_of_it.reward)
    with pytest.raises(ValueError, match="kinds of feedback"):
        opto_gym.make(env.spec.id, feedback=["praise"])
    with pytest.raises(ValueError, match="got 5"):
        opto_gym.make(env.spec.id, feedback=5)


def test_the_docstring_is_a_page(env):
    page = sections(env)
    assert tuple(page) == SECTIONS
    assert re.fullmatch(r"\d{4}-\d\d", env.anchors.dated)
    assert env.anchors.dated in page["Score and anchors"]
    version = env.spec.id.rsplit("-", 1)[1]
    assert f"* {version}:" in page["Version history"]
    module = importlib.import_module(type(env).__module__)
    assert getattr(module, type(env).__name__) is type(env)


def test_the_page_names_every_argument(env):
    assert {"oracle_calls", "render_mode", "feedback"} <= set(arguments(env))
    for name, p in arguments(env).items():
        try:
            type(env)(**{name: p.default})
        except TypeError:  # one of a base class that this one refuses
            continue
        assert f"`{name}`" in sections(env)["Arguments"]


def test_the_page_has_an_example_of_every_kind_of_feedback(env):
    said = sections(env)["Feedback"]
    assert [kind for kind in env.feedback_kinds if not re.search(rf'^ *\* {kind}: [^*]*"', said, re.M)] == []


def test_the_page_tells_the_splits_and_what_an_example_is(env):
    page = sections(env)
    assert re.search("[Aa]n example is", page["Kind, cost and source"])
    if list(env.splits["test"]) == list(env.splits["train"]):
        assert "test is train" in page["Score and anchors"]
    elif not env.data_files or data.root() != data.SAMPLE:  # the sample of a data set is smaller
        said = page["Score and anchors"] + page["Arguments"] + page["Kind, cost and source"]
        for examples in env.splits.values():
            size = "10^6" if len(examples) == 10**6 else len(examples)
            assert re.search(rf"\b{re.escape(str(size))}\b", said)


def sections(env):
    """The page by its headings."""
    _, *parts = re.split(r"^ *## (.*)$", type(env).__doc__, flags=re.M)
    return dict(zip(parts[::2], parts[1::2], strict=True))
