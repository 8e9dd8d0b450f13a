"""What endpoints refuse is named in a trial's summary and in the report, and a replay agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opto_gym.leaderboard import TrialFolder, replay, run
from opto_gym.leaderboard.reporting import page
from opto_gym.leaderboard.results import load
from tests.support.openai_server import OpenAIServer, Page


def profile(body: dict[str, Any]) -> Any:
    for name in ("max_tokens", "temperature", "n"):
        if body.get(name, 1) != 1:
            hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
            said = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
            return Page(400, {"error": {"message": said, "param": name}})
    return "ok"


def test_a_trial_and_its_report_name_what_was_left_out(tmp_path: Path):
    with OpenAIServer('{"w": {n}, "b": 14}', profile=profile) as server:
        settings: dict[str, Any] = {"model": "gpt-5-mini", "base_url": server.url, "progress": False}
        agents = [("OPRO", {"n": 3, "temperature": 0.5}), ("TextGrad", {"temperature": 0.0})]
        run([("LinearRegression-v0", {})], agents, seeds=1, oracle_calls=4, out=tmp_path / "run", **settings)
    trials = load(tmp_path / "run")
    assert [t.record.status for t in trials] == ["done", "done"]
    limit = "max_tokens -> max_completion_tokens"
    found = {t.record.spec.agent: t.record.summary.adaptations["gpt-5-mini"] for t in trials if t.record.summary}
    assert found == {"OPRO": [limit, "n", "temperature"], "TextGrad": [limit, "temperature"]}
    (note,) = [note for note in page.notes(trials) if "gpt-5-mini" in note]
    assert note == (
        "gpt-5-mini was asked without temperature; with max_completion_tokens in place of max_tokens; by one request "
        "for each of n answers: its endpoint takes nothing else."
    )
    for t in trials:
        outcome = replay(tmp_path / "run" / "trials" / t.name)
        assert outcome.differences == []
        assert TrialFolder(tmp_path / "run" / "trials" / t.name).calls()
