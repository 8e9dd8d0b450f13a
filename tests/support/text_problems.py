"""Small graphs of texts, and answers that depend only on what a prompt says, for tests beside textgrad.

Every text begins with a mark: ``id7`` a value, ``f7`` a feedback, ``c`` and ten hexadecimal digits a criticism. A
criticism's mark is a hash of what was criticised and of the marks of what was said of it; so two criticisms are the
same only where all that they follow from is the same.
"""

from __future__ import annotations

import hashlib
import json
import random
import re

WORDS = ["count", "the", "letters", "of", "each", "word", "then", "say", "how", "many", "there", "are", "and", "stop"]
CONSTRAINTS = ["id1000001 no digits", "id1000002 two sentences"]
IN_CONTEXT = ["id1000003 let's go", "id1000004 think"]
USABLE = {
    "tagged": "Shorter is better.\n<{tag}>\n{new}\n</{tag}>",
    "bare": "<{tag}>{new}</{tag}>",
    "followed": "<{tag}>{new} </{tag}> This is better.",
    "unclosed": "Better:\n<{tag}>\n{new}",
}
"""Answers that give a new value, whoever reads them."""
ODD = {
    "untagged": "{new}",
    "blank": " \n",
    "null": None,
    "empty": "<{tag}></{tag}>",
    "named": "It comes between <{tag}> and </{tag}>:\n<{tag}>{new}</{tag}>",
    "twice": "<{tag}>id0 a first draft</{tag}> or rather <{tag}>{new}</{tag}>",
    "json": '{{"suggestion": {{"{name}": "{new}"}}}}',
}
"""Answers that the two read differently."""


def marks(text: str, kind: str = r"id\d+|f\d+|c[0-9a-f]{10}") -> list[str]:
    """The marks in a text."""
    return re.findall(rf"\b(?:{kind})\b", text)


def criticism(variable: str, successor: str, said: list[str]) -> str:
    """The answer to a request for criticism of a value by what is said of its successor."""
    return f"c{digest([variable, successor, sorted(said)])[:10]} be clearer"


def improved(
    variable: str, name: str, criticisms: list[str], forms: list[str], tag: str
) -> tuple[str, str, str | None]:
    """The answer to a request for a new value: (its form, the new value in it, the answer)."""
    chosen = digest([variable, sorted(criticisms)])
    form, new = forms[int(chosen[:6], 16) % len(forms)], f"id{int(chosen, 16) % 10**12} a better text"
    answer = {**USABLE, **ODD}[form]
    return form, new, answer and answer.format(tag=tag, new=new, name=name)


def digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def problem(rng: random.Random, steps: int) -> dict[str, object]:
    """Prompts with steps to try them in.

    A step is a batch of examples, each with texts given, with replies and a feedback on the last of them. A reply has a
    prompt and earlier texts (by number), and its value. Answers have all forms in the last step, usable ones before.
    """
    count = iter(range(1, 10**6))

    def text(kind: str = "id") -> str:
        return " ".join([f"{kind}{next(count)}", *rng.choices(WORDS, k=rng.randint(1, 30))])

    names = ["first", "second", "third"][: rng.randint(1, 3)]

    def example() -> dict[str, object]:
        inputs = [text() for _ in range(rng.randint(1, 2))]
        replies = []
        for k in range(rng.randint(1, 4)):
            there = range(len(inputs) + k)
            of = sorted({there[-1], *rng.sample(there, rng.randint(1, len(there)))} if rng.random() < 0.8 else {0})
            replies.append({"prompt": rng.choice(names), "of": of, "value": text()})
        return {"inputs": inputs, "replies": replies, "feedback": text("f")}

    return {
        "prompts": {name: {"role": text(), "value": text()} for name in names},
        "constraints": CONSTRAINTS[: rng.randrange(3)],
        "in_context": IN_CONTEXT[: rng.randrange(3)],
        "steps": [
            {
                "examples": [example() for _ in range(rng.randint(1, 3))],
                "forms": [*USABLE, *ODD] if k == steps - 1 else [*USABLE],
            }
            for k in range(steps)
        ],
    }
