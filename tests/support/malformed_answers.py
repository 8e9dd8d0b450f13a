"""Malformed answers of a language model: real ones, and what mutation, hypothesis and malice make of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from opto_gym import Code, Number, Parameter, Permutation, Prompt
from tests.support.tasks import Mixed

SAID = [text for _, text in json.loads(Path(__file__).with_name("model_answers.json").read_text())]
"""What the embedded SmolLM2 answered to each agent, free and constrained, on three small tasks."""


class Everything(Mixed):
    """A parameter of each kind."""

    parameters = (*Mixed.parameters, Parameter("w", Number(), 0.0), Parameter("order", Permutation(3), [0, 1, 2]))

    def forward(self, p, example):
        return p.change(p.text * p.times + p.mark) + p.order[0] * "." + (p.w > 0) * "+"


VALUES = {
    "times": 3,
    "mark": "?",
    "text": "It's a {longer} text,\nof two lines",
    "change": 'def change(text):\n    # {"a": [1, "}"]}\n    return text + "\'!\\n"\n',
    "w": -2.5,
    "order": [2, 0, 1],
}
LITERAL = {name: json.dumps(value) if isinstance(value, list) else str(value) for name, value in VALUES.items()}
BLOCKS = [f"<variable>\n<name>{name}</name>\n<value>\n{v}\n</value>\n</variable>" for name, v in LITERAL.items()]
WELL_FORMED = [
    json.dumps({"reasoning": "The text is short.", "answer": "", "suggestion": VALUES}),
    json.dumps({"suggestion": VALUES}, indent=1),
    f"Sure!\n```json\n{json.dumps({'suggestion': VALUES})}\n```\nDone.",
    str({"suggestion": VALUES}),
    "\n".join(["<reasoning>The text is short.</reasoning>", *BLOCKS]),
    "\n".join(f"<{name}>{value}</{name}>" for name, value in LITERAL.items()),
    *(f"It is too short.\n<new_value>\n{value}\n</new_value>" for value in LITERAL.values()),
    "[times=3, w=2]",
    '{"reasoning": "the second is longer", "suggestion": {"choice": 2}}',
    *("TERMINATE", "The answer is (B).", "Answer: 18", "So it is forty-two.", "No, it is not valid.", "] ) >"),
]
"""An answer in each form that an agent or a task asks for."""

REAL = SAID + WELL_FORMED
NASTY = [
    *("\0", "\ud800", "\udfff", "\\ud800", "\\u0000", "\x1b[0m", "\u202e", "\ufeff", "\r", "\x0c", "\u2028"),
    *('"', "'", "\\", "{", "}", "[", "]", "<", ">", "`", "```", ",", ":", "-", "\n", " ", "%", "$"),
    *("NaN", "Infinity", "1e999", "null", "true", "\u0663", "\u00b2", "\U0001f600", "e\u0301", "def", "TERMINATE"),
    *("</value>", "</variable>", "<reasoning>", "<new_value>", "</new_value>", '"suggestion": {', "{n}"),
]
ATOMS = [
    *NASTY,
    *("[{", '{"a":', '"n": ', "w:", "w: [", "(A)", "1,", "9", "0x", "not ", "lambda:", "answer is ", "one ", "twenty-"),
    *("<variable>", "<variable><name>w</name><value>", "```\n", "{'w': ", "(", "def f(x):\n", "x = 1\n", "-", "+1"),
]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
HOSTILE = st.text(st.characters(), max_size=60) | st.lists(st.sampled_from(ATOMS), max_size=30).map("".join)
MADE = HOSTILE | st.builds(
    lambda values, before, after: before + json.dumps({"suggestion": values}, ensure_ascii=False) + after,
    st.dictionaries(st.sampled_from([*VALUES, "choice"]), ANY_JSON | HOSTILE, min_size=1, max_size=4),
    *(HOSTILE, HOSTILE),
)


def truncated(real: str, rng: random.Random) -> str:
    """A real answer up to a place, or from it on."""
    at = rng.randrange(len(real))
    return real[:at] if rng.random() < 0.8 else real[at:]


def cut(real: str, rng: random.Random) -> str:
    """A real answer that lacks a piece, or repeats it."""
    a, b = sorted(rng.randrange(len(real) + 1) for _ in "ab")
    return real[:a] + real[a:b] * rng.choice([0, 2, 3]) + real[b:]


def poked(real: str, rng: random.Random) -> str:
    """A real answer with up to five nasty pieces, in between or in place of something."""
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(real) + 1)
        real = real[:at] + rng.choice(NASTY) + real[at + rng.choice([0, 0, 1, 3]) :]
    return real


def spliced(real: str, rng: random.Random) -> str:
    """The beginning of one real answer and the end of another."""
    other = rng.choice(REAL)
    return real[: rng.randrange(len(real))] + other[rng.randrange(len(other)) :]


def wrong_types(_: str, rng: random.Random) -> str:
    """A well-formed answer, in one of the forms, where values belong to another parameter or none."""
    strange = [
        *(
            None,
            True,
            False,
            0,
            -1,
            5.9,
            10**25,
            1e308,
            float("nan"),
            float("-inf"),
            "",
            " ",
            "nan",
            "7",
            "\0",
            "\ud800",
        ),
        *([], [1], ["a"], [[1]], [2, 0, 1, 1], [0.5], {}, {"value": 3}, {"\ud800": "\ud800"}, "def f(:", "0 -> 1 -> 2"),
    ]
    values = {k: rng.choice([v, *rng.sample(strange, 3), *VALUES.values()]) for k, v in VALUES.items()}
    tags = "".join(f"<variable><name>{k}</name><value>{v}</value></variable>" for k, v in values.items())
    own_tags = "".join(f"<{k}>{v}</{k}>" for k, v in values.items())
    new = f"<new_value>{rng.choice(list(values.values()))}</new_value>"
    answer = json.dumps({"suggestion": values | {"choice": rng.choice(strange)}}, ensure_ascii=rng.random() < 0.5)
    return rng.choice([answer, json.dumps(values), str({"suggestion": values}), tags, own_tags, new])


def hostile_size(real: str, rng: random.Random) -> str:
    """A small piece a thousand times and more, alone, within a real answer or as a value: up to 200,000 characters."""
    size, atom = int(10 ** rng.uniform(3, 5.3)), rng.choice(ATOMS)
    many, at = atom * (size // len(atom)), rng.randrange(len(real) + 1)
    name = rng.choice(list(VALUES))
    forms = [many, real[:at] + many + real[at:], json.dumps({"suggestion": {name: many}}), f"<{name}>{many}</{name}>"]
    forms += [f'{{"suggestion": {{"{name}": {many}', f"<variable><name>{name}</name><value>{many}</value></variable>"]
    forms += [f"<new_value>{many}</new_value>", f"The answer is {many}", f"<variable><name>{many}", f"```\n{many}```"]
    return rng.choice(forms)


MUTATORS = {
    "as it is": (lambda real, rng: real, 2),
    "truncated": (truncated, 20),
    "cut": (cut, 17),
    "poked": (poked, 25),
    "spliced": (spliced, 10),
    "wrong types": (wrong_types, 15),
    "hostile size": (hostile_size, 1),
}
"""Kind -> (what makes one of a real answer, how many of a hundred). The other ten are hypothesis'."""


