"""The gateway before an endpoint that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from opto_gym.errors import EndpointError
from opto_gym.llm.gateway import Access
from tests.support.gateway_client import ask, refusal
from tests.support.openai_server import OpenAIServer


@pytest.mark.parametrize("outcome", [429, 500, 503, "drop"])
def test_what_may_pass_is_tried_again_here(register: Callable[..., Access], server: OpenAIServer, outcome: Any):
    server.script = [outcome] * 3
    access = register()
    assert ask(access).choices
    totals = access.client.ledger.totals()
    assert (totals["calls"], totals["attempts"], totals["errors"]) == (1, 4, 3)


@pytest.mark.parametrize("outcome", [429, 500, "drop"])
def test_after_all_attempts_the_package_does_not_start_over(
    register: Callable[..., Access], server: OpenAIServer, outcome: Any
):
    server.script = [outcome] * 50
    access = register(attempts=3)
    assert refusal(access) == (424, "endpoint_failed")
    assert len(server.requests) == 3
    assert isinstance(access.failure, EndpointError)
    server.script = []
    assert refusal(access) == (424, "trial_failed")  # a package that goes on makes nothing undone
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "code"), [(400, "endpoint_refused"), (422, "endpoint_refused")])
def test_what_the_endpoint_finds_wrong_is_passed_on(
    register: Callable[..., Access], server: OpenAIServer, status: int, code: str
):
    server.script = [(status, {"message": "top_p is too large"})]
    with pytest.raises(openai.BadRequestError, match="top_p is too large") as caught:
        ask(register(), top_p=7)
    assert caught.value.code == code


def test_a_wrong_key_there_is_not_a_wrong_token_here(register: Callable[..., Access], server: OpenAIServer):
    server.script = [(401, {"message": "bad key sk-the-real-key"})]
    with pytest.raises(openai.APIStatusError) as caught:
        ask(register())
    assert caught.value.status_code == 424
    assert "sk-the-real-key" not in str(caught.value.body)


def test_a_prompt_longer_than_the_context(register: Callable[..., Access], server: OpenAIServer):
    server.script = [(400, {"message": "This model's maximum context length is 8 tokens"})]
    assert refusal(register()) == (400, "context_length_exceeded")


@pytest.mark.parametrize("body", [b"", b"null", b'{"choices": []}', b"\xff", b"[" * 100_000])
def test_garbage_is_paid_and_may_be_tried_again(register: Callable[..., Access], server: OpenAIServer, body: bytes):
    server.script = [body]
    access = register()
    assert ask(access).choices[0].message.content == "ok"  # OpenAI's client asked again
    assert access.client.ledger.totals()["calls"] == 2
    server.script = [body] * 9
    assert refusal(access) == (502, "endpoint_failed")
    assert access.client.budget.spent["llm_calls"] == len(server.requests) == 5
