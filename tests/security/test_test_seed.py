"""Tries to be right on the published test examples alone, by code that carries them, and to learn a drawn seed."""

from __future__ import annotations

import json

import pytest

import opto_gym
from opto_gym.cli import main
from opto_gym.cli.prompt import first_request
from opto_gym.envs.battleship import place
from opto_gym.leaderboard import RunConfig, plan, replay, resume, run
from opto_gym.leaderboard.comparison import comparison_plan
from opto_gym.leaderboard.reporting.page import html
from opto_gym.leaderboard.results import load
from opto_gym.leaderboard.suites import suite_plan
from tests.support.registered import ENVS

DRAWN = ["Battleship-v0", "BattleshipOnline-v0", "StrangeSortList-v0", "BatchRegression-v0", "BlameAssign-v0"]
DRAWN += ["Traffic-v0", "TrafficGrid-v0", "MetaWorld-Reach-v1"]
SEED = 987654321987
BATCH = "BatchRegression-v0"
SUITE = """
about = "One task that draws its test split, and one that can't"
budget = { oracle_calls = 1 }
agents = ["RandomSearch"]
test_seed = "random"

[[tasks]]
env = "BatchRegression-v0"

[[tasks]]
env = "BatchRegression-v0"
arguments = { problem = 3 }

[[tasks]]
env = "NumericalOptimization-v0"
"""


def made(env, **arguments):
    try:
        return opto_gym.make(env, **arguments).unwrapped
    except opto_gym.errors.MissingExtra as e:
        pytest.skip(str(e))


def carrying() -> dict[str, str]:
    """Code that carries the first three boards of the published test split."""
    boards = [place(10**9 + k, 8, 8, (5, 4, 3, 3, 2)) for k in range(3)]
    cells = [[[r, c] for r in range(8) for c in range(8) if board[r][c]] for board in boards]
    act = f"""
def act(map, plan):
    for cells in {cells}:
        if all((map[r][c] == "X") <= ([r, c] in cells) and (map[r][c] == "O") <= ([r, c] not in cells)
               for r in range(8) for c in range(8)):
            return next([r, c] for r, c in cells if map[r][c] == ".")
    return next([r, c] for r in range(8) for c in range(8) if map[r][c] == ".")
"""
    return {"reason": "def reason(map):\n    return 0\n", "act": act}


# ------------------------------------------------------------------ what it is for
def test_code_that_carries_the_published_boards_is_right_on_them_alone():
    published = made("Battleship-v0").evaluate(carrying(), split="test", examples=[0, 1, 2])
    drawn = made("Battleship-v0", test_seed=5).evaluate(carrying(), split="test", examples=[0, 1, 2])
    assert published.score == 1.0
    assert drawn.score < 1.0


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_split_is_as_large_and_has_no_published_example(name):
    published, drawn = made(name), made(name, test_seed=5)
    old, new = list(published.splits["test"]), list(drawn.splits["test"])
    assert len(new) == len(old)
    assert not any(example in old or example in published.splits["train"] for example in new)
    assert new == list(made(name, test_seed=5).splits["test"])
    assert new != list(made(name, test_seed=6).splits["test"])
    assert published.splits["train"] == drawn.splits["train"]


@pytest.mark.parametrize("name", [n for n in ENVS if n not in DRAWN and not n.startswith(("MetaWorld", "Traffic-"))])
def test_tasks_that_can_t_draw_one_refuse_the_seed_by_name(name):
    try:
        cls = type(made(name))
    except opto_gym.errors.DataNotFound:
        pytest.skip("its data is not here")
    with pytest.raises(ValueError, match=f"{cls.__name__}: its test split is one case, or data.*got 5"):
        made(name, test_seed=5)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "random", "7"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="expected test_seed to be a whole number of 0 or more"):
        made(BATCH, test_seed=seed)


# ------------------------------------------------------------------ nobody is told
@pytest.mark.parametrize("agent", ["OptoPrime", "OPRO", "TextGrad"])
def test_neither_the_problem_nor_a_prompt_has_the_seed(agent):
    settings = {"model": "any", "base_url": "http://127.0.0.1:9/v1"}
    request = first_request("Battleship-v0", agent, env_arguments={"test_seed": SEED}, settings=settings)
    assert str(SEED) not in json.dumps(request)
    problem = made("Battleship-v0", test_seed=SEED).problem
    assert problem == made("Battleship-v0").problem
    assert problem.content_hash == made("Battleship-v0").problem.content_hash


