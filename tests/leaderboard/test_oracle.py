"""The oracle of a trial: which calls count as the best, what a budget has to hold, which examples there are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from opto_gym.agents import Agent
from opto_gym.leaderboard import TrialFolder, resume, run
from tests.support import agents
from tests.support.runs import HERE, go


def test_of_equal_rewards_the_latest_is_recommended(tmp_path):
    listed = [(f"{HERE}:Listed", {"xs": [9, 2, 4, 1]})]  # 2 and 4 are as good, and the best
    tasks, settings = ["tests.support.tasks:Valley"], {"seeds": 1, "oracle_calls": 9, "progress": False}
    (outcome,) = run(tasks, listed, out=tmp_path, **settings).trials
    summary = TrialFolder(outcome.path).trial().summary
    assert (summary.oracle_calls, summary.recommended) == (4, {"x": 4})


def test_the_latest_is_the_one_submitted_last_not_the_one_answered_last(tmp_path):
    (outcome,) = go(tmp_path, env="SlowAtTwo", agent="Overtaking").trials
    folder = TrialFolder(outcome.path)
    assert [(s.call, s.parameters["x"]) for s in folder.steps()] == [(0, 0), (2, 4), (1, 2)]  # as answered
    assert folder.trial().summary.recommended == {"x": 4}


@pytest.mark.parametrize("limit", ["oracle_calls", "evaluations"])
def test_an_agent_that_does_something_else_after_an_interruption_is_not_paid_twice(tmp_path, monkeypatch, limit):
    """The calls on record are paid, though it does not ask them again: there are six in all, not four and six."""
    (outcome,) = go(tmp_path, agent="Inconstant", **{"oracle_calls": None, limit: 6}).trials
    steps = outcome.path / "steps.jsonl"
    steps.write_bytes(b"".join(steps.read_bytes().splitlines(keepends=True)[:5]))  # the start and four calls
    summary = outcome.path / "trial.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "status": "running"}))
    monkeypatch.setattr(agents.Inconstant, "offset", 6)
    (outcome,) = resume(tmp_path, progress=False).trials
    assert [s.parameters["x"] for s in TrialFolder(outcome.path).steps()[1:]] == [-10, -9, -8, -7, -4, -3]
    assert TrialFolder(outcome.path).trial().ended.startswith("budget: ")


class AsksBeyond(Agent):
    """Asks for an example by an index that its setting gives."""

    def __init__(self, *, split: str, index: int, numpy: bool = False, **settings):
        super().__init__(**settings)
        self.split, self.index, self.numpy = split, index, numpy

    def optimize(self, problem, oracle):
        index = np.int64(self.index) if self.numpy else self.index
        oracle(problem.start, examples=[0, index], split=self.split)


@pytest.mark.parametrize("numpy", [False, True])
@pytest.mark.parametrize(("split", "size", "index"), [("train", 50, 50), ("train", 50, -51), ("val", 2, 2)])
def test_an_agent_that_asks_for_an_example_beyond_a_split_learns_which(tmp_path, split, size, index, numpy):
    agent = (f"{__name__}:AsksBeyond", {"split": split, "index": index, "numpy": numpy})
    result = run(["tests.support.tasks:Adder"], [agent], out=tmp_path, seeds=1, oracle_calls=2, progress=False)
    (outcome,) = result.trials
    assert outcome.status == "failed"
    assert f"IndexError: Adder: the split '{split}' has {size} examples" in outcome.error
    assert outcome.error.endswith(f"got {index}")
