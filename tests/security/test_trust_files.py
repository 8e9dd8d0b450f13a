"""Tries to run code by a suite or a configuration of somebody else, also by a dry run, and by what lies beside it."""

from __future__ import annotations

import os
import sys

import pytest

from opto_gym.cli import main
from opto_gym.errors import TrustError
from opto_gym.leaderboard import RunConfig, plan
from opto_gym.leaderboard.comparison import comparison_plan
from opto_gym.leaderboard.suites import load, suite_plan
from opto_gym.utils.loading import is_module

SUITE = """
about = "One task"
agents = [AGENT]
budget = { oracle_calls = 1 }

[[tasks]]
env = ENV
"""
CONFIG = "envs = [ENV]\nagents = [AGENT]\nbudget = { oracle_calls = 1 }\n"
ENV, AGENT = '"NumericalOptimization-v0"', '"RandomSearch"'
NAMED = {
    "a module's class": ('"own_code:Env"', AGENT),
    "a module's agent": (ENV, '["own_code:Agent", { explore = 0.5 }]'),
    "a function": ('"os:system"', AGENT),
    "a command": (ENV, '["Program", { command = "touch ran" }]'),
    "a model": (ENV, '["OptoPrime", { model = "own_code:answer" }]'),
    "an address": (ENV, '["OptoPrime", { model = "m", base_url = "https://evil.example/v1" }]'),
}
ENDPOINTS = (
    'base_url = "https://evil.example/v1"',
    'optimizer_api_key_env = "AWS_SECRET"',
    'model = "own_code:answer"',
)


def write(form, env=ENV, agent=AGENT, more=""):
    """Writes a file; returns its name."""
    with open("x.toml", "w") as f:
        f.write(more + "\n" + form.replace("ENV", env).replace("AGENT", agent))
    return "x.toml"


def nothing_ran(folder) -> bool:
    return not (folder / "ran").exists() and "own_code" not in sys.modules


@pytest.mark.parametrize("what", NAMED)
@pytest.mark.parametrize(("option", "form"), [("--suite", SUITE), ("--config", CONFIG)])
def test_a_dry_run_refuses_what_a_file_names(folder, capsys, option, form, what):
    name = write(form, *NAMED[what])
    assert main(["run", option, name, "--dry-run"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"opto-gym: {name} names what is not registered")
    assert nothing_ran(folder)


@pytest.mark.parametrize("more", ENDPOINTS)
def test_a_configuration_sends_no_key_anywhere(folder, more):
    with pytest.raises(TrustError, match=r"address|key|model"):
        RunConfig.from_file(write(CONFIG, more=more))
    assert nothing_ran(folder)


def test_a_suite_that_a_configuration_names_is_checked_itself(folder):
    write(SUITE, '"own_code:Env"')
    with pytest.raises(TrustError, match=r"x\.toml names"):
        plan(RunConfig(suite="x.toml"))
    with pytest.raises(TrustError, match=r"x\.toml names"):
        comparison_plan("RandomSearch", "Adam", suite="x.toml")
    assert nothing_ran(folder)


def test_agents_of_a_suite_that_are_replaced_need_no_trust(folder):
    write(SUITE, agent='"own_code:Agent"')
    assert len(suite_plan("x.toml", agents=["RandomSearch"]).trials) == 1
    assert len(load("x.toml").tasks) == 1  # reading runs nothing
    assert nothing_ran(folder)


def test_trust_in_a_file_is_remembered_for_its_names_and_its_place(folder, capsys):
    write(SUITE, '"own_code:Env"')
    assert main(["run", "--suite", "x.toml", "--dry-run", "--trust"]) == 0
    assert len(suite_plan("x.toml", seeds=2).trials) == 2
    os.rename("x.toml", "y.toml")
    with pytest.raises(TrustError):
        suite_plan("y.toml")
    write(SUITE, '"own_code:Env"\narguments = { problem = 3 }')
    with pytest.raises(TrustError, match="problem"):
        suite_plan("x.toml")


def test_the_working_folder_is_searched_only_for_names_of_modules(folder, monkeypatch):
    """A file there, such as an optuna.py, would else stand in for a package that is not installed."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p and p != str(folder)])
    assert main(["agents", "RandomSearch"]) == 0
    assert "" not in sys.path
    assert is_module("own_code")
    assert "" not in sys.path
    assert main(["agents", "own_code:Agent"]) == 0
    assert sys.path[-1] == ""


def test_looking_for_a_module_imports_nothing(folder):
    assert is_module("own_code")
    assert not is_module("no_such_code")
    assert nothing_ran(folder)
