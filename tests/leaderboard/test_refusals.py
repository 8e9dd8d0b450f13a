"""What a run refuses instead of accepting it in silence."""

from __future__ import annotations

import pytest

from opto_gym.cli import main
from opto_gym.errors import RecordError
from opto_gym.leaderboard import plan, resume, run
from tests.support.tasks import Adder

VALLEY = "tests.support.tasks:Valley"
HERE = "tests.leaderboard.test_refusals"


def go(out, **keywords):
    return run([VALLEY], ["RandomSearch"], **{"out": out, "seeds": 1, "oracle_calls": 2, "progress": False, **keywords})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": [1, 1]}, "expected seeds that differ, got 1 more than once"),
        ({"seeds": [2, 0, 2, 0]}, "got 0, 2 more than once"),
        ({"seeds": 0}, "expected at least one seed, got 0"),
        ({"seeds": []}, "expected at least one seed, got an empty list"),
        ({"oracle_calls": 0}, "expected oracle_calls of at least 1, got 0"),
        ({"evaluations": 0}, "expected evaluations of at least 1, got 0"),
        ({"oracle_calls": None}, "a run needs a budget"),
        ({"jobs": 0}, "expected at least 1 job, got 0"),
    ],
)
def test_impossible_numbers(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        go(tmp_path / "r", **given)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("options", [["--seeds", "1,1"], ["--oracle-calls", "0"], ["--seeds", "0"]])
def test_the_command_says_so_in_a_line(tmp_path, options, capsys):
    words = ["run", "--env", VALLEY, "--agent", "RandomSearch", "--oracle-calls", "2", "--out", str(tmp_path / "r")]
    assert main([*words, *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_with_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(RecordError, match=r"holds files that are not a run's: thesis\.tex"):
        go(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "thesis.tex").unlink()
    go(tmp_path)
    (tmp_path / "notes.txt").write_text("a user's remarks on the run")
    assert len(go(tmp_path, seeds=2).trials) == 2  # it is a run's by now


def test_a_resume_with_less_budget(tmp_path, capsys):
    go(tmp_path, oracle_calls=3, cap={"oracle_calls": 9})
    with pytest.raises(ValueError, match="expected oracle_calls of at least 3, which a trial has spent already, got 2"):
        resume(tmp_path, limits={"oracle_calls": 2}, progress=False)
    with pytest.raises(ValueError, match="at least 3, which the whole run has spent already, got 2"):
        resume(tmp_path, cap={"oracle_calls": 2}, progress=False)
    assert resume(tmp_path, limits={"oracle_calls": 4}, progress=False).trials[0].steps == 4
    resume(tmp_path, cap={"oracle_calls": 8})
    assert "the budget of the whole run is lowered from 9 to 8 oracle_calls" in capsys.readouterr().err


made: list[str] = []


class Counted(Adder):
    """Counts how often it is made."""

    def __init__(self, **keywords):
        made.append("env")
        super().__init__(**keywords)


def test_an_environment_is_made_once_a_trial_and_role(tmp_path):
    made.clear()
    run([f"{HERE}:Counted"], ["RandomSearch"], out=tmp_path, seeds=4, oracle_calls=1, progress=False)
    assert len(made) == 1 + 2 * 4  # to plan; for the agent's calls and for the scores on test of each trial


def test_planning_makes_each_environment_once():
    made.clear()
    plan([f"{HERE}:Counted"], ["RandomSearch"], seeds=5, limits={"oracle_calls": 1})
    assert len(made) == 1
