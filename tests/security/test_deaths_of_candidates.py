"""Tries to get a score recorded for a process that something outside killed; and the reverse, to die without blame."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time

import pytest

import opto_gym
from opto_gym.errors import SandboxKilled
from opto_gym.evaluation import ATTEMPTS
from opto_gym.leaderboard import TrialFolder, resume, run
from opto_gym.leaderboard.results import load, rows
from opto_gym.sandbox import CandidateProcess, Limits, Sandbox
from opto_gym.sandbox import box as box_module
from opto_gym.sandbox.zygote import Zygote
from tests.support.sandbox import below, process_of, zygote_of
from tests.support.sandbox import run as call
from tests.support.tasks import Adder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who ended a process is told on Linux")
RIGHT = {"add": "def add(a, b):\n    return a + b\n"}


@pytest.fixture(scope="module", params=["L0", "L1", "L2", "L3"])
def walled(request):
    with Sandbox(Limits(seconds=5), level="L0", most=request.param) as box:
        if box.level != request.param:
            pytest.skip(f"this machine grants {box.level}")
        yield box


OWN = {
    "exit": "import os; os._exit(3)",
    "kill": "import os; os.kill(os.getpid(), 9)",
    "kill of its group": "import os; os.killpg(0, 9)",
    "crash": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
    "alarm": "import os, signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(0.2)\nos._exit(1)",
    "timer": "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0.01)\nwhile True: abs(1)",
    "closed channel": "import os; os.close(3)",
    "endless recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef g(n): return [n, *map(g, [n])]\nreturn g(1)",
    "all memory": "a = []\nwhile True: a.append(bytes(1 << 22))",
    "bytes without a frame": "import os; os.write(3, b'\\xff' * 9); os._exit(0)",
}


@pytest.mark.parametrize("how", OWN)
def test_a_death_of_its_own_is_the_code_s_fault(walled, how):
    assert call(walled, OWN[how]).error is not None
    assert call(walled, "return 1").value == 1


def test_a_forbidden_call_is_the_code_s_fault(walled):
    if walled.level < "L1":
        pytest.skip("nothing is forbidden at L0")
    assert call(walled, "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)").error.type == "ProcessDied"


def test_no_limit_can_be_lowered_to_be_killed_by_it(walled):
    if walled.level < "L1":
        pytest.skip("nothing is forbidden at L0")
    body = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass"
    assert call(walled, body).error.type in ("ValueError", "PermissionError")
    assert call(walled, "import resource; return resource.getrlimit(resource.RLIMIT_CORE)").value == [0, 0]


def test_the_sandbox_s_own_limit_on_processor_time_is_the_code_s_fault():
    deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    with Sandbox(Limits(seconds=30, wall=9, cpu=1)) as box:
        assert call(box, deaf).error.type == "ProcessDied"


SLOW = {"f": "import time\ndef f(x):\n    time.sleep(x)\n    return 1\n"}


@contextlib.contextmanager
def killed_after(pid, seconds, number=signal.SIGKILL):
    timer = threading.Timer(seconds, os.kill, (pid, number))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_a_kill_from_outside_during_a_call_is_told(walled):
    with walled.load(SLOW) as program:
        assert program.call("f", [0]).value == 1
        with killed_after(process_of(program), 0.2), pytest.raises(SandboxKilled, match="neither the code nor a limit"):
            program.call("f", [4])
        assert program.call("f", [0]).error.type == "ProcessDied"


def test_a_kill_from_outside_between_calls_is_told(walled):
    with walled.load(SLOW) as program:
        assert program.call("f", [0]).value == 1
        os.kill(process_of(program), signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(SandboxKilled):
            program.call("f", [0])


def test_an_end_by_sigterm_from_outside_is_told():
    with Sandbox(Limits(seconds=5), most="L2") as box, box.load(SLOW) as program:
        assert program.call("f", [0]).value == 1
        with killed_after(process_of(program), 0.2, signal.SIGTERM), pytest.raises(SandboxKilled):
            program.call("f", [4])


def test_a_zygote_that_is_killed_during_a_call_is_told(walled):
    with walled.load(SLOW) as program:
        assert program.call("f", [0]).value == 1
        with killed_after(zygote_of(walled), 0.2), pytest.raises(SandboxKilled):
            program.call("f", [4])
    assert call(walled, "return 1").value == 1


def test_the_inner_process_of_the_zygote_is_the_machine_s_too():
    with Sandbox(Limits(seconds=5)) as box, box.load(SLOW) as program:
        if box.level != "L3":
            pytest.skip("needs namespaces")
        assert program.call("f", [0]).value == 1
        with killed_after(below(zygote_of(box))[0], 0.2), pytest.raises(SandboxKilled):
            program.call("f", [4])
        assert call(box, "return 1").value == 1


def failing_starts(monkeypatch, number):
    """Lets the next zygotes die at their start, as they do when they are killed before their first report."""
    left = [number]

    def start(most):
        if left[0]:
            left[0] -= 1
            raise SandboxKilled("the sandbox's process ended at its start (exit code -9)")
        return Zygote(most)

    monkeypatch.setattr(box_module, "Zygote", start)


def test_a_zygote_that_is_killed_at_its_start_is_started_again(monkeypatch):
    failing_starts(monkeypatch, 2)
    with Sandbox() as box:
        assert call(box, "return 1").value == 1


def test_a_zygote_that_is_killed_at_each_start_is_an_error_of_its_own_kind(monkeypatch):
    failing_starts(monkeypatch, 3)
    with Sandbox() as box:
        with pytest.raises(SandboxKilled, match="at its start"):
            box.check()
        assert call(box, "return 1").value == 1


def test_a_real_kill_of_a_zygote_at_its_start():
    killed = []

    def kill_the_next():
        before, end = set(below(os.getpid())), time.monotonic() + 20
        while not killed and time.monotonic() < end:
            for pid in set(below(os.getpid())) - before:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill_the_next)
    with Sandbox() as box:
        thread.start()
        time.sleep(0.05)
        assert call(box, "return 1").value == 1
    thread.join()
    assert killed


@pytest.fixture
def kills(monkeypatch):
    """A list: for each True that it holds, one more process is killed from outside before its first call."""
    waiting: list[bool] = []
    real = CandidateProcess.call

    def killed(self, name, args):
        if waiting and waiting.pop():
            self.wait_until_ready()
            os.kill(process_of(self), signal.SIGKILL)
        return real(self, name, args)

    monkeypatch.setattr(CandidateProcess, "call", killed)
    return waiting


def test_an_example_is_evaluated_again_twice_at_most(kills):
    undisturbed = Adder().evaluate(RIGHT, examples=[0, 1])
    kills += [True] * (ATTEMPTS - 1)
    assert Adder().evaluate(RIGHT, examples=[0, 1]) == undisturbed
    kills += [True] * ATTEMPTS
    with pytest.raises(SandboxKilled):
        Adder().evaluate(RIGHT, examples=[0, 1])
    assert kills == []


def test_a_board_is_played_from_its_beginning_again(kills):
    env = opto_gym.make("Battleship-v0").unwrapped
    undisturbed = env.evaluate(env.problem.start, seed=3)
    kills += [True, False, False, False, True, False, False]
    again = env.evaluate(env.problem.start, seed=3)
    assert again.score == undisturbed.score
    assert again.graph.content_hash == undisturbed.graph.content_hash


def go(out, **keywords):
    settings = {"seeds": 2, "oracle_calls": 2, "progress": False, "jobs": 1, **keywords}
    return run(["tests.support.tasks:Adder"], ["RandomSearch"], out=out, **settings)


@pytest.mark.parametrize("before", [0, 4], ids=["during the start values", "later"])
def test_a_trial_whose_processes_are_killed_fails_without_a_score_and_is_resumed(tmp_path, kills, before):
    undisturbed = go(tmp_path / "whole")
    kills += [*[True] * ATTEMPTS, *[False] * before]  # the last comes first
    first, second = go(tmp_path / "r").trials
    assert (first.status, second.status) == ("failed", "done")
    assert first.error.startswith("SandboxKilled: ")
    trial = next(t for t in load(tmp_path / "r") if t.name == first.trial)
    assert trial.unfinished
    assert trial.final() is None
    (row,) = rows(load(tmp_path / "r"))
    assert (row.score.n, row.failed, row.running) == (1, 0, 1)
    resumed = resume(tmp_path / "r", progress=False).trials
    for one, other in zip(resumed, undisturbed.trials, strict=True):
        assert one.status == "done"
        steps = [[(s.parameters_hash, s.score) for s in TrialFolder(t.path).steps()] for t in (one, other)]
        assert steps[0] == steps[1]


def test_a_sandbox_that_can_t_be_started_any_more_ends_trials_and_not_the_run(tmp_path, monkeypatch):
    go(tmp_path / "first")

    class Never:
        def __init__(self, most):
            raise SandboxKilled("the sandbox's process ended at its start (exit code -9)")

    shared = opto_gym.sandbox.shared()
    started = []

    def lose_it(*_):
        if not started:
            started.append(1)
            monkeypatch.setattr(box_module, "Zygote", Never)
            os.kill(zygote_of(shared), signal.SIGKILL)
        return []

    monkeypatch.setattr("opto_gym.leaderboard.execution.probe", lose_it)
    trials = go(tmp_path / "r").trials
    assert [t.status for t in trials] == ["failed"] * 2
    assert all("at its start" in t.error for t in trials)
    monkeypatch.setattr(box_module, "Zygote", Zygote)
    assert [t.status for t in resume(tmp_path / "r", progress=False).trials] == ["done"] * 2


def test_random_kills_change_no_score():
    """As the out-of-memory killer does, in the middle of evaluations."""
    env, over = opto_gym.make("Battleship-v0").unwrapped, threading.Event()
    start = env.problem.start
    undisturbed = [env.evaluate(start, seed=seed).score for seed in range(6)]

    def kill():
        while not over.wait(0.03):
            for pid in below(zygote_of(opto_gym.sandbox.shared()))[-1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    scores = []
    try:
        for seed in range(6):
            try:
                scores.append(env.evaluate(start, seed=seed).score)
            except SandboxKilled:
                scores.append(None)
    finally:
        over.set()
        killer.join()
    assert [a for a, b in zip(scores, undisturbed, strict=True) if a is not None and a != b] == []