def malformed(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Malformed answers with their kinds: the same for a seed, and for a version of hypothesis."""
    rng, made = random.Random(seed), list[str]()

    @settings(max_examples=-(-count // 10), derandomize=True, database=None, phases=[Phase.generate], deadline=None)
    @given(MADE)
    def make(text: str) -> None:
        made.append(text)

    make()
    kinds, weights = [*MUTATORS, "hypothesis"], [*(weight for _, weight in MUTATORS.values()), 10]
    for kind in rng.choices(kinds, weights, k=count):
        if kind == "hypothesis":
            yield kind, made[rng.randrange(len(made))]
        else:
            yield kind, MUTATORS[kind][0](rng.choice(rng.choice([SAID, WELL_FORMED])), rng)


def of_kind(parameter: Parameter, value: object) -> bool:
    """Whether a value has its parameter's kind; if it is in its space is for the environment to judge."""
    space = parameter.space
    if isinstance(space, Number):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(space, Prompt | Code):
        return isinstance(value, str)
    return isinstance(value, list if isinstance(space, Permutation) else str | int | float)


def recordable(values: dict[str, object]) -> bool:
    """Whether a record can hold values as they are."""
    try:
        return bool(json.dumps(values, ensure_ascii=False).encode())
    except (ValueError, RecursionError, TypeError):
        return False
