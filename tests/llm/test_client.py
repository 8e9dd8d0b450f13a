from __future__ import annotations

import itertools
import logging
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from opto_gym.errors import BudgetSpent, EndpointError, OptoGymError
from opto_gym.llm import Budget, CallRecord, Client, price_of
from tests.support.openai_server import OpenAIServer

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a colour."}]


def client(server: OpenAIServer, model: str = "test-model", **settings: Any) -> Client:
    return Client(model, base_url=server.url, **settings)


def test_an_answer(server: OpenAIServer):
    server.reply = "a deep blue"
    llm = client(server, price=(1.0, 10.0))
    answer = llm.chat(ASK, max_tokens=50, temperature=0.0, seed=3, stop=["\n"])
    assert (answer.text, answer.texts, answer.problem, answer.replayed) == (
        "a deep blue",
        ("a deep blue",),
        None,
        False,
    )
    assert (answer.tokens_in, answer.tokens_out, answer.counted, answer.finish_reason) == (5, 3, "usage", "stop")
    assert answer.usd == pytest.approx(5e-6 + 3e-5)
    assert server.requests[0]["body"] == {
        "model": "test-model",
        "messages": ASK,
        "max_tokens": 50,
        "temperature": 0.0,
        "seed": 3,
        "stop": ["\n"],
    }
    assert llm.ledger.totals("optimizer") == llm.ledger.totals()
    assert llm.ledger.totals()["usd"] == answer.usd
    assert llm.ledger.totals("test")["calls"] == 0


def test_what_is_none_is_not_sent(server: OpenAIServer):
    client(server).chat(ASK)
    assert set(server.requests[0]["body"]) == {"model", "messages", "max_tokens"}


def test_schema_and_several_completions(server: OpenAIServer):
    schema = {"type": "object"}
    assert client(server).chat(ASK, json_schema=schema, n=3).texts == ("ok",) * 3
    body = server.requests[0]["body"]
    assert body["n"] == 3
    assert body["response_format"]["json_schema"]["schema"] == schema
    client(server).chat(ASK, json_object=True)
    assert server.requests[1]["body"]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("outcome", [429, 500, 503, 408, 409, "drop", "torn"])
def test_what_may_pass_is_tried_again(server: OpenAIServer, outcome: Any):
    server.script = [outcome] * 4
    llm = client(server)
    assert llm.chat(ASK).text == "ok"
    totals = llm.ledger.totals()
    assert (totals["calls"], totals["attempts"], totals["errors"]) == (1, 5, 4)
    assert len(server.requests) == 5
    assert llm.budget.spent["llm_calls"] == 1


def test_after_all_attempts_it_is_an_error(server: OpenAIServer):
    server.script = [500] * 10
    llm = client(server, attempts=5, budget=Budget({"llm_calls": 3, "tokens": 5000}))
    with pytest.raises(EndpointError, match="5 attempts; the last: 500: scripted 500"):
        llm.chat(ASK)
    assert len(server.requests) == 5
    assert llm.budget.spent["tokens"] == 0  # a refusal costs nothing
    assert llm.budget.left("llm_calls") == 3
    assert llm.ledger.totals()["errors"] == 5


def test_nobody_listens():
    with OpenAIServer() as server:
        url = server.url
    llm = Client("m", base_url=url, attempts=2)
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:\d+/v1 gave no answer in 2 attempts"):
        llm.chat(ASK)
    assert llm.budget.spent["tokens"] == 0


@pytest.mark.parametrize(
    ("status", "said"), [(400, "scripted 400"), (401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "'test-model'")]
)
def test_refusals_end_at_once_and_say_why(server: OpenAIServer, status: int, said: str):
    server.script = [status]
    with pytest.raises(EndpointError, match=said):
        client(server).chat(ASK)
    assert len(server.requests) == 1


def test_an_empty_account_is_not_asked_again(server: OpenAIServer):
    server.script = [(429, {"type": "insufficient_quota"})]
    with pytest.raises(EndpointError, match="insufficient_quota"):
        client(server).chat(ASK)
    assert len(server.requests) == 1


