"""The evaluation server, by real HTTP requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import opto_gym
from opto_gym import Number, OptoEnv, Parameter
from opto_gym.agents.external import messages
from opto_gym.agents.external.openapi import openapi
from opto_gym.agents.external.server import EvaluationServer, Session
from opto_gym.llm import Client
from tests.support.evaluations import RIGHT, ask, evaluate, raw, refusal
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Adder, Mixed, Trap, Valley
from tests.support.threads import at_once


class Slow(OptoEnv):
    """Takes a while, so that calls are in flight together."""

    objective, scores = "Make x large.", (0.0, 1.0)
    splits = {"train": (None,), "test": (None,)}
    instance = True
    parameters = (Parameter("x", Number(0, 1), 0.0),)

    def forward(self, p, example):
        time.sleep(0.05)
        return p.x + 0.0

    def judge(self, output, example):
        return opto_gym.Feedback(output)


# ---- the task


def test_the_task(serve: Callable[..., Session]):
    env = Mixed()
    session = serve(env, seed=7, settings={"depth": [1, None]})
    task = ask(session, "/v1/task")
    assert (task["seed"], task["model"], task["settings"]) == (7, None, {"depth": [1, None]})
    told = {p.pop("name"): p.pop("constraint") for p in json.loads(json.dumps(task["problem"]["parameters"]))}
    assert told == {p.name: p.space.describe() for p in env.problem.parameters}
    for p in task["problem"]["parameters"]:
        del p["constraint"]
    assert task["problem"] == json.loads(env.problem.to_json())
    assert task["start"]["score"] == env.evaluate(env.problem.start, seed=0).score
    assert task["start"]["over"] is False


@pytest.mark.parametrize(
    "name", ["Battleship-v0", "TSP-v0", "NumericalOptimization-v0", "BinaryLock-v0", "StrangeSortList-v0", "Mixed"]
)
def test_the_task_is_as_documented(serve: Callable[..., Session], name: str):
    env = Mixed() if name == "Mixed" else opto_gym.make(name).unwrapped
    said = ask(serve(env), "/v1/task")
    msgspec.convert(said, messages.Task)
    _, components = msgspec.json.schema_components([messages.Task])
    for struct in ("Task", "Problem", "Evaluation"):  # and nothing that is not
        given = {"Task": said, "Problem": said["problem"], "Evaluation": said["start"]}[struct]
        assert set(given) == set(components[struct]["properties"])


def test_a_trial_with_a_model(serve: Callable[..., Session]):
    with OpenAIServer("an answer") as endpoint:
        session = serve(Valley(), Client("test-model", base_url=endpoint.url))
        assert ask(session, "/v1/task")["model"] == "test-model"
        chat = {"model": "test-model", "messages": [{"role": "user", "content": "?"}]}
        assert ask(session, "/v1/chat/completions", chat)["choices"][0]["message"]["content"] == "an answer"
        evaluate(session, {"x": 3})  # which solves it
        assert ask(session, "/v1/chat/completions", chat) == (400, "budget_exhausted")
        assert len(endpoint.requests) == 1


def test_a_trial_without_a_model(serve: Callable[..., Session]):
    session = serve(Valley())
    chat = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    assert ask(session, "/v1/chat/completions", chat) == (400, "not_served")
    assert ask(session, "/v1/models") == {"object": "list", "data": []}


# ---- the budget


def test_the_end_of_the_budget(serve: Callable[..., Session]):
    session = serve(Adder(), limits={"evaluations": 5})
    assert evaluate(session, RIGHT)["over"] is False
    assert evaluate(session, RIGHT) == (400, "budget_exhausted")  # 3 of 2
    said = evaluate(session, RIGHT, split="val")
    assert (said["over"], said["left"]["evaluations"]) == (True, 0)
    assert evaluate(session, RIGHT, examples=[0]) == (400, "budget_exhausted")
    assert ask(session, "/v1/recommendation", {"parameters": RIGHT}) is None  # still possible
    assert ask(session, "/v1/task")["start"]["over"] is True
    assert (session.refused, session.spent.limit) == (2, "evaluations")


def test_a_solved_problem_is_over(serve: Callable[..., Session]):
    session = serve(Valley())
    said = evaluate(session, {"x": 3})
    assert (said["success"], said["over"]) == (True, True)
    assert set(said["left"].values()) == {None}
    assert evaluate(session, {"x": 2}) == (400, "budget_exhausted")


def test_64_clients_at_once(serve: Callable[..., Session]):
    session, scores = serve(Slow(), limits={"oracle_calls": 64}), {}

    def one(i: int) -> None:
        scores[i] = evaluate(session, {"x": i / 100})["score"]

    at_once(64, one)
    assert scores == {i: i / 100 for i in range(64)}
    lines = session.oracle.steps
    assert sorted(line.call for line in lines) == list(range(65))
    assert session.oracle.over


def test_no_overspending(serve: Callable[..., Session]):
    session, outcomes = serve(Slow(), limits={"oracle_calls": 5}), []

    def one(i: int) -> None:
        said = evaluate(session, {"x": i / 100})
        outcomes.append(said[1] if isinstance(said, tuple) else "answered")

    at_once(50, one)
    assert sorted(outcomes) == ["answered"] * 5 + ["budget_exhausted"] * 45
    assert session.oracle.budget.spent["oracle_calls"] == 5
    assert (len(session.oracle.steps), session.refused) == (6, 45)


# ---- tokens, ends, failures


ALL = [
    ("GET", "/v1/task"),
    ("GET", "/v1/models"),
    ("GET", "/openapi.json"),
    ("POST", "/v1/evaluations"),
    ("POST", "/v1/recommendation"),
    ("POST", "/v1/invalid-answers"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/nothing"),
    ("PUT", "/v1/task"),
]


@pytest.mark.parametrize(("method", "path"), ALL)
def test_nothing_without_the_token_of_a_trial_that_runs(serve: Callable[..., Session], method: str, path: str):
    session, ended = serve(Valley()), serve(Valley())
    ended.close()
    for token in ("x" * 43, session.token[:-1], session.token.swapcase(), ended.token):
        answer, said = raw(session, path, b"" if method == "POST" else None, method, token)
        assert (answer.status, json.loads(said)["error"]["code"]) == (401, "invalid_api_key")


def test_a_token_opens_its_own_trial_alone(serve: Callable[..., Session]):
    one, other = serve(Valley(), seed=1), serve(Mixed(), seed=2)
    assert [ask(s, "/v1/task")["seed"] for s in (one, other)] == [1, 2]
    assert "expected exactly the parameters ['times'" in refusal(other, "/v1/evaluations", {"parameters": {"x": 1}})
    evaluate(one, {"x": 1})
    assert (len(one.oracle.steps), len(other.oracle.steps)) == (2, 1)


def test_the_end_of_a_trial_waits_for_what_is_paid(serve: Callable[..., Session]):
    session, said = serve(Slow()), []
    thread = threading.Thread(target=lambda: said.append(evaluate(session, {"x": 0.5})))
    thread.start()
    while session.idle:
        time.sleep(0.001)
    session.close()
    assert len(session.oracle.steps) == 2  # it is in the record
    thread.join()
    assert said[0]["score"] == 0.5
    assert evaluate(session, {"x": 0.5}) == (401, "invalid_api_key")


@pytest.mark.parametrize("mistake", [RuntimeError("the author's"), SystemExit("the author's"), MemoryError()], ids=repr)
def test_an_authors_mistake_ends_the_trial(serve: Callable[..., Session], monkeypatch, mistake: BaseException):
    monkeypatch.setattr(Trap, "mistake", mistake)
    session = serve(Trap())
    assert evaluate(session, {"x": 4})["score"] == 1.0
    assert evaluate(session, {"x": 5}) == (424, "trial_failed")
    assert session.failure is mistake
    assert evaluate(session, {"x": 4}) == ask(session, "/v1/task") == (424, "trial_failed")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/evaluations", 405, {"POST"}),
        ("PUT", "/v1/recommendation", 405, {"POST"}),
        ("POST", "/v1/task", 405, {"GET", "HEAD"}),
        ("TRACE", "/v1/models", 405, {"GET", "HEAD"}),
        ("GET", "/v1/task/", 400, {""}),
        ("POST", "/v1/embeddings", 400, {""}),
        ("GET", "/", 400, {""}),
        ("GET", "/docs/../v1/task", 400, {""}),
    ],
)
def test_what_is_not_served(serve: Callable[..., Session], method: str, path: str, status: int, allow: set[str]):
    answer, said = raw(serve(Valley()), path, b"" if method == "POST" else None, method)
    error = json.loads(said)["error"]
    assert (answer.status, error["code"]) == (status, "not_served")
    assert set(answer.getheader("allow", "").split(", ")) == allow
    assert "expected POST /v1/chat/completions, GET /v1/models, GET /v1/task, POST /v1/evaluations" in error["message"]


# ---- its document


def test_the_document_is_served_and_the_docs_are_current(serve: Callable[..., Session]):
    page = Path(__file__).parents[2] / "docs" / "openapi.json"
    assert json.loads(page.read_text()) == openapi(), "run scripts/make_openapi.py"
    assert ask(serve(Valley()), "/openapi.json") == openapi()


def test_every_route_is_in_the_document(evaluation_server: EvaluationServer):
    served = {
        (route.path, method.lower())
        for route in evaluation_server.routes()
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(path, method) for path, methods in openapi()["paths"].items() for method in methods} == served
