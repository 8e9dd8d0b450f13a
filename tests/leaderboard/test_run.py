from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from operator import attrgetter

import numpy as np
import pytest
from msgspec.structs import replace

from opto_gym.errors import RecordError, TrustError
from opto_gym.leaderboard import TrialFolder, replay, resume, run
from opto_gym.llm import attempts
from opto_gym.sandbox import shared
from tests.support.openai_server import OpenAIServer
from tests.support.runs import HERE, ask, content, count, go
from tests.support.soak import SOAK


def test_a_trial_is_recorded(tmp_path):
    result = go(tmp_path / "r")
    (outcome,) = result.trials
    assert (outcome.status, outcome.steps) == ("done", 6)
    folder = TrialFolder(outcome.path)
    trial = folder.trial()
    assert trial.status == "done"
    assert trial.ended == "budget: oracle_calls"
    assert trial.summary.oracle_calls == 6
    assert trial.where.sandbox.level == shared().level
    steps = folder.steps()
    assert [s.call for s in steps] == list(range(7))
    best = max(steps, key=attrgetter("reward", "call"))
    assert trial.summary.recommended == best.parameters
    assert trial.summary.current_score == steps[-1].score  # one case: test is train
    for s in steps:
        assert json.loads(folder.blob(s.graph))["version"] == 1


def test_two_seeds_differ_and_one_repeats(tmp_path):
    a, b = go(tmp_path / "a", seeds=2).trials
    (c,) = go(tmp_path / "b", seeds=[1]).trials
    values = [[s.parameters for s in TrialFolder(t.path).steps()] for t in (a, b, c)]
    assert values[0] != values[1]
    assert values[1] == values[2]
    assert b.trial == c.trial


