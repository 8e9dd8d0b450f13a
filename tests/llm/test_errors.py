"""Errors say what the endpoint said; an error in a response with status 200 is a failed attempt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opto_gym.errors import EndpointError
from opto_gym.llm import Budget, CallRecord, Client
from opto_gym.llm.error_body import LONGEST_MESSAGE, LONGEST_PAGE, read_error_body
from tests.support.openai_server import OpenAIServer, Page

ASK = [{"role": "user", "content": "Name a colour."}]
SAID = "the model is on holiday"
HTML = f"<!DOCTYPE html><html><head><title>{SAID}</title><style>b {{}}</style></head><body><p>nginx &amp; co</p>"


def client(server: OpenAIServer, **settings: Any) -> Client:
    return Client("m", base_url=server.url, **settings)


SHAPES = [
    {"error": {"message": SAID, "type": "t", "code": "c"}},
    {"error": SAID},
    {"error": {"error": {"message": SAID}}},
    {"error": {"message": {"text": 1, "message": SAID}}},
    {"errors": [{"message": SAID}]},
    [{"error": {"code": 418, "message": SAID, "status": "TEAPOT"}}],
    {"message": SAID},
    {"msg": SAID},
    {"detail": SAID},
    {"detail": [{"loc": ["body", "model"], "msg": SAID, "type": "value_error"}]},
    {"details": {"reason": SAID}},
    {"object": "error", "message": json.dumps({"detail": [{"loc": ["body", "x"], "msg": SAID}]})},
    {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps({"error": {"message": SAID}})}}},
    {"error": {"message": "Provider returned error", "metadata": {"raw": SAID}}},
    {"error": {"message": HTML}},
    {"what": SAID},
    [SAID],
    json.dumps(SAID),
    SAID,
    HTML,
]


@pytest.mark.parametrize("body", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize("status", [418, 503])
def test_an_error_says_what_the_endpoint_said(server: OpenAIServer, body: Any, status: int):
    server.script = [Page(status, body)]
    with pytest.raises(EndpointError, match=SAID) as e:
        client(server, attempts=1).chat(ASK)
    assert str(status) in str(e.value)
    assert "<" not in str(e.value)


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", "\x00", "[" * 100_000, '{"a":' * 50_000])
def test_an_error_that_says_nothing(server: OpenAIServer, body: str):
    server.script = [Page(418, body)]
    with pytest.raises(EndpointError, match="418"):
        client(server).chat(ASK)


def test_a_long_message_is_cut_after_its_keys_are_gone(server: OpenAIServer):
    key = "my-own-secret"
    for pad in range(LONGEST_MESSAGE // 2 - 16, LONGEST_MESSAGE // 2 + 4):
        server.script = [Page(418, {"error": {"message": "x" * pad + key + "y" * 9000 + " the end"}})]
        with pytest.raises(EndpointError, match="the end") as e:
            client(server, api_key=key).chat(ASK)
        assert "my-o" not in str(e.value)
        assert len(str(e.value)) < LONGEST_MESSAGE + 100
    assert len(read_error_body(HTML + "word " * 9000).shown(str)) <= LONGEST_PAGE + 3


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (401, {"error": "no"}, "OPENAI_API_KEY"),
        (400, [{"error": {"message": "API key expired. Please renew the API key."}}], "OPENAI_API_KEY"),
        (402, {"error": {"message": "Insufficient Balance"}}, "no credit"),
        (404, {"error": "model 'm' not found, try pulling it first"}, "'m' the name of a model there"),
        (405, HTML, "ends in /v1"),
        (403, HTML, "OPENAI_API_KEY"),
    ],
)
def test_an_error_says_how_to_mend_it(server: OpenAIServer, status: int, body: Any, hint: str):
    server.script = [Page(status, body)]
    with pytest.raises(EndpointError, match=hint):
        client(server).chat(ASK)
    assert len(server.requests) == 1


# ---- an error in a 200


def choices(content: str | None, finish: str | None, **error: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish, **error}]}


BUSY = {"message": "rate-limited upstream", "code": 429}
ERRORS_IN_200: list[Any] = [
    {"error": BUSY},
    {"error": BUSY, "choices": []},
    {"error": BUSY, **choices(None, None)},
    {"error": BUSY, **choices("half an ans", "stop")},
    {"error": "overloaded"},
    {"error": {"message": "overloaded", "code": "502"}},
    [{"error": BUSY}],
    {"message": "upstream failed"},
    {"detail": "upstream failed"},
    choices("half", "error"),
    choices("half", "error", error={"code": 502, "message": "upstream disconnected"}),
    choices(None, None, error=BUSY),
    choices(None, None, error="upstream failed"),
    HTML,
    "upstream connect error or disconnect",
    "Error: no healthy upstream",
]


@pytest.mark.parametrize("body", ERRORS_IN_200, ids=range(len(ERRORS_IN_200)))
def test_an_error_in_a_200_is_tried_again(server: OpenAIServer, body: Any):
    server.script = [Page(200, body)] * 2
    llm = client(server, budget=Budget({"llm_calls": 1}))
    assert llm.chat(ASK).text == "ok"
    totals = llm.ledger.totals()
    assert (totals["calls"], totals["attempts"], totals["errors"], len(server.requests)) == (1, 3, 2, 3)
    billed = isinstance(body, dict) and bool(body.get("choices"))
    assert (llm.ledger.attempts[0].counted == "bound") == billed
    assert (llm.budget.spent["tokens"] > 4) == billed


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
        {"error": {"code": 404, "message": "no such route"}},
        {"error": {"code": 401, "message": "no"}},
        {"error": {"message": "no", "type": "invalid_request_error"}},
        {"error": {"message": "Invalid API key", "code": "invalid_api_key"}},
        {"error": {"message": "You exceeded your quota", "code": 429, "type": "insufficient_quota"}},
    ],
)
def test_a_refusal_in_a_200_is_final(server: OpenAIServer, body: Any):
    server.script = [Page(200, body)]
    with pytest.raises(EndpointError, match="refused 'm'"):
        client(server).chat(ASK)
    assert len(server.requests) == 1


def test_the_usage_that_an_error_reports_is_booked(server: OpenAIServer, tmp_path: Path):
    path = tmp_path / "llm.jsonl"
    usage = {"prompt_tokens": 30, "completion_tokens": 12}
    server.script = [Page(200, {**choices("half", "error"), "usage": usage})]
    llm = client(server, price=(1.0, 1.0), record=CallRecord(path, trial="t"))
    llm.chat(ASK)
    assert [(a.tokens_in, a.tokens_out, a.counted) for a in llm.ledger.attempts] == [(30, 12, "usage"), (3, 1, "usage")]
    assert llm.budget.spent["tokens"] == 30 + 12 + 3 + 1
    again = client(server, price=(1.0, 1.0), record=CallRecord(path, trial="t", mode="replay"))
    again.chat(ASK)
    assert again.budget.spent["tokens"] == llm.budget.spent["tokens"]
    assert again.budget.spent["usd"] == pytest.approx(llm.budget.spent["usd"])
    assert again.ledger.totals()["tokens_out"] == llm.ledger.totals()["tokens_out"]


def test_of_several_completions_the_good_ones_are_kept(server: OpenAIServer):
    good = {"message": {"content": "fine"}, "finish_reason": "stop"}
    bad = {"message": {"content": None}, "finish_reason": "error", "error": BUSY}
    server.script = [Page(200, {"choices": [good, bad]})]
    answer = client(server).chat(ASK, n=2)
    assert answer.texts == ("fine",)
    assert answer.problem is not None
    assert len(server.requests) == 1


def test_a_refused_prompt_or_field_in_a_200_is_one(server: OpenAIServer):
    server.script = [Page(200, {"error": {"code": 400, "message": "prompt is too long: 9 tokens > 8 maximum"}})]
    assert client(server).chat(ASK).too_long
    server.script = [Page(200, {"error": {"code": 400, "message": "Unsupported parameter: 'seed'"}})]
    assert client(server).chat(ASK, seed=1).dropped == ("seed",)


def test_an_answer_recorded_before_is_replayed_as_recorded(server: OpenAIServer, tmp_path: Path):
    path = tmp_path / "llm.jsonl"
    client(server, record=CallRecord(path, trial="t")).chat(ASK)
    line = json.loads(path.read_text())
    line |= {"texts": [], "problem": "the answer holds no completion: <html>", "counted": "estimate"}
    path.write_text(json.dumps(line) + "\n")
    answer = client(server, record=CallRecord(path, trial="t", mode="replay")).chat(ASK)
    assert answer.problem == "the answer holds no completion: <html>"
