"""Trials of programs that were interrupted: what goes on, what starts again, and that nothing is paid twice."""

from __future__ import annotations

import json
import signal
import time

import pytest

from opto_gym.agents.external.program import ModelProgram
from opto_gym.leaderboard import TrialFolder, replay, resume
from opto_gym.leaderboard.reporting.page import html, notes
from opto_gym.leaderboard.results import load, rows
from tests.support.openai_server import OpenAIServer
from tests.support.program_trials import begun, family, go, gone, in_a_process, lines
from tests.support.runs import content, count

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("homes")]  # processes of other programs, begun and ended

HERE = "tests.agents.test_external_resumed"


def test_a_dead_endpoint_fails_the_trial_and_resume_goes_on(tmp_path, monkeypatch):
    sleep = time.sleep
    monkeypatch.setattr("opto_gym.llm.client.time.sleep", lambda s: sleep(min(s, 0.01)))
    with OpenAIServer(count, script=["ok", "ok", *[500] * 6]) as server:
        outcome, data = go(tmp_path, "shrugs", agent="Program-Model", model="fake", base_url=server.url)
        assert (outcome.status, data.ended.partition(":")[0]) == ("failed", "EndpointError")
        assert outcome.steps == 2  # though the program went on
        (outcome,) = resume(tmp_path, progress=False).trials
        assert (outcome.status, outcome.steps) == ("done", 4)
        assert len(server.requests) == 2 + 6 + 2


def test_a_replay_needs_no_endpoint(tmp_path):
    with OpenAIServer(count) as server:
        outcome, _ = go(tmp_path, "asks", agent="Program-Model", model="fake", base_url=server.url)
    assert replay(outcome.path).differences == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_when_opto_gym_ends_the_program_does(tmp_path, homes, number):
    process = in_a_process(tmp_path / "r", "stop_dead", "--oracle-calls", "5")
    begun(tmp_path / "r", process)
    programs = [one.pid for one in family()]
    assert len(programs) == 2  # the keeper, and it
    begin = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert all(map(gone, programs))
    assert time.monotonic() - begin < 8
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert f"opto-gym run --resume {tmp_path / 'r'}" in said
        assert not list(homes.iterdir())
    (path,) = (tmp_path / "r" / "trials").iterdir()
    assert TrialFolder(path).trial().status == "running"
    for home in homes.iterdir():
        home.rmdir()  # nobody is left to do it after kill -9


def test_after_kill_9_nothing_recorded_is_paid_twice(tmp_path, homes):
    more = ["--oracle-calls", "12", "--model", "fake"]
    with OpenAIServer(lambda body: count(body, delay=0.02)) as server:
        kills = 0
        for delay in (0.05, 0.15):
            process = in_a_process(tmp_path / "r", "asks", *more, "--base-url", server.url, agent="Program-Model")
            begun(tmp_path / "r", process)
            time.sleep(delay)
            programs = [one.pid for one in family()]
            kills += process.poll() is None
            process.kill()
            process.communicate()
            assert all(map(gone, programs))
        assert kills == 2
        (outcome,) = resume(tmp_path / "r", progress=False).trials
        assert (outcome.status, outcome.steps) == ("done", 12)
        assert 12 <= len(server.requests) <= 12 + kills
        settings = {"patience": 300}
        whole, _ = go(
            tmp_path / "whole", "asks", agent="Program-Model", model="fake", base_url=server.url, oracle_calls=12,
            settings=settings, test_scores="each",
        )  # fmt: skip
    assert whole.trial == outcome.trial
    assert content(outcome.path) == content(whole.path)
    assert replay(outcome.path).differences == []
    for home in homes.iterdir():
        home.rmdir()


# ------------------------------------------------------------------ who can't go on
def drawing(out, server, **keywords):
    keywords = {"oracle_calls": 12, "test_scores": "each", "settings": {"deterministic": False}, **keywords}
    return go(out, "asks_and_draws", agent="Program-Model", model="fake", base_url=server.url, **keywords)


def test_who_can_t_go_on_starts_again_within_the_same_budget(tmp_path, homes):
    """Two kills later, and a third while a record was set aside, all that was paid is on the books, once."""
    out = tmp_path / "r"
    more = ["--oracle-calls", "12", "--model", "fake"]
    with OpenAIServer("a few words") as server:
        for kill in range(2):
            process = in_a_process(
                out, "asks_and_draws", *more, "--base-url", server.url, agent="Program-Model",
                settings=",deterministic=False",
            )  # fmt: skip
            while len(list(out.glob("trials/*/lost/*/steps.jsonl"))) < kill:  # the last one's record is still there
                time.sleep(0.01)
            begun(out, process)
            process.kill()
            process.communicate()
        (path,) = (out / "trials").iterdir()
        folder = TrialFolder(path)
        (path / "lost" / "2").mkdir()
        (path / "llm.jsonl").rename(path / "lost" / "2" / "llm.jsonl")  # the third
        (outcome,) = resume(out, progress=False).trials
        data = folder.summary()
        requests = len(server.requests)
    assert [p.name for p in folder.attempts()] == ["1", "2"]
    assert all((p / "steps.jsonl").exists() and (p / "llm.jsonl").exists() for p in folder.attempts())
    steps = [line for p in path.rglob("steps.jsonl") for line in lines(p) if line["call"]]
    calls = [line for p in path.rglob("llm.jsonl") for line in lines(p)]
    summary, lost = data.summary, data.summary.lost
    assert (outcome.status, data.ended, len(steps)) == ("done", "budget: oracle_calls", 12)
    assert requests - 2 <= len(calls) <= requests  # the one in flight at each kill is in no record
    assert summary.spent.oracle_calls == summary.spent.evaluations == 12
    assert summary.spent.llm_calls == summary.ledger.optimizer.calls == len(calls)
    assert summary.spent.tokens == sum(line["tokens_in"] + line["tokens_out"] for line in calls)
    assert (lost.attempts, lost.oracle_calls) == (2, 12 - outcome.steps)
    assert lost.ledger.optimizer.calls == len(calls) - len(lines(path / "llm.jsonl"))
    assert data.seconds > 0
    again = replay(path)
    assert (again.differences, again.steps) == ([], outcome.steps)
    trials = load(out)
    said = f"{lost.evaluations} evaluations, {lost.ledger.optimizer.calls} LLM calls and "
    assert any(said in note for note in notes(trials))
    assert said in html("r", trials)
    (row,) = rows(trials)
    assert (row.total("evaluations"), row.ledger("calls")) == (12, len(calls))
    for home in homes.iterdir():
        home.rmdir()


