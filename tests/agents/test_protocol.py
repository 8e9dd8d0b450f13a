"""Programs in other languages: the examples of the docs, through the real harness."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opto_gym import Choice, Feedback, Number, OptoEnv, Parameter
from opto_gym.agents.external.base import GRACE_SECONDS, KEPT_VARIABLES, MAX_REFUSED_CALLS
from opto_gym.agents.external.messages import Evaluation
from opto_gym.agents.external.openapi import openapi
from opto_gym.agents.external.server import TRACE_CHARACTERS
from opto_gym.cli import main
from opto_gym.leaderboard import TrialFolder, replay, resume
from opto_gym.llm import LIMITS
from opto_gym.llm.gateway import LONGEST_BODY
from tests.support.runs import content

ROOT = Path(__file__).parents[2]
JAVASCRIPT = ["--agent", "Program:command=node examples/climb.mjs"]


class Menu(OptoEnv):
    """Choices of several types, a whole number without bounds and one of a small range."""

    objective, scores = "Make the price high.", (-1e6, 1e6)
    splits = {"train": (None,), "test": (None,)}
    instance = True
    parameters = (
        Parameter("dish", Choice(["soup", "cake", "stew"]), "soup"),
        Parameter("plates", Choice([1, 2, 3]), 1),
        Parameter("tip", Number(integer=True), 0),
        Parameter("share", Number(0.0, 0.1), 0.0),
    )

    def forward(self, p, example):
        return p.plates * 10 + p.tip + p.share + {"soup": 0, "cake": 7, "stew": 3}[p.dish.data]

    def judge(self, output, example):
        return Feedback(output)


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")


def trials(out: Path) -> list[TrialFolder]:
    return [TrialFolder(path) for path in sorted((out / "trials").iterdir())]


def launch(out: Path, *more: str) -> list[TrialFolder]:
    assert main(["run", "--out", str(out), "--seeds", "2", "--test-scores", "end", "--quiet", *more]) == 0
    return trials(out)


@pytest.mark.slow
@needs_node
@pytest.mark.parametrize(
    "env", ["NumericalOptimization-v0", "tests.agents.test_protocol:Menu", "tests.support.tasks:Valley"]
)
def test_the_javascript_client_climbs(tmp_path, monkeypatch, env):
    monkeypatch.chdir(ROOT)
    for folder in launch(tmp_path / "r", "--env", env, "--oracle-calls", "40", *JAVASCRIPT):
        summary = folder.summary()
        assert summary.status == "done"
        steps = folder.steps()
        best = max(steps, key=lambda line: line.reward)
        assert best.reward > steps[0].reward
        assert summary.summary.recommended == best.parameters
        assert len(steps) == 41 or best.success
    assert main(["replay", *(str(folder.path) for folder in trials(tmp_path / "r"))]) == 0


@pytest.mark.slow
@needs_node
def test_a_refusal_ends_the_javascript_client(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for folder in launch(tmp_path / "r", "--env", "BatchRegression-v0", "--evaluations", "33", *JAVASCRIPT):
        trial = folder.summary()
        assert (trial.status, trial.ended) == ("done", "budget: evaluations")
        assert trial.summary.evaluations == 30  # batches of 5: it asked for one that 3 can't hold
        best = max(folder.steps(), key=lambda line: line.reward)
        assert trial.summary.recommended == best.parameters


@pytest.mark.slow
@needs_node
def test_what_it_can_not_move_fails_its_trial(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (
        main(
            [
                "run",
                "--env",
                "tests.support.tasks:Adder",
                *JAVASCRIPT,
                "--oracle-calls",
                "5",
                "--seeds",
                "1",
                "--out",
                str(tmp_path / "r"),
            ]
        )
        == 1
    )
    (folder,) = trials(tmp_path / "r")
    assert "expected numbers and choices, got a parameter of kind Code" in folder.trial().error
    assert len(folder.steps()) == 1


@pytest.mark.slow
@needs_node
def test_after_kill_9_the_javascript_client_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    more = ["--env", "NumericalOptimization-v0", "--oracle-calls", "100", "--quiet", *JAVASCRIPT]
    words = [sys.executable, "-m", "opto_gym", "run", "--out", str(tmp_path / "r"), "--seeds", "2", *more]
    words += ["--test-scores", "end"]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)})
    while process.poll() is None and sum(len(t.steps()) for t in trials_so_far(tmp_path / "r")) < 30:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    before = {folder.path.name: folder.steps() for folder in trials_so_far(tmp_path / "r")}
    assert [t.status for t in resume(tmp_path / "r", progress=False).trials] == ["done", "done"]
    for resumed, whole in zip(trials(tmp_path / "r"), launch(tmp_path / "whole", *more), strict=True):
        recorded = before.get(resumed.path.name, [])
        assert resumed.steps()[: len(recorded)] == recorded
        assert content(resumed.path) == content(whole.path)
        assert replay(resumed.path).differences == []


def trials_so_far(out: Path) -> list[TrialFolder]:
    return trials(out) if (out / "trials").is_dir() else []


@pytest.mark.slow
def test_an_authors_mistake_is_the_trials_failure(tmp_path, capsys):
    (tmp_path / "five.py").write_text(
        "from opto_gym.agents.external.programs.protocol import run\nrun(lambda trial: trial.evaluate({'x': 5}))\n"
    )
    words = ["--agent", f"Program:command={sys.executable} {tmp_path / 'five.py'}", "--seeds", "1"]
    words += ["--env", "tests.support.tasks:Trap", "--oracle-calls", "5", "--out", str(tmp_path / "r")]
    assert main(["run", *words]) == 1
    (folder,) = trials(tmp_path / "r")
    assert folder.trial().ended == "RuntimeError: the author's"
    assert "raise self.mistake" in folder.trial().error  # the line that it is about


def test_the_docs_show_the_javascript_client():
    (shown,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "protocol.md").read_text(), re.DOTALL)
    assert shown == (ROOT / "examples" / "climb.mjs").read_text()


@pytest.mark.slow
def test_the_python_client_of_the_docs_climbs(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "protocol.md").read_text()
    (source,) = re.findall(r'```python title="climb.py"\n(.*?)```', page, re.DOTALL)
    (tmp_path / "climb.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    agent = f"Program:command={sys.executable} climb.py"
    for folder in launch(tmp_path / "r", "--env", "NumericalOptimization-v0", "--oracle-calls", "40", "--agent", agent):
        steps = folder.steps()
        best = max(steps, key=lambda line: line.reward)
        assert best.reward > steps[0].reward
        assert folder.trial().summary.recommended == best.parameters
    assert main(["replay", *(str(folder.path) for folder in trials(tmp_path / "r"))]) == 0


def test_the_docs_name_every_error_and_request():
    page = (ROOT / "docs" / "protocol.md").read_text()
    paths = openapi()["paths"]
    assert set(re.findall(r"^\| `(\w+ /\S+)` \|", page, re.MULTILINE)) == {
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
    }
    documented = {
        (status, code)
        for methods in paths.values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for code in answer["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]["properties"][
            "code"
        ]["enum"]
    }
    told = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", page, re.MULTILINE))
    assert told == documented | {("405", "not_served")}  # which is no operation's answer


def test_the_docs_numbers_are_the_codes():
    page = " ".join((ROOT / "docs" / "protocol.md").read_text().split())
    assert f"for {GRACE_SECONDS:g} seconds" in page
    assert f"is refused {MAX_REFUSED_CALLS} times" in page
    assert f"at most {LONGEST_BODY / 2**20:g} MiB" in page
    assert f"at most {TRACE_CHARACTERS:,} characters" in page
    assert all(f"`{name}`" in page for name in (*KEPT_VARIABLES, *LIMITS, *Evaluation.__struct_fields__))
