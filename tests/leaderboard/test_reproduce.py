from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from msgspec.structs import replace as structs_replace

import opto_gym
from opto_gym import OptoEnv
from opto_gym.baselines import recipes
from opto_gym.cli import main
from opto_gym.leaderboard import reproduction as reproduce
from opto_gym.leaderboard.reporting import reproduction_page as figures
from opto_gym.leaderboard.stats import interval, mean
from tests.support.openai_server import OpenAIServer

HERE = "tests.support.agents"
OWN = f"""
title = "Figure 0: a valley"
source = "nowhere"
reading = "made up"
accuracy = 0.0
x = "step"
y = "score"
also = "best so far"
differences = ["none"]

[common]
env = "tests.support.tasks:Valley"
oracle_calls = 4
seconds = 0.001
seeds = 3

[[curves]]
name = "Random steps"
agent = "{HERE}:Steps"
published = [[0, 9.0], [4, 1e9, 1.0]]

[[curves]]
name = "First step"
agent = "{HERE}:Steps"
oracle_calls = 1
score = "test"

[[curves]]
name = "A model's"
agent = "{HERE}:Asking"
"""


@pytest.fixture
def own(monkeypatch):
    """A recipe of the tests' own, as the command line finds it."""
    recipe = recipes.parse("figure-0", OWN)
    monkeypatch.setattr(recipes, "load", lambda name: recipe)
    monkeypatch.setattr(recipes, "names", lambda: ["figure-0"])
    return recipe


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.glob("**/steps.jsonl")}


# ------------------------------------------------------------------ recipes
@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_valid(name):
    recipe = recipes.load(name)
    assert all((recipe.title, recipe.source, recipe.reading, recipe.x, recipe.y, recipe.differences))
    assert re.search(r"\b(19|20)\d\d\b", recipe.source)
    assert len({c.name for c in recipe.curves}) == len(recipe.curves)
    assert any(c.published for c in recipe.curves)
    for curve in recipe.curves:
        assert curve.agent in opto_gym.registered_agents()
        assert curve.env in opto_gym.registered_envs()
        assert curve.seconds > 0
        for size in recipes.SIZES:
            at_size = curve.sized(size)
            arguments, _ = at_size.trials()[-1]
            problem = opto_gym.make(curve.env, **arguments).unwrapped.problem
            assert opto_gym.make_agent(curve.agent, **curve.settings).unsupported_reason(problem) is None
        calls = [call for call, _, _ in curve.published]
        assert calls == sorted(set(calls))
        assert all(0 <= call <= curve.oracle_calls for call in calls)
        assert all(se is None or se > 0 for _, _, se in curve.published)
        small = curve.sized("smoke")
        assert len(small.trials()) * small.seeds * small.oracle_calls <= 20


@pytest.mark.parametrize("name", recipes.names())
def test_curves_that_share_records_are_of_the_same_trials(name):
    groups = {}
    for curve in recipes.load(name).curves:
        groups.setdefault(curve.records or curve.name, []).append(curve)
    for curves in groups.values():
        trials = [(c.agent, c.settings, c.env, c.trials(), c.oracle_calls, c.mask, c.score == "test") for c in curves]
        assert all(t == trials[0] for t in trials)


def test_no_two_trials_of_a_curve_share_a_seed(tmp_path):
    text = OWN.replace('"tests.support.tasks:Valley"', '"NumericalOptimization-v0"\nover = { problem = [4, 7] }')
    recipe = recipes.parse("x", text.replace("seeds = 3", "seeds = 2"))
    specs = list(reproduce.jobs(recipe, "paper", tmp_path)[0].plan.specs.values())
    assert [(s.env_arguments["problem"], s.seed) for s in specs] == [(4, 0), (4, 1), (5, 2), (5, 3), (6, 4), (6, 5)]


@pytest.mark.slow
def test_random_agents_begin_differently_in_each_trial(tmp_path):
    recipe = recipes.load("figure-5b")
    recipe = structs_replace(recipe, curves=tuple(c for c in recipe.curves if c.name == "Particle swarm"))
    reproduce.run(reproduce.jobs(recipe, "smoke", tmp_path), progress=False)
    (swarm,) = reproduce.measure(recipe, "smoke", tmp_path)
    first = [json.dumps(t.steps[1].parameters) for t in swarm.trials]
    assert len(set(first)) == len(first) == 2


