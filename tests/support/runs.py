"""Short runs of the tasks and agents of tests.support, and their records."""

from __future__ import annotations

import shutil
import time
from operator import attrgetter
from pathlib import Path

from opto_gym.leaderboard import RunFolder, TrialFolder, run
from opto_gym.leaderboard.records import read_trial
from opto_gym.leaderboard.schema import plain, to_plain
from opto_gym.leaderboard.trust import mark, of_specs

HERE = "tests.support.agents"
TIMES = {"seconds", "time", "spent", "started", "where"}


def go(out, env="Valley", agent="Steps", **keywords):
    keywords = {"seeds": 1, "oracle_calls": 6, "progress": False, **keywords}
    return run([f"tests.support.tasks:{env}"], [f"{HERE}:{agent}"], out=out, **keywords)


def copy_own(whole: Path, out: Path):
    """Copies a run's folder, as if this user had made the copy."""
    shutil.copytree(whole, out)
    mark(of_specs(read_trial(path).spec for path in RunFolder(out).trials()), out)


def content(path: Path):
    """A trial's record without what may differ from run to run."""

    def strip(x):
        if isinstance(x, dict):
            return {k: strip(v) for k, v in x.items() if k not in TIMES}
        return [strip(v) for v in x] if isinstance(x, list) else x

    folder = TrialFolder(path)
    trial = plain(to_plain(folder.trial()))
    ledger = trial.get("summary", {}).pop("ledger", None)
    steps = [plain(to_plain(step)) for step in sorted(folder.steps(), key=attrgetter("call"))]
    return strip([trial, steps, [plain(to_plain(scored)) for scored in folder.tests()], bool(ledger)])


def count(body, delay=0.0):
    """A deterministic model: a number made of the prompt."""
    time.sleep(delay)
    return str(sum(body["messages"][0]["content"].encode()))


def ask(out, server, **keywords):
    keywords = {"model": "fake", "base_url": server.url, "oracle_calls": 6, **keywords}
    return go(out, agent="Asking", **keywords).trials[0]
