"""Prints the table of docs/agents.md that compares `prompt_budget.count_tokens` with two real tokenizers.

python scripts/token_margins.py
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import opto_gym
from opto_gym.agents.toolkit.model_agent import ModelAgent
from opto_gym.agents.toolkit.prompt_budget import count_tokens
from opto_gym.cli import prompt as prompts
from opto_gym.llm import local
from opto_gym.registration import agent_class
from opto_gym.utils.tokenizer import count_exactly

ROOT = Path(__file__).parent.parent
ENVS = (
    *("Battleship-v0", "BattleshipOnline-v0", "NumericalOptimization-v0", "LinearRegression-v0", "TSP-v0"),
    *("Greeting-v0", "StrangeSortList-v0", "BatchRegression-v0", "Negotiation-v0", "BinaryLock-v0", "BlameAssign-v0"),
    *("LongTrace-v0", "Traffic-v0", "TrafficPaper-v0", "TrafficGrid-v0", "MetaWorld-Reach-v1", "MetaWorld-Push-v1"),
    *("MetaWorld-PickPlace-v1", "MetaWorld-DoorOpen-v1", "MetaWorld-DrawerClose-v1"),
)
"""The environments whose start values can be evaluated without a model."""


def texts() -> dict[str, list[str]]:
    """Texts for which the rule could count too few tokens, by kind."""
    rng = random.Random(0)

    def drawn(signs: str, size: int = 2000) -> str:
        return "".join(rng.choice(signs) for _ in range(size))

    data = [
        {"name": f"item {k}", "value": rng.gauss(0, 1), "on": None, "list": [rng.randrange(999)]} for k in range(50)
    ]
    lower = "abcdefghijklmnopqrstuvwxyz"
    syllables = "".join(drawn("bcdfghklmnprstvwz", 1) + drawn("aeiou", 1) + drawn("   n", 1) for _ in range(700))
    return {
        "Python": [path.read_text(encoding="utf-8") for path in sorted((ROOT / "opto_gym" / "trace").glob("*.py"))],
        "prose": [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))],
        "JSON": [json.dumps(data), json.dumps(data, indent=4)],
        "numbers": [
            drawn("0123456789"),
            repr([rng.gauss(0, 1) for _ in range(300)]),
            repr(list(range(0, 10**6, 3333))),
        ],
        "boards": [
            "\n".join(" ".join(drawn(".XO", 8)) for _ in range(99)),
            "/".join(drawn(".XO", 8) for _ in range(99)),
        ],
        "base64, hexadecimal": [base64.b64encode(rng.randbytes(2000)).decode(), rng.randbytes(1000).hex()],
        "random letters": [drawn(lower), drawn(lower.upper()), drawn(lower + lower.upper())],
        "random signs": [drawn("".join(map(chr, range(33, 48)))), drawn("".join(map(chr, range(32, 127))))],
        "white space": [" " * 3000, "\t" * 3000, "\n" * 3000, drawn(" \t\r\n")],
        "emoji": ["".join(chr(rng.randrange(0x1F300, 0x1F700)) for _ in range(500))],
        "Chinese, Japanese, Korean": [
            "每次迭代都会得到反馈，然后模型给出新的数值。" * 20,
            "実行トレースを使ってプログラムのパラメータを改善します。" * 20,
            "실행 추적을 사용하여 프로그램의 매개변수를 개선합니다. " * 20,
            "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(800)),
        ],
        "Arabic, Hindi, Russian": [
            "نقترح طريقة جديدة لتحسين معلمات البرنامج. " * 20,
            "हम प्रोग्राम के मापदंडों को सुधारने के लिए एक नई विधि प्रस्तावित करते हैं। " * 20,
            "Мы предлагаем новый метод улучшения параметров программы. " * 20,
        ],
        "German, French, Polish, Latin": [
            "Ausführungsspuren dienen dazu, die Parameter eines Programms schrittweise zu verbessern. " * 20,
            "La méthode utilise la trace d'exécution pour améliorer les paramètres d'un programme. " * 20,
            "Proponujemy nową metodę optymalizacji programów, wykorzystującą ślady wykonania. " * 20,
            "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt. " * 20,
        ],
        "made-up words": [syllables],
    }


def first_prompts() -> Iterator[str]:
    """Yields the first prompt of each agent that uses a model, on each environment."""
    names = [name for name in opto_gym.registered_agents() if issubclass(agent_class(name), ModelAgent)]
    with mock.patch.dict("os.environ", OPENAI_BASE_URL="http://127.0.0.1:9", OPTO_GYM_MODEL="none"):  # nothing is sent
        for env in ENVS:
            for name in names:
                request = prompts.first_request(env, name)
                yield "\n\n".join(message["content"] for message in request["messages"])


def embedded(text: str) -> int:
    """The number of tokens of a text according to the embedded model's tokenizer."""
    empty, whole = ([{"role": "user", "content": t}] for t in ("", text))
    return local.server().count(whole) - local.server().count(empty)


def row(name: str, samples: list[str], *counts: Callable[[str], int]) -> str:
    """A row of the table: for each tokenizer, the lowest, mean and highest ratio of the rule's count to the real one.

    Args:
        name: The kind of text.
        samples: The texts.
        counts: The tokenizers, as functions from a text to its number of tokens.
    """
    cells = []
    for count in counts:
        ratios = sorted(count_tokens(text) / count(text) for text in samples)
        cells.append(f"{ratios[0]:.2f} / {sum(ratios) / len(ratios):.2f} / {ratios[-1]:.2f}")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the table."""
    print("| text | cl100k_base (GPT-4) | the embedded model |\n| --- | --- | --- |")
    for name, samples in {"first prompts": list(first_prompts()), **texts()}.items():
        print(row(name, samples, count_exactly, embedded), flush=True)


if __name__ == "__main__":
    main()
