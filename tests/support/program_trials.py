"""Trials of the programs in command_lines/behaving.py, here and in a process, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from opto_gym.leaderboard import TrialFolder, run

SCRIPT = Path(__file__).parent / "command_lines" / "behaving.py"
VALLEY = "tests.support.tasks:Valley"


def command(name, *more):
    return " ".join([sys.executable, str(SCRIPT), name, *map(str, more)])


def go(out, name, *more, agent="Program", settings=(), **keywords):
    """A trial of a program on Valley, and its trial.json."""
    keywords = {"seeds": 1, "oracle_calls": 4, "progress": False, "test_scores": "end", **keywords}
    agent = (agent, {"command": command(name, *more), "patience": 20.0, **dict(settings)})
    (outcome,) = run(["tests.support.tasks:Valley"], [agent], out=out, **keywords).trials
    return outcome, TrialFolder(outcome.path).summary()


def family():
    """The processes that this one has begun for programs, as far as they live."""
    ours = []
    for one in psutil.Process().children(recursive=True):
        try:
            if str(SCRIPT) in one.cmdline():
                ours.append(one)
        except psutil.Error:
            pass
    return ours


def threads():
    """Those of this process, but for the test server's, and those that make requests and are used again."""
    others = ("process_request", "opto-gym-idle", "opto-gym-request")
    return {t for t in threading.enumerate() if not any(name in t.name for name in others)}


def gone(pid, seconds=5.0):
    """Whether a process ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def begun(out, process):
    """Waits for the first oracle call of a run in a process."""
    end = time.monotonic() + 30
    while not any(len(p.read_bytes().splitlines()) > 1 for p in out.glob("trials/*/steps.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def in_a_process(out, name, *more, agent="Program", settings=""):
    words = [sys.executable, "-m", "opto_gym", "run", "--env", "tests.support.tasks:Valley", "--out", str(out)]
    words += ["--agent", f"{agent}:command={command(name)},patience=300{settings}", "--seeds", "1", *more]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])}
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
