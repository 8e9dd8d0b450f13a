"""What may go wrong in a trial, and what its record says then."""

from __future__ import annotations

import gzip
import json
import threading

import pytest
from msgspec.structs import replace

from opto_gym import OptoEnv
from opto_gym.errors import ModelNotFound, OptoGymError
from opto_gym.leaderboard import TrialFolder, TrialRunner, plan, replay, resume, run
from opto_gym.llm import local
from tests.support import agents
from tests.support.runs import HERE, ask, content, go


def edit(path, **changes):
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


def test_an_agent_that_exits_stops_no_other(tmp_path):
    tasks = ["tests.support.tasks:Valley"]
    result = run(tasks, [f"{HERE}:Exiting", f"{HERE}:Steps"], out=tmp_path, seeds=1, oracle_calls=2,
                 progress=False)  # fmt: skip
    assert [t.status for t in result.trials] == ["failed", "done"]
    assert result.trials[0].error == "SystemExit: 3"


def test_a_budget_that_ends_before_the_first_call_fails_the_trial(tmp_path, server):
    result = go(tmp_path, agent="AskingFirst", model="fake", base_url=server.url, tokens=10)
    assert result.trials[0].error == "budget: tokens"
    assert server.requests == []
    again = resume(tmp_path, limits={"tokens": 5000}, progress=False)
    assert again.trials[0].status == "done"


def test_values_that_json_does_not_know_are_feedback_and_recorded(tmp_path):
    (outcome,) = go(tmp_path, agent="Strange").trials
    assert (outcome.status, outcome.steps) == ("done", 5)
    steps = TrialFolder(outcome.path).steps()
    assert [bool(s.error) for s in steps] == [False] + [True] * 5
    assert steps[4].parameters == {"x": "\udc80"}
    assert replay(outcome.path).differences == []


@pytest.mark.parametrize("scores", ["each", "end"])
def test_a_failed_trial_has_the_start_s_score(tmp_path, scores):
    (outcome,) = go(tmp_path, agent="Failing", test_scores=scores).trials
    assert outcome.status == "failed"
    assert TrialFolder(outcome.path).trial().summary.start_score == 9.0


def test_threads_that_come_in_another_order_keep_their_numbers(tmp_path):
    path = go(tmp_path, env="Adder", agent="Uneven", oracle_calls=24, test_scores="never").trials[0].path
    steps = TrialFolder(path).steps()
    lines = (path / "steps.jsonl").read_bytes().splitlines(keepends=True)
    (path / "steps.jsonl").write_bytes(b"".join(lines[::2]))  # every other one was in flight
    kept = {(s.key, s.n): s.call for s in steps[::2]}
    edit(path / "trial.json", status="running")
    resume(tmp_path, progress=False)
    again = TrialFolder(path).steps()
    assert sorted(s.call for s in again) == list(range(25))
    assert {k: v for k, v in {(s.key, s.n): s.call for s in again}.items() if k in kept} == kept
    assert replay(path).differences == []


@pytest.mark.parametrize("what", ["blob", "test", "test missing", "summary"])
def test_replay_checks_every_file(tmp_path, what):
    path = go(tmp_path).trials[0].path
    if what == "blob":
        blob = sorted((path / "blobs").iterdir())[0]
        blob.write_bytes(gzip.compress(b"{}"))
    elif what == "summary":
        data = json.loads((path / "trial.json").read_text())
        data["summary"]["recommended_score"] -= 1
        (path / "trial.json").write_text(json.dumps(data))
    else:
        tests = [json.loads(line) for line in (path / "tests.jsonl").read_text().splitlines()]
        tests[1]["scores"] = [0.0]
        del tests[1 if what == "test missing" else len(tests) :]
        (path / "tests.jsonl").write_text("".join(json.dumps(t) + "\n" for t in tests))
    assert replay(path).differences


def test_replay_writes_nothing(tmp_path, server):
    path = ask(tmp_path, server).path
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()}
    assert replay(path).differences == []
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()} == before


def test_replay_of_a_trial_that_the_whole_run_s_cap_ended(tmp_path, server):
    outcome = ask(tmp_path, server, cap={"llm_calls": 1 + 3})  # the first is the probe's
    assert outcome.steps == 3
    assert replay(outcome.path).differences == []


