"""The gateway: what it passes through, its tokens, budgets, records, and its end."""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from opto_gym.errors import MissingExtra, ReplayMismatch
from opto_gym.llm import Budget, CallRecord, Client
from opto_gym.llm.gateway import Access, Gateway
from tests.support.gateway_client import ASK, ask, post, refusal, user
from tests.support.openai_server import OpenAIServer
from tests.support.threads import at_once

TOOLS: list[Any] = [{"type": "function", "function": {"name": "paint", "parameters": {"type": "object"}}}]


def test_without_its_extra_the_import_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "opto_gym.llm.gateway")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"uvicorn is not installed: pip install 'opto-gym\[external\]'"):
        import opto_gym.llm.gateway  # noqa: F401


# ---- what is passed through


def test_an_answer(register: Callable[..., Access], server: OpenAIServer):
    server.reply = "a deep blue"
    access = register(role="task")
    answer = ask(access, temperature=0.5, max_tokens=30)
    assert (answer.choices[0].message.content, answer.id, answer.usage.total_tokens) == ("a deep blue", "chat-1", 6)
    (request,) = server.requests
    assert request["body"] == {"model": "test-model", "messages": ASK, "max_tokens": 30, "temperature": 0.5}
    assert request["headers"]["authorization"] == "Bearer sk-the-real-key"  # which the package never saw
    assert "sk-the-real-key" not in repr(access) + access.token
    totals = access.client.ledger.totals("task")
    assert (totals["calls"], totals["attempts"], totals["tokens_in"], totals["tokens_out"]) == (1, 1, 3, 3)


def test_n_json_mode_and_fields_that_nobody_knows(register: Callable[..., Access], server: OpenAIServer):
    access = register(budget=Budget({"tokens": 1000}))
    answer = ask(
        access,
        n=3,
        max_completion_tokens=40,
        response_format={"type": "json_object"},
        user="somebody",
        stream=False,
        extra_body={"min_p": 0.1, "odd": {"a": [1, None]}},
    )
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert server.requests[0]["body"] == {
        "model": "test-model",
        "messages": ASK,
        "n": 3,
        "max_tokens": 40,
        "response_format": {"type": "json_object"},
        "min_p": 0.1,
        "odd": {"a": [1, None]},
    }
    assert access.client.budget.spent["tokens"] == 6  # by usage
    assert access.client.budget.spent["llm_calls"] == 1
    assert refusal(access, n=10, max_tokens=120) == (400, "budget_exhausted")  # n answers, each of 120


