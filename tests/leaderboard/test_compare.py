from __future__ import annotations

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from msgspec.structs import replace

from opto_gym import Anchors, Feedback, Number, OptoEnv, Parameter
from opto_gym.agents.base import Agent
from opto_gym.cli import main
from opto_gym.errors import RecordError
from opto_gym.leaderboard import TrialFolder, run
from opto_gym.leaderboard.comparison import ComparedTask, compare, comparison_plan
from opto_gym.leaderboard.reporting.comparison_page import verdict
from opto_gym.leaderboard.results import load
from opto_gym.leaderboard.stats import compare_scores
from tests.support.openai_server import OpenAIServer

HERE = "tests.leaderboard.test_compare"
AGENTS = "tests.support.agents"


class Line(OptoEnv):
    """The score is x itself; 1 is declared the best known."""

    objective, scores = "Make x large.", (-10.0, 10.0)
    splits = {"train": (None,), "test": (None,)}
    parameters = (Parameter("x", Number(-10, 10), 0.0),)
    anchors = Anchors(start=0.0, best=1.0, dated="2026-11", source="by construction")
    instance = True

    def forward(self, p, example):
        return p.x * 1.0

    def judge(self, output, example):
        return Feedback(output)


class Line2(Line):
    """Another of the kind."""


class Drawn(Agent):
    """An optimizer of known strength: what it recommends is normal about `mean`, of its own for each `salt`."""

    def __init__(self, *, mean=0.5, spread=0.1, salt=0, **settings):
        super().__init__(**settings)
        self.mean, self.spread, self.salt = mean, spread, salt

    def propose(self, observation):
        own = np.random.default_rng([self.salt, int(self.rng.integers(2**32))])
        self.x = {"x": float(own.normal(self.mean, self.spread))}
        return self.x

    def recommend(self):
        return getattr(self, "x", None)


def drawn(**settings):
    return f"{HERE}:Drawn", settings


def go(out, agent, against, *envs, **what):
    envs = envs or (f"{HERE}:Line",)
    what = {"limits": {"oracle_calls": 1}, "progress": False, **what}
    return compare(agent, against, envs=envs, out=out, **what)


@pytest.mark.parametrize(("mean", "said"), [(0.8, "better"), (0.2, "worse")])
def test_a_known_difference_is_told(tmp_path, mean, said):
    found = go(tmp_path, drawn(mean=mean), drawn(salt=1), seeds=8)
    assert found.verdict == said
    answer = found.rows[0].answer
    assert answer.difference == pytest.approx(mean - 0.5, abs=0.1)
    assert answer.low <= answer.difference <= answer.high
    assert (answer.improvement > 0.9) == (said == "better")
    assert f"is {said} than" in found.text()


def test_no_difference_is_not_told_apart(tmp_path):
    found = go(tmp_path, drawn(), drawn(salt=1), seeds=8)
    assert found.verdict == "cannot tell yet"
    assert "cannot tell yet" in found.text()


def test_few_seeds_say_how_many_more(tmp_path):
    found = go(tmp_path, drawn(mean=2.0), drawn(salt=1), seeds=3)
    answer = found.rows[0].answer
    assert (answer.verdict, answer.more, answer.low) == ("cannot tell yet", 5, None)  # the next look needs 8 in all
    assert "cannot tell yet; about 5 more seeds" in found.text()
    assert go(tmp_path, drawn(mean=2.0), drawn(salt=1), seeds=8).verdict == "better"


def test_over_all_and_each_environment(tmp_path):
    envs = (f"{HERE}:Line", f"{HERE}:Line2")
    found = go(tmp_path, drawn(mean=0.9), drawn(salt=1), *envs, seeds=3)
    assert [r.answer.verdict for r in found.rows] == ["cannot tell yet"] * 2  # 3 pairs can't tell
    assert (found.overall.verdict, found.overall.n) == ("better", 6)  # 6 can
    assert "is better than" in found.text()
    assert "over all" in found.text()
    assert "Cannot tell yet on 2" in found.text()
    swapped = go(tmp_path / "2", drawn(salt=1), drawn(mean=0.9), *envs, seeds=9)
    assert [r.answer.verdict for r in swapped.rows] == ["worse"] * 2


