"""The table of answers, and good answers that are cut at every byte."""

from __future__ import annotations

import collections
import dataclasses
import json
import random

import pytest

from opto_gym import Choice, Code, Number, Parameter, Permutation, Problem, Prompt
from opto_gym.reading.actions import read_action
from opto_gym.reading.code import read_code
from opto_gym.reading.no_change import says_no_change
from opto_gym.reading.proposals import Unusable, read_suggestion, read_tags
from opto_gym.reading.solutions import read_solution
from opto_gym.reading.values import read_value
from tests.reading.cases import GITHUB, OWN, REFUSED, ROWS
from tests.support.soak import SOAK
from tests.support.tasks import EVERY_KIND

LINE = Problem(
    "line", {}, "o",
    (
        Parameter("w", Number(-1000, 1000), 0.0),
        Parameter("b", Number(-1000, 1000, integer=True), 0),
        Parameter("p", Prompt(), "Go."),
    ),
    (0.0, 1.0),
)  # fmt: skip
NUMBERS = dataclasses.replace(LINE, parameters=LINE.parameters[:2])


def read(reader, text, cut=False):
    """What a reader makes of a text; REFUSED if it refuses it."""
    kind, _, name = reader.partition(" ")
    try:
        if kind == "value":
            (alone,) = [p for p in EVERY_KIND.parameters if p.name == name]
            return read_value(text, dataclasses.replace(EVERY_KIND, parameters=(alone,)), cut=cut)
        if kind == "solution":
            return read_solution(text, LINE if "<p>" in text else NUMBERS, cut=cut)
        if kind == "code":
            return read_code(text, "f")
        if kind == "action":
            return read_action(text, cut=cut)
        return {"suggestion": read_suggestion, "tags": read_tags}[kind](text, EVERY_KIND, cut=cut)
    except Unusable:
        return REFUSED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.reader)
def test_an_answer_is_read_as_meant_or_refused(row):
    reader, _, cut = row.reader.partition(", ")
    assert read(reader, row.text, cut == "cut") == row.value, row.source


def test_the_table_is_large_enough():
    readers = collections.Counter(row.reader.partition(",")[0].partition(" ")[0] for row in ROWS)
    assert len(readers) == 6
    assert min(readers.values()) >= 30
    assert len(ROWS) >= 220
    assert sum(row.source.startswith(GITHUB) for row in ROWS) >= 80
    assert all(row.source == OWN or row.source.startswith(GITHUB) for row in ROWS)


@pytest.mark.parametrize(
    ("text", "decides"),
    [
        ("TERMINATE", True),
        ('"TERMINATE"', True),
        ("**TERMINATE**.", True),
        ("```\nTERMINATE\n```", True),
        ("```text\nTERMINATE\n```", True),
        ("terminate", True),
        ("`Terminate`", True),
        ("<answer>TERMINATE</answer>", True),
        ("The output is as good as it gets.\n\nTERMINATE", True),
        ("Answer: TERMINATE", True),
        ('{"answer": "TERMINATE"}', True),
        ('{"suggestion": "TERMINATE"}', True),
        ('{"reasoning": "done", "answer": "TERMINATE", "suggestion": {}}', True),
        ('{"reasoning": "TERMINATE, since it is solved", "suggestion": {}}', True),
        ('{"suggestion": {}}\nTERMINATE', True),
        ('{"TERMINATE": true}', True),
        ("No change is needed.", True),
        ("The value is good; no further changes are necessary.", True),
        ("It does not need to be changed.", True),
        ("", False),
        ("I can't.", False),
        ("{}", False),
        ('{"suggestion": {}}', False),
        ("Do not TERMINATE yet", False),
        ("A change is needed.", False),
        ("The program terminates too late.", False),
    ],
)
def test_a_decision_to_change_nothing(text, decides):
    assert says_no_change(text) is decides


PROMPTS = ["Go.", 'Say "12", then\nstop', "Use {x} and [y].", "Give $\\frac{1}{2}$", "a </think> b", "TERMINATE later"]
CODES = ["def f(x):\n    return x\n", 'def f(x):\n    """Doc {."""\n    return {"n": 125}[x]\n']


