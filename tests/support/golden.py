"""What stored results rest on, by environment: ``python -m tests.support.golden [NAME ...]`` adds what is new.

It refuses to change an entry: a result that changes needs a new version number, under which it is a new entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import opto_gym
from opto_gym import Number
from opto_gym.baselines.battleship import Enumeration
from opto_gym.baselines.prompting import ChainOfThought
from tests.support.openai_server import OpenAIServer, letter_by_request

FILE = Path(__file__).with_name("golden.json")
CASES = [
    ("Battleship-v0", {}),
    ("Battleship-v0", {"width": 5, "height": 6, "fleet": [3, 2], "turns": 9, "batch": 2}),
    ("BattleshipOnline-v0", {}),
    ("NumericalOptimization-v0", {}),
    ("NumericalOptimization-v0", {"problem": 99}),
    ("NumericalOptimization-v0", {"problem": 1, "n_parameters": 20}),
    ("NumericalOptimization-v0", {"sampler": "paper"}),
    ("NumericalOptimization-v0", {"problem": 29, "sampler": "paper"}),
    ("BinaryLock-v0", {}),
    ("BinaryLock-v0", {"digits": 40, "problem": 9}),
    ("BlameAssign-v0", {}),
    ("BlameAssign-v0", {"problem": 99, "stages": 10}),
    ("LongTrace-v0", {}),
    ("LongTrace-v0", {"problem": 3, "length": 20000}),
    ("GSM8K-v0", {"data": "sample"}),
    ("GSM8K-v0", {"data": "sample", "partition": "textgrad"}),
    ("GSM8K-v1", {"data": "sample"}),
    ("GSM8K-v1", {"data": "sample", "partition": "textgrad"}),
    *((name, {"data": "sample"}) for name in opto_gym.registered_envs() if name.startswith(("BBH-", "MMLU-"))),
    ("BBH-object_counting-v0", {"data": "sample", "partition": "trace-paper", "rule": "strict"}),
    *((name, {}) for name in opto_gym.registered_envs() if name.startswith("MetaWorld-")),
    ("MetaWorld-Reach-v0", {"relative": False, "success": "last", "stream": True, "step_feedback": "output"}),
    ("Traffic-v0", {}),
    ("Traffic-v0", {"batch": 2, "feedback": ["reward"]}),
    ("TrafficPaper-v0", {}),
    ("TrafficGrid-v0", {}),
    ("TrafficGrid-v0", {"n": 1}),
    ("LinearRegression-v0", {}),
    ("LinearRegression-v0", {"w": 36, "b": -1, "repetition": 4, "integer": False}),
    ("TSP-v0", {}),
    ("TSP-v0", {"n": 50, "problem": 3}),
    ("Greeting-v0", {}),
    ("StrangeSortList-v0", {"batch": 2}),
    ("BatchRegression-v0", {}),
    ("BatchRegression-v0", {"problem": 7, "features": 8, "batch": 1}),
    ("Negotiation-v0", {}),
    ("Negotiation-v0", {"problem": 42}),
    ("Negotiation-v1", {}),
    ("Negotiation-v1", {"problem": 42}),
]


def other_values(env):
    """A third set of parameters, neither start nor reference."""
    if "reason" in env.problem.start:
        return Enumeration.policy
    if ChainOfThought.unsupported_reason(env.problem) is None:
        return {**env.problem.start, **ChainOfThought.values(env.problem)}
    return {p.name: between(p, k) for k, p in enumerate(env.parameters)}


def between(p, k):
    """A value of a space that holds it still when the space's own sampling changes."""
    if not isinstance(p.space, Number):
        return p.start
    value = min(max(0.5 + k, p.space.low), p.space.high)
    return round(value) if p.space.integer else value


def key(name, arguments):
    return f"{name} {json.dumps(arguments, sort_keys=True)}"


def measure(name, arguments):
    """The hash of the start's observation, and scores of three sets of parameters on train and test."""
    env = opto_gym.make(name, **arguments).unwrapped
    (graph, feedback), _ = env.reset(seed=0)
    text = graph.content_hash + json.dumps(feedback.to_dict(), sort_keys=True)
    few = range(min(3, len(env.splits["test"])))
    scores = [
        [env.evaluate(v, seed=1).score, env.evaluate(v, split="test", examples=few).score]
        for v in (env.problem.start, env.reference_solution() or env.problem.start, other_values(env))
    ]
    return {"observation": hashlib.sha256(text.encode()).hexdigest(), "scores": scores}


def main(names=()):
    golden = json.loads(FILE.read_text()) if FILE.exists() else {}
    now = {key(*case): measure(*case) for case in CASES if not names or case[0] in names}
    changed = [k for k in now if golden.get(k, now[k]) != now[k]]
    if changed:
        return f"these changed, and need a new version number (-v1, ...): {', '.join(changed)}"
    entries = {k: now.get(k, golden.get(k)) for k in (key(*case) for case in CASES)}
    FILE.write_text(json.dumps({k: v for k, v in entries.items() if v is not None}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    with OpenAIServer(letter_by_request) as server:  # as in the tests: models inside environments
        os.environ.update(OPENAI_BASE_URL=server.url, OPENAI_API_KEY="none", OPTO_GYM_MODEL="scripted")
        status = main(sys.argv[1:])
    sys.exit(status)
