"""Tries to get invented and changed trials into a report, which runs nothing and therefore can't replay them."""

from __future__ import annotations

import shutil

import pytest

from opto_gym.cli import main
from opto_gym.errors import RecordError
from opto_gym.leaderboard import report
from opto_gym.leaderboard.results import load_whole
from opto_gym.leaderboard.spec import digest
from tests.support.forging import both, dropped, on, removed, scored, step, trial, without
from tests.support.runs import go


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two trials."""
    out = tmp_path_factory.mktemp("run")
    go(out, seeds=2)
    return out


def better_line(path):
    """Adds the scoring of parameters that nobody proposed."""
    best = {"parameters_hash": digest({"x": 3}), "score": 0.0, "reward": 0.0, "scores": [0.0]}
    on("tests.jsonl", lambda data: [*data, data[-1] | best])(path)


EMPTY = both(removed("steps.jsonl"), trial("summary.recommended_score", 0.0), trial("summary.recommended", {"x": 3}))
FORGERIES = {
    "an invented trial": EMPTY,
    "no calls": removed("steps.jsonl"),
    "a call less": dropped("steps.jsonl", -1),
    "torn calls": lambda path: (path / "steps.jsonl").write_bytes((path / "steps.jsonl").read_bytes()[:-9]),
    "no scorings": removed("tests.jsonl"),
    "no summary": without("summary"),
    "a better score": trial("summary.recommended_score", 0.0),
    "a better score on test": scored(-1, score=0.0),
    "parameters of another hash": step(2, parameters_hash="0" * 64),
    "other parameters": step(2, parameters={"x": 3}),
    "a scoring of nobody": better_line,
    "other counts": trial("summary.oracle_calls", 2),
    "other evaluations": trial("summary.evaluations", 2),
    "no recommendations": trial("summary.recommendations", []),
    "less spent": trial("summary.spent.oracle_calls", 2),
    "another agent": trial("spec.agent", "OptoPrime"),
    "another model": trial("spec.optimizer_model", "gpt-9"),
    "another identity": trial("identity.seed", 7),
    "another sandbox": trial("where.sandbox.level", "L0"),
    "done though it failed": trial("error", "Traceback"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_trial_is_named_and_left_out(folder, tmp_path, capsys, name):
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    forged, whole = sorted((out / "trials").iterdir())
    FORGERIES[name](forged)
    data = load_whole(out)
    assert [t.name for t in data.trials] == [whole.name]
    assert list(data.damaged) == [forged.name]
    assert "\n" not in data.damaged[forged.name]
    said = f"{forged.name} is damaged, and left out: "
    assert said in report(out).read_text()
    assert forged.name in capsys.readouterr().out


def test_a_run_in_which_no_trial_is_whole_is_one_line(folder, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    for path in (out / "trials").iterdir():
        EMPTY(path)
    with pytest.raises(RecordError, match="holds no trial that is whole"):
        load_whole(out)
    assert main(["report", str(out)]) != 0
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_honest_trials_are_all_shown(folder, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    go(out / "failed", agent="Failing")
    for run in (out, out / "failed"):
        assert load_whole(run).damaged == {}
    unfinished = sorted((out / "trials").iterdir())[0]
    both(trial("status", "running"), trial("ended", None), trial("summary", None))(unfinished)
    dropped("steps.jsonl", -1)(unfinished)
    assert load_whole(out).damaged == {}
