from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import opto_gym
from opto_gym import OptoEnv
from opto_gym.cli import gallery, main
from opto_gym.errors import DataNotFound, MissingExtra
from opto_gym.leaderboard import RunFolder, TrialFolder
from opto_gym.leaderboard.reporting.page import html
from opto_gym.leaderboard.results import load as load_trials
from opto_gym.leaderboard.suites import load, names, suite_plan
from opto_gym.registration import env_class
from tests.support.tasks import Valley

HERE = "tests.leaderboard.test_suites"
OWN = f"""
about = "Two tasks"
seeds = 2
agents = ["RandomSearch", ["RandomSearch", {{ explore = 0.5 }}]]
budget = {{ oracle_calls = 3 }}

[[tasks]]
env = "tests.support.tasks:Valley"
agents = ["HuntTarget"]
budget = {{ oracle_calls = 4 }}

[[tasks]]
env = "NumericalOptimization-v0"
arguments = {{ problem = 3 }}
agents = ["Adam"]

[[tasks]]
env = "{HERE}:NoExtra"

[[tasks]]
env = "{HERE}:NoData"

[[tasks]]
env = "{HERE}:Modelled"
"""


class NoExtra(OptoEnv):
    def __init__(self, **keywords):
        raise MissingExtra("uxsim is not installed: pip install 'opto-gym[traffic]'")


class NoData(OptoEnv):
    def __init__(self, **keywords):
        raise DataNotFound("there is no bbh here: opto-gym data fetch bbh")


class Modelled(Valley):
    uses_model = True


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return str(path)


def test_each_task_has_its_own_agents_and_budget(own):
    plan = suite_plan(own, trust=True)
    made = [(s.env, s.agent, *s.settings.values(), s.seed, plan.limits[t].oracle_calls) for t, s in plan.specs.items()]
    valley, program = "tests.support.tasks:Valley", "NumericalOptimization-v0"
    assert made == [
        *((valley, "RandomSearch", seed, 4) for seed in range(2)),
        *((valley, "RandomSearch", 0.5, seed, 4) for seed in range(2)),
        *((program, "RandomSearch", seed, 3) for seed in range(2)),
        *((program, "RandomSearch", 0.5, seed, 3) for seed in range(2)),
        *((program, "Adam", seed, 3) for seed in range(2)),
    ]
    assert all(s.env_arguments == {"problem": 3} for s in plan.specs.values() if s.env == program)
    assert plan.test_scores == "end"
    assert plan.estimate()["oracle_calls"] == 6 * 3 + 4 * 4


def test_what_cannot_run_is_skipped_with_the_reason(own):
    why = {(env, agent): reason for env, agent, reason in suite_plan(own, trust=True).skipped}
    assert "pip install" in why[f"{HERE}:NoExtra", "RandomSearch"]
    assert "data fetch" in why[f"{HERE}:NoData", "RandomSearch"]
    assert "--task-model" in why[f"{HERE}:Modelled", "RandomSearch"]
    assert "Battleship" in why["tests.support.tasks:Valley", "HuntTarget"]


def test_what_is_given_beside_it_wins(own):
    plan = suite_plan(own, seeds=[7], limits={"oracle_calls": 1}, test_scores="never", task_model="some", trust=True)
    assert {s.seed for s in plan.specs.values()} == {7}
    assert {b.oracle_calls for b in plan.limits.values()} == {1}
    assert plan.test_scores == "never"


def test_on_the_command_line(own, tmp_path, capsys):
    out = tmp_path / "r"
    assert main(["run", "--suite", own, "--out", str(out), "--jobs", "2", "--trust"]) == 0
    said = capsys.readouterr()
    assert "10 trials done, 0 failed" in said.out
    assert f"skipped RandomSearch on {HERE}:NoExtra: uxsim is not installed" in said.err
    steps = {t.name: len(t.steps) - 1 for t in load_trials(out)}
    assert sorted(steps.values()) == [3] * 6 + [4] * 4
    before = {p: p.read_bytes() for p in out.rglob("steps.jsonl")}
    assert main(["run", "--suite", own, "--out", str(out), "--quiet"]) == 0  # nothing is left to do
    assert main(["run", "--resume", str(out), "--quiet"]) == 0
    assert {p: p.read_bytes() for p in out.rglob("steps.jsonl")} == before
    trials = load_trials(out)
    assert "4 oracle calls; 3 oracle calls" in html("r", [trials[-1], trials[0]])


