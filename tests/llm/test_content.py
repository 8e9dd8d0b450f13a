"""What a message holds, in whatever form it comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opto_gym.llm import CallRecord, Client
from opto_gym.llm.content import read_message
from tests.support.openai_server import OpenAIServer

THOUGHT = "hm, x = 3?"
TEXT = {"type": "text", "text": "x = 5"}


@pytest.mark.parametrize(
    "message",
    [
        # Mistral's Magistral: NousResearch/hermes-agent/pull/4748
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, TEXT]},
        # Databricks' GPT-OSS: posit-dev/chatlas/pull/397
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]}, TEXT]},
        {"content": [{"type": "thought", "text": THOUGHT}, {"type": "output_text", "text": "x = 5"}]},
        {"content": [{"text": THOUGHT, "thought": True}, {"text": "x = 5"}]},
        # DeepSeek, vLLM, SGLang, Qwen
        {"content": "x = 5", "reasoning_content": THOUGHT},
        {"content": [TEXT], "reasoning_content": THOUGHT},
        # OpenRouter, Groq, Ollama
        {"content": "x = 5", "reasoning": THOUGHT},
        {"content": "x = 5", "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
        {"content": "x = 5", "reasoning": THOUGHT, "reasoning_details": [{"summary": THOUGHT}]},
        # LiteLLM
        {"content": "x = 5", "thinking_blocks": [{"type": "thinking", "thinking": THOUGHT, "signature": "s"}]},
        {"content": ["x ", {"text": "= "}, {"type": "text", "text": {"value": "5"}}], "reasoning": THOUGHT},
        {"content": [{"type": "citation", "url": "u"}, TEXT, {"type": "new kind", "text": "?"}], "thinking": THOUGHT},
        {"content": TEXT, "thinking": THOUGHT},
        # Bedrock's Converse
        {"content": [{"type": "reasoning_content", "reasoning_content": {"text": THOUGHT}}, TEXT]},
    ],
)
def test_text_and_reasoning(message: dict[str, Any]):
    content = read_message({"role": "assistant", **message})
    assert (content.text, content.reasoning, content.refusal) == ("x = 5", THOUGHT, "")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, None),
        ({}, None),
        ({"content": []}, None),
        ({"content": ""}, ""),
        ({"content": [{"type": "text", "text": ""}]}, None),
        ({"content": [{"type": "tool_use", "id": "x"}]}, None),
        ({"content": [7, None]}, None),
        ({"content": 7}, None),
    ],
)
def test_no_text(message: dict[str, Any], text: str | None):
    assert read_message(message).text == text


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "I can't."},
        {"content": [{"type": "refusal", "refusal": "I can't."}]},
        {"content": [{"type": "refusal", "text": "I can't."}], "refusal": None},
    ],
)
def test_refusals(message: dict[str, Any]):
    content = read_message(message)
    assert (content.text, content.refusal) == (None, "I can't.")


def body(message: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    return json.dumps({"choices": [{"message": message, "finish_reason": finish, **more}], "usage": usage}).encode()


def test_reasoning_is_in_the_record_and_not_in_the_answer(server: OpenAIServer, tmp_path: Any):
    server.script = [body({"content": "x = 5", "reasoning_content": THOUGHT})]
    path = tmp_path / "llm.jsonl"
    ask = [{"role": "user", "content": "x?"}]
    answer = Client("m", base_url=server.url, record=CallRecord(path, trial="t")).chat(ask)
    (line,) = map(json.loads, path.read_text().splitlines())
    names = ("texts", "reasoning", "cached_tokens", "reasoning_tokens", "finish_reason")
    assert [line[name] for name in names] == [["x = 5"], THOUGHT, 4, 6, "stop"]
    again = Client("m", base_url=server.url, record=CallRecord(path, trial="t", mode="replay")).chat(ask)
    assert [getattr(again, name) for name in names] == [getattr(answer, name) for name in names]
    assert answer.text == "x = 5"


def test_parts_that_are_no_text_are_told(server: OpenAIServer):
    server.script = [b'{"choices": [{"message": {"content": [{"type": "tool_use"}, {"type": "image"}]}}]}']
    answer = Client("m", base_url=server.url).chat([{"role": "user", "content": "x?"}])
    assert answer.problem == "the answer has no text, but parts of type tool_use, image"


@pytest.mark.parametrize(
    ("message", "finish", "said"),
    [
        ({"content": None, "reasoning": THOUGHT}, "stop", "reasoning"),
        ({"content": "", "reasoning": THOUGHT}, "length", "raise max_tokens"),
        ({"content": [{"type": "refusal", "refusal": "I can't."}]}, "stop", "refused to answer"),
        ({"content": [{"type": "tool_use"}]}, "stop", "went into reasoning"),
        ({"content": None}, "content_filter", "content filter"),
    ],
)
def test_where_the_text_went(server: OpenAIServer, message: dict[str, Any], finish: str, said: str):
    server.script = [body(message, finish)]
    answer = Client("m", base_url=server.url).chat([{"role": "user", "content": "x?"}])
    assert said in str(answer.problem)
    assert len(server.requests) == 1