def good_answers(count, seed=0):
    """(reader, a good answer): of all readers and forms, some with a draft or reasoning before and prose after."""
    rng = random.Random(seed)
    for _ in range(count):
        values = {"n": rng.choice([125, -2.5, 17]), "k": rng.randint(0, 9), "p": rng.choice(PROMPTS)}
        values["f"] = rng.choice(CODES)
        values["order"] = rng.choice([[2, 0, 1], [1, 2, 0]])
        values = {name: values[name] for name in rng.sample(list(values), rng.randint(1, 4))}
        draft = {name: 1 if name in "nk" else value for name, value in values.items()}
        reader = rng.choice(["suggestion", "tags", "solution", "action", "value n", "value p", "value f"])
        before = rng.choice(
            ["", "", "Sure:\n", "<think>{d} is low</think>\n", "First idea:\n{d}\nThat overshoots. Then:\n"]
        )
        text = before.replace("{d}", formed(reader, draft, rng)) + formed(reader, values, rng)
        yield reader, text + rng.choice(["", "\n", "\nThis answers the feedback on x."])


def formed(reader, values, rng):
    """Values in the form that a reader expects."""
    if reader == "tags":
        shown = {k: json.dumps(v) if isinstance(v, list) else v for k, v in values.items()}
        return "\n".join(f"<variable>\n<name>{k}</name>\n<value>\n{v}\n</value>\n</variable>" for k, v in shown.items())
    if reader == "solution":
        w, b = values.get("n", 17), values.get("k", 1)
        return rng.choice([f"<w>{w}</w>\n<b>{b}</b>", f"[w={w}, b={b}]", json.dumps({"w": w, "b": b})])
    if reader == "action":
        return json.dumps({"action": "offer", "give": "wood", "get": "gold", "quantity": values.get("k", 12)})
    if reader.startswith("value"):
        value = values.get(reader[-1], {"n": 125, "p": PROMPTS[1], "f": CODES[1]}[reader[-1]])
        fenced = f"```python\n{value}```" if reader == "value f" else value
        return rng.choice([f"<new_value>\n{fenced}\n</new_value>", json.dumps({reader[-1]: value})])
    text = json.dumps({"reasoning": "r", "suggestion": values}, indent=rng.choice([None, 1]))
    return rng.choice([text, f"```json\n{text}\n```"])


def adopts_another_value(reader, text, size):
    """Whether the beginning of an answer, which was cut there, is read as another value than the whole answer."""
    part = text.encode()[:size].decode("utf-8", "ignore")
    whole, got = read(reader, text), read(reader, part, cut=True)
    if got in (REFUSED, {}) or got == whole:
        return False
    parts = reader == "tags" and isinstance(whole, dict)  # blocks that had closed
    return not (parts and got.items() <= whole.items())


def test_a_part_of_a_good_answer_is_no_other_answer():
    rng = random.Random(1)
    for reader, text in good_answers(200, seed=1):
        for size in rng.sample(range(len(text.encode())), min(12, len(text))):
            assert not adopts_another_value(reader, text, size), (reader, text, size)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_part_of_any_good_answer_is_another_answer():
    for reader, text in good_answers(2000 if SOAK else 500):
        for size in range(len(text.encode())):
            assert not adopts_another_value(reader, text, size), (reader, text, size)


def test_the_whole_of_a_good_answer_is_read():
    assert all(read(reader, text) not in (REFUSED, {}) for reader, text in good_answers(300))


def test_a_choice_is_no_other_option():
    problem = Problem("c", {}, "o", (Parameter("c", Choice(["a", "ab"]), "a"),), (0.0, 1.0))
    with pytest.raises(Unusable, match="can't be read"):
        read_suggestion('{"suggestion": {"c": "a', problem, cut=True)
    order = Problem("o", {}, "o", (Parameter("order", Permutation(3), [0, 1, 2]),), (0.0, 1.0))
    with pytest.raises(Unusable, match="can't be read"):
        read_suggestion('{"suggestion": {"order": [2, 0, 1', order, cut=True)
    code = Problem("f", {}, "o", (Parameter("g", Code("g(x)"), "def g(x): pass"),), (0.0, 1.0))
    with pytest.raises(Unusable, match="no value for g"):
        read_suggestion("```python\ndef f(x):\n    return x\n```", code)