def test_tools_both_ways(register: Callable[..., Access], server: OpenAIServer):
    call = {"id": "c1", "type": "function", "function": {"name": "paint", "arguments": '{"colour": "blue"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    sent = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "own": {"field": 1}}
    sent["choices"] = [{"index": 0, "finish_reason": "tool_calls", "message": message}]
    server.script = [json.dumps(sent).encode()]
    access = register()
    answer = ask(access, tools=TOOLS, tool_choice="auto")
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"colour": "blue"}'
    assert answer.model_extra == {"own": {"field": 1}}
    back = [*ASK, message, {"role": "tool", "tool_call_id": "c1", "content": "done"}]
    assert ask(access, tools=TOOLS, messages=back).choices[0].message.content == "ok"
    assert server.requests[1]["body"]["messages"] == back
    assert server.requests[1]["body"]["tools"] == TOOLS


def test_tools_and_schemas_count_in_the_bound(register: Callable[..., Access], server: OpenAIServer):
    access = register(budget=Budget({"tokens": 200}))
    long = [{"type": "function", "function": {"name": "paint", "description": "x" * 200}}]
    assert refusal(access, max_tokens=50, tools=long) == (400, "budget_exhausted")
    assert ask(access, max_tokens=50).choices
    assert len(server.requests) == 1


def test_parts_of_text(register: Callable[..., Access], server: OpenAIServer):
    parts = [{"role": "user", "content": [{"type": "text", "text": "Name a colour."}]}]
    assert ask(register(), messages=parts).choices
    assert server.requests[0]["body"]["messages"] == parts


def test_models(register: Callable[..., Access]):
    with user(register()) as llm:
        assert [m.id for m in llm.models.list()] == ["test-model"]


# ---- tokens


def test_an_unknown_token(register: Callable[..., Access], server: OpenAIServer, gateway: Gateway):
    access = register()
    other = Access(gateway, access.client)  # never registered
    assert refusal(other) == (401, "invalid_api_key")
    with user(other) as llm, pytest.raises(openai.AuthenticationError):
        llm.models.list()
    assert post(access, b"{}", "/v1/embeddings", token="x" * 43)[0] == 401
    with access:
        assert ask(access).choices
    assert refusal(access) == (401, "invalid_api_key")  # its trial is over
    assert len(server.requests) == 1


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer \xe9"])
def test_an_odd_authorization(register: Callable[..., Access], header: str | None):
    connection = http.client.HTTPConnection(register().base_url.split("/")[2])
    connection.request("GET", "/v1/models", headers={} if header is None else {"authorization": header})
    assert connection.getresponse().status == 401
    connection.close()


def test_another_host_name_is_refused(register: Callable[..., Access]):
    access = register()
    url = f"{access.base_url}/models"
    headers = {"host": "evil.example", "authorization": f"Bearer {access.token}"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="400"):
        opener.open(urllib.request.Request(url, headers=headers))


def test_trials_are_apart(register: Callable[..., Access], server: OpenAIServer):
    rich, poor = register(), register(budget=Budget({"llm_calls": 0}))
    assert refusal(poor) == (400, "budget_exhausted")
    assert ask(rich).choices
    assert (poor.refused, rich.refused) == (1, 0)
    assert (rich.client.ledger.totals()["calls"], poor.client.ledger.totals()["calls"]) == (1, 0)


# ---- many at once, and budgets


def test_64_clients_at_once(register: Callable[..., Access], server: OpenAIServer):
    server.reply = lambda body: "of " + body["messages"][0]["content"]
    server.script = [("delay", 0.2)] * 64
    accesses, answers = [register() for _ in range(64)], {}

    def one(i: int) -> None:
        answers[i] = ask(accesses[i], messages=[{"role": "user", "content": str(i)}]).choices[0].message.content

    at_once(64, one)
    assert answers == {i: f"of {i}" for i in range(64)}
    assert all(a.client.ledger.totals()["calls"] == 1 for a in accesses)


def test_no_overspending(register: Callable[..., Access], server: OpenAIServer):
    server.script = [("delay", 0.1)] * 50
    access, outcomes = register(budget=Budget({"llm_calls": 5})), []

    def one(i: int) -> None:
        try:
            ask(access)
            outcomes.append("answered")
        except openai.BadRequestError as e:
            outcomes.append(str(e.code))

    at_once(50, one)
    assert sorted(outcomes) == ["answered"] * 5 + ["budget_exhausted"] * 45
    assert len(server.requests) == 5
    assert access.refused == 45  # each was said once: OpenAI's client does not try a 400 again
    assert access.client.budget.spent["llm_calls"] == 5


# ---- record, replay, end


def test_a_replay_gives_the_same_without_an_endpoint(server: OpenAIServer, gateway: Gateway, tmp_path: Path):
    server.reply = lambda body: f"{body['messages'][0]['content']} {random.random()}"
    server.script = [500]
    path = tmp_path / "llm.jsonl"
    budget = {"llm_calls": 7}

    def client(mode: str) -> Client:
        record = CallRecord(path, trial="t", mode=mode)
        return Client("test-model", base_url=server.url, record=record, price=(1.0, 2.0), budget=Budget(budget))

    def trial(access: Access) -> list[str]:
        answers = [
            ask(access, messages=[{"role": "user", "content": prompt}], tools=TOOLS, n=2).model_dump_json()
            for prompt in "abaabc"
        ]
        server.script = [(400, {"message": "no"})]
        assert refusal(access, temperature=9.0) == (400, "endpoint_refused")
        ask(access)
        assert refusal(access) == (400, "budget_exhausted")
        return answers

    with gateway.register(client("resume")) as first:
        answers = trial(first)
    assert len(set(answers)) == 6  # samples of one prompt stay samples
    server.close()
    with gateway.register(client("replay")) as second:
        assert trial(second) == answers
        assert second.client.budget.spent["tokens"] == first.client.budget.spent["tokens"]
        totals = [{**a.client.ledger.totals(), "seconds": 0} for a in (first, second)]
        assert totals[0] == totals[1]
    budget["llm_calls"] = 100
    with gateway.register(client("replay")) as third:
        assert refusal(third, messages=[{"role": "user", "content": "new"}]) == (424, "trial_failed")
        assert isinstance(third.failure, ReplayMismatch)


def test_the_end_of_an_access_waits_for_what_is_paid(
    register: Callable[..., Access], server: OpenAIServer, tmp_path: Path
):
    server.script = [("delay", 0.5)]
    record = CallRecord(tmp_path / "llm.jsonl", trial="t")
    access = register(record=record)
    host, port = access.base_url.split("/")[2].split(":")
    body = json.dumps({"model": "test-model", "messages": ASK}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {access.token}\r\n"
    with socket.create_connection((host, int(port))) as child:
        child.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while not server.requests:
            threading.Event().wait(0.01)
    access.close()  # the child is gone, its call is in flight
    record.close()
    (line,) = [json.loads(text) for text in (tmp_path / "llm.jsonl").read_text().splitlines()]
    assert (line["texts"], line["error"]) == (["ok"], None)


def test_the_end_of_the_gateway(server: OpenAIServer):
    before = set(threading.enumerate())
    with Gateway() as gateway:
        access = gateway.register(Client("test-model", base_url=server.url))
        idle = user(access)
        idle.models.list()  # its connection stays open
        stuck = socket.create_connection(("127.0.0.1", int(access.base_url.split(":")[2].split("/")[0])))
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {access.token}\r\nContent-Length: 100\r\n\r\n"
        stuck.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}{{".encode())  # the rest never comes
        idle.models.list()  # by now the server has read that
    with pytest.raises(openai.APIConnectionError):
        idle.with_options(max_retries=0).models.list()
    idle.close()
    stuck.close()
    assert not {t for t in set(threading.enumerate()) - before if t.name.startswith("gateway")}
    gateway.close()  # twice is no error