def test_an_unknown_name_gives_the_nearest(capsys):
    assert main(["reproduce", "figure-5"]) == 2
    assert "did you mean 'figure-5" in capsys.readouterr().err


def test_some_of_the_curves(own, tmp_path, capsys):
    arguments = ["reproduce", "figure-0", "--dry-run", "--out", str(tmp_path)]
    assert main([*arguments, "--curve", "First step"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert main([*arguments, "--curve", "Second step"]) == 2
    assert "There are: Random steps; First step; A model's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'score = "test"',
            'score = "tests"',
            "curve 2: expected score to be one of 'seen', 'test', got 'tests'; did you",
        ),
        ("best so far", "mode", "expected also to be one of 'median', 'best so far', got 'mode'"),
        (
            "oracle_calls = 4",
            "oracle_cals = 4",
            "curve 1: there is no key 'oracle_cals' .*; did you mean 'oracle_calls'",
        ),
        ("[common]", "[comon]", "there is no key 'comon' .*; did you mean 'common'"),
        ("[[curves]]", "[[curve]]", "there is no key 'curve' .*; did you mean 'curves'"),
        ('title = "Figure 0: a valley"', "", "the key 'title' is missing"),
        ('title = "Figure 0: a valley"', "title", "it is not TOML"),
        ("accuracy = 0.0", "accuracy = '0'", "accuracy: expected a number, got '0'"),
        ("seeds = 3", "seeds = '3'", "curve 1: seeds: expected a whole number, got '3'"),
        ("[[0, 9.0], ", "[[0], ", r"curve 1: published 1: expected an array of length 3, got \[0\]"),
        ("[[0, 9.0], ", "[['0', 9.0], ", "curve 1: published 1: entry 1: expected a whole number, got '0'"),
        (
            "oracle_calls = 1\n",
            "smoke = { seds = 1 }\n",
            "curve 2: smoke: there is no key 'seds'.*; did you mean 'seeds'",
        ),
        ("oracle_calls = 1\n", "smoke = { seeds = 'x' }\n", "curve 2: smoke: seeds: expected a whole number, got 'x'"),
    ],
)
def test_mistakes_in_a_recipe_are_named(old, new, message):
    assert old in OWN
    with pytest.raises(ValueError, match=f"^the recipe x can't be read: {message}"):
        recipes.parse("x", OWN.replace(old, new))


def test_a_curve_has_two_sizes():
    with pytest.raises(ValueError, match="expected size to be one of 'smoke', 'paper', got 'huge'"):
        recipes.parse("x", OWN).curves[0].sized("huge")


# ------------------------------------------------------------------ verdicts
VALUES = np.array([9.0, 10.0, 11.0, 10.0, 9.5, 10.5, 12.0, 8.0])


def test_a_value_in_our_interval_agrees():
    low, high = interval(VALUES, of=mean)
    assert reproduce.check_published(VALUES, low + 1e-9, None) == "agrees"
    assert reproduce.check_published(VALUES, high - 1e-9, None) == "agrees"
    assert reproduce.check_published(VALUES, high + 1e-9, None).startswith("differs: -")
    assert reproduce.check_published(VALUES, low - 1e-9, None).startswith("differs: +")


def test_the_published_standard_error_and_the_accuracy_widen_it():
    assert reproduce.check_published(VALUES, 14.0, None).startswith("differs")
    assert reproduce.check_published(VALUES, 14.0, 2.0) == "agrees"
    assert reproduce.check_published(VALUES, 14.0, 1.0).startswith("differs")
    assert reproduce.check_published(VALUES, 14.0, None, accuracy=3.5) == "agrees"


def test_a_difference_is_given_in_standard_errors():
    own = VALUES.std(ddof=1) / np.sqrt(8)
    assert (
        reproduce.check_published(VALUES, 20.0, 3.0) == f"differs: -10, {10 / np.hypot(own, 3.0):.1f} standard errors"
    )
    assert reproduce.check_published(np.array([1.0, 1.0]), 2.0, None) == "differs: -1"


def test_what_can_not_be_judged():
    assert reproduce.check_published(VALUES, None, None) == "nothing published"
    assert reproduce.check_published(np.array([1.0, np.nan]), 1.0, None) == "not judged: too few values"
    assert reproduce.check_published(np.array([1.0, np.nan, 3.0]), 2.0, None) == "agrees"


