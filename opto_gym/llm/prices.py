"""What tokens cost. An unknown price is not zero: a money budget refuses such a model."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, NamedTuple


class Price(NamedTuple):
    """USD a token, in and out, and where that was found."""

    tokens_in: float
    tokens_out: float
    source: str

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """USD for so many tokens."""
        return tokens_in * self.tokens_in + tokens_out * self.tokens_out


@functools.cache
def _table() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(resources.files(__package__).joinpath("prices.json").read_text(encoding="utf-8"))
    return data


def price_of(model: str) -> Price | None:
    """The price of a model of a main provider, as of the table's date, or None."""
    if model == "local":
        return Price(0.0, 0.0, "runs on this machine")
    row = _table()["models"].get(model)
    return Price(row[0], row[1], f"LiteLLM's price list of {_table()['date']}") if row else None