def test_the_dry_run_tells_each_task_with_its_agents_seeds_and_budget(own, capsys):
    assert main(["run", "--suite", own, "--seeds", "1", "--usd", "2.5", "--dry-run", "--trust"]) == 0
    first, second, trials, *_ = capsys.readouterr().out.splitlines()
    both = "RandomSearch, RandomSearch:explore=0.5"
    assert first == f"tests.support.tasks:Valley: {both}; 1 seed; budget oracle_calls=4, usd=2.5"
    assert second == f"NumericalOptimization-v0:problem=3: {both}, Adam; 1 seed; budget oracle_calls=3, usd=2.5"
    assert trials.split() == ["trials", "5"]


def test_an_interrupted_suite_goes_on_with_each_budget(own, tmp_path):
    out = tmp_path / "r"
    main(["run", "--suite", own, "--out", str(out), "--quiet", "--trust"])
    for path in out.glob("trials/*/"):
        lines = (path / "steps.jsonl").read_bytes().splitlines(keepends=True)
        (path / "steps.jsonl").write_bytes(b"".join(lines[:2]))
        summary = json.loads((path / "trial.json").read_text())
        (path / "trial.json").write_text(json.dumps({**summary, "status": "running"}))
    assert main(["run", "--resume", str(out), "--quiet"]) == 0
    calls = sorted(len(TrialFolder(p).steps()) - 1 for p in out.glob("trials/*/"))
    assert calls == [3] * 6 + [4] * 4
    assert len(RunFolder(out).plan.trials) == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--suite", "smok"], "expected one of ['peers', 'smoke'"),
        (["--suite", "nowhere.toml"], "does not exist"),
        (["--suite", "smoke", "--env", "Battleship-v0"], "no --env and no --agent"),
        (["--resume", "x", "--suite", "smoke"], "--resume takes everything"),
        ([], "or a --suite"),
    ],
)
def test_wrong_use(arguments, said, capsys):
    assert main(["run", *arguments, "--out", "x"]) == 2
    assert said in capsys.readouterr().err


SMALL = """
about = "One task"
agents = ["RandomSearch"]
budget = { oracle_calls = 3 }

[[tasks]]
env = "tests.support.tasks:Valley"

[[tasks]]
env = "NumericalOptimization-v0"
"""

