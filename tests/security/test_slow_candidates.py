"""Tries to hold up a run by code that is slow within its limits, and to have a busy machine change scores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest

import opto_gym
from opto_gym import Code, Parameter
from opto_gym.errors import BudgetSpent
from opto_gym.evaluation import watched_evaluations
from opto_gym.leaderboard import TrialFolder, run
from opto_gym.leaderboard.schema import SandboxRecord
from opto_gym.leaderboard.trial import TrialRunner
from opto_gym.sandbox import Limits, Sandbox
from opto_gym.sandbox.channel import Deadline
from tests.support.sandbox import process_of
from tests.support.sandbox import run as call
from tests.support.tasks import Adder

SLOW = "def add(a, b):\n    import time\n    time.sleep(0.5)\n    return a + b\n"


class SlowAdder(Adder):
    """Adds on 200 examples of test, half a second each."""

    splits = {**Adder.splits, "test": [[1000, k] for k in range(200)]}
    parameters = (Parameter("add", Code("add(a, b)"), SLOW, "adds"),)


HERE = f"{__name__}:SlowAdder"


@pytest.mark.slow
@pytest.mark.parametrize("test_scores", ["each", "end"])
def test_scoring_ends_with_the_cap_of_seconds(tmp_path, test_scores):
    begin = time.monotonic()
    settings = {"seeds": 1, "oracle_calls": 1, "progress": False, "test_scores": test_scores, "cap": {"seconds": 4}}
    (outcome,) = run([HERE], ["RandomSearch"], out=tmp_path, **settings).trials
    assert time.monotonic() - begin < 20  # the scoring alone would take 100 s
    assert outcome.status == "failed"
    assert outcome.error == "budget: seconds"
    assert TrialFolder(outcome.path).tests() == []


def test_one_call_of_scoring_is_ended_by_the_cap(tmp_path, monkeypatch):
    """Between two examples is not soon enough."""
    monkeypatch.setattr(SlowAdder, "splits", {**Adder.splits, "train": [[0, 0]], "test": [[1, 1]]})
    monkeypatch.setattr("opto_gym.sandbox.candidate.shared", lambda: box)
    sleepy = "def add(a, b):\n    import time\n    time.sleep(60 * a)\n    return a + b\n"
    monkeypatch.setattr(SlowAdder, "parameters", (Parameter("add", Code("add(a, b)"), sleepy, "adds"),))
    monkeypatch.setattr(SlowAdder, "batch", 1)
    with Sandbox(Limits(seconds=100, example=100)) as box:
        begin = time.monotonic()
        (outcome,) = run(
            [HERE], ["RandomSearch"], out=tmp_path, seeds=1, oracle_calls=1, progress=False, cap={"seconds": 3}
        ).trials
        assert time.monotonic() - begin < 25
    assert outcome.error == "budget: seconds"


@pytest.mark.parametrize("test_scores", ["each", "never"])
def test_a_stop_ends_an_evaluation_soon(tmp_path, test_scores):
    settings = {"seeds": 1, "oracle_calls": 1, "progress": False, "cap": {"seconds": 1}}
    (first,) = run([HERE], ["RandomSearch"], out=tmp_path, **settings).trials
    spec, stop = TrialFolder(first.path).trial().spec, threading.Event()
    timer = threading.Timer(2, stop.set)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        TrialRunner(spec, first.path, limits={"oracle_calls": 900}, stop=stop, test_scores=test_scores).run()
    since = time.monotonic()
    timer.join()
    assert time.monotonic() - since < 1
    assert TrialFolder(first.path).trial().status == "running"


def test_ctrl_c_ends_a_scoring(tmp_path):
    command = [sys.executable, "-m", "opto_gym", "run", "--env", HERE, "--agent", "RandomSearch", "--seeds", "1"]
    command += ["--oracle-calls", "1", "--out", str(tmp_path / "r")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."})
    try:
        end = time.monotonic() + 120
        while not list(tmp_path.glob("r/trials/*/steps.jsonl")) and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()


def test_what_looks_at_a_call_can_end_it():
    looks = []

    def look():
        looks.append(time.monotonic())
        if len(looks) == 3:
            raise BudgetSpent("stopped")

    class Sleepy(Adder):
        parameters = (Parameter("add", Code("add(a, b)"), "def add(a, b):\n    import time\n    time.sleep(60)\n", ""),)

    begin = time.monotonic()
    with watched_evaluations(lambda *done: None, look), pytest.raises(BudgetSpent):
        Sleepy().evaluate(Sleepy().problem.start, examples=[0])
    assert time.monotonic() - begin < 10
    assert len(looks) == 3


def test_a_wait_that_is_longer_than_the_limit_on_processor_time_is_allowed():
    with Sandbox(Limits(seconds=0.5)) as box:
        assert call(box, "import time; time.sleep(0.8); return 1").value == 1


def test_code_that_sleeps_still_ends_and_says_the_same():
    with Sandbox(Limits(seconds=0.5)) as box:
        begin = time.monotonic()
        error = call(box, "import time; time.sleep(60)").error
        assert str(error) == "TimeLimit: stopped: time limit 0.5 s"
        assert 1.9 < time.monotonic() - begin < 20


def test_calls_that_sleep_are_limited_together():
    with Sandbox(Limits(seconds=2, example=0.3)) as box:
        with box.load({"f": "import time\ndef f(x):\n    time.sleep(x)\n    return 1"}) as program:
            assert program.call("f", [0.4]).value == 1
            error = program.call("f", [60]).error
        assert str(error) == "TimeLimit: stopped: time limit 0.3 s of one example"


def test_a_process_that_does_not_run_for_a_while_loses_no_time():
    """As on a busy machine: it is stopped for longer than its limit, which counts what it used alone."""
    with Sandbox(Limits(seconds=0.5, wall=40)) as box:
        source = "import time\ndef f(x):\n    while time.process_time() < x: pass\n    return 1"
        with box.load({"f": source}) as program:
            assert program.call("f", [0]).value == 1
            pid = process_of(program)
            timers = [threading.Timer(0.05, os.kill, (pid, signal.SIGSTOP))]
            timers.append(threading.Timer(1.5, os.kill, (pid, signal.SIGCONT)))
            for timer in timers:
                timer.start()
            assert program.call("f", [0.3]).value == 1
            for timer in timers:
                timer.join()


def test_processor_time_beyond_the_limit_ends_a_call():
    with Sandbox(Limits(seconds=0.3, wall=100)) as box:
        assert str(call(box, "while True: pass").error) == "TimeLimit: stopped: time limit 0.3 s"


def test_a_deadline_counts_what_is_used_and_not_what_has_passed():
    used = [0.0]
    deadline = Deadline(0.02, 60, used=lambda: used[0])
    time.sleep(0.05)
    assert 0 < deadline.left() <= 0.02 + 1e-9  # the clock's rounding
    used[0] = 0.03
    time.sleep(0.03)
    assert deadline.left() <= 0
    walled = Deadline(5, 0.02, used=lambda: 0.0)
    time.sleep(0.03)
    assert walled.left() <= 0
    walled.extend(1)
    time.sleep(0.01)
    assert walled.left() > 0.5


def test_both_limits_are_recorded_and_optimizers_are_told_as_before(tmp_path):
    (outcome,) = run(
        ["tests.support.tasks:Adder"], ["RandomSearch"], out=tmp_path, seeds=1, oracle_calls=1, progress=False
    ).trials
    record = TrialFolder(outcome.path).trial()
    times = {"call_processor": 2.0, "call_wall": 8.0, "example_processor": 60.0, "example_wall": 240.0}
    assert record.where.sandbox.times == times
    told = "a call may take 2 seconds, all calls of one example 60 seconds, and 1 GiB of memory."
    assert told in opto_gym.make("Battleship-v0").unwrapped.problem.runtime
    assert msgspec.convert({"level": "L3"}, SandboxRecord).times == {}  # of an earlier release