def test_recorded_trials_are_taken_and_only_the_missing_run(tmp_path):
    before = run([f"{HERE}:Line"], [drawn(salt=1)], out=tmp_path, seeds=4, oracle_calls=1, progress=False)
    times = {o.path: (o.path / "trial.json").stat().st_mtime_ns for o in before.trials}
    found = go(tmp_path, drawn(mean=0.9), drawn(salt=1), seeds=6)
    assert all((path / "trial.json").stat().st_mtime_ns == t for path, t in times.items())
    assert {t.name for t in found.rows[0].theirs} > {path.name for path in times}
    assert len(list(tmp_path.glob("trials/*"))) == 12


def test_pairs_draw_the_same_examples(tmp_path):
    agents = (f"{AGENTS}:Uneven", "RandomSearch")
    found = go(tmp_path, *agents, "tests.support.tasks:Adder", seeds=[3, 5], limits={"oracle_calls": 4})
    for ours, theirs in zip(found.rows[0].ours, found.rows[0].theirs, strict=True):
        assert ours.record.spec.seed == theirs.record.spec.seed
        drawn_by = [
            {s.call: s.examples for s in TrialFolder(tmp_path / "trials" / t.name).steps()} for t in (ours, theirs)
        ]
        assert drawn_by[0] == drawn_by[1]
    assert found.rows[0].ours[0].record.spec.seed == 3


def test_a_task_without_a_best_known_score_stands_apart(tmp_path):
    envs = ("tests.support.tasks:Valley", f"{HERE}:Line")
    found = go(tmp_path, "RandomSearch", (f"{AGENTS}:Steps", {}), *envs, seeds=2, limits={"oracle_calls": 3})
    assert [r.normalized for r in found.rows] == [False, True]
    assert found.overall.n == 2
    assert "not in the answer over all: tests.support.tasks:Valley" in found.text()
    assert found.rows[0].scores.max() <= 0  # a loss, turned round
    alone = go(tmp_path, "RandomSearch", f"{AGENTS}:Steps", envs[0], seeds=2, limits={"oracle_calls": 3})
    assert alone.overall is None
    assert alone.verdict == "cannot tell yet"


def test_failed_trials_count_as_the_start_values(tmp_path):
    found = go(tmp_path, f"{AGENTS}:Exiting", drawn(mean=2.0), seeds=7)
    assert found.verdict == "worse"
    assert list(found.rows[0].scores[0]) == [0.0] * 7
    assert any("Failed, and scored as the start values" in note for note in found.notes())


def test_an_environment_that_one_can_t_run_on_is_left_out_of_both(tmp_path):
    found = go(tmp_path, "Adam", "RandomSearch", "tests.support.tasks:Adder", f"{HERE}:Line", seeds=2)
    assert [r.env for r in found.rows] == [f"{HERE}:Line"]
    assert not list(tmp_path.glob("trials/*Adder*"))
    assert any("Left out: tests.support.tasks:Adder, because Adam" in note for note in found.notes())


def test_each_look_has_less_to_err_with(tmp_path):
    def look(seeds):
        found = go(tmp_path, drawn(), drawn(salt=1), seeds=seeds)
        return found.look, found.rows[0].answer.level

    assert look(3) == look(3) == (1, pytest.approx(0.05 * 5 / 8))
    assert look(4) == (2, pytest.approx(0.05 * 3 / 16))
    assert look(3)[0] == 1
    assert go(tmp_path, drawn(), drawn(salt=2), seeds=3).look == 1  # another question
    assert go(tmp_path, drawn(salt=1), drawn(), seeds=4).look == 2  # the same one, turned round
    said = go(tmp_path, drawn(), drawn(salt=1), seeds=4).notes()
    assert any(note.startswith("Look 2 at this question") for note in said)


