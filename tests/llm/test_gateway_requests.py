"""What the gateway does not serve, and malformed and hostile requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opto_gym.llm.gateway import LONGEST_BODY, Access
from tests.support.gateway_client import ASK, ask, post, refusal, user
from tests.support.openai_server import OpenAIServer


def test_what_is_not_served_is_said(register: Callable[..., Access], server: OpenAIServer):
    access = register()
    with user(access) as llm:
        calls: list[Callable[[], Any]] = [
            lambda: llm.embeddings.create(model="test-model", input="x"),
            lambda: llm.completions.create(model="test-model", prompt="x"),
            lambda: llm.responses.create(model="test-model", input="x"),
            lambda: llm.chat.completions.create(model="test-model", messages=ASK, stream=True),
            lambda: llm.files.delete("x"),
        ]
        for call in calls:
            with pytest.raises(openai.BadRequestError, match="expected POST /v1/chat/completions") as caught:
                call()
            assert caught.value.code == "not_served"
    assert refusal(access, model="another") == (404, "model_not_found")
    assert server.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"not JSON",
        b"[" * 200_000,
        b'{"model": "test-model", "messages": []}',
        b'{"model": "test-model", "messages": [{"role": 1, "content": "x"}]}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": {"a": 1}}]}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "n": 0}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "n": true}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "max_tokens": -5}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "max_tokens": ' + b"9" * 400 + b"}",
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "stream": {}}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "odd": 1e999}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "odd": NaN}',
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "odd": ' + b"9" * 5000 + b"}",
        b'{"model": "test-model", "messages": [{"role": "user", "content": "x"}], "odd": '
        + b"[" * 900
        + b"]" * 900
        + b"}",
    ],
    ids=range(20),
)
def test_a_malformed_request(register: Callable[..., Access], server: OpenAIServer, body: bytes):
    access = register()
    status, data = post(access, body)
    assert (status, data["error"]["code"]) == (400, "invalid_request")
    assert data["error"]["message"].startswith("expected a chat request as JSON: ")
    assert server.requests == []
    assert access.client.budget.spent["llm_calls"] == 0
    assert ask(access).choices


def test_a_huge_request(register: Callable[..., Access], server: OpenAIServer):
    access = register()
    with pytest.raises(openai.APIStatusError) as caught:
        ask(access, messages=[{"role": "user", "content": "x" * LONGEST_BODY}])
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
    assert server.requests == []


def test_lone_surrogates_are_written_out(register: Callable[..., Access], server: OpenAIServer):
    body = {"model": "test-model", "messages": [{"role": "user", "content": "odd \udc80"}], "more": ["\udfff\0"]}
    assert post(register(), json.dumps(body).encode())[0] == 200
    assert server.requests[0]["body"]["messages"][0]["content"] == "odd \\udc80"
    assert server.requests[0]["body"]["more"] == ["\\udfff\0"]


def test_an_answer_with_a_lone_surrogate(register: Callable[..., Access], server: OpenAIServer):
    server.reply = "odd \udc80"
    assert ask(register()).choices[0].message.content == "odd \udc80"


CHARACTERS = st.characters() | st.sampled_from("\0\ud800\udfff")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(CHARACTERS, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]) | JSON, "content": JSON})
    | st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=20)}, optional={"name": JSON}),
    max_size=4,
)
FIELDS = [
    "n",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "stop",
    "tools",
    "response_format",
    "seed",
    "stream",
]
FIELDS += ["stream_options", "user", "timeout", "extra_headers", "extra_body", "role", "functions"]
REQUESTS = st.builds(
    lambda start, fields: {**start, **fields},
    st.fixed_dictionaries({"model": st.just("test-model"), "messages": MESSAGES | JSON}),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), JSON | st.integers(1, 5), max_size=5),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100) | JSON.map(json.dumps).map(str.encode) | REQUESTS.map(json.dumps).map(str.encode))
def test_no_body_breaks_it(register: Callable[..., Access], server: OpenAIServer, body: bytes):
    access, before = register(), len(server.requests)
    status, data = post(access, body)
    assert status == 200 or (status == 400 and data["error"]["code"] in ("invalid_request", "not_served"))
    sent = len(server.requests) - before
    assert sent == (status == 200) == access.client.budget.spent["llm_calls"]
