"""Prices of tokens, and the sizes of models' contexts and answers.

An unknown price is not zero: a budget with a limit on USD refuses such a model.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, NamedTuple


class Price(NamedTuple):
    """The price of a model's tokens.

    Attributes:
        tokens_in: USD per token of the prompt.
        tokens_out: USD per token of the answer.
        source: Where the price is from.
    """

    tokens_in: float
    tokens_out: float
    source: str

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """The price of a call in USD."""
        return tokens_in * self.tokens_in + tokens_out * self.tokens_out


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


def price_of(model: str) -> Price | None:
    """The price of a model's tokens by the table of main providers in ``prices.json``; None for other models."""
    if model == "local":
        return Price(0.0, 0.0, "runs on this machine")
    row = _table()["models"].get(model)
    return Price(row[0], row[1], f"LiteLLM's price list of {_table()['date']}") if row else None


def limits_of(model: str) -> ModelLimits:
    """The limits of a model by the same table."""
    row = _table()["models"].get(model)
    return ModelLimits(row[2], row[3]) if row else ModelLimits(None, None)
