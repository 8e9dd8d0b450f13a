"""The evaluation server, by real HTTP requests."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import opto_gym
from opto_gym import Number, OptoEnv, Parameter
from opto_gym.agents.external import messages
from opto_gym.agents.external.openapi import openapi
from opto_gym.agents.external.server import EvaluationServer, Session
from opto_gym.leaderboard.oracle import RecordedOracle
from opto_gym.leaderboard.records import TrialFolder
from opto_gym.llm import Budget, Client
from opto_gym.llm.gateway import LONGEST_BODY
from opto_gym.trace import TraceGraph
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Adder, Mixed, Valley

MIXED = {"times": 2, "mark": "?", "text": "hey", "change": "def change(text):\n    return text\n"}
RIGHT = {"add": "def add(a, b):\n    return a + b\n"}


class Trap(Valley):
    """Whose author made a mistake that comes up at 5."""

    def forward(self, p, example):
        if p.x == 5:
            raise self.mistake
        return super().forward(p, example)

    mistake: BaseException = RuntimeError("the author's")


@pytest.fixture(scope="module")
def server() -> Iterator[EvaluationServer]:
    with EvaluationServer() as s:
        yield s


@pytest.fixture
def serve(server: EvaluationServer, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """A function that opens a trial of an environment: under limits, with an oracle as the harness has it."""
    opened: list[Session] = []

    def serve(env: OptoEnv, client: Client | None = None, *, limits: Any = (), **more: Any) -> Session:
        folder = TrialFolder(tmp_path / str(len(opened)))
        oracle = RecordedOracle(env, Budget(dict(limits)), folder, seed=0)
        opened.append(server.open(client, env.problem, oracle, **more))
        return opened[-1]

    yield serve
    for session in opened:
        session.close()


def raw(
    session: Session, path: str, body: bytes | None = None, method: str | None = None, token: str | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(session.base_url.split("/")[2], timeout=60)
    headers = {"authorization": f"Bearer {token or session.token}", "content-type": "application/json"}
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer, said


def ask(session: Session, path: str, data: Any = None, **more: Any) -> Any:
    """The answer, or an error's (status, code)."""
    body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    answer, said = raw(session, path, body, **more)
    content = json.loads(said, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) if said else None
    if answer.status < 400:
        return content
    assert set(content["error"]) == {"message", "type", "param", "code"}
    return answer.status, content["error"]["code"]


def evaluate(session: Session, parameters: Any, **more: Any) -> Any:
    return ask(session, "/v1/evaluations", {"parameters": parameters, **more})


def refusal(session: Session, path: str, data: Any) -> str:
    """The message of the error that a malformed request gets."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    answer, said = raw(session, path, body)
    error = json.loads(said)["error"]
    assert (answer.status, error["code"]) == (400, "invalid_request")
    return str(error["message"])


def at_once(number: int, what: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=what, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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
    **{f"{depth} deep": b"[" * depth + b"]" * depth for depth in (100, 400)},
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
    (line,) = [line for line in TrialFolder(tmp_path / "0").steps() if line["call"] == 1]
    assert line["score"] == said["score"]
    again = RecordedOracle(Valley(), Budget(), TrialFolder(tmp_path / "0"), seed=0)
    (values,) = again.recorded
    assert again(values).feedback.score == said["score"]
    assert len(TrialFolder(tmp_path / "0").steps()) == 2  # it was in the record


def test_no_depth_of_nesting_fails_the_trial(serve: Callable[..., Session]):
    session, last = serve(Mixed()), None
    for depth in range(430, 530, 3):  # Python's own limit is on the way
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
    assert session.oracle.steps[-1]["parameters"] == {**MIXED, "times": 3, "text": "3"}
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
    assert sorted(line["call"] for line in lines) == list(range(65))
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


def test_every_route_is_in_the_document(server: EvaluationServer):
    served = {
        (route.path, method.lower()) for route in server.routes() for method in route.methods or () if method != "HEAD"
    }
    assert {(path, method) for path, methods in openapi()["paths"].items() for method in methods} == served
