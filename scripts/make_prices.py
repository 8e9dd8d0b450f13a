"""Updates opto_gym/llm/prices.json and cached_prices.json from the price list in a wheel of LiteLLM (MIT license).

pip download --no-deps litellm && python scripts/make_prices.py litellm-*.whl
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

PROVIDERS = {"openai", "anthropic", "gemini", "mistral", "xai", "deepseek", "dashscope", "groq", "cohere_chat"}
SOURCE = "litellm/model_prices_and_context_window_backup.json"


def main(wheel: str) -> None:
    """Writes the prices of the main providers' chat models.

    A model has [USD per input token, USD per output token, tokens of its context, tokens of an answer at most].

    Args:
        wheel: The path of LiteLLM's wheel.
    """
    text = zipfile.ZipFile(wheel).read(SOURCE)
    models: dict[str, list[Any]] = {}
    for name, row in json.loads(text).items():
        prices = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        if row.get("mode") == "chat" and row.get("litellm_provider") in PROVIDERS and all(prices):
            short = name.split("/", 1)[-1]
            old = models.get(short)
            if old is None or old[:2] < list(prices):  # the higher price of several providers
                models[short] = [*prices, row.get("max_input_tokens"), row.get("max_output_tokens")]
    header = {
        "source": f"{Path(wheel).name}: {SOURCE} (MIT)",
        "sha256": hashlib.sha256(text).hexdigest(),
        "date": datetime.date.today().isoformat(),
    }
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(models.items()))
    page = json.dumps(header, indent=1)[:-2] + ',\n "models": {\n' + rows + "\n }\n}\n"
    folder = Path(__file__).parent.with_name("opto_gym") / "llm"
    folder.joinpath("prices.json").write_text(page, encoding="utf-8")
    cached = cached_prices(json.loads(text), models)
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(price)}" for name, price in sorted(cached.items()))
    folder.joinpath("cached_prices.json").write_text("{\n" + rows + "\n}\n", encoding="utf-8")


def cached_prices(rows: dict[str, dict[str, Any]], models: Collection[str]) -> dict[str, float]:
    """The USD per input token that the provider reads from its cache, of the models that have such a price.

    Args:
        rows: LiteLLM's list.
        models: The models that are wanted.
    """
    cached: dict[str, float] = {}
    for name, row in rows.items():
        short, price = name.split("/", 1)[-1], row.get("cache_read_input_token_cost")
        if short in models and row.get("litellm_provider") in PROVIDERS and price:
            cached[short] = max(price, cached.get(short, price))
    return cached


if __name__ == "__main__":
    main(sys.argv[1])