# ------------------------------------------------------------------ it is planned, recorded and reported
def planned(**settings):
    return plan([BATCH], ["RandomSearch"], limits={"oracle_calls": 1}, **settings)


def test_it_is_in_the_identity_and_without_it_nothing_changes():
    ((default, _),) = planned(seeds=1).specs.items()
    ((drawn, spec),) = planned(seeds=1, test_seed=7).specs.items()
    assert spec.env_arguments == {"test_seed": 7}
    assert drawn != default
    assert planned(seeds=1, test_seed=7).trials[drawn].identity.env.arguments == {"test_seed": 7}
    assert planned(seeds=1).trials[default].identity.env.arguments == {}


def test_a_random_one_is_drawn_once_for_all_trials_of_a_plan():
    plans = [planned(seeds=3, test_seed="random"), planned(seeds=3, test_seed="random")]
    first, second = ({spec.env_arguments["test_seed"] for spec in p.specs.values()} for p in plans)
    assert len(first) == len(second) == 1
    assert first != second


def test_an_environment_s_own_seed_goes_before_that_of_the_run():
    (spec,) = plan(
        [(BATCH, {"test_seed": 3})], ["RandomSearch"], seeds=1, limits={"oracle_calls": 1}, test_seed=7
    ).specs.values()
    assert spec.env_arguments == {"test_seed": 3}


def test_a_run_with_a_random_one_resumes_replays_and_is_reported(tmp_path):
    run([BATCH], ["RandomSearch"], seeds=1, oracle_calls=1, test_seed="random", out=tmp_path, progress=False)
    (trial,) = load(tmp_path)
    seed = trial.record.spec.env_arguments["test_seed"]
    assert not replay(next((tmp_path / "trials").iterdir())).differences
    resume(tmp_path, limits={"oracle_calls": 2}, progress=False)
    (again,) = load(tmp_path)
    assert again.record.spec.env_arguments == {"test_seed": seed}
    assert len(again.steps) == 3
    said = f"Test is a split drawn by the test seed {seed}"
    assert said in html("a run", [again])


def test_the_report_says_where_the_split_is_the_published_one(tmp_path):
    run([BATCH], ["RandomSearch"], seeds=1, oracle_calls=1, out=tmp_path, progress=False)
    assert "Test is the published split." in html("a run", load(tmp_path))


def test_a_suite_draws_one_for_all_its_tasks_and_names_those_that_have_none(tmp_path):
    (tmp_path / "own.toml").write_text(SUITE, encoding="utf-8")
    made_plan = suite_plan(str(tmp_path / "own.toml"))
    seeds = {spec.env_arguments["test_seed"] for spec in made_plan.specs.values()}
    assert len(made_plan.specs) == 2
    assert len(seeds) == 1
    ((env, _, reason),) = made_plan.skipped
    assert env == "NumericalOptimization-v0"
    assert "takes no test seed" in reason
    (replaced,) = {
        s.env_arguments["test_seed"] for s in suite_plan(str(tmp_path / "own.toml"), test_seed=4).specs.values()
    }
    assert replaced == 4


def test_a_comparison_scores_both_agents_on_the_same_split():
    made_plan = comparison_plan(
        "RandomSearch",
        ("RandomSearch", {"explore": 0.5}),
        envs=[BATCH],
        seeds=2,
        limits={"oracle_calls": 1},
        test_seed="random",
    )
    assert len(made_plan.specs) == 4
    assert len({spec.env_arguments["test_seed"] for spec in made_plan.specs.values()}) == 1


@pytest.mark.parametrize("seed", [7, "random"])
def test_configurations_and_command_lines_have_it(seed, capsys):
    config = RunConfig.of([BATCH], ["RandomSearch"], limits={"oracle_calls": 1}, test_seed=seed)
    assert RunConfig.from_toml(config.to_toml()) == config
    assert main(["run", *config.to_arguments(), "--print-config"]) == 0
    assert RunConfig.from_toml(capsys.readouterr().out) == config


@pytest.mark.parametrize("seed", ["-1", "1.5", "Random", ""])
def test_a_command_line_with_another_text_is_refused(seed, capsys):
    command = ["run", "--env", BATCH, "--agent", "RandomSearch", "--oracle-calls=1", "--dry-run"]
    assert main([*command, f"--test-seed={seed}"]) == 2
    assert "at least 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["test_seed = -1", 'test_seed = "rand"', "test_seed = 99999999999999999999", "test_seed = 1.5"]
)
def test_a_configuration_with_another_value_is_refused(text):
    with pytest.raises(ValueError, match=r"test_seed|at most 64 bits"):
        RunConfig.from_toml(text)