@pytest.mark.parametrize("seconds", [0.4, "date"])
def test_retry_after(server: OpenAIServer, seconds: Any):
    header = formatdate(time.time() + 2, usegmt=True) if seconds == "date" else str(seconds)
    server.script = [(429, {"retry-after": header})]
    client(server).chat(ASK)
    first, second = (r["time"] for r in server.requests)
    assert second - first >= (0.9 if seconds == "date" else 0.4)  # a date has whole seconds


def test_pauses_grow(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("opto_gym.llm.attempts._FIRST_PAUSE", 0.05)
    server.script = [503] * 4
    client(server).chat(ASK)
    times = [r["time"] for r in server.requests]
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert all(pause >= 0.04 * 2**i for i, pause in enumerate(pauses))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [7]}',
        b'{"choices": [{"message": null}]}',
        b"\xff\xfe",
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_a_200_without_a_completion_is_a_problem_and_no_error(server: OpenAIServer, body: bytes):
    server.script = [body]
    llm = client(server)
    answer = llm.chat(ASK)
    assert answer.text == ""
    assert answer.problem
    assert answer.counted == "estimate"
    assert len(server.requests) == 1
    assert llm.ledger.totals()["errors"] == 0
    assert llm.budget.spent["llm_calls"] == 1


def test_null_content_is_a_problem_with_its_usage(server: OpenAIServer):
    server.reply = None
    answer = client(server).chat(ASK)
    assert answer.problem == "the answer has no text (it ended by 'stop')"
    assert (answer.tokens_in, answer.counted) == (5, "usage")


def test_usage_is_estimated_where_it_is_not_given(server: OpenAIServer):
    server.usage, server.reply = False, "x" * 40
    answer = client(server).chat([{"role": "user", "content": "y" * 400}])
    assert (answer.tokens_in, answer.tokens_out, answer.counted) == (100, 10, "estimate")


def test_a_prompt_longer_than_the_context_is_a_problem(server: OpenAIServer):
    server.script = [(400, {"message": "This model's maximum context length is 8 tokens", "type": "context"})]
    llm = client(server)
    assert "longer than the model's context" in str(llm.chat(ASK).problem)
    assert llm.ledger.totals()["errors"] == 1


def test_newer_name_of_max_tokens(server: OpenAIServer):
    server.script = [(400, {"message": "'max_tokens' is not supported, use 'max_completion_tokens' instead"})]
    llm = client(server)
    assert llm.chat(ASK, max_tokens=7).text == llm.chat(ASK, max_tokens=7).text == "ok"
    limits = [{k: v for k, v in r["body"].items() if k.startswith("max")} for r in server.requests]
    assert limits == [{"max_tokens": 7}, {"max_completion_tokens": 7}, {"max_completion_tokens": 7}]


# ---- budgets


def test_tokens_are_refused_before_they_are_spent(server: OpenAIServer):
    llm = client(server, budget=Budget({"tokens": 200}))
    with pytest.raises(BudgetSpent, match="tokens"):
        llm.chat(ASK, max_tokens=180)
    assert server.requests == []
    llm.chat(ASK, max_tokens=100)
    assert llm.budget.spent["tokens"] == 6  # settled by usage


def test_parallel_calls_cannot_overspend(server: OpenAIServer):
    server.script = [("delay", 0.05)] * 20
    llm, spent = client(server, budget=Budget({"llm_calls": 5})), []

    def ask() -> None:
        try:
            llm.chat(ASK)
        except BudgetSpent:
            spent.append(1)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(server.requests), len(spent)) == (5, 15)


def test_a_lost_answer_counts_as_all_that_it_may_have_cost(server: OpenAIServer):
    server.script = ["torn"]
    llm = client(server, price=(1.0, 1.0), budget=Budget({"usd": 1.0}))
    llm.chat(ASK, max_tokens=100)
    lost = llm.ledger.attempts[0]
    assert lost.counted == "bound"
    assert llm.budget.spent["tokens"] == lost.tokens_in + 100 + 6
    assert llm.budget.spent["usd"] == pytest.approx((lost.tokens_in + 106) / 1e6)
    assert llm.budget.spent["llm_calls"] == 1
    server.script = ["torn"]
    llm = client(server, budget=Budget({"tokens": 250}))
    with pytest.raises(BudgetSpent):  # the second attempt may cost too much
        llm.chat(ASK, max_tokens=150)


