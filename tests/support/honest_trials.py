"""Honest trials of many kinds, which forgeries begin with."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from opto_gym.agents.base import Agent
from opto_gym.leaderboard import resume, run
from tests.support import agents
from tests.support.forging import both, lines, trial, write_lines
from tests.support.openai_server import OpenAIServer
from tests.support.runs import ask, count, go

RECORDS = Path(__file__).parent.parent / "records"


class Prompts(Agent):
    """Proposes prompts and code that are given."""

    def run(self):
        yield
        for k in range(9):
            yield {"prompt": f"Count to {k}.", "read": "def read(answer):\n    return answer[::-1]\n"}


def cut_off(path, steps):
    """What is left of a trial whose process was killed after so many steps."""
    write_lines(path / "steps.jsonl", lines(path / "steps.jsonl")[:steps])
    write_lines(path / "tests.jsonl", lines(path / "tests.jsonl")[:1])
    both(trial("status", "running"), trial("ended", None), trial("summary", None))(path)


def lost_attempt(out):
    agents.Interrupted.calm = False
    with pytest.raises(KeyboardInterrupt):
        go(out, agent="Interrupted")
    agents.Interrupted.calm = True
    try:
        return resume(out, progress=False).trials[0].path
    finally:
        agents.Interrupted.calm = False


def resumed(out, server):
    path = ask(out, server, test_scores="end", oracle_calls=4).path
    cut_off(path, 3)
    resume(out, progress=False)
    return resume(out, limits={"oracle_calls": 6}, progress=False).trials[0].path


def with_task_model(out, server, **keywords):
    settings = {"oracle_calls": 2, "seeds": 1, "progress": False, "model": "fake", "base_url": server.url, **keywords}
    return run(["tests.support.tasks:AskedInside"], [f"{__name__}:Prompts"], out=out, **settings).trials[0].path


def released(out, run, name):
    """A trial that released code has recorded."""
    with tarfile.open(RECORDS / f"{run}.tar.xz") as tar:
        tar.extractall(out, filter="data")
    return out / "trials" / name


def honest_trials(out):
    """Records trials of many kinds in a folder; returns their folders by the name of the kind."""
    with OpenAIServer(count) as server, OpenAIServer(count, script=[500, "drop", "ok", 503]) as unreliable:
        made = {
            "plain": go(out / "plain").trials[0].path,
            "end": go(out / "end", test_scores="end").trials[0].path,
            "never": go(out / "never", test_scores="never").trials[0].path,
            "code": go(out / "code", env="Adder", agent="Choosing").trials[0].path,
            "drawn": go(out / "drawn", env="Adder", agent="Uneven", oracle_calls=8).trials[0].path,
            "lasting": run(["tests.support.tasks:Walk"], ["RandomSearch"], out=out / "lasting", seeds=1,
                           oracle_calls=5, progress=False).trials[0].path,
            "threads": go(out / "threads", agent="Parallel").trials[0].path,
            "failed": go(out / "failed", agent="Failing").trials[0].path,
            "lost": lost_attempt(out / "lost"),
            "model": ask(out / "model", server).path,
            "budget": ask(out / "budget", server, llm_calls=3).path,
            "tokens": ask(out / "tokens", server, tokens=60).path,
            "money": ask(out / "money", server, model="gpt-4o-mini", usd=0.00004).path,
            "capped": ask(out / "capped", server, cap={"llm_calls": 4}).path,
            "resumed": resumed(out / "resumed", server),
            "retried": ask(out / "retried", unreliable).path,
            "task": with_task_model(out / "task", server, concurrency=20),
            "one by one": with_task_model(out / "one", server, concurrency=1, test_scores="each"),
            "task budget": with_task_model(out / "cut", server, concurrency=20, llm_calls=60, oracle_calls=9),
        }  # fmt: skip
    made["old lost"] = released(out / "old", "lost", "Valley-Forgetful-0-ac990460f75e")
    made["old"] = released(out / "older", "own", "Valley-Steps-0-09ccc4b460d5")
    return made
