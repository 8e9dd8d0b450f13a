"""Prices of tokens, and the sizes of models' contexts and answers.

An unknown price is not zero: a budget with a limit on USD refuses such a model.

A model is known by many names: routers put the provider before it (``openai/gpt-4o-mini``), clouds their region and
version, providers the date of a snapshot and the owner of a fine-tuned model. `listed_name` finds what is meant.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, NamedTuple

_ROUTERS = (  # what may stand before a slash and passes the provider's own prices on
    *("openai", "azure", "azure_ai", "anthropic", "google", "gemini", "vertex_ai", "models", "mistral", "mistralai"),
    *("deepseek", "xai", "x-ai", "cohere", "cohere_chat", "qwen", "dashscope", "alibaba", "groq", "bedrock"),
    *("converse", "openrouter", "litellm_proxy", "litellm", "vercel", "vercel_ai_gateway", "requesty"),
)
_VARIANT = re.compile(
    r":(nitro|floor|extended|thinking|beta|exacto)$"
)  # OpenRouter's; of them the price is the model's
_CLOUD = re.compile(
    r"^((us|eu|apac|global|jp|au|ca)\.)?(anthropic|mistral|cohere|deepseek)\.|-v\d+(:\d+)?$"
)  # Bedrock's
_DATE = re.compile(r"-(20\d\d-?\d\d-?\d\d|\d\d-20\d\d|\d\d-\d\d|\d{4})$")
_DOTTED = re.compile(r"(?<=\d)\.(?=\d)")


class Price(NamedTuple):
    """The price of a model's tokens.

    Attributes:
        tokens_in: USD per token of the prompt.
        tokens_out: USD per token of the answer.
        source: Where the price is from.
        cached: USD per token of the prompt that the provider reads from its cache; None is `tokens_in`.
    """

    tokens_in: float
    tokens_out: float
    source: str
    cached: float | None = None

    def of(self, tokens_in: float, tokens_out: float, cached: float = 0) -> float:
        """The price of a call in USD.

        Args:
            tokens_in: All tokens of the prompt.
            tokens_out: Tokens of the answer, with those of its reasoning.
            cached: The part of `tokens_in` that the provider read from its cache.
        """
        price = self.tokens_in if self.cached is None else self.cached
        return (tokens_in - cached) * self.tokens_in + cached * price + tokens_out * self.tokens_out


def given_price(usd: Sequence[float]) -> Price:
    """The price that a user gives: USD per million tokens in, out, and in from the cache, which may be left out.

    Raises:
        ValueError: If it is something else than two or three numbers of at least 0.
    """
    if len(usd) not in (2, 3) or not all(0 <= number < float("inf") for number in usd):
        raise ValueError(f"expected a price of (in, out) or (in, out, cached) in USD per million tokens, got {usd!r}")
    cached = usd[2] / 1e6 if len(usd) == 3 else None
    return Price(usd[0] / 1e6, usd[1] / 1e6, "given by the user", cached)


def unknown_price(model: str) -> str:
    """The error for a budget of money with a model whose price is unknown."""
    return (
        f"money is limited, but the price of {model!r} is unknown: give it by --price {model}=IN,OUT, in USD per "
        "million tokens (price=(in, out) in Python), or limit tokens instead"
    )


def price_of(model: str) -> Price | None:
    """The price of a model's tokens by the table of main providers in ``prices.json``; None for other models."""
    if model == "local":
        return Price(0.0, 0.0, "runs on this machine")
    if "/" in model and model.endswith(":free"):  # OpenRouter's variants without a price
        return Price(0.0, 0.0, "free by its name")
    name = listed_name(model)
    if name is None:
        return None
    row, alias = _table()["models"][name], "" if name == model else f" for {name}"
    return Price(row[0], row[1], f"LiteLLM's price list of {_table()['date']}{alias}", _cached_table().get(name))


@functools.lru_cache(maxsize=256)  # each call of a model asks, and the list has thousands of names
def listed_name(model: str) -> str | None:
    """The name by which the price list has a model; None if it does not have it.

    Args:
        model: Its name as an endpoint, a router or a cloud writes it, with or without the date of a snapshot. Without
            one, or with one that is not listed, the dearest snapshot counts. A fine-tuned model is found by the model
            that it is made of, at the prices of fine-tuned models.
    """
    listed: dict[str, list[float]] = _table()["models"]
    names = list(_spellings(model))
    for name in names:
        if name in listed:
            return name
    for name in names:
        stem = _DATE.sub("", name)
        if stem in listed:
            return stem
        dated = [other for other in listed if _DATE.sub("", other) == stem and other != stem]
        if dated:
            return max(dated, key=lambda other: listed[other][:2])
    return None


def _spellings(model: str) -> Iterator[str]:
    """The names that a model may be listed by, the nearest first."""
    yield model
    name = _VARIANT.sub("", model.lower().replace("@", "-"))
    router, slash, rest = name.partition("/")
    while slash and router in _ROUTERS:
        yield name
        name = rest
        router, slash, rest = name.partition("/")
    if slash:
        return
    if name.startswith("ft:"):  # ft:MODEL:ORGANIZATION:NAME:ID
        yield ":".join(name.split(":")[:2])
        return
    yield name
    plain = _CLOUD.sub("", _CLOUD.sub("", name))
    yield plain
    yield _DOTTED.sub("-", plain)


class ModelLimits(NamedTuple):
    """How much a model can read and write; None where the table does not say.

    Attributes:
        context: The tokens of its context: the prompt and the answer together.
        answer: The tokens of an answer.
    """

    context: int | None
    answer: int | None


@functools.cache
def _table() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(resources.files(__package__).joinpath("prices.json").read_text(encoding="utf-8"))
    return data


@functools.cache
def _cached_table() -> dict[str, float]:
    text = resources.files(__package__).joinpath("cached_prices.json").read_text(encoding="utf-8")
    prices: dict[str, float] = json.loads(text)
    return prices


def limits_of(model: str) -> ModelLimits:
    """The limits of a model by the same table."""
    name = listed_name(model)
    row = _table()["models"][name] if name else (None, None, None, None)
    return ModelLimits(row[2], row[3])