def test_unequal_spending_is_said(tmp_path):
    what = {"seeds": 1, "limits": {"oracle_calls": 9}}
    env, agents = "tests.support.tasks:Adder", (f"{AGENTS}:Choosing", "RandomSearch")
    free = go(tmp_path / "a", *agents, env, **what)
    assert any("Unequal budgets" in note and "evaluations" in note for note in free.notes())
    what["limits"]["evaluations"] = 9
    held = go(tmp_path / "b", *agents, env, **what)
    assert not any("Unequal budgets" in note for note in held.notes())
    assert max(held.rows[0].spent("evaluations")) <= 9


def test_money_of_more_seeds(tmp_path):
    with OpenAIServer(["3"]) as server:
        agents = (f"{AGENTS}:Asking", "RandomSearch")
        what = {"limits": {"oracle_calls": 3}, "model": "gpt-4o-mini", "base_url": server.url}
        found = go(tmp_path, *agents, "tests.support.tasks:Valley", seeds=2, **what)
    row = found.rows[0]
    spent = [t.summary.ledger.optimizer.usd for t in row.ours]
    assert row.usd == pytest.approx(np.mean(spent))
    assert row.usd > 0
    assert not any("tokens" in note for note in found.notes())  # one without a model has no purse of tokens


def test_a_verdict_in_words():
    def said(x, y, usd=None):
        return verdict(compare_scores([(np.array(x, float), np.array(y, float))])[0][0], usd)

    assert said(range(1, 8), np.zeros(7)) == "better"
    assert said([0.5], [0.1]) == "cannot tell yet; at least 7 more seeds"
    assert said([1, 1.1, 1.2], [0, 0, 0], usd=0.5) == "cannot tell yet; about 5 more seeds, about $2.50"
    assert said([0, 0, 0], [0, 0, 0], usd=0.5) == "cannot tell yet; more than 1,000 more seeds"


def test_the_page_and_the_picture(tmp_path):
    found = go(tmp_path, drawn(mean=0.9), (f"{HERE}:Drawn", {"salt": 1, "mean": 0.1}), seeds=7)
    page = found.page.read_text()
    assert found.picture.read_text().startswith("<svg")
    assert "<svg" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=[\"']http", page)
    assert found.text().split(".")[0].split(":")[0] in page
    assert "7 pairs of trials" in page


def test_hostile_names_are_escaped(tmp_path):
    source = tmp_path / "run"
    go(source, drawn(), drawn(salt=1), seeds=2)
    for path in source.glob("trials/*/trial.json"):
        data = json.loads(path.read_text())
        data["where"]["system"] = data["limits"]["<script>"] = "<script>"
        data["limits"]["<script>"] = 1
        path.write_text(json.dumps(data))
    from opto_gym.leaderboard.comparison import from_records
    from opto_gym.leaderboard.reporting.comparison_page import html

    agents = drawn(), drawn(salt=1)
    made = comparison_plan(*agents, envs=[f"{HERE}:Line"], seeds=2, limits={"oracle_calls": 1})
    assert "<script" not in html(from_records(made, *agents, source), "")


def test_the_defaults_come_from_the_folder_and_the_number_of_tasks(tmp_path):
    run([f"{HERE}:Line"], [drawn()], out=tmp_path, seeds=1, oracle_calls=1, progress=False)
    what = {"limits": {"oracle_calls": 1}, "out": tmp_path}
    made = comparison_plan(drawn(), drawn(salt=1), envs=[f"{HERE}:Line"], **what)
    assert made.test_scores == "each"
    assert len(made.specs) == 2 * 6
    made = comparison_plan(drawn(), drawn(salt=1), envs=[f"{HERE}:Line", f"{HERE}:Line2"], limits={"oracle_calls": 1})
    assert (made.test_scores, len(made.specs)) == ("end", 2 * 2 * 7)