def test_a_lost_try_may_have_spent_it_all(tmp_path):
    with OpenAIServer("words") as server:
        outcome, _ = drawing(tmp_path, server, oracle_calls=5, llm_calls=3)
        assert outcome.steps == 3
        summary = outcome.path / "trial.json"
        summary.write_text(json.dumps({**json.loads(summary.read_text()), "status": "running"}))
        (outcome,) = resume(tmp_path, progress=False).trials
        data = TrialFolder(outcome.path).summary()
        assert (outcome.status, data.ended, outcome.steps) == ("done", "budget: llm_calls", 0)
        assert len(server.requests) == data.summary.spent.llm_calls == 3
        assert data.summary.recommended == {"x": 0}


def test_what_is_done_is_not_lost_to_a_budget_that_it_did_not_lack(tmp_path):
    with OpenAIServer("words") as server:
        first, _ = drawing(tmp_path, server, oracle_calls=3)
        (again,) = resume(tmp_path, limits={"llm_calls": 50}, cap={"usd": None, "tokens": 10**6}, progress=False).trials
        assert (again.steps, TrialFolder(first.path).attempts(), len(server.requests)) == (3, [], 3)
        (again,) = resume(tmp_path, limits={"oracle_calls": 5}, progress=False).trials
        assert (again.steps, len(TrialFolder(first.path).attempts()), len(server.requests)) == (2, 1, 5)


class Drawing(ModelProgram):
    """A program that would not do the same again, by its class."""

    deterministic = False


def test_a_class_may_say_that_it_can_t_go_on(tmp_path):
    with OpenAIServer("words") as server:
        keywords = {"agent": f"{HERE}:Drawing", "model": "fake", "base_url": server.url}
        outcome, _ = go(tmp_path, "asks_and_draws", oracle_calls=1, **keywords)
        assert resume(tmp_path, limits={"oracle_calls": 2}, progress=False).trials[0].steps == 1
    assert len(TrialFolder(outcome.path).attempts()) == 1


def test_start_values_alone_are_no_loss(tmp_path):
    with OpenAIServer("words") as server:
        outcome, _ = drawing(tmp_path, server, oracle_calls=1, llm_calls=0)
        resume(tmp_path, limits={"llm_calls": 1}, progress=False)
    assert TrialFolder(outcome.path).attempts() == []
    assert TrialFolder(outcome.path).trial().summary.lost is None


def test_a_replay_finds_what_was_changed_in_the_last_try(tmp_path):
    with OpenAIServer("words") as server:
        outcome, _ = drawing(tmp_path, server, oracle_calls=3)
    path = outcome.path / "steps.jsonl"
    changed = lines(path)
    changed[2]["score"] -= 1
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    (difference,) = replay(outcome.path).differences
    assert "call 2: score was" in difference


@pytest.mark.parametrize("limits", [{"oracle_calls": 6}, {"evaluations": 6, "oracle_calls": None}])
def test_who_goes_on_otherwise_than_it_said_spends_no_more_than_its_budget(tmp_path, limits):
    outcome, _ = go(tmp_path, "draws", **limits)
    assert len(TrialFolder(outcome.path).steps()) == 7
    cut(outcome.path, "steps.jsonl", 5)
    (outcome,) = resume(tmp_path, progress=False).trials
    assert outcome.status == "done"
    assert len(TrialFolder(outcome.path).steps()) == 7


def test_nor_does_who_asks_otherwise(tmp_path):
    with OpenAIServer("words") as server:
        keywords = {"agent": "Program-Model", "model": "fake", "base_url": server.url}
        outcome, _ = go(tmp_path, "asks_and_draws", oracle_calls=50, llm_calls=6, **keywords)
        cut(outcome.path, "llm.jsonl", 4)
        (outcome,) = resume(tmp_path, progress=False).trials
        assert (outcome.status, len(lines(outcome.path / "llm.jsonl"))) == ("done", 6)
        assert len(server.requests) == 6 + 2


def cut(path, name, keep):
    """A trial as a kill would have left it."""
    (path / name).write_text("".join((path / name).read_text().splitlines(keepends=True)[:keep]))
    data = json.loads((path / "trial.json").read_text())
    (path / "trial.json").write_text(json.dumps({**data, "status": "running"}))
