"""Small traced programs and answers to prompts about them, made at random for differential tests."""

from __future__ import annotations

import json
import random

LIBRARY = '''from traced import bundle, node, parameter  # one library's or the other's


@bundle()
def combine(a, b):
    """Combines a and b."""
    return a * 2 + b


@bundle()
def pick(flag, a, b):
    """Gives a or b by the flag."""
    return a if flag else b


@bundle()
def length(text):
    """Counts the characters."""
    return len(text)


@bundle()
def label(text, a):
    """Writes the number behind the text."""
    return f"{text}: {a}"


@bundle()
def strict(a):
    """Passes small numbers on."""
    if a > 9:
        raise ValueError(f"{a} is too large")
    return a


@bundle(trainable=True)
def change(a):
    """Changes a."""
    return a + 1
'''
"""The module ``operators``, for all programs: trace-opt takes 50 ms to make them."""
STARTS = {
    "count": (3, "a whole number"),
    "size": (2.5, None),
    "word": ("two\nlines", "a word"),
    "flag": (True, None),
    "items": ([3, 1, 2], None),
}
VALUES = [0, 5, -3, 5.9, "5", "5.5", "abc", "", " ", "def", "define", "A definition.", "False", "[1, 2]", True, False]
VALUES += [None, [1, 2], {"a": 1}, 10**30, float("inf"), float("nan"), "a\nbreak", 'a "quote"', "a {brace} b", "it's"]
CODE = [
    "def change( a ):\n  return a*3",
    "def change(a):\n    '''Doc. '''\n    return (a - 1)\n\n\n",
]
CODE += [
    "def change(a: broken",
    "return a",
    "",
    " \n",
    None,
    5,
    ["def"],
    "lambda a: a",
    "def change(a):\n\treturn {'a': a}['a']",
    "def change(a):\n    b = a\n    return b['x']",
    "def change(a):\n    raise ValueError(f'no {a}')",
]


def program(rng: random.Random) -> tuple[list[str], str]:
    """(the parameters' names as trace-opt shows them, source of a module with ``parameters`` and ``forward()``)."""
    names = [n for n in STARTS if rng.random() < 0.6] or ["count"]
    lines = [f"{n} = parameter({STARTS[n][0]!r}, {n!r}, constraint={STARTS[n][1]!r})" for n in names]
    lines += ['base = node(4, "base")', 'text = node("fixed", "text")']
    numbers = ["base", *(n for n in names if n in ("count", "size"))]
    texts = ["text", *(n for n in names if n == "word")]
    calls: list[str] = []

    def say(expression: str, kind: list[str]) -> None:
        calls.append(f"v{len(calls)} = {expression}")
        kind.append(f"v{len(calls) - 1}")

    roots = [n for n in names if n in numbers]
    for n in names:
        if n in ("flag", "items", "word"):
            first, second = rng.choice(numbers), rng.randint(1, 9)
            say({"flag": f"pick(flag, {first}, {second})", "items": "items[1]", "word": "length(word)"}[n], numbers)
            roots.append(numbers[-1])
    for _ in range(rng.randint(2, 5)):
        a, b = rng.sample(
            [*numbers, str(rng.randint(2, 9))], 2
        )  # trace-opt breaks where a value is used twice in a call
        if a.isdigit():
            a, b = b, a
        kinds = [
            f"combine({a}, {b})",
            f"{a} + {b}",
            f"{a} * {b}",
            f"{a} - {b}",
            f"-{a}",
            f"change({a})",
            f"strict({a})",
        ]
        say(rng.choice(kinds), numbers)
    say(f"combine({numbers[-1]} - 1, {rng.choice(roots)})", numbers)  # so that a parameter reaches the output
    output = numbers[-1]
    if rng.random() < 0.3:
        say(f"label({rng.choice(texts)}, {output})", texts)
        output = texts[-1]
    given = ", ".join([*(f'"{n}0": {n}' for n in names), '"__code0": change'])
    lines = ["from operators import *", "", *lines]
    lines += [f"parameters = {{{given}}}", "", "", "def forward():", *(f"    {call}" for call in calls)]
    return [*(f"{n}0" for n in names), "__code0"], "\n".join([*lines, f"    return {output}", ""])


def answer(rng: random.Random, names: list[str]) -> str | None:
    """An answer in one of the forms that models give."""
    chosen = rng.sample(names, rng.randint(1, len(names)))
    values = {n: rng.choice(CODE if n == "__code0" and rng.random() < 0.8 else VALUES) for n in chosen}
    if rng.random() < 0.2:
        values["unknown"] = rng.choice(VALUES)
    data = {"reasoning": "Because.", "answer": "", "suggestion": values}
    text = json.dumps(data)
    forms = [text] * 6
    forms += [f"Sure:\n```json\n{text}\n```\nDone.", json.dumps(data, indent=2), text.replace("\\n", "\n")]
    forms += [text.replace("Because", "No need to TERMINATE"), "TERMINATE", "", None, "I can't.", repr(data)]
    forms += [text.replace("}}", ",}}"), f"{text}\n{text}", json.dumps(values), text[: rng.randrange(len(text))]]
    forms += [text.replace('", "', '" "'), json.dumps({"suggestion": list(values)}), json.dumps([data])]
    return rng.choice(forms)