@pytest.mark.parametrize("agent", ["Steps", "Parallel"])
def test_a_resumed_trial_equals_an_uninterrupted_one(tmp_path, agent):
    whole = go(tmp_path / "whole", agent=agent, oracle_calls=12).trials[0].path
    for keep in (1, 4, 9):
        out = tmp_path / f"cut{keep}"
        part = go(out, agent=agent, oracle_calls=12).trials[0].path
        lines = (part / "steps.jsonl").read_bytes().splitlines(keepends=True)
        (part / "steps.jsonl").write_bytes(b"".join(lines[:keep]) + lines[keep][: len(lines[keep]) // 2])
        summary = json.loads((part / "trial.json").read_text())
        (part / "trial.json").write_text(json.dumps({**summary, "status": "running"}))
        resume(out, progress=False)
        assert len(TrialFolder(part).steps()) == 13
        if agent == "Steps":
            assert content(part) == content(whole)
        else:  # threads: the same calls, each with its number's examples, in an order of their own
            assert sorted(s.key for s in TrialFolder(part).steps()) == sorted(s.key for s in TrialFolder(whole).steps())


def test_a_larger_budget_continues_the_same_trials(tmp_path):
    first = go(tmp_path / "r", oracle_calls=3).trials[0]
    before = (first.path / "steps.jsonl").read_bytes()
    again = resume(tmp_path / "r", limits={"oracle_calls": 6}, progress=False).trials[0]
    assert again.trial == first.trial
    assert again.steps == 6
    assert (first.path / "steps.jsonl").read_bytes().startswith(before)
    assert content(first.path)[1] == content(go(tmp_path / "whole", oracle_calls=6).trials[0].path)[1]


def test_what_is_done_is_not_run_again(tmp_path):
    first = go(tmp_path / "r").trials[0].path
    before = {p: p.stat().st_mtime_ns for p in first.rglob("*") if p.is_file()}
    assert go(tmp_path / "r").trials[0].status == "done"
    assert {p: p.stat().st_mtime_ns for p in first.rglob("*") if p.is_file()} == before


def test_a_failing_trial_is_recorded_and_stops_no_other(tmp_path):
    result = run(
        ["tests.support.tasks:Valley"],
        [f"{HERE}:Failing", f"{HERE}:Steps"],
        out=tmp_path,
        seeds=1,
        oracle_calls=4,
        progress=False,
    )
    failed, done = result.trials
    assert (failed.status, done.status) == ("failed", "done")
    summary = TrialFolder(failed.path).summary()
    assert "out of ideas" in summary.error
    assert "Traceback" in summary.error
    assert summary.summary.oracle_calls == 1


def test_the_budget_s_end_can_t_be_swallowed(tmp_path):
    assert go(tmp_path, agent="Swallowing").trials[0].steps == 6


@pytest.mark.parametrize(("limits", "calls"), [({"evaluations": 7, "oracle_calls": 50}, 2), ({"seconds": 0.5}, None)])
def test_every_budget_ends_a_trial(tmp_path, limits, calls):
    result = run(["tests.support.tasks:Adder"], ["RandomSearch"], out=tmp_path, seeds=1, progress=False, **limits)
    summary = TrialFolder(result.trials[0].path).summary()
    assert summary.status == "done"
    assert summary.ended == f"budget: {next(iter(limits))}"
    if calls is not None:
        assert result.trials[0].steps == calls


def test_solved_ends_a_trial(tmp_path):
    result = run(
        ["tests.support.tasks:Valley"], ["RandomSearch"], out=tmp_path, seeds=1, oracle_calls=500, progress=False
    )
    assert TrialFolder(result.trials[0].path).trial().ended == "solved"


def test_an_agent_may_choose_examples_and_recommend(tmp_path):
    (outcome,) = go(tmp_path, env="Adder", agent="Choosing", oracle_calls=20).trials
    summary = TrialFolder(outcome.path).summary()
    assert summary.ended == "agent"
    assert summary.summary.recommended_score == 1.0
    assert {tuple(s.examples) for s in TrialFolder(outcome.path).steps() if s.split == "val"} == {(0, 1)}


def test_test_is_not_for_agents(tmp_path):
    (outcome,) = go(tmp_path, agent="Peeking").trials
    assert "no agent sees test" in outcome.error


@pytest.mark.parametrize(
    ("scores", "tests"), [("each", lambda n: n > 2), ("end", lambda n: 1 <= n <= 3), ("never", lambda n: n == 0)]
)
def test_scoring_on_test(tmp_path, scores, tests):
    (outcome,) = go(tmp_path, test_scores=scores).trials
    assert tests(len(TrialFolder(outcome.path).tests()))


def test_masks_and_feedback_are_part_of_what_ran(tmp_path):
    plain = go(tmp_path / "a").trials[0]
    masked = go(tmp_path / "b", mask=["code", "inputs"], feedback=["reward"]).trials[0]
    assert plain.trial != masked.trial
    assert TrialFolder(masked.path).trial().spec.mask == ("code", "inputs")
    assert replay(masked.path).differences == []


def test_one_process_a_folder(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from opto_gym.leaderboard import RunFolder\n"
        "folder = RunFolder(Path(sys.argv[1])); folder.lock(); print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(RecordError, match=f"in use by process {other.pid}"):
            go(tmp_path)
    finally:
        other.kill()
        other.wait()
    assert go(tmp_path).trials[0].status == "done"  # the lock died with its process


def test_a_folder_that_can_t_be_written(tmp_path, unwritable):
    with pytest.raises(RecordError, match="can't be written"):
        go(unwritable / "run")
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordError, match="can't be written"):
        go(tmp_path / "file")


def test_a_full_disk_loses_nothing(tmp_path):
    """The limit on file size stands in for a disk: writes beyond it fail in the same place."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "from tests.support.runs import go\n"
        "go(sys.argv[1], oracle_calls=40)\n"
    )
    # -B: under the limit Python would leave cut bytecode caches behind, which break every later process
    command = [sys.executable, "-B", "-c", code, str(tmp_path / "r")]
    done = subprocess.run([*command, "9000"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "can't be written" in done.stderr
    resume(tmp_path / "r", progress=False)
    (path,) = (tmp_path / "r" / "trials").iterdir()
    assert content(path) == content(go(tmp_path / "whole", oracle_calls=40).trials[0].path)


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path):
    path = go(tmp_path).trials[0].path / "steps.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{broken\n" + b"".join(lines[2:]))
    summary = json.loads((path.parent / "trial.json").read_text())
    (path.parent / "trial.json").write_text(json.dumps({**summary, "status": "running"}))
    outcome = resume(tmp_path, progress=False).trials[0]
    assert outcome.status == "damaged"
    assert "steps.jsonl, line 2 is damaged" in outcome.error


def test_replay_needs_no_endpoint(tmp_path, server):
    outcome = ask(tmp_path, server)
    assert outcome.status == "done"
    assert len((outcome.path / "llm.jsonl").read_text().splitlines()) == 6
    server.close()
    again = replay(outcome.path)
    assert (again.differences, again.steps) == ([], 6)


@pytest.mark.parametrize("what", ["score", "parameters", "graph", "answer"])
def test_replay_finds_what_was_changed(tmp_path, server, what):
    path = ask(tmp_path, server).path
    name = "llm.jsonl" if what == "answer" else "steps.jsonl"
    lines = [json.loads(line) for line in (path / name).read_text().splitlines()]
    if what == "score":
        lines[3]["score"] -= 1
    elif what == "parameters":
        lines[3]["parameters"]["x"] += 1
    elif what == "graph":
        lines[3]["graph"] = lines[0]["graph"][::-1]
    else:
        lines[3]["texts"] = ["3"]
    (path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert replay(path).differences


def test_replay_of_what_is_no_trial(tmp_path):
    with pytest.raises(RecordError, match=r"trial\.json"):
        replay(tmp_path)


def test_a_dead_endpoint_fails_the_trial_and_resume_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "_FIRST_PAUSE", 0.005)
    with OpenAIServer(count, script=["ok", "ok", *[500] * 6]) as server:
        outcome = ask(tmp_path, server)
        assert outcome.status == "failed"
        assert outcome.steps == 2
        assert resume(tmp_path, progress=False).trials[0].status == "done"
        assert len(server.requests) == 2 + 6 + 4


def test_tokens_and_calls_of_a_model_are_bounded(tmp_path, server):
    outcome = ask(tmp_path / "a", server, llm_calls=3)
    assert outcome.steps == 3
    summary = TrialFolder(outcome.path).summary()
    assert summary.ended == "budget: llm_calls"
    assert summary.summary.ledger.optimizer.calls == 3
    assert ask(tmp_path / "b", server, tokens=10).steps == 0


def test_the_whole_run_has_a_cap(tmp_path, server):
    result = go(
        tmp_path, agent="Asking", seeds=3, model="fake", base_url=server.url, cap={"llm_calls": 1 + 8}
    )  # one is the probe
    assert sum(t.steps for t in result.trials) == 8


@pytest.mark.parametrize("keep", [1, 3])
def test_what_a_task_s_own_model_took_is_on_the_books_after_an_interruption(tmp_path, server, keep):
    keywords = {"seeds": 1, "oracle_calls": 4, "model": "fake", "base_url": server.url, "progress": False}
    (outcome,) = run([("GSM8K-v1", {"data": "sample"})], ["RandomSearch"], out=tmp_path, **keywords).trials
    whole, asked = TrialFolder(outcome.path).trial().summary, len(server.requests)
    assert whole.spent.llm_calls == whole.ledger.task.calls > 4
    lines = (outcome.path / "steps.jsonl").read_text().splitlines(keepends=True)
    (outcome.path / "steps.jsonl").write_text("".join(lines[:keep]))
    folder = TrialFolder(outcome.path)
    folder.write_trial(replace(folder.trial(), status="running"))
    resume(tmp_path, progress=False)
    again = TrialFolder(outcome.path).trial().summary
    assert len(server.requests) == asked
    assert replace(again.spent, seconds=0.0) == replace(whole.spent, seconds=0.0)
    both = zip(again.ledger.values(), whole.ledger.values(), strict=True)
    assert all(replace(a, seconds=0.0) == replace(b, seconds=0.0) for a, b in both)
    assert replay(outcome.path).differences == []


def kill_and_resume(tmp_path, delays, server):
    """Kills a run again and again; returns the folder after it came to its end."""
    code = (
        "import sys; from tests.support.runs import go\n"
        "go(sys.argv[1], agent='Asking', model='fake', base_url=sys.argv[2], oracle_calls=25, seeds=2, jobs=2)\n"
    )
    out = tmp_path / "r"
    command = [sys.executable, "-c", code, str(out), server.url]
    kills = 0
    for delay in delays:
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not (out / "trials").exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.005)
        time.sleep(delay)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
    return out, kills


def check_nothing_was_paid_twice(tmp_path, server, out, kills):
    recorded = [json.loads(line) for p in out.glob("trials/*/llm.jsonl") for line in p.read_text().splitlines()]
    assert len(recorded) == 50  # two trials of 25
    assert len({(r["key"], r["n"]) for r in recorded}) == 50
    assert 50 <= len(server.requests) <= 50 + 2 * kills  # at most the call in flight of each of two workers
    answers = len(server.requests)
    whole = go(tmp_path / "whole", agent="Asking", model="fake", base_url=server.url, oracle_calls=25, seeds=2)
    assert len(server.requests) == answers + 50
    for trial in whole.trials:
        assert content(out / "trials" / trial.trial) == content(trial.path)
        assert replay(out / "trials" / trial.trial).differences == []


@pytest.mark.slow
def test_kill_9(tmp_path):
    with OpenAIServer(functools.partial(count, delay=0.01)) as server:
        out, kills = kill_and_resume(tmp_path, [0.05, 0.2, 0.01], server)
        assert kills >= 2
        check_nothing_was_paid_twice(tmp_path, server, out, kills)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_at_random_moments(tmp_path):
    rng = np.random.default_rng(0)
    total = 0
    runs = 5 if SOAK else 2
    for k in range(runs):
        with OpenAIServer(functools.partial(count, delay=0.02)) as server:
            folder = tmp_path / str(k)
            folder.mkdir()
            out, kills = kill_and_resume(folder, rng.exponential(0.06, size=12), server)
            check_nothing_was_paid_twice(folder, server, out, kills)
            total += kills
    assert total >= 10 * runs


def test_ctrl_c_leaves_a_run_that_can_go_on(tmp_path):
    command = [
        sys.executable,
        "-m",
        "opto_gym",
        "run",
        "--env",
        "tests.support.tasks:Valley",
        "--agent",
        f"{HERE}:Waiting",
    ]
    command += ["--seeds", "1", "--oracle-calls", "100000", "--out", str(tmp_path / "r"), "--test-scores", "never"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
    while not list((tmp_path / "r").glob("trials/*/steps.jsonl")):
        time.sleep(0.02)
        assert process.poll() is None
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"opto-gym run --resume {tmp_path / 'r'}" in said
    (path,) = (tmp_path / "r" / "trials").iterdir()
    assert TrialFolder(path).trial().status == "running"
    calls = len(TrialFolder(path).steps())
    again = resume(tmp_path / "r", limits={"oracle_calls": calls + 3}, progress=False)
    assert again.trials[0].steps == calls + 3


def test_impossible_grids_are_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="needs a budget"):
        go(tmp_path, oracle_calls=None)
    with pytest.raises(ValueError, match="nothing to run"):
        run(["tests.support.tasks:Adder"], ["Adam"], out=tmp_path, oracle_calls=3)
    with pytest.raises(TypeError, match="unknown"):
        run(["tests.support.tasks:Valley"], [("RandomSearch", {"unknown": 1})], out=tmp_path, oracle_calls=3)
    with pytest.raises(ValueError, match="each"):
        go(tmp_path, test_scores="sometimes")
    assert not (tmp_path / "trials").exists()


def test_specialists_skip_what_is_not_theirs(tmp_path):
    tasks = ["tests.support.tasks:Valley", "tests.support.tasks:Adder"]
    result = run(tasks, ["RandomSearch", "HuntTarget"], out=tmp_path, seeds=1,
                 oracle_calls=2, progress=False)  # fmt: skip
    assert len(result.trials) == 2
    assert {(env, agent) for env, agent, _ in result.skipped} == {
        ("tests.support.tasks:Valley", "HuntTarget"),
        ("tests.support.tasks:Adder", "HuntTarget"),
    }


def test_a_run_folder_can_be_moved(tmp_path):
    go(tmp_path / "a", oracle_calls=3)
    shutil.move(tmp_path / "a", tmp_path / "b")
    with pytest.raises(TrustError):  # it might be a stranger's
        resume(tmp_path / "b", limits={"oracle_calls": 5}, progress=False)
    assert resume(tmp_path / "b", limits={"oracle_calls": 5}, progress=False, trust=True).trials[0].steps == 5


def test_outcomes_are_plain(tmp_path):
    assert dataclasses.asdict(go(tmp_path).trials[0])["status"] == "done"
