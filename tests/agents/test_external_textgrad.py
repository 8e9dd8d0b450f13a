"""The authors' textgrad as an agent, on a scripted model."""

from __future__ import annotations

import json
import re

import pytest

from opto_gym import OptoEnv, Parameter, Prompt
from opto_gym.leaderboard import TrialFolder, replay, run
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Valley

pytestmark = [pytest.mark.slow, needs_packages]
MIXED = {"times": "5", "mark": "?", "text": "a longer text", "change": "def change(text):\n    return text * 2"}
WORSE = "def add(a, b):\n    return None\n"


class Words(OptoEnv):
    """A text that has to be long."""

    objective, scores = "Make the text long.", (0.0, 100.0)
    splits = {"train": (None,), "test": (None,)}
    instance = True
    parameters = (Parameter("text", Prompt(200), "hello"),)

    def forward(self, p, example):
        return p.text + "!"

    def judge(self, output, example):
        return Valley.judge(self, float(len(output)), example)


def writes(values):
    """A model that criticises when asked to, and writes these values for variables of these names."""

    def reply(body):
        system, user = (m["content"] for m in body["messages"])
        if "gradient (feedback) engine" in system:
            return "It could be longer."
        value = values[re.search(r"<ROLE>(\w+)", user)[1]]
        return f"Here:\n<IMPROVED_VARIABLE>\n{value}\n</IMPROVED_VARIABLE>"

    return reply


def go(out, env, server, settings=None, **keywords):
    keywords = {"seeds": 1, "oracle_calls": 2, "model": "fake", "base_url": server.url, "progress": False, **keywords}
    (outcome,) = run([env], [("external/textgrad", settings or {})], out=out, **keywords).trials
    assert (outcome.status, outcome.error) == ("done", None)
    folder = TrialFolder(outcome.path)
    return folder, folder.steps()


def test_each_kind_gets_better_and_all_is_on_record(tmp_path):
    with OpenAIServer(writes(MIXED)) as server:
        folder, steps = go(tmp_path / "a", "tests.support.tasks:Mixed", server)
        first = [r["body"] for r in server.requests]
        server.requests.clear()
        go(tmp_path / "b", "tests.support.tasks:Mixed", server)
        # a set of the package's goes by memory addresses, from run to run
        assert [r["body"] for r in server.requests] == first
    assert steps[1].parameters == {**MIXED, "times": 5}
    assert steps[1].score == 132 > steps[0].score == 6
    assert len(steps) == 3
    assert len(first) == 2 * 2 * len(MIXED)  # two steps: a criticism and a new value for each
    spent = folder.trial().summary.spent
    assert (spent.oracle_calls, spent.llm_calls) == (2, len(first))
    assert "6 characters for example" in first[0]["messages"][1]["content"]
    assert "Constraint 1: " in first[4]["messages"][1]["content"]
    assert "def change(text):\n    return text\n" in first[7]["messages"][1]["content"]
    assert {body["temperature"] for body in first} == {0.0}
    assert replay(folder.path).differences == []


def test_a_permutation(tmp_path):
    with OpenAIServer(lambda body: f"<IMPROVED_VARIABLE>{list(range(10))[::-1]}</IMPROVED_VARIABLE>") as server:
        _, steps = go(tmp_path, ("TSP-v0", {"n": 10}), server, oracle_calls=1)
    assert list(steps[1].parameters.values()) == [list(range(10))[::-1]]


def test_malformed_answers_leave_the_value(tmp_path):
    answers = {
        "I would make it longer.": None,
        "<IMPROVED_VARIABLE>longer": "longer",
        "": None,
        None: None,
        "the <IMPROVED_VARIABLE> tag: <IMPROVED_VARIABLE>x</IMPROVED_VARIABLE>": "tag:",
        "</IMPROVED_VARIABLE>": None,
        "<IMPROVED_VARIABLE></IMPROVED_VARIABLE>": "",
    }
    in_turn = iter(answer for answer in answers for _ in range(2))  # a criticism may be anything
    with OpenAIServer(lambda body: next(in_turn)) as server:
        _, steps = go(tmp_path, f"{__name__}:Words", server, oracle_calls=len(answers))
    assert [s.parameters["text"] for s in steps[1:]] == ["hello", *["longer"] * 3, "tag:", "tag:", ""]
    assert [len(s.invalid_answers) for s in steps[1:]] == [value is None for value in answers.values()]


def test_a_prompt_that_is_too_long_costs_its_step_and_so_does_an_answer_that_is_no_json(tmp_path):
    long = (400, {"message": "maximum context length", "type": "context_length_exceeded"})
    with OpenAIServer(writes({"text": "longer"}), script=[long, *[b"no JSON"] * 3]) as server:
        _, steps = go(tmp_path, f"{__name__}:Words", server, oracle_calls=3)
    assert [s.parameters["text"] for s in steps] == ["hello", "hello", "hello", "longer"]
    assert [len(s.invalid_answers) for s in steps[1:]] == [1, 1, 0]


def test_no_call_beyond_the_budget(tmp_path):
    with OpenAIServer(writes(MIXED)) as server:
        folder, steps = go(tmp_path, "tests.support.tasks:Mixed", server, oracle_calls=None, llm_calls=11)
        assert len(server.requests) == 11
    assert len(steps) == 2
    assert folder.trial().summary.spent.llm_calls == 11


def test_a_step_that_val_refuses_is_taken_back(tmp_path):
    right = "def add(a, b):\n    return a + b"
    answers = iter([right, WORSE, right])

    def reply(body):
        gradient = "gradient (feedback) engine" in body["messages"][0]["content"]
        return "Add." if gradient else f"<IMPROVED_VARIABLE>{next(answers)}</IMPROVED_VARIABLE>"

    with OpenAIServer(reply) as server:
        settings = {"validate": True, "batch_size": 2}
        folder, steps = go(tmp_path, "tests.support.tasks:Adder", server, settings=settings, oracle_calls=5)
    assert [(s.split, s.score) for s in steps] == [
        *(("train", 0.0), ("val", 0.0)),  # the start
        *(("val", 1.0), ("train", 1.0)),
        *(("val", 0.0), ("train", 1.0)),
    ]
    assert [len(set(map(json.dumps, s.examples))) for s in steps if s.split == "train"] == [3, 2, 2]
    assert replay(folder.path).differences == []
