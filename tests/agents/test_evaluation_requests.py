"""Requests to the evaluation server: evaluations, recommendations, invalid answers, and malformed ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opto_gym import OptoEnv
from opto_gym.agents.external.server import Session
from opto_gym.leaderboard.oracle import RecordedOracle
from opto_gym.leaderboard.records import TrialFolder
from opto_gym.llm import Budget
from opto_gym.llm.gateway import LONGEST_BODY
from opto_gym.trace import TraceGraph
from tests.support.evaluations import MIXED, RIGHT, ask, evaluate, refusal
from tests.support.tasks import Adder, Mixed, Valley

# ---- evaluations


@pytest.mark.parametrize(("env", "values"), [(Mixed(), MIXED), (Adder(), RIGHT), (Valley(), {"x": 4})])
def test_an_evaluation_says_what_the_oracle_says(serve: Callable[..., Session], env: OptoEnv, values: Any):
    session = serve(env, limits={"oracle_calls": 9, "evaluations": 100})
    said = evaluate(session, values)
    graph, feedback = env.evaluate(values, examples=env.draw(0, 1)).observation
    assert said.pop("graph") == json.loads(graph.to_json())
    assert said == {
        "score": feedback.score,
        "reward": feedback.reward,
        "rewards": list(feedback.rewards) or [feedback.reward],
        "success": feedback.success,
        "text": str(feedback),
        "parts": [part._asdict() for part in feedback.parts],
        "trace": graph.to_pseudocode(6_000),
        "left": {
            "evaluations": 100 - env.batch,
            "oracle_calls": 8,
            **dict.fromkeys(("llm_calls", "tokens", "usd", "seconds")),
        },
        "over": False,
    }


def test_the_graph_can_be_read_again(serve: Callable[..., Session]):
    said = evaluate(serve(Mixed()), MIXED)
    assert TraceGraph.from_json(json.dumps(said["graph"])) == Mixed().evaluate(MIXED, seed=0).graph


def test_examples_and_splits(serve: Callable[..., Session]):
    session = serve(Adder(), limits={"evaluations": 20})
    half = {"add": "def add(a, b):\n    return 5 if a == 2 else 0\n"}
    assert evaluate(session, half, examples=[2, 0, 2])["rewards"] == [1.0, 0.0, 1.0]
    assert len(evaluate(session, RIGHT)["rewards"]) == 3  # a batch
    assert evaluate(session, RIGHT, split="val")["rewards"] == [1.0, 1.0]  # the whole
    said = evaluate(session, RIGHT, split="val", examples=[1])
    assert (said["rewards"], said["left"]["evaluations"]) == ([1.0], 20 - 3 - 3 - 2 - 1)
    assert len(session.oracle.steps) == 5


@pytest.mark.parametrize(
    ("env", "more", "said"),
    [
        (Adder(), {"split": "test"}, "Invalid enum value 'test'"),
        (Adder(), {"split": "test", "examples": [0]}, "Invalid enum value 'test'"),
        (Adder(), {"split": "Test"}, "Invalid enum value 'Test'"),
        (Adder(), {"split": None}, "Expected `str`"),
        (Valley(), {"split": "val"}, "expected a split of ['train'], got 'val'"),
        (Adder(), {"examples": [50]}, "expected examples from 0 to 49, got 50"),
        (Adder(), {"examples": [2], "split": "val"}, "expected examples from 0 to 1, got 2"),
        (Adder(), {"examples": [0, 10**400]}, "expected examples from 0 to 49, got 1000"),
        (Adder(), {"examples": [-1]}, "Expected `int` >= 0"),
        (Adder(), {"examples": []}, "of length >= 1"),
        (Adder(), {"examples": [True]}, "Expected `int`, got `bool`"),
        (Adder(), {"examples": [0.5]}, "Expected `int`, got `float`"),
        (Adder(), {"examples": 0}, "Expected `array | null`, got `int`"),
        (Adder(), {"texts": 1}, "Expected `bool`"),
        (Adder(), {"example": [1]}, "unknown field `example`"),
        (Adder(), {"seed\udc80": 1}, "surrogates not allowed"),
    ],
)
def test_what_can_not_be_asked(serve: Callable[..., Session], env: OptoEnv, more: Any, said: str):
    session = serve(env, limits={"oracle_calls": 3})
    values = env.problem.start
    assert said in refusal(session, "/v1/evaluations", {"parameters": values, **more})
    assert session.oracle.budget.spent["oracle_calls"] == 0
    assert len(session.oracle.steps) == 1


@pytest.mark.parametrize(
    "values", [{}, {"times": 1}, {**MIXED, "more": 1}, {**MIXED, "\udc80": 1}, {k.upper(): v for k, v in MIXED.items()}]
)
@pytest.mark.parametrize("path", ["/v1/evaluations", "/v1/recommendation"])
def test_names_that_are_not_the_parameters(serve: Callable[..., Session], path: str, values: Any):
    session = serve(Mixed())
    said = refusal(session, path, {"parameters": values})
    assert "expected exactly the parameters ['times', 'mark', 'text', 'change'], got " in said
    assert (len(session.oracle.steps), session.recommended) == (1, None)


BODIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"not JSON",
    b"\xff\xfe",
    b"\0",
    b'{"parameters": 3}',
    b'{"parameters": [["x", 3]]}',
    b'{"parameters": {"x": 3}} more',
    b'{"parameters": {"x": ' + b"9" * 10_000 + b"}}",
    b'{"parameters": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b'{"parameters": {"x": ' + b'{"x":' * 600 + b"1" + b"}" * 600 + b"}}",
    b'{"reason": 5}',
    b'{"reason": "x", "more": 1}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ["/v1/evaluations", "/v1/recommendation", "/v1/invalid-answers"])
def test_a_malformed_body(serve: Callable[..., Session], path: str, body: bytes):
    noted: list[str] = []
    session = serve(Valley(), limits={"oracle_calls": 3}, invalid=noted.append)
    assert refusal(session, path, body).startswith("expected a")
    assert (session.oracle.budget.spent["oracle_calls"], session.recommended, noted) == (0, None, [])
    assert evaluate(session, {"x": 1})["score"] == 4.0


@pytest.mark.parametrize("path", ["/v1/evaluations", "/v1/recommendation", "/v1/invalid-answers"])
def test_a_huge_body(serve: Callable[..., Session], path: str):
    assert ask(serve(Valley()), path, b" " * (LONGEST_BODY + 1)) == (413, "request_too_large")


BAD = {
    "not a number": b"NaN",
    "infinite": b"-Infinity",
    "too large for a float": b"1e999",
    "of 4,000 digits": b"9" * 4_000,
    "a text": b'"3"',
    "a text of 10,000 digits": b'"' + b"9" * 10_000 + b'"',
    "a lone surrogate": b'"\\udc80"',
    "a surrogate in a name": b'{"\\udc80": 1}',
    "true": b"true",
    "null": b"null",
    "one of 10 MB": b'"' + b"x" * 10**7 + b'"',
    **{f"{depth} deep": b"[" * depth + b"]" * depth for depth in (100, 190)},
}


@pytest.mark.parametrize("bad", BAD, ids=str)
@pytest.mark.parametrize("texts", [b"false", b"true"])
def test_a_bad_value_is_feedback_and_is_recorded(serve: Callable[..., Session], tmp_path: Path, bad: str, texts: bytes):
    session = serve(Valley(), limits={"oracle_calls": 3})
    said = ask(session, "/v1/evaluations", b'{"parameters": {"x": %s}, "texts": %s}' % (BAD[bad], texts))
    if (bad, texts) == ("a text", b"true"):
        assert said["score"] == 0.0
    else:
        assert (said["score"], said["parts"][0]["kind"]) == (1e4, "hindsight_negative")
        assert "x: expected a number" in said["text"] or "x: expected a finite number" in said["text"]
    (line,) = [line for line in TrialFolder(tmp_path / "0").steps() if line.call == 1]
    assert line.score == said["score"]
    again = RecordedOracle(Valley(), Budget(), TrialFolder(tmp_path / "0"), seed=0)
    (values,) = again.recorded
    assert again(values).feedback.score == said["score"]
    assert len(TrialFolder(tmp_path / "0").steps()) == 2  # it was in the record


def test_no_depth_of_nesting_fails_the_trial(serve: Callable[..., Session]):
    session, last = serve(Mixed()), None
    for depth in range(180, 220, 2):  # the limit is on the way
        for name in MIXED:
            said = ask(session, "/v1/evaluations", json.dumps({"parameters": {**MIXED, name: "HERE"}}).replace(
                '"HERE"', "[" * depth + "]" * depth).encode())  # fmt: skip
            last = said if isinstance(said, tuple) else said["score"]
            assert last in (0.0, (400, "invalid_request"))
    assert last == (400, "invalid_request")
    assert session.failure is None


def test_texts_are_read(serve: Callable[..., Session]):
    session = serve(Mixed())
    texts = {"times": " 3 ", "mark": "?", "text": "3", "change": f"```python\n{MIXED['change']}```"}
    said = evaluate(session, texts, texts=True)
    assert said["score"] == len("333?")
    assert session.oracle.steps[-1].parameters == {**MIXED, "times": 3, "text": "3"}
    assert "times: expected a number, got str" in evaluate(session, texts)["text"]
    wrong = evaluate(session, {**texts, "times": "three"}, texts=True)
    assert "times: expected a number, got str" in wrong["text"]
    assert evaluate(session, MIXED, texts=True)["score"] == 7.0  # what is no text stays what it is


# ---- recommendations and invalid answers


def test_the_last_recommendation_counts(serve: Callable[..., Session]):
    session = serve(Mixed())
    assert session.recommended is None
    assert ask(session, "/v1/recommendation", {"parameters": MIXED}) is None
    assert session.recommended == MIXED
    assert ask(session, "/v1/recommendation", {"parameters": {**MIXED, "times": "5"}, "texts": True}) is None
    assert session.recommended == {**MIXED, "times": 5}
    refusal(session, "/v1/recommendation", {"parameters": {}})
    assert session.recommended == {**MIXED, "times": 5}
    assert len(session.oracle.steps) == 1  # none is paid


def test_invalid_answers_are_noted(serve: Callable[..., Session]):
    noted: list[str] = []
    session = serve(Valley(), invalid=noted.append)
    for reason in ("no number", "odd \udc80", "x" * 5000):
        assert ask(session, "/v1/invalid-answers", {"reason": reason}) is None
    assert noted == ["no number", "odd \ufffd", "x" * 1000]