def test_a_suite_gives_tasks_and_budgets(tmp_path):
    suite = tmp_path / "two.toml"
    suite.write_text(
        f'about = "x"\nagents = ["RandomSearch"]\nbudget = {{ oracle_calls = 2 }}\n'
        f'[[tasks]]\nenv = "{HERE}:Line"\n[[tasks]]\nenv = "{HERE}:Line2"\nbudget = {{ oracle_calls = 3 }}\n'
    )
    made = comparison_plan(drawn(), drawn(salt=1), suite=str(suite), seeds=2, trust=True)
    assert {s.agent for s in made.specs.values()} == {f"{HERE}:Drawn"}
    assert sorted(own.oracle_calls for own in made.limits.values()) == [2] * 4 + [3] * 4


@pytest.mark.parametrize(
    ("agents", "what", "said"),
    [
        ((drawn(), drawn()), {"envs": [f"{HERE}:Line"]}, "expected two agents that differ"),
        ((drawn(), drawn(salt=1)), {}, "expected at least one environment, or a suite"),
        ((drawn(), drawn(salt=1)), {"envs": [f"{HERE}:Line"], "suite": "smoke"}, "and not both"),
        ((drawn(), drawn(salt=1)), {"envs": [f"{HERE}:Line"], "test_scores": "never"}, "scores on test"),
        (("Adam", "RandomSearch"), {"envs": ["tests.support.tasks:Adder"]}, "no environment that both can run on"),
    ],
)
def test_what_can_t_be_compared(agents, what, said):
    with pytest.raises(ValueError, match=said):
        comparison_plan(*agents, limits={"oracle_calls": 1}, **what)


def test_unfinished_trials_are_named(tmp_path):
    found = go(tmp_path, drawn(), drawn(salt=1), seeds=2)
    path = tmp_path / "trials" / found.rows[0].ours[0].name
    shutil.rmtree(path)
    from opto_gym.leaderboard.comparison import from_records

    agents = drawn(), drawn(salt=1)
    made = comparison_plan(*agents, envs=[f"{HERE}:Line"], seeds=2, limits={"oracle_calls": 1})
    with pytest.raises(RecordError, match="not finished"):
        from_records(made, *agents, tmp_path)


def test_the_command(tmp_path, capsys):
    what = ["--env", "NumericalOptimization-v0", "--oracle-calls", "30", "--seeds", "8", "--out", str(tmp_path)]
    command = ["compare", "--agent", "Adam", "--against", "RandomSearch", *what, "--quiet"]
    assert main([*command, "--dry-run"]) == 0
    assert "16" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "P(improvement)" in first
    assert "Adam is better than RandomSearch on NumericalOptimization-v0" in first
    assert str(tmp_path / "Adam-against-RandomSearch.html") in first
    assert main(command) == 0
    assert capsys.readouterr().out == first  # nothing runs again, and the answer is a function of the folder
    assert main(["compare", "--agent", "Adam", "--against", "Adam", *what]) == 2
    assert "differ" in capsys.readouterr().err


def test_rows_know_an_unknown_price(tmp_path):
    found = go(tmp_path, drawn(), drawn(salt=1), seeds=1)
    row = found.rows[0]
    assert row.usd == 0.0
    assert isinstance(row, ComparedTask)
    one = row.ours[0]
    ledger = replace(one.summary.ledger, optimizer=replace(one.summary.ledger.optimizer, usd=None))
    unknown = dataclasses.replace(one, record=replace(one.record, summary=replace(one.summary, ledger=ledger)))
    assert dataclasses.replace(row, ours=[unknown, *row.ours[1:]]).usd is None


@pytest.mark.slow
def test_the_command_on_the_embedded_model(tmp_path, capsys):
    command = ["compare", "--agent", "OPRO-Trace:max_tokens=64", "--against", "RandomSearch", "--model", "local"]
    command += ["--env", "NumericalOptimization-v0", "--seeds", "3", "--oracle-calls", "3", "--out", str(tmp_path)]
    assert main([*command, "--quiet"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"better|worse|cannot tell yet", said)
    trials = load(tmp_path)
    assert len(trials) == 6
    asked = [t.summary.ledger.optimizer.calls for t in trials if t.record.spec.agent == "OPRO-Trace"]
    assert len(asked) == 3
    assert all(1 <= n <= 3 for n in asked)
