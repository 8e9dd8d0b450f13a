from __future__ import annotations

import json

import pytest

from opto_gym import registered_envs
from tests.support import golden
from tests.support.registered import ENVS

GOLDEN = json.loads(golden.FILE.read_text())
QUICK = set(ENVS) - {"TrafficPaper-v0"}  # a second a call
FIRST = dict(reversed(golden.CASES))  # the arguments of each environment's first case
CASES = [
    pytest.param(c, id=golden.key(*c), marks=() if c[0] in QUICK and c[1] == FIRST[c[0]] else pytest.mark.slow)
    for c in golden.CASES
]


@pytest.mark.parametrize("case", CASES)
def test_nothing_changes_without_a_new_version(case):
    measured = golden.measure(*case)
    assert measured == GOLDEN[golden.key(*case)], "a stored result would change: raise the version number (-v1, ...)"


def test_every_environment_is_held():
    assert {name for name, _ in golden.CASES} == set(registered_envs())
    assert set(GOLDEN) == {golden.key(*case) for case in golden.CASES}


def test_the_command_refuses_to_change_an_entry(tmp_path, monkeypatch):
    other = {**GOLDEN, golden.key(*golden.CASES[3]): {"observation": "", "scores": []}}
    file = tmp_path / "golden.json"
    file.write_text(json.dumps(other))
    monkeypatch.setattr(golden, "FILE", file)
    monkeypatch.setattr(golden, "CASES", golden.CASES[3:6])
    assert "new version number" in golden.main()
    assert json.loads(file.read_text()) == other