def test_a_false_alarm_is_rare():
    rng = np.random.default_rng(0)
    alarms = sum(
        reproduce.check_published(rng.normal(size=20), rng.normal() * 0.2, 0.2) != "agrees" for _ in range(200)
    )
    assert alarms / 200 == pytest.approx(0.06, abs=0.04)


# ------------------------------------------------------------------ runs
def test_the_cheapest_figure_end_to_end(tmp_path, capsys):
    arguments = ["reproduce", "figure-5a", "--size", "smoke", "--out", str(tmp_path), "--quiet"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "figure-5a" / "smoke"
    assert "not judged: smoke size" in said
    assert "give one by --model" in said
    assert str(folder / "figure.svg") in said
    before = files(folder), (folder / "figure.svg").read_text(), (folder / "table.md").read_text()
    assert len(before[0]) == 3
    assert "<svg" in before[1]
    assert "2026" not in before[1]
    assert main(arguments) == 0  # all is done: the same figure from the same records
    assert (files(folder), (folder / "figure.svg").read_text(), (folder / "table.md").read_text()) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.names())
def test_every_figure_at_smoke_size(name, tmp_path):
    assert main(["reproduce", name, "--size", "smoke", "--out", str(tmp_path), "--quiet"]) == 0
    assert "not judged" in (tmp_path / name / "smoke" / "table.md").read_text()


def test_verdicts_come_from_the_records(own, tmp_path, capsys):
    assert main(["reproduce", "figure-0", "--out", str(tmp_path), "--quiet"]) == 0
    steps, first = reproduce.measure(own, "paper", tmp_path)
    assert steps.values.shape == (3, 5)
    assert [r.verdict.split(":")[0] for r in steps.rows] == ["agrees", "differs"]
    recorded = [json.loads(line) for t in steps.trials for line in (
        tmp_path / "figure-0/paper/random-steps/trials" / t.name / "steps.jsonl").read_text().splitlines()]  # fmt: skip
    at_end = [line["score"] for line in recorded if line["call"] == 4]
    assert steps.rows[1].mean == pytest.approx(np.mean(at_end))
    best = [min(line["score"] for line in recorded[5 * k : 5 * k + 5]) for k in range(3)]
    assert steps.rows[1].also == pytest.approx(np.mean(best))
    assert (first.curve.level, [r.verdict for r in first.rows]) == (True, ["nothing published"])


def test_an_interrupted_one_goes_on(own, tmp_path, monkeypatch, capsys):
    arguments = ["reproduce", "figure-0", "--out", str(tmp_path), "--quiet"]
    evaluate, calls = OptoEnv.evaluate, []

    def interrupted(self, *arguments, split="train", **keywords):
        calls.append(split)
        if calls.count("train") == 8:
            raise KeyboardInterrupt
        return evaluate(self, *arguments, split=split, **keywords)

    monkeypatch.setattr(OptoEnv, "evaluate", interrupted)
    assert main(arguments) == 130
    assert "The same command goes on" in capsys.readouterr().err
    before = files(tmp_path)
    (measured,) = reproduce.measure(own, "paper", tmp_path)
    assert {r.verdict for r in measured.rows} == {"not judged: 1 of 3 trials done"}
    monkeypatch.setattr(OptoEnv, "evaluate", evaluate)
    assert main(arguments) == 0
    after = files(tmp_path)
    assert all(after[path].startswith(content) for path, content in before.items())
    main([*arguments[:3], str(tmp_path / "again"), "--quiet"])
    again = [m.values for m in reproduce.measure(own, "paper", tmp_path / "again")]
    assert np.array_equal(again[0], reproduce.measure(own, "paper", tmp_path)[0].values)


def test_a_model_s_curves_have_folders_of_their_own(own, tmp_path):
    for model in ("one", "two"):
        with OpenAIServer("3") as server:
            main(["reproduce", "figure-0", "--out", str(tmp_path), "--quiet", "--model", model,
                  "--base-url", server.url])  # fmt: skip
    found = reproduce.measure(own, "paper", tmp_path)
    assert [m.label for m in found] == ["Random steps", "First step", "A model's (one)", "A model's (two)"]