def test_a_resumed_run_remembers_what_its_cap_has_paid(tmp_path, server):
    settings = {"model": "fake", "base_url": server.url, "cap": {"llm_calls": 1 + 9}, "oracle_calls": 6, "seeds": 2}
    first = go(tmp_path, agent="Asking", **settings).trials
    assert [t.steps for t in first] == [6, 3]
    assert [t.steps for t in resume(tmp_path, progress=False).trials] == [6, 3]
    assert len(server.requests) == 9
    assert [t.steps for t in resume(tmp_path, cap={"llm_calls": 11}, progress=False).trials] == [6, 5]
    assert len(server.requests) == 11


def test_a_trial_that_goes_on_is_running_again(tmp_path):
    path = go(tmp_path).trials[0].path
    stop = threading.Event()
    stop.set()
    spec = TrialFolder(path).trial().spec
    with pytest.raises(KeyboardInterrupt):
        TrialRunner(spec, path, limits={"oracle_calls": 9}, stop=stop).run()
    assert TrialFolder(path).trial().status == "running"


def test_what_a_lost_attempt_spent_is_in_the_summary(tmp_path, monkeypatch):
    monkeypatch.setattr(agents.Interrupted, "calm", False)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, agent="Interrupted")
    monkeypatch.setattr(agents.Interrupted, "calm", True)
    (outcome,) = resume(tmp_path, progress=False).trials
    assert (outcome.status, outcome.steps) == ("done", 4)
    lost = TrialFolder(outcome.path).trial().summary.lost
    assert (lost.attempts, lost.oracle_calls, lost.evaluations) == (1, 2, 2)
    assert replay(outcome.path).differences == []


def test_model_and_endpoint_are_settled_when_a_run_begins(tmp_path, server, dead_url, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPTO_GYM_MODEL", "one")
    first = go(tmp_path, agent="Asking", oracle_calls=2).trials[0]
    monkeypatch.setenv("OPTO_GYM_MODEL", "two")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{dead_url}/v1")
    again = resume(tmp_path, limits={"oracle_calls": 3}, progress=False).trials[0]
    assert (again.trial, again.status) == (first.trial, "done")
    assert {r["body"]["model"] for r in server.requests} == {"one"}
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert go(tmp_path / "two", agent="Asking", oracle_calls=2).trials[0].trial != first.trial


def test_an_agent_s_own_model_counts(server):
    made = plan(["tests.support.tasks:Valley"], [(f"{HERE}:Asking", {"model": "mine"}), f"{HERE}:Steps"], seeds=1,
                limits={"oracle_calls": 1}, model="other", base_url=server.url)  # fmt: skip
    assert [s.optimizer_model for s in made.specs.values()] == ["mine", None]


def test_logins_and_keys_never_reach_the_record(tmp_path, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-topsecret-123456")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("://", "://user:topsecret@"))
    assert go(tmp_path, agent="Asking", model="fake").trials[0].status == "done"
    assert resume(tmp_path, limits={"oracle_calls": 8}, progress=False).trials[0].status == "done"
    assert all(r["headers"]["authorization"].startswith("Basic") for r in server.requests)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"topsecret" in p.read_bytes()]
    with pytest.raises(ValueError, match="OPENAI_BASE_URL"):
        go(tmp_path / "x", agent="Asking", model="fake", base_url="http://user:pw@host/v1")
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(OptoGymError, match="no model"):
        go(tmp_path / "x", agent="Asking")
    assert go(tmp_path / "x", agent="Steps").trials[0].status == "done"  # asks no model


def test_trials_of_a_run_share_scores_on_test(tmp_path, monkeypatch):
    evaluate, splits = OptoEnv.evaluate, []

    def counted(self, *arguments, split="train", **keywords):
        splits.append(split)
        return evaluate(self, *arguments, split=split, **keywords)

    monkeypatch.setattr(OptoEnv, "evaluate", counted)
    result = go(tmp_path, env="Adder", agent="Uneven", seeds=2, oracle_calls=3)
    tests = [{scored.parameters_hash for scored in TrialFolder(t.path).tests()} for t in result.trials]
    assert splits.count("test") == len(tests[0] | tests[1]) < len(tests[0]) + len(tests[1])
    starts = [TrialFolder(t.path).tests()[0] for t in result.trials]
    assert replace(starts[0], seconds=0.0) == replace(starts[1], seconds=0.0)


def test_two_runs_of_one_seed_are_equal(tmp_path, server):
    assert content(ask(tmp_path / "a", server).path) == content(ask(tmp_path / "b", server).path)


def test_a_missing_embedded_model_is_said_before_any_trial(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTO_GYM_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(local, "server", local.Server)  # a test before may have started one
    with pytest.raises(ModelNotFound, match="opto-gym models pull"):
        go(tmp_path / "r", agent="Asking", model="local")
    assert not (tmp_path / "r" / "trials").exists()