def test_money(server: OpenAIServer):
    llm = client(server, "gpt-4o-mini", budget=Budget({"usd": 1e-4}))
    with pytest.raises(BudgetSpent, match="usd"):
        llm.chat(ASK, max_tokens=1000)
    assert server.requests == []


def test_an_unknown_price_refuses_a_money_budget(server: OpenAIServer):
    run = Budget({"usd": 1.0})
    with pytest.raises(OptoGymError, match=r"price of 'test-model' is unknown.*--price test-model=IN,OUT"):
        client(server, budget=Budget(parent=run))
    client(server, budget=Budget(parent=run), price=(1.0, 2.0)).chat(ASK)
    assert 0 < run.spent["usd"] < 1e-4
    assert client(server).chat(ASK).usd is None


def test_prices():
    price = price_of("gpt-4o-mini")
    assert price is not None
    assert price.of(1e6, 1e6) == pytest.approx(0.15 + 0.6)  # https://openai.com/api/pricing
    assert price_of("no-such-model") is None
    local = price_of("local")
    assert local is not None
    assert local.of(1e6, 1e6) == 0


# ---- settings and keys


def test_model_and_endpoint_come_from_the_environment(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch):
    assert Client().model == "local"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with pytest.raises(OptoGymError, match="OPTO_GYM_MODEL"):
        Client()
    monkeypatch.setenv("OPTO_GYM_MODEL", "from-env")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-env-123456")
    llm = Client()
    llm.chat(ASK)
    assert server.requests[0]["body"]["model"] == "from-env"
    assert server.requests[0]["headers"]["authorization"] == "Bearer sk-from-env-123456"
    assert Client("local").endpoint == "local"


def test_openai_needs_a_key():
    with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        Client("gpt-4o-mini").chat(ASK)


@pytest.mark.parametrize("settings", [{"role": "spy"}, {"attempts": 0}])
def test_wrong_settings_are_refused(settings: dict[str, Any]):
    with pytest.raises(ValueError, match="expected"):
        Client("m", base_url="http://127.0.0.1:1/v1", **settings)


def test_a_proxy_does_not_catch_loopback(server: OpenAIServer, dead_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", dead_url)
    monkeypatch.setenv("ALL_PROXY", dead_url)
    assert client(server, attempts=1).chat(ASK).text == "ok"


KEYS = ("sk-abcdef0123456789", "my-own-secret", "hunter2pass", "tok3n4url")


@pytest.mark.parametrize("outcome", ["refused", "busy", "body", "gone"])
def test_keys_are_never_shown(
    server: OpenAIServer, outcome: str, caplog: pytest.LogCaptureFixture, tmp_path: Any, monkeypatch: Any
):
    caplog.set_level(logging.INFO)
    said = f"bad key my-own-secret, Bearer {KEYS[0]}, see https://u:hunter2pass@host/?key=tok3n4url and sk-abcd****wxyz"
    script: dict[str, Any] = {"refused": (401, {"message": said}), "busy": (503, {"message": said})}
    server.script = [script.get(outcome, said.encode())] * 2
    url = server.url.replace("//", "//u:hunter2pass@")
    record = CallRecord(tmp_path / "llm.jsonl", trial="t")
    llm = Client("m", base_url=url, api_key="my-own-secret", attempts=2, record=record)
    if outcome == "gone":
        server.close()
    shown = [repr(llm), str(llm.describe())]
    try:
        shown.append(repr(llm.chat(ASK)))
    except EndpointError as e:
        shown += [repr(e), repr(e.__context__), repr(e.__cause__)]
    shown += [str(llm.ledger.attempts), (tmp_path / "llm.jsonl").read_text(), caplog.text]
    for text in shown:
        for key in (*KEYS, "wxyz"):
            assert key not in text
    assert "127.0.0.1" in repr(llm)


def test_a_login_in_the_url_is_used(server: OpenAIServer):
    Client("m", base_url=server.url.replace("//", "//u%40x:pass@")).chat(ASK)
    assert server.requests[0]["headers"]["authorization"] == "Basic dUB4OnBhc3M="


def test_text_that_utf8_cannot_hold_is_sent_written_out(server: OpenAIServer):
    client(server).chat([{"role": "user", "content": "odd \udc80 text"}])
    assert server.requests[0]["body"]["messages"][0]["content"] == "odd \\udc80 text"
