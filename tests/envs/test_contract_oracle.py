"""What every registered environment promises of its oracle: repeatable, test unseen, bad proposals are feedback."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys

import pytest

import opto_gym
from opto_gym import Code, Feedback
from opto_gym.envs.traffic.intersection import day
from opto_gym.envs.tutorials.strange_sort import number_lists
from opto_gym.problems import KINDS
from tests.support.env_contract import FULL, SIBLINGS, best, code_of
from tests.support.registered import ENVS

CODE = [name for name in ENVS if any(isinstance(p.space, Code) for p in opto_gym.make(name).unwrapped.parameters)]


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
    "MetaWorld-Reach-v1": lambda env, seed: [_places(env, seed)],
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
