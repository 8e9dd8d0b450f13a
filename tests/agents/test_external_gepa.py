"""The authors' gepa as an agent, on a scripted model."""

from __future__ import annotations

import re

import pytest

import opto_gym
from opto_gym.agents.external.gepa import GEPA
from opto_gym.leaderboard import TrialFolder, replay, run
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Adder, Mixed

packages = [pytest.mark.slow, needs_packages]
MIXED = {"times": "5", "mark": "?", "text": "a longer text", "change": "def change(text):\n    return text * 2"}
HALF = "def add(a, b):\n    return a + b if a > 6 and a % 3 < 2 else 0"  # right on half of train and of val
TRAINED = "def add(a, b):\n    return 2 * a + 1"
RIGHT = "def add(a, b):\n    return a + b"


def go(out, env, reply, settings=None, script=None, **keywords):
    """A trial of gepa's on a model that answers so: its folder, its steps, and the requests' prompts."""
    keywords = {"seeds": 1, "test_scores": "end", "progress": False, "model": "fake", **keywords}
    with OpenAIServer(reply, script) as server:
        keywords.setdefault("base_url", server.url)
        (outcome,) = run([env], [("external/gepa", settings or {})], out=out, **keywords).trials
    folder = TrialFolder(outcome.path)
    assert (outcome.status, outcome.error) == ("done", None)
    return folder, folder.steps(), [r["body"] for r in server.requests]


def shown(body):
    """(parameter, prompt) of a request."""
    prompt = body["messages"][0]["content"]
    return re.search(r"^## Parameter\n(\w+): ", prompt, re.MULTILINE)[1], prompt


def fenced(value):
    return f"Try this:\n```python\n{value}\n```\nIt is better."


