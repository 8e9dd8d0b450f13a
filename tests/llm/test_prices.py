"""Prices, by the names that providers, routers and clouds give their models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opto_gym.llm import Budget, Client, price_of
from opto_gym.llm.prices import given_price, listed_name
from tests.support.openai_server import OpenAIServer

ASK = [{"role": "user", "content": "Name a colour."}]


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("GPT-4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("azure/gpt-4o", "gpt-4o"),
        ("openrouter/openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4o-mini:nitro", "gpt-4o-mini"),
        ("google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("bedrock/anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("groq/openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("gpt-4o-mini-2099-01-01", "gpt-4o-mini"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("command-r", "command-r-08-2024"),
        ("ft:gpt-4o-mini-2024-07-18:me::abc", "ft:gpt-4o-mini-2024-07-18"),
        ("openai/ft:gpt-4.1-mini-2025-04-14:me:name:abc", "ft:gpt-4.1-mini-2025-04-14"),
        ("ft:gpt-9:me::abc", None),
        ("ft:gpt-4o-mini-audio:me::abc", None),  # and not the price of a model that is not fine-tuned
        ("my-company/gpt-4o", None),
        ("together_ai/deepseek-ai/DeepSeek-V3", None),  # another host, another price
        ("llama3:8b", None),
        ("no-such-model", None),
        ("", None),
    ],
)
def test_names(model: str, listed: str | None):
    assert listed_name(model) == listed
    price, plain = price_of(model), price_of(listed or "no-such-model")
    assert (price and price[:2]) == (plain and plain[:2])
    if price and listed != model:
        assert f"for {listed}" in price.source


def test_a_fine_tuned_model_costs_more():
    tuned, plain = price_of("ft:gpt-4o-mini-2024-07-18:me::abc"), price_of("gpt-4o-mini-2024-07-18")
    assert tuned is not None
    assert plain is not None
    assert tuned.tokens_in > plain.tokens_in


def test_a_variant_without_a_price():
    free = price_of("meta-llama/llama-3.3-70b-instruct:free")
    assert free is not None
    assert free.of(1e6, 1e6) == 0


def test_given_prices():
    assert given_price((1.0, 2.0)).of(1e6, 1e6, 5e5) == pytest.approx(3.0)
    assert given_price((1.0, 2.0, 0.1)).of(1e6, 1e6, 5e5) == pytest.approx(0.5 + 0.05 + 2.0)
    for wrong in ((1.0,), (1.0, -2.0), (1.0, float("nan")), (1.0, 2.0, 3.0, 4.0)):
        with pytest.raises(ValueError, match="USD per million"):
            given_price(wrong)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 800}},
        {"prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200},
        {"cached_tokens": 800},
    ],
)
def test_cached_tokens_count_at_their_price(server: OpenAIServer, tmp_path: Any, usage: dict[str, Any]):
    page = {
        "choices": [{"message": {"content": "blue"}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10, **usage},
    }
    server.script = [json.dumps(page).encode()]
    budget = Budget({"usd": 1.0})
    answer = Client("m", base_url=server.url, price=(10.0, 20.0, 1.0), budget=budget).chat(ASK)
    assert answer.cached_tokens == 800
    assert answer.usd == pytest.approx((200 * 10 + 800 * 1 + 10 * 20) / 1e6)
    assert budget.spent["usd"] == answer.usd


@pytest.mark.parametrize("cached", [None, -1, 2000, "800", 8.5])
def test_odd_counts_of_cached_tokens_count_as_none(server: OpenAIServer, cached: Any):
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": cached}}
    server.script = [json.dumps({"choices": [{"message": {"content": "blue"}}], "usage": usage}).encode()]
    answer = Client("m", base_url=server.url, price=(10.0, 20.0, 1.0)).chat(ASK)
    assert answer.cached_tokens is None
    assert answer.usd == pytest.approx((1000 * 10 + 10 * 20) / 1e6)


def test_known_cached_prices():
    price = price_of("gpt-4o-mini")
    assert price is not None
    assert price.cached == pytest.approx(0.075e-6)  # https://openai.com/api/pricing
