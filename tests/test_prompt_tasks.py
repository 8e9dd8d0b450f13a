"""Prompt tasks from end to end with the embedded model, in both roles. It is weak: nothing is asserted of scores."""

from __future__ import annotations

import json

import pytest

from opto_gym.leaderboard import replay, run


@pytest.fixture(autouse=True)
def the_embedded_model(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPTO_GYM_MODEL", "local")


@pytest.mark.slow
def test_optoprime_on_object_counting(tmp_path):
    result = run(
        [("BBH-object_counting-v1", {"data": "sample", "max_tokens": 16})],
        [("OptoPrime", {"max_tokens": 240})],
        out=tmp_path / "run",
        seeds=1,
        oracle_calls=2,
        test_scores="end",
        progress=False,
    )
    (trial,) = result.trials
    assert trial.status == "done", trial.error
    steps = [json.loads(line) for line in (trial.path / "steps.jsonl").read_text().splitlines()]
    calls = [json.loads(line) for line in (trial.path / "llm.jsonl").read_text().splitlines()]
    assert [s["call"] for s in steps] == [0, 1, 2]
    roles = [c["role"] for c in calls]
    assert roles.count("optimizer") == 2
    assert roles.count("task") >= 1  # none for a proposal whose code makes no prompt
    assert roles.count("test") >= 2
    assert {c["endpoint"] for c in calls} == {"local"}
    assert all(c["tokens_out"] > 0 for c in calls)
    asked = next(c for c in calls if c["role"] == "task")["request"]
    assert asked["temperature"] == 0.0
    assert steps[0]["metrics"]["prompt"] == asked["messages"][0]["content"]
    assert replay(trial.path).differences == []