class TestWithPackages:
    pytestmark = packages

    def test_code_gets_better_on_val_and_all_is_on_record(self, tmp_path):
        settings = {"train_size": 6, "val_size": 2, "max_tokens": 77}
        folder, steps, bodies = go(tmp_path, "tests.support.tasks:Adder", fenced(RIGHT), settings, oracle_calls=20)
        calls = [(s.split, len(s.examples), s.score) for s in steps[1:]]
        # the start on val, then on a minibatch; the change on the same minibatch, then on val, which is perfect
        assert calls == [("val", 2, 0.0), ("train", 3, 0.0), ("train", 3, 1.0), ("val", 2, 1.0)]
        assert steps[2].examples == steps[3].examples
        summary = folder.trial().summary
        assert (summary.start_score, summary.recommended_score) == (0.0, 1.0)
        assert summary.recommended == {"add": RIGHT}
        assert folder.trial().ended == "agent"
        (body,) = bodies
        assert (summary.spent.llm_calls, summary.ledger.optimizer.calls) == (1, 1)
        assert (body["model"], body["max_tokens"]) == ("fake", 77)
        name, prompt = shown(body)
        assert name == "add"
        said = (Adder.objective, "def add(a, b):\n    return 0", "Python code that defines add(a, b)", "#Code")
        assert all(text in prompt for text in said)
        wrong = [f"Expected {sum(Adder.splits['train'][k])}, got 0." for k in steps[2].examples]
        assert re.findall(r"## Feedback\n(.*)\n", prompt) == wrong
        assert replay(folder.path).differences == []

    def test_each_kind_in_its_turn(self, tmp_path):
        folder, steps, bodies = go(
            tmp_path, "tests.support.tasks:Mixed", lambda body: fenced(MIXED[shown(body)[0]]), oracle_calls=30
        )
        names = [shown(body)[0] for body in bodies]
        assert set(names[:4]) == set(MIXED)
        # gepa's default words for a prompt, which its authors wrote for prompts alone
        assert [n for n, body in zip(names, bodies, strict=True) if "instruction" in shown(body)[1]] == ["text"]
        best = folder.trial().summary
        assert best.recommended["text"] == MIXED["text"]
        assert best.recommended_score > best.start_score == 6
        assert {type(s.parameters["times"]) for s in steps} == {int}

    def test_a_task_of_one_case_is_solved(self, tmp_path):
        folder, steps, _ = go(tmp_path, "tests.support.tasks:Valley", fenced("3"), oracle_calls=9)
        assert [len(s.examples) for s in steps] == [1] * 4
        assert folder.trial().ended == "solved"
        assert folder.trial().summary.recommended == {"x": 3}

    @pytest.mark.parametrize("budget", [{"oracle_calls": 6}, {"evaluations": 12}, {"llm_calls": 2}])
    def test_no_call_beyond_the_budget_and_the_best_is_kept(self, tmp_path, budget):
        answers = iter([HALF, *["nonsense"] * 9])
        settings = {"train_size": 4, "val_size": 2}
        folder, _, bodies = go(tmp_path, "tests.support.tasks:Adder", lambda body: next(answers), settings, **budget)
        ((name, amount),) = budget.items()
        summary = folder.trial().summary
        assert folder.trial().ended == f"budget: {name}"
        # an evaluation of a minibatch of three that the budget does not hold is not made
        assert amount - 3 < summary.spent[name] <= amount
        assert name == "evaluations" or summary.spent[name] == amount
        assert name != "llm_calls" or len(bodies) == amount
        assert summary.recommended == {"add": HALF}

    def test_it_ends_when_there_is_nothing_to_reflect_on(self, tmp_path):
        folder, steps, bodies = go(
            tmp_path, "tests.support.tasks:Adder", TRAINED, {"train_size": 4, "val_size": 2}, llm_calls=99
        )
        assert folder.trial().ended == "agent"
        # it is right on train, and not on val: after it an epoch, of two minibatches, is tried
        assert [s.score for s in steps[-3:]] == [0.5, 1.0, 1.0]
        assert len(bodies) == 1

    @pytest.mark.parametrize(
        ("answer", "tried", "invalid"),
        [
            (RIGHT, RIGHT, 0),  # without a fence, all of it
            ("I can't.", "I can't.", 0),
            ("```\ndef add(a, b):\n    return 1", "def add(a, b):\n    return 1", 0),
            ("", "", 0),
            (None, None, 2),  # asked once more
        ],
    )
    def test_malformed_answers(self, tmp_path, answer, tried, invalid):
        settings = {"train_size": 3, "val_size": 1}
        _, steps, _ = go(tmp_path, "tests.support.tasks:Adder", answer, settings, oracle_calls=3)
        start = Adder().problem.start["add"]
        assert steps[2].parameters["add"].strip() == start.strip()
        assert steps[3].parameters["add"].strip() == (start if tried is None else tried).strip()
        assert len(steps[3].invalid_answers) == invalid

    def test_an_endpoint_that_fails_ends_the_trial_as_failed(self, tmp_path):
        with OpenAIServer("x", [401] * 9) as server:
            keywords = {"model": "fake", "base_url": server.url, "oracle_calls": 99, "progress": False}
            (outcome,) = run(["tests.support.tasks:Adder"], ["external/gepa"], out=tmp_path, seeds=1, **keywords).trials
        assert outcome.status == "failed"
        assert "401" in outcome.error


@pytest.mark.parametrize(
    "settings",
    [
        {"train_size": 0},
        {"max_tokens": 0},
        {"module_selector": "some"},
        {"acceptance_criterion": ""},
        {"candidate_selection_strategy": "best"},
    ],
)
def test_settings_are_checked_at_once(settings):
    with pytest.raises(ValueError, match=f"expected {next(iter(settings))} to be "):
        GEPA(**settings)


def test_it_takes_every_kind_of_parameter():
    assert [GEPA.unsupported_reason(env.problem) for env in (Mixed(), opto_gym.make("TSP-v0").unwrapped)] == [
        None,
        None,
    ]
