"""The oracle of a trial: which calls count as the best, and what a budget has to hold."""

from __future__ import annotations

import json

import pytest

from opto_gym.leaderboard import TrialFolder, resume, run
from tests.support import agents
from tests.support.runs import HERE, go


def test_of_equal_rewards_the_latest_is_recommended(tmp_path):
    listed = [(f"{HERE}:Listed", {"xs": [9, 2, 4, 1]})]  # 2 and 4 are as good, and the best
    tasks, settings = ["tests.support.tasks:Valley"], {"seeds": 1, "oracle_calls": 9, "progress": False}
    (outcome,) = run(tasks, listed, out=tmp_path, **settings).trials
    summary = TrialFolder(outcome.path).summary()["summary"]
    assert (summary["oracle_calls"], summary["recommended"]) == (4, {"x": 4})


def test_the_latest_is_the_one_submitted_last_not_the_one_answered_last(tmp_path):
    (outcome,) = go(tmp_path, env="SlowAtTwo", agent="Overtaking").trials
    folder = TrialFolder(outcome.path)
    assert [(s["call"], s["parameters"]["x"]) for s in folder.steps()] == [(0, 0), (2, 4), (1, 2)]  # as answered
    assert folder.summary()["summary"]["recommended"] == {"x": 4}


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
    assert [s["parameters"]["x"] for s in TrialFolder(outcome.path).steps()[1:]] == [-10, -9, -8, -7, -4, -3]
    assert TrialFolder(outcome.path).summary()["ended"].startswith("budget: ")
