"""Ctrl-C in the middle of a run: what it says, how soon it ends, and what is booked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from opto_gym.leaderboard import TrialFolder, resume
from tests.support.openai_server import OpenAIServer
from tests.support.runs import HERE


def begin(server, out, *more):
    """A run of two trials whose agents ask the server, in a process of its own."""
    command = [sys.executable, "-m", "opto_gym", "run", "--env", "tests.support.tasks:Valley"]
    command += ["--agent", f"{HERE}:Asking", "--seeds", "2", "--jobs", "2", "--oracle-calls", "3", "--model", "fake"]
    command += ["--base-url", server.url, "--out", str(out), "--test-scores", "never", *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."})
    os.set_blocking(process.stderr.fileno(), False)
    return process


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def interrupt(process, said):
    """Ctrl-C; returns the seconds until the process has said or done something."""
    process.send_signal(signal.SIGINT)
    at = time.monotonic()
    while process.poll() is None and said not in (text := process.stderr.read() or b""):
        assert time.monotonic() - at < 20
        time.sleep(0.02)
    return time.monotonic() - at, text if process.poll() is None else process.stderr.read() or b""


@pytest.mark.slow
@pytest.mark.parametrize("script", [[("delay", 60)] * 2, [(429, {"retry-after": "50"})] * 2], ids=["call", "pause"])
def test_ctrl_c_says_what_it_waits_for_and_begins_nothing(tmp_path, script):
    with OpenAIServer("1", script) as server:
        process = begin(server, tmp_path / "r")
        wait_for(lambda: len(server.requests) == 2)
        time.sleep(0.5)
        process.stderr.read()
        seconds, said = interrupt(process, b"stopping")
        if script[0][0] == "delay":
            assert b"2 calls of 'fake' at http://127.0.0.1" in said
            assert seconds < 1
            assert process.poll() is None
            seconds, said = interrupt(process, b"never said")
        assert seconds < 3
        assert process.wait(5) == 130
        assert b"Traceback" not in said
        assert len(server.requests) == 2
        lines = [line for path in (tmp_path / "r" / "trials").iterdir() for line in TrialFolder(path).calls()]
        lost = [attempt.lost for line in lines for attempt in line.failed_attempts]
        assert lost == [script[0][0] == "delay"] * 2
        assert all(line.interrupted for line in lines)
        result = resume(tmp_path / "r", progress=False)
        assert [(t.status, t.steps) for t in result.trials] == [("done", 3)] * 2
        assert len(server.requests) == 2 + 6
    ledgers = [TrialFolder(t.path).trial().summary.ledger.optimizer for t in result.trials]
    assert [ledger.errors for ledger in ledgers] == [1, 1]
    assert [ledger.calls for ledger in ledgers] == [3, 3]


@pytest.mark.slow
def test_what_hangs_elsewhere_is_left_behind(tmp_path):
    """A trial that can't be stopped does not keep the process."""
    code = f"""
import sys, time
import tests.support.tasks as tasks
tasks.Valley.forward = lambda self, p, example: time.sleep(600)
from opto_gym.cli import main
sys.argv = ["opto-gym", "run", "--env", "tests.support.tasks:Valley", "--agent", "RandomSearch", "--seeds", "1",
            "--oracle-calls", "3", "--out", {str(tmp_path / "r")!r}, "--test-scores", "never"]
print("begun", file=sys.stderr, flush=True)
sys.exit(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    os.set_blocking(process.stderr.fileno(), False)
    wait_for(lambda: list((tmp_path / "r").glob("trials/*/trial.json")))
    time.sleep(0.5)
    interrupt(process, b"stopping")
    seconds, said = interrupt(process, b"never said")
    assert seconds < 2.5
    assert process.wait() == 130
    assert b"Traceback" not in said
    assert json.loads(next((tmp_path / "r").glob("trials/*/trial.json")).read_text())["status"] == "running"
