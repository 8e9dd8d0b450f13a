"""A person's trials, typed in a real terminal."""

from __future__ import annotations

import json
import re
import sys
import time

import pytest

from opto_gym import make_agent
from opto_gym.cli import main
from opto_gym.leaderboard import replay, run
from tests.support.tasks import Valley
from tests.support.terminal import Terminal

VALLEY = "tests.support.tasks:Valley"
COMMAND = [sys.executable, "-c", "import sys; from opto_gym.cli import main; sys.exit(main(sys.argv[1:]))"]


def trial_command(out, *more, calls=3, seeds="1"):
    given = ("--env", VALLEY, "--agent", "Human", "--oracle-calls", str(calls), "--seeds", seeds, "--out", str(out))
    return "run", *given, *more


def steps(out):
    """(call, x, score) of the steps of a run's only trial."""
    (path,) = out.glob("trials/*")
    lines = [json.loads(line) for line in (path / "steps.jsonl").read_text().splitlines()]
    return path, [(line["call"], line["parameters"]["x"], line["score"]) for line in lines]


def test_a_trial_typed_in_a_terminal(tmp_path):
    t = Terminal(*trial_command(tmp_path / "r"))
    t.expect("Make the output small.")
    t.expect("x: a whole number in [-10, 10] (the position)")
    t.expect("The output is 9.")
    t.expect("Score: 9, best so far 9 (worst 10000, best 0)")
    t.expect("[0 of 3 calls] > ")
    t.type("x = 50\n")
    t.expect("x stays as it was")
    t.type("x = 1\n")
    t.type("run\n")
    t.expect("Call 1")
    t.expect("Score: 4, best so far 4")
    t.expect("[1 of 3 calls] > ")
    time.sleep(1)  # a progress bar would draw itself ten times by now
    assert "━" not in t.said
    assert t.said.endswith("[1 of 3 calls] > ")
    t.type("x = 3\nrun\n")
    assert t.status() == 0
    path, made = steps(tmp_path / "r")
    assert made == [(0, 0, 9.0), (1, 1, 4.0), (2, 3, 0.0)]
    summary = json.loads((path / "trial.json").read_text())
    assert (summary["status"], summary["ended"]) == ("done", "solved")
    assert summary["spec"]["agent"] == "Human"
    assert replay(path).differences == []  # which asks nobody: there is no terminal here


@pytest.mark.slow
@pytest.mark.parametrize("end", ["quit\n", "\x04"])
def test_who_has_had_enough_keeps_what_was_done(tmp_path, end):
    t = Terminal(*trial_command(tmp_path / "r"))
    t.expect("[0 of 3 calls] > ")
    t.type("x = 2\nrun\n")
    t.expect("[1 of 3 calls] > ")
    t.type(end)
    assert t.status() == 0
    path, made = steps(tmp_path / "r")
    assert made == [(0, 0, 9.0), (1, 2, 1.0)]
    summary = json.loads((path / "trial.json").read_text())
    assert (summary["status"], summary["ended"]) == ("done", "agent")
    assert replay(path).differences == []


@pytest.mark.slow
def test_an_interrupted_trial_goes_on_where_it_was(tmp_path):
    t = Terminal(*trial_command(tmp_path / "r", calls=2))
    t.expect("[0 of 2 calls] > ")
    t.type("x = 2\nrun\n")
    t.expect("[1 of 2 calls] > ")
    t.type("\x03")
    t.expect("leave the prompt with Ctrl-D")
    t.type("\x04")
    assert t.status() == 130
    t = Terminal("run", "--resume", str(tmp_path / "r"))
    t.expect("x: a whole number")
    t.expect("Score: 1, best so far 1")
    t.expect("[1 of 2 calls] > ")
    t.type("show\n")
    t.expect("x = 2")
    t.type("x = 4\nrun\n")
    assert t.status() == 0
    assert steps(tmp_path / "r")[1] == [(0, 0, 9.0), (1, 2, 1.0), (2, 4, 1.0)]


@pytest.mark.slow
def test_trials_come_one_after_the_other(tmp_path):
    t = Terminal(*trial_command(tmp_path / "r", calls=1, seeds="2"))
    for _ in range(2):
        t.expect("[0 of 1 calls] > ")
        t.type("run\n")
    assert t.status() == 0
    assert len(re.findall(r"\[[12]/2\] Valley", t.said)) == 2
    t = Terminal(*trial_command(tmp_path / "q", "--jobs", "2"))
    assert t.status() == 2
    assert "a person does one trial at a time: expected 1 job, got 2" in t.said


def test_without_a_terminal_nothing_is_begun(tmp_path, capsys):
    assert main([*trial_command(tmp_path / "r")]) == 1
    assert "the standard input is no terminal" in capsys.readouterr().err
    assert list((tmp_path / "r").glob("trials/*/*")) == []


@pytest.mark.slow
def test_a_finished_run_needs_no_terminal(tmp_path):
    t = Terminal(*trial_command(tmp_path / "r", calls=1))
    t.expect("> ")
    t.type("run\n")
    assert t.status() == 0
    again = run([VALLEY], ["Human"], out=tmp_path / "r", seeds=1, oracle_calls=1, progress=False)
    assert again.trials[0].steps == 1


def test_a_loop_by_hand_needs_a_terminal_too():
    env = Valley()
    agent = make_agent("Human")
    agent.reset(env.problem, seed=0)
    with pytest.raises(RuntimeError, match="the standard input is no terminal"):
        agent.propose(env.evaluate(env.problem.start, seed=0).observation)
