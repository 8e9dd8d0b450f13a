"""Golden prompts: the first prompts of OptoPrime, kept as text so that a change of them is reviewed as text.

`python -m tests.test_golden_prompts` writes them anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from opto_gym.cli.prompt import first_request

FOLDER = Path(__file__).parent / "golden_prompts"
NAMES = (
    "NumericalOptimization-v0",
    "Battleship-v0",
    "BattleshipOnline-v0",
    "Traffic-v0",
    "MetaWorld-PickPlace-v1",
    "BlameAssign-v0",
    "LongTrace-v0",
    "BinaryLock-v0",
    "Greeting-v0",
    "StrangeSortList-v0",
    "TSP-v0",
    "BatchRegression-v0",
)


def prompt(name: str) -> str:
    """The messages of the first prompt, as text."""
    request = first_request(name, "OptoPrime", settings={"model": "any", "base_url": "http://127.0.0.1:9/v1"})
    return "".join(f"--- {message['role']}\n{message['content']}\n" for message in request["messages"])


@pytest.mark.parametrize("name", NAMES)
def test_the_first_prompt_is_the_golden_one(name, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert prompt(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for golden in NAMES:
        (FOLDER / f"{golden}.txt").write_text(prompt(golden), encoding="utf-8")
