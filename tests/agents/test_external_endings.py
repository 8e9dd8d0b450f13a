"""How trials of programs end: failures of the program, its limits, and the end of the budget."""

from __future__ import annotations

import re

import pytest

from opto_gym.agents.external.process import OUTPUT_TAIL
from opto_gym.leaderboard import TrialFolder, run
from tests.support.openai_server import OpenAIServer
from tests.support.program_trials import VALLEY, go, gone
from tests.support.runs import count

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("homes")]  # processes of other programs, begun and ended


# ------------------------------------------------------------------ how it may end
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash", r"ended with status 1: (.|\n)*RuntimeError: no idea left"),
        ("exits", "ended with status 3: giving up"),
        ("killed", r"was killed by SIGKILL: what is this\?"),
        ("kills_its_group", "was killed by SIGKILL: it had no output"),
    ],
)
def test_a_crash_is_the_trial_s_failure_with_its_last_words(tmp_path, name, said):
    outcome, data = go(tmp_path, name)
    assert (outcome.status, outcome.steps) == ("failed", 1)
    assert re.search(said, data.error)
    assert data.summary.recommended == {"x": 1}
    assert data.summary.recommended_score == 4.0  # scored, for who looks; it counts as the start


@pytest.mark.parametrize("name", ["hang", "stop_dead"])
def test_a_hang_ends_after_the_patience(tmp_path, name):
    outcome, data = go(tmp_path, name, settings={"patience": 0.5})
    assert (outcome.status, outcome.steps) == ("failed", 1)
    assert data.ended == "OptoGymError: Program made no request for 0.5 seconds: thinking"


@pytest.mark.parametrize(
    ("name", "patience", "status"), [("hang_elsewhere", 2.0, "failed"), ("elsewhere", 20.0, "done")]
)
def test_who_left_the_group_and_the_parent_ends_too(tmp_path, name, patience, status):
    outcome, _ = go(tmp_path, name, tmp_path / "pid", settings={"patience": patience})
    assert outcome.status == status
    assert gone(int((tmp_path / "pid").read_text()))


def test_too_much_memory_is_the_trial_s_failure(tmp_path):
    outcome, data = go(tmp_path, "memory", settings={"memory": 0.3})
    assert (outcome.status, outcome.steps) == ("failed", 1)
    assert "GB of memory, more than its 0.3 GB" in data.ended


def test_endless_words_fill_no_disk(tmp_path):
    _, data = go(tmp_path, "endless")
    assert data.ended.endswith("0 bytes on the disk")
    assert OUTPUT_TAIL - 10 < len(data.ended) < OUTPUT_TAIL + 100


def test_a_command_that_can_t_be_run(tmp_path):
    script = tmp_path / "not_a_program"
    script.write_text("hello")
    script.chmod(0o755)
    (outcome,) = run(
        [VALLEY], [("Program", {"command": str(script)})], out=tmp_path / "r", seeds=1, oracle_calls=1,
        progress=False,
    ).trials  # fmt: skip
    assert "can't be run: Exec format error" in TrialFolder(outcome.path).trial().ended


# ------------------------------------------------------------------ the budget's end
@pytest.mark.parametrize(
    ("name", "recommended"),
    [
        ("climb", 0),  # the start values were better
        ("crash_over_budget", 2),
        ("persistent", 2),  # ended; the incumbent is kept
        ("persistent_once", -4),  # its own choice
    ],
)
def test_the_budget_s_end(tmp_path, name, recommended):
    outcome, data = go(tmp_path, name)
    assert (outcome.status, data.ended, outcome.steps) == ("done", "budget: oracle_calls", 4)
    assert data.summary.recommended == {"x": recommended}


def test_a_program_that_stays_after_the_budget_s_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("opto_gym.agents.external.base.GRACE_SECONDS", 0.5)
    outcome, data = go(tmp_path, "persistent_slowly")
    assert (outcome.status, data.ended, data.summary.recommended) == (
        "done",
        "budget: oracle_calls",
        {"x": -4},
    )


def test_time_ends_a_program_that_hangs(tmp_path):
    outcome, data = go(tmp_path, "hang", seconds=1.5)
    assert (outcome.status, data.ended) == ("done", "budget: seconds")
    assert data.summary.recommended == {"x": 1}
    assert data.seconds < 6


def test_it_may_end_by_itself_and_recommend_what_it_likes(tmp_path):
    assert go(tmp_path / "a", "ends")[1].ended == "agent"
    data = go(tmp_path / "b", "recommends")[1]
    assert (data.summary.recommended, data.summary.recommended_score) == ({"x": -5}, 64.0)


def test_threads_can_t_overspend(tmp_path):
    outcome, data = go(tmp_path, "threads", oracle_calls=5)
    assert (outcome.status, data.ended, outcome.steps) == ("done", "budget: oracle_calls", 5)
    assert sorted(line.call for line in TrialFolder(outcome.path).steps()) == list(range(6))


def test_hostile_values_are_observations(tmp_path):
    outcome, data = go(tmp_path, "hostile_values", oracle_calls=9)
    assert (outcome.status, outcome.steps, data.summary.errors) == ("done", 5, 5)


def test_the_model_s_budget_ends_it(tmp_path):
    with OpenAIServer(count) as server:
        outcome, data = go(
            tmp_path, "asks", agent="Program-Model", model="fake", base_url=server.url, oracle_calls=9, llm_calls=3
        )
    assert (data.status, data.ended, outcome.steps) == ("done", "budget: llm_calls", 3)
