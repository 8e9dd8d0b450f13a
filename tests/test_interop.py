"""Our tasks inside the real packages of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import opto_gym
from opto_gym.errors import MissingExtra
from opto_gym.interop import as_gepa_evaluator, as_trace_function

TRACE_OPT = Path(__file__).parents[1] / ".venv-bench"


def test_gepa_solves_our_task():
    from gepa.optimize_anything import EngineConfig, GEPAConfig, ReflectionConfig, optimize_anything

    answers, prompts = iter(["nonsense", "2.0", "3.0"]), []

    def reflect(prompt):
        prompts.append(str(prompt))
        return f"```\n{next(answers, '1')}\n```"

    task = as_gepa_evaluator(opto_gym.make("NumericalOptimization-v0"))
    config = GEPAConfig(
        engine=EngineConfig(max_metric_calls=10), reflection=ReflectionConfig(reflection_lm=reflect)
    )  # fmt: skip
    found = optimize_anything(task.seed_candidate, evaluator=task, objective=task.objective, config=config)
    assert found.best_candidate == {"x0": "3.0"}
    assert task.env.evaluate(task.values(found.best_candidate)).success
    assert "mul0 = x0 * x0" in prompts[0]
    assert "The output needs to be smaller." in prompts[0]


@pytest.mark.parametrize("name", ["Battleship-v0", "Greeting-v0", "TSP-v0", "BinaryLock-v0", "Traffic-v0"])
def test_texts_are_values(name):
    task = as_gepa_evaluator(opto_gym.make(name))
    start = task.env.problem.start
    assert task.values(task.seed_candidate) == start
    example = task.dataset[0]
    assert task(task.seed_candidate, example)[0] == task.env.evaluate(start, examples=[example[1]]).reward
    reward, said = task(dict.fromkeys(start, "\x00 no value at all"), example)
    assert reward == task.env.reward(task.env.scores[0])
    assert said["error"]


def test_val_is_there_where_the_task_has_it():
    task = as_gepa_evaluator(opto_gym.make("GSM8K-v1", data="sample"))
    assert {split for split, _ in task.valset} == {"val"}
    assert as_gepa_evaluator(opto_gym.make("TSP-v0")).valset is None


def test_without_trace_opt_the_install_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "opto.trace", None)
    with pytest.raises(MissingExtra, match=r"pip install trace-opt==0\.1\.3\.8"):
        as_trace_function(opto_gym.make("NumericalOptimization-v0"))


IN_TRACE_OPT = """
import json, sys
import opto_gym
from opto.trace.propagators import GraphPropagator
from opto_gym.interop import as_trace_function

task = as_trace_function(opto_gym.make(sys.argv[1]))
output, feedback = task()
output.backward(feedback, propagator=GraphPropagator())
node = list(task.parameters.values())[-1]
(graph,) = [g for messages in node.feedback.values() for g in messages][:1]
for name, parameter in task.parameters.items():
    parameter._data = json.loads(sys.argv[2])[name]
again, _ = task(example=0)
print(json.dumps({
    "output": str(output.data), "feedback": feedback, "nodes": [n.name for _, n in graph.graph],
    "code": [n.name for n in task.parameters.values()], "score": task.last.score,
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not TRACE_OPT.exists(), reason="trace-opt is not in .venv-bench: `make test` fetches it")
@pytest.mark.parametrize("name", ["NumericalOptimization-v0", "Battleship-v0", "TrafficGrid-v0"])
def test_trace_opt_goes_back_through_our_trace(name):
    env = opto_gym.make(name).unwrapped
    best = env.reference_solution()
    done = subprocess.run(
        [sys.executable, "-c", IN_TRACE_OPT, name, json.dumps(best)],
        env={**os.environ, "PYTHONPATH": str(TRACE_OPT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    ours = env.evaluate(env.problem.start, examples=env.draw(0, 0))
    assert said["feedback"] == str(ours.feedback)
    assert said["output"] == str(ours.graph.nodes[ours.graph.output].value)
    assert len(said["nodes"]) > 1
    assert all(n.startswith("__code") == (name == "Battleship-v0") for n in said["code"])
    assert said["score"] == env.evaluate(best, examples=[0]).score