MISTAKES = {
    "not TOML": ("about =", "about", "it is not TOML: "),
    "an unknown key": ("about", "abuot", r"there is no key 'abuot' \(the keys are about, tasks, .*\); did you mean"),
    "an unknown key of a task": ("env = ", "environment = ", "task 1: there is no key 'environment' .*keys are env"),
    "a missing key": ('about = "One task"', "", "the key 'about' is missing"),
    "a missing key of a task": ('env = "Num', 'arguments = {}\n# "Num', "task 2: the key 'env' is missing"),
    "tasks that are no list": ("[[tasks]]", "[tasks]", "it is not TOML"),
    "agents that are a string": ('["RandomSearch"]', '"RandomSearch"', "agents: expected an array, got 'RandomSearch'"),
    "an agent that is a number": ('["RandomSearch"]', "[3]", "agent 1: expected a string or an array, got 3"),
    "an agent without settings": ('["RandomSearch"]', '["Adam", ["Adam"]]', "agent 2: expected an array of length 2"),
    "settings that are no table": ('["RandomSearch"]', '[["Adam", 3]]', "agent 1: entry 2: expected a table, got 3"),
    "a budget that is a number": ("{ oracle_calls = 3 }", "3", "budget: expected a table, got 3"),
    "an unknown budget": ("oracle_calls", "oracle_cals", "budget: expected limits of .*; did you mean 'oracle_calls'"),
    "a negative budget": ("= 3", "= -3", "budget: expected oracle_calls of at least 1, got -3"),
    "a budget of nothing": ("= 3", "= 0", "budget: expected oracle_calls of at least 1, got 0"),
    "a fractional budget": ("= 3", "= 2.5", "budget: expected oracle_calls to be a whole number, got 2.5"),
    "a budget that is NaN": ("oracle_calls = 3", "usd = nan", "budget: expected usd to be a number, got nan"),
    "a budget that is text": ("= 3", "= 'x'", "budget: expected oracle_calls to be a number, got 'x'"),
    "a task's budget": ('"Num', '"X"\nbudget = { tokens = -1 }\n# "Num', "task 2: budget: expected tokens of"),
    "no seeds": ("about", "seeds = 0\nabout", "seeds: expected a whole number of at least 1, got 0"),
    "seeds that are text": ("about", "seeds = '3'\nabout", "seeds: expected a whole number, got '3'"),
    "seeds that are true": ("about", "seeds = true\nabout", "seeds: expected a whole number, got True"),
    "unknown scoring": ("about", "test_scores = 'ech'\nabout", "expected test_scores to be one of .*mean 'each'"),
    "arguments that are no table": ('"Num', '"X"\narguments = 3\n# "Num', "task 2: arguments: expected a table, got 3"),
    "no tasks": (SMALL[SMALL.index("[[") :], "tasks = []", r"expected at least one \[\[tasks\]\] table, got none"),
    "tasks that are a number": (SMALL[SMALL.index("[[") :], "tasks = 3", "tasks: expected an array, got 3"),
    "not UTF-8": ("One task", "\udcff", "it is not in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_file_that_is_no_suite(tmp_path, capsys, mistake):
    old, new, message = MISTAKES[mistake]
    assert old in SMALL
    path = tmp_path / "bad.toml"
    path.write_bytes(SMALL.replace(old, new).encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"^the suite {path} can't be read: {message}"):
        load(str(path))
    for command in (["run"], ["compare", "--agent", "Adam", "--against", "Grid"]):
        assert main([*command, "--suite", str(path), "--out", str(tmp_path / "r")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(path) in line
    assert not (tmp_path / "r").exists()


def test_a_suite_that_is_a_folder(tmp_path, capsys):
    (tmp_path / "folder.toml").mkdir()
    assert main(["run", "--suite", str(tmp_path / "folder.toml"), "--out", "x"]) == 2
    assert "folder.toml can't be read: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "NumericalOptimization-v0",
            "NumericalOptimisation-v0",
            r"task 2 \(Num.*did you mean 'NumericalOptimization-v0'",
        ),
        ("NumericalOptimization-v0", "NumericalOptimization", r"task 2 .* such as 'NumericalOptimization-v0'"),
        (
            "tests.support.tasks:Valley",
            "tests.support.tasks:Vallley",
            r"task 1 .*has no 'Vallley'; did you mean 'Valley'",
        ),
        ("tests.support.tasks:Valley", "no_such_module:X", r"task 1 .*there is no module 'no_such_module'"),
        (
            '"RandomSearch"',
            '"randomsearch"',
            r"task 1 .*no agent is called 'randomsearch'; did you mean 'RandomSearch'",
        ),
        (
            '"RandomSearch"',
            '"tests.support.tasks:Valley"',
            r"task 1 .*expected a subclass of opto_gym.agents.Agent, got ",
        ),
        ('"RandomSearch"', '["RandomSearch", { depth = 3 }]', r"task 1 .*RandomSearch has no argument 'depth'"),
        (
            '"Num',
            '"BinaryLock-v0"\narguments = { size = 3 }\n# "Num',
            r"task 2 \(BinaryLock-v0\): BinaryLock has no argum",
        ),
        ("budget = ", "# ", r"task 1 .*: a run needs a budget"),
    ],
)
def test_names_that_a_suite_gets_wrong_come_with_the_task(tmp_path, old, new, message):
    (tmp_path / "bad.toml").write_text(SMALL.replace(old, new))
    with pytest.raises(ValueError, match=rf"^the suite \S*bad.toml, {message}"):
        suite_plan(str(tmp_path / "bad.toml"), trust=True)


def test_nothing_can_run(tmp_path):
    (tmp_path / "none.toml").write_text(f"about = ''\nagents = ['RandomSearch']\n[[tasks]]\nenv = '{HERE}:NoData'\n")
    with pytest.raises(
        ValueError,
        match=r"expected at least one task of the suite .* to be able to run, got none: .*:NoData: there is no bbh",
    ):
        suite_plan(str(tmp_path / "none.toml"), trust=True)


def test_the_docs_suite_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    (tmp_path / "docs.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL).group(1))
    suite = load(str(tmp_path / "docs.toml"))
    assert [len(t.agents) for t in suite.tasks] == [3, 2]
    assert [t.budget["oracle_calls"] for t in suite.tasks] == [20, 40]


# ------------------------------------------------------------------ the suites of opto_gym
@pytest.mark.parametrize("name", names())
def test_every_name_in_it_is_registered(name):
    suite = load(name)
    assert suite.about
    for task in suite.tasks:
        assert task.env in opto_gym.registered_envs()
        for agent in task.agents:
            assert (agent if isinstance(agent, str) else agent[0]) in opto_gym.registered_agents()


def test_smoke_has_every_family():
    families = {type(opto_gym.make(t.env, **t.arguments).unwrapped) for t in load("smoke").tasks}
    for name in gallery.families():
        cls = env_class(name)
        assert any(issubclass(cls, family) for family in families), name  # a variant belongs to its family


def test_peers_has_every_optimizer_that_asks_a_model():
    named = {a if isinstance(a, str) else a[0] for task in load("peers").tasks for a in task.agents}
    asking = {name for name in opto_gym.registered_agents() if opto_gym.registration.agent_class(name).uses_model}
    assert asking - {"Program-Model"} <= named
