"""The gateway and the evaluation server under requests that nobody would write."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import ignored_auth

from opto_gym import OptoEnv
from opto_gym.agents.external.messages import Evaluation
from opto_gym.agents.external.openapi import openapi
from opto_gym.agents.external.server import EvaluationServer, Session
from opto_gym.leaderboard.oracle import RecordedOracle
from opto_gym.leaderboard.records import TrialFolder
from opto_gym.llm import Budget, Client
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Mixed, Valley

TASK = Mixed()


def document() -> dict[str, Any]:
    """The document, with what it leaves open as this trial has it, so that requests that conform are answered."""
    whole = openapi()
    fields = {name: s["properties"] for name, s in whole["components"]["schemas"].items()}
    names = list(TASK.problem.start)
    values = {"type": "object", "properties": {n: {} for n in names}, "required": names, "additionalProperties": False}
    fields["Proposal"]["parameters"] = fields["EvaluationRequest"]["parameters"] = values
    fields["EvaluationRequest"]["split"] = {"const": "train"}
    fields["EvaluationRequest"]["examples"]["anyOf"][0]["items"] = {"enum": [0, 1, 2, 3]}
    fields["ChatRequest"] |= {"model": {"const": "test-model"}, "stream": {"enum": [False, None]}}
    return whole


SCHEMA = schemathesis.openapi.from_dict(document())


@SCHEMA.hook
def map_body(_: schemathesis.HookContext, body: Any) -> Any:
    """Writes 2.0 as 2: a schema takes both for an integer, the server the latter alone."""
    if isinstance(body, dict):
        return {name: map_body(_, part) for name, part in body.items()}
    if isinstance(body, list):
        return [map_body(_, part) for part in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Session]]:
    """A function that opens a trial of an environment."""
    with OpenAIServer("an answer") as endpoint, EvaluationServer() as server:

        def serve(env: OptoEnv, **limits: int) -> Session:
            oracle = RecordedOracle(env, Budget(limits), TrialFolder(tmp_path_factory.mktemp("trial")), seed=0)
            return server.open(Client("test-model", base_url=endpoint.url), env.problem, oracle)

        yield serve


@pytest.fixture(scope="module")
def session(serve: Callable[..., Session]) -> Iterator[Session]:
    with serve(TASK) as opened:
        yield opened
    assert opened.failure is None


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_documented(case: schemathesis.Case, session: Session):
    before = len(session.oracle.steps)
    answer = case.call_and_validate(
        base_url=session.base_url.removesuffix("/v1"),
        headers={"Authorization": f"Bearer {session.token}"},
        excluded_checks=[ignored_auth],  # it can't tell this token from one that it made up: test_evaluation_server.py
    )
    paid = case.operation.path == "/v1/evaluations" and answer.status_code == 200
    assert len(session.oracle.steps) - before == paid


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters() | st.sampled_from("\0\ud800")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
REQUESTS = st.builds(
    lambda values, more: {"parameters": values, **more},
    st.fixed_dictionaries({"x": JSON}) | st.fixed_dictionaries({"x": st.integers(-12, 12)}) | JSON,
    st.dictionaries(st.sampled_from(["examples", "split", "texts", "reason"]) | st.text(max_size=4), JSON, max_size=2)
    | st.fixed_dictionaries({}, optional={"split": st.sampled_from(["train", "val", "test"]), "texts": st.booleans()}),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    path=st.sampled_from(["/v1/evaluations", "/v1/recommendation", "/v1/invalid-answers"]),
    body=st.binary(max_size=100) | (JSON | REQUESTS).map(json.dumps).map(str.encode),
)
def test_no_body_breaks_it(serve: Callable[..., Session], path: str, body: bytes):
    with serve(Valley(), oracle_calls=2) as session:
        connection = http.client.HTTPConnection(session.base_url.split("/")[2], timeout=60)
        connection.request("POST", path, body, {"authorization": f"Bearer {session.token}"})
        answer = connection.getresponse()
        said = json.loads(answer.read() or "null", parse_constant=pytest.fail)  # NaN is no JSON
        connection.close()
    if path == "/v1/evaluations" and answer.status == 200:
        assert math.isfinite(msgspec.convert(said, Evaluation).reward)
    elif answer.status != 204:
        assert (answer.status, said["error"]["code"]) == (400, "invalid_request")
    paid = len(session.oracle.steps) - 1
    assert paid == session.oracle.budget.spent["oracle_calls"] == (answer.status == 200)
    assert session.failure is None