def test_failed_trials_are_not_counted_and_the_status_says_so(own, tmp_path, monkeypatch, capsys):
    recipe = recipes.parse("figure-0", OWN.replace(f'{HERE}:Steps"\npublished', f'{HERE}:Failing"\npublished'))
    monkeypatch.setattr(recipes, "load", lambda name: recipe)
    assert main(["reproduce", "figure-0", "--out", str(tmp_path), "--quiet"]) == 1
    assert [m.curve.name for m in reproduce.measure(recipe, "paper", tmp_path)] == ["First step"]


def test_calls_with_errors_may_be_left_out(tmp_path, monkeypatch):
    text = OWN.replace(f'{HERE}:Steps"\npublished', f'{HERE}:Strange"\ndrop_errors = true\npublished')
    recipe = recipes.parse("figure-0", text)
    reproduce.run(reproduce.jobs(recipe, "paper", tmp_path), progress=False)
    strange, _ = reproduce.measure(recipe, "paper", tmp_path)
    assert np.isfinite(strange.values[:, 0]).all()
    assert np.isnan(strange.values[:, 1:]).all()
    assert strange.rows[1].verdict == "not judged: too few values"
    assert strange.rows[1].also == 9.0
    assert "<svg" in figures.figure([strange], recipe)


def test_the_dry_run_says_what_it_takes(own, tmp_path, capsys):
    assert main(["reproduce", "figure-0", "--dry-run", "--out", str(tmp_path), "--model", "gpt-4o-mini"]) == 0
    said = capsys.readouterr().out
    assert "Random steps: 3 trials, at most 12 oracle calls, about 0 s on one core" in said
    assert re.search(r"A model's: 3 trials.* tokens, USD [\d.]+, and the model's own time", said)
    assert not list(tmp_path.iterdir())


def test_the_docs_page_is_made_from_the_records(own, tmp_path, capsys):
    page = tmp_path / "docs" / "reproduction.md"
    page.parent.mkdir()
    arguments = ["reproduce", "--docs", str(page), "--out", str(tmp_path)]
    main(["reproduce", "figure-0", "--curve", "First step", "--out", str(tmp_path), "--quiet"])
    assert main(arguments) == 0
    assert "scale yet (`opto-gym reproduce figure-0`): Random steps." in page.read_text()
    main(["reproduce", "figure-0", "--out", str(tmp_path), "--quiet"])
    assert main(arguments) == 0
    said = page.read_text()
    assert "| Random steps | 0 | 9 | 9.000 | 9.000 to 9.000 | 9.000 | agrees |" in said
    assert "(reproduction/figure-0.svg)" in said
    assert (page.parent / "reproduction" / "figure-0.svg").exists()
    assert "(`opto-gym reproduce figure-0`)" not in said
    assert "(`opto-gym reproduce figure-0 --model NAME`): A model's." in said
    shutil.rmtree(page.parent / "reproduction")
    main(arguments)
    assert page.read_text() == said
    shutil.rmtree(next((tmp_path / "figure-0" / "paper" / "random-steps" / "trials").iterdir()))
    main(arguments)  # a curve whose trials are not all done is not shown
    assert "(`opto-gym reproduce figure-0`): Random steps." in page.read_text()


def test_the_docs_page_is_kept_where_nothing_is_recorded(own, tmp_path, capsys):
    page = tmp_path / "reproduction.md"
    page.write_text("what was measured")
    assert main(["reproduce", "--docs", str(page), "--out", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert f"expected {tmp_path / 'nowhere'} to be the folder of reproductions, with at least one complete" in error
    assert page.read_text() == "what was measured"


def test_a_docs_page_that_cannot_be_written_is_one_clear_line(own, tmp_path, unwritable, capsys):
    main(["reproduce", "figure-0", "--curve", "First step", "--out", str(tmp_path), "--quiet"])
    assert main(["reproduce", "--docs", str(unwritable / "page.md"), "--out", str(tmp_path)]) == 1
    assert f"opto-gym: {unwritable / 'page.md'} can't be written: " in capsys.readouterr().err


def test_no_figure_of_failed_trials_alone(tmp_path, monkeypatch, capsys):
    recipe = recipes.parse("figure-0", OWN.replace(f"{HERE}:Steps", f"{HERE}:Failing"))
    monkeypatch.setattr(recipes, "load", lambda name: recipe)
    assert main(["reproduce", "figure-0", "--curve", "Random steps", "--out", str(tmp_path), "--quiet"]) == 1
    assert "figure-0: nothing was measured, so no figure is written" in capsys.readouterr().out
    assert not list(tmp_path.rglob("figure.svg"))
