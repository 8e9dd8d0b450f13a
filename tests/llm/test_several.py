"""A call for several completions, at an endpoint that gives one for each request."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from opto_gym.errors import BudgetSpent, EndpointError
from opto_gym.llm import Budget, CallRecord, Client, Ledger
from opto_gym.llm.record import read_calls
from tests.support.openai_server import OpenAIServer, Page

ASK = [{"role": "user", "content": "one two three"}]


def refusing(body: dict[str, Any]) -> Any:
    if body.get("n", 1) > 1:
        return Page(400, {"error": {"message": "'n' : number must be at most 1", "type": "invalid_request_error"}})
    return "ok"


def ignoring(server: OpenAIServer, most: int = 1):
    def profile(body: dict[str, Any]) -> Any:
        body["n"] = min(most, body.get("n", 1))
        return "ok"

    server.profile = profile
    return server


def client(url: str, path: Path | None = None, mode: str = "resume", **settings: Any) -> Client:
    record = None if path is None else CallRecord(path, trial="t", mode=mode)
    return Client("m", base_url=url, record=record, price=(1.0, 1.0), **settings)


@pytest.fixture(params=["refused", "ignored", "cut to 3"])
def single(request: pytest.FixtureRequest, server: OpenAIServer) -> OpenAIServer:
    server.reply = "answer {n}"
    if request.param == "refused":
        server.profile = refusing
        return server
    return ignoring(server, 3 if request.param == "cut to 3" else 1)


def test_it_is_one_call_with_all_completions(single: OpenAIServer):
    llm = client(single.url, budget=Budget({"llm_calls": 2}))
    for _ in range(2):
        answer = llm.chat(ASK, n=8, temperature=1.0)
        assert len(answer.texts) == 8
        assert "n" in (answer.dropped or ())
        assert (answer.finish_reasons, answer.problem, answer.counted) == (("stop",) * 8, None, "usage")
    assert llm.budget.spent["llm_calls"] == llm.ledger.totals()["calls"] == 2
    answers = [a for a in llm.ledger.attempts if a.error is None]
    assert llm.budget.spent["tokens"] == sum(a.tokens_in + a.tokens_out for a in answers)
    assert len({r["body"].get("n") for r in single.requests[-8:]} - {None, 1}) == 0


def test_the_requests_run_side_by_side(server: OpenAIServer):
    barrier = threading.Barrier(4, timeout=20)

    def reply(body: dict[str, Any]) -> str:
        barrier.wait()
        return "ok"

    server.reply, server.profile = reply, refusing
    assert client(server.url).chat(ASK, n=4).texts == ("ok",) * 4


def test_each_has_a_seed_of_its_own(server: OpenAIServer):
    server.profile = refusing
    client(server.url).chat(ASK, n=3, seed=5)
    assert sorted(r["body"]["seed"] for r in server.requests[1:]) == [5, 6, 7]


def test_all_are_reserved_before_one_is_sent(server: OpenAIServer):
    server.profile = refusing
    llm = client(server.url, budget=Budget({"tokens": 4 * (13 + 8) + 3 * 50}))
    with pytest.raises(BudgetSpent):
        llm.chat(ASK, n=4, max_tokens=50)  # four prompts and four answers
    assert len(server.requests) == 1  # the refused one
    assert llm.budget.spent["tokens"] == 0
    assert llm.chat(ASK, n=3, max_tokens=50).texts == ("ok",) * 3


def test_what_is_paid_is_kept_where_the_budget_cannot_hold_the_rest(server: OpenAIServer):
    llm = client(ignoring(server).url, budget=Budget({"tokens": 21 + 4 * 10}))
    answer = llm.chat(ASK, n=4, max_tokens=10)
    assert answer.texts == ("ok",)
    assert llm.budget.spent["tokens"] == answer.tokens_in + answer.tokens_out


def totals(ledger: Ledger) -> dict[str, Any]:
    return {k: v for k, v in ledger.totals().items() if k != "seconds"}


def test_it_replays(single: OpenAIServer, tmp_path: Path):
    path = tmp_path / "llm.jsonl"
    first = client(single.url, path)
    answers = [first.chat(ASK, n=4), first.chat(ASK, n=4)]
    single.close()
    again = client(single.url, path, "replay")
    replayed = [again.chat(ASK, n=4), again.chat(ASK, n=4)]
    assert [a.texts for a in replayed] == [a.texts for a in answers]
    assert totals(again.ledger) == totals(first.ledger)
    spent, spent_again = first.budget.spent, again.budget.spent
    assert all(spent[name] == pytest.approx(spent_again[name]) for name in spent if name != "seconds")
    assert len(read_calls(path)) == 2  # for those who read a record, they are two calls


def test_a_replay_ends_where_the_budget_could_not_hold_the_parts(single: OpenAIServer, tmp_path: Path):
    for mode in ("resume", "replay"):
        llm = client(single.url, tmp_path / "llm.jsonl", mode, budget=Budget({"tokens": 8 * 21 + 8 * 10 + 20}))
        llm.chat(ASK, n=8, max_tokens=10)
        with pytest.raises(BudgetSpent):
            llm.chat(ASK, n=8, max_tokens=10)


def test_parts_that_are_recorded_are_not_paid_again(single: OpenAIServer, tmp_path: Path):
    path = tmp_path / "llm.jsonl"
    first = client(single.url, path).chat(ASK, n=6)
    lines = path.read_text().splitlines(keepends=True)
    for kept in range(1, len(lines)):  # killed after each line
        path.write_text("".join(lines[:kept]))
        paid = len(single.requests)
        there = sum(len(json.loads(line)["texts"]) for line in lines[:kept])
        resumed = client(single.url, path)
        answer = resumed.chat(ASK, n=6)
        assert len(answer.texts) == 6
        kept_texts = [text for line in lines[:kept] for text in json.loads(line)["texts"]]
        assert set(kept_texts) <= set(first.texts) & set(answer.texts)
        assert len(single.requests) - paid == 6 - there
        assert resumed.budget.spent["llm_calls"] == 1
        assert resumed.budget.spent["tokens"] == answer.tokens_in + answer.tokens_out


def test_a_part_without_an_answer_fails_the_call_and_the_others_are_kept(server: OpenAIServer, tmp_path: Path):
    path = tmp_path / "llm.jsonl"
    server.profile, server.script = refusing, [Page(400, {"error": {"message": "n must be 1"}}), 500, 500, "ok", "ok"]
    with pytest.raises(EndpointError):
        client(server.url, path, attempts=1).chat(ASK, n=4)
    with pytest.raises(EndpointError, match="1 attempt;"):
        client(server.url, path, "replay").chat(ASK, n=4)
    paid = len(server.requests)
    resumed = client(server.url, path)
    assert resumed.chat(ASK, n=4).texts == ("ok",) * 4
    assert len(server.requests) == paid + 2
    assert totals(client_after(server, path).ledger) == totals(resumed.ledger)


def client_after(server: OpenAIServer, path: Path) -> Client:
    again = client(server.url, path, "replay")
    again.chat(ASK, n=4)
    return again


def test_a_body_for_another_package_has_all_choices(single: OpenAIServer):
    answer = client(single.url).complete({"messages": ASK, "n": 4})
    body = json.loads(str(answer.body))
    assert [c["index"] for c in body["choices"]] == [0, 1, 2, 3]
    assert body["usage"]["completion_tokens"] == answer.tokens_out


def test_a_refused_prompt_is_not_divided(server: OpenAIServer):
    server.script = [Page(400, {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}})]
    assert client(server.url).chat(ASK, n=4).too_long
    assert len(server.requests) == 1
