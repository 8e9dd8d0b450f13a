"""Replays: which fields are compared, and that nothing is written."""

from __future__ import annotations

import importlib

import pytest

from opto_gym.errors import RecordError
from opto_gym.leaderboard import replay, run
from opto_gym.leaderboard.records import read_trial
from opto_gym.leaderboard.replaying import COMPARED_FIELDS, field_differences
from opto_gym.leaderboard.schema import ScoreRecord
from tests.support.forging import renamed, trial
from tests.support.records import a_step


def test_fields_that_differ_are_named_with_both_values():
    recorded, found = a_step(call=2, score=1.0, error="boom"), a_step(call=2, score=0.5)
    assert field_differences("call 2", recorded, found, COMPARED_FIELDS) == [
        "call 2: score was 1.0, is 0.5",
        "call 2: error was 'boom', is None",
    ]


def test_fields_that_an_earlier_version_did_not_record_are_not_compared():
    found = a_step(scores=[1.0], errors=["boom"], error="boom")
    assert field_differences("call 1", a_step(error="boom"), found, COMPARED_FIELDS) == []
    assert len(field_differences("call 1", a_step(scores=[0.0], error="boom"), found, COMPARED_FIELDS)) == 1


def test_none_is_a_value_of_a_field_that_was_always_recorded():
    common = {"parameters_hash": "x", "score": 1.0, "reward": 1.0, "call": 1, "task_calls": [], "seconds": 0.0}
    recorded, found = (ScoreRecord(scores=scores, error=None, **common) for scores in (None, [1.0]))
    assert len(field_differences("test", recorded, found, ["scores", "error"])) == 1
    assert len(field_differences("call 1", a_step(), a_step(error="boom"), ["error"])) == 1


def test_reading_a_folder_that_is_no_trial_s_writes_nothing(tmp_path):
    assert read_trial(tmp_path / "missing") is None
    with pytest.raises(RecordError, match=r"holds no trial\.json: expected the folder of a trial"):
        replay(tmp_path / "missing")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("oracle", "Place", "CallKey"),
        ("planning", "asked_spec", "unresolved_spec"),
        ("replaying", "COMPARED", "COMPARED_FIELDS"),
        ("replaying", "different", "field_differences"),
    ],
)
def test_old_names_still_work(module, old, new):
    module = importlib.import_module(f"opto_gym.leaderboard.{module}")
    with pytest.warns(DeprecationWarning, match=new):
        assert getattr(module, old) is getattr(module, new)


def test_a_record_of_an_agent_that_has_changed_is_evaluated_without_it(tmp_path):
    (outcome,) = run(
        ["tests.support.tasks:Valley"], ["RandomSearch"], out=tmp_path, seeds=1, oracle_calls=2, progress=False
    ).trials
    same = replay(outcome.path)
    assert (same.differences, same.notices) == ([], [])
    trial("identity.agent.source", "0" * 16)(outcome.path)
    renamed(outcome.path)
    (path,) = outcome.path.parent.iterdir()
    changed = replay(path)
    assert changed.steps == same.steps
    assert changed.differences == []
    assert changed.notices == ["the agent has changed since the record: its recorded calls were evaluated without it"]
