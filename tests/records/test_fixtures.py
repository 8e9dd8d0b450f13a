"""Records made by earlier code: every recorded call and score replays equal, for ever."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from opto_gym.agents.external import install
from opto_gym.errors import RecordError
from opto_gym.leaderboard import TrialFolder, replay, report, resume

HERE = Path(__file__).parent
RULES = "the rules that identify a trial have changed since the record"
RUNS = sorted(path.name.removesuffix(".tar.xz") for path in HERE.glob("*.tar.xz"))


def members(run: str) -> list[str]:
    """The trials of a packed run."""
    with tarfile.open(HERE / f"{run}.tar.xz") as tar:
        return sorted({name.split("/")[1] for name in tar.getnames() if name.startswith("trials/")})


TRIALS = [(run, trial) for run in RUNS for trial in members(run)]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The run folders of the packed records."""
    folder = tmp_path_factory.mktemp("records")
    for run in RUNS:
        with tarfile.open(HERE / f"{run}.tar.xz") as tar:
            tar.extractall(folder / run, filter="data")
    return folder


@pytest.fixture(autouse=True)
def _recorded_modules(monkeypatch):
    """The module and the program that the records name are in the working folder."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(HERE)


SLOW = ("external", "suite", "baselines")  # the runs of many trials


@pytest.mark.parametrize(
    ("run", "trial"), [pytest.param(*t, marks=[pytest.mark.slow] if t[0] in SLOW else []) for t in TRIALS]
)
def test_every_recorded_call_and_score_replays_equal(unpacked, run, trial):
    path = unpacked / run / "trials" / trial
    if "external_" in trial and install.state() != "ready":
        pytest.skip(f"the authors' packages are {install.state()}: `{install.COMMAND}`")
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    outcome = replay(path, trust=True)  # what earlier releases recorded has no mark
    assert outcome.differences == []
    assert set(outcome.notices) <= {RULES}
    assert outcome.steps == sum(step.call > 0 for step in TrialFolder(path).steps())
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "run", [pytest.param(r, marks=[pytest.mark.slow] if r in (*SLOW, "scripted", "human") else []) for r in RUNS]
)
def test_every_run_is_reported(unpacked, run, capsys):
    assert report(unpacked / run).exists()
    capsys.readouterr()


@pytest.mark.parametrize("run", ["own", "scripted"])
def test_a_run_whose_identities_changed_is_refused_before_it_pays(unpacked, run, tmp_path):
    shutil.copytree(unpacked / run, tmp_path / run)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / run).rglob("*.json*")}
    with pytest.raises(RecordError, match=r"recorded trials that would run again .* Pass --again"):
        resume(tmp_path / run, progress=False, trust=True)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / run).rglob("*.json*")} == files


def test_again_runs_them_from_their_beginning(unpacked, tmp_path):
    shutil.copytree(unpacked / "own", tmp_path / "own")
    before = set((tmp_path / "own" / "trials").iterdir())
    result = resume(tmp_path / "own", progress=False, again=True, trust=True)
    assert all(outcome.path not in before for outcome in result.trials)
    assert set((tmp_path / "own" / "trials").iterdir()) > before
