from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym.reading.proposals import Unusable, read_suggestion, read_tags, schema
from tests.support.tasks import EVERY_KIND

CODE = 'def f(x):\n    return {"a": "}\\n\'"}[x]\n'


def read(text):
    return read_suggestion(text, EVERY_KIND)


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ('{"reasoning": "r", "answer": "", "suggestion": {"n": 5.5}}', {"n": 5.5}),
        ('Sure!\n```json\n{"suggestion": {"n": 5}}\n```\nDone.', {"n": 5.0}),
        ('prose {"suggestion": {"n": 2,},} prose', {"n": 2.0}),
        ("{'suggestion': {'p': 'it is'}}", {"p": "it is"}),
        ('{"n": "5.5", "k": "3"}', {"n": 5.5, "k": 3}),
        ('{"suggestion": {"k": 5.0}}', {"k": 5}),
        ('{"suggestion": {"k": 20.5}}', {"k": 20.5}),  # the oracle says what is wrong with it
        ('{"suggestion": {"k": 700}}', {"k": 700}),
        ('{"suggestion": {"c": "False"}}', {"c": False}),
        ('{"suggestion": {"c": "auto"}}', {"c": "auto"}),
        ('{"suggestion": {"order": [2, 0.0, 1]}}', {"order": [2, 0, 1]}),
        ('{"suggestion": {"order": "2 -> 0 -> 1"}}', {"order": [2, 0, 1]}),
        ('{"suggestion": {"order": [2, 2, 0.5]}}', {"order": [2, 2, 0.5]}),  # the oracle says what is wrong with it
        ('{"suggestion": {"p": "a\nb definition"}}', {"p": "a\nb definition"}),
        ('{"suggestion": {"p": 7}}', {"p": "7"}),
        ('{"suggestion": {"unknown": 1, "p": "x"}}', {"p": "x"}),
        ('{"suggestion": {"p": "TERMINATE when done"}}', {"p": "TERMINATE when done"}),
        ('{"suggestion": {"f": "```python\\ndef f(x):\\n    return 1\\n```"}}', {"f": "def f(x):\n    return 1\n"}),
        ('{"suggestion": {"p": "x", "n": 3', {"p": "x", "n": 3.0}),
        ('{"reasoning": "broken " quote", "suggestion": {"n": 4}}', {"n": 4.0}),
        (json.dumps({"suggestion": {"f": CODE}}), {"f": CODE}),
        ('{"suggestion": {"f": "def f(x: not python"}}', {"f": "def f(x: not python"}),
    ],
)
def test_forgiving_of_form(answer, values):
    assert read(answer) == values


@pytest.mark.parametrize(
    "answer",
    ["", "I can't.", "TERMINATE", "{}", '{"suggestion": {}}', '{"suggestion": null}', '{"suggestion": {"n": null}}',
     '{"suggestion": {"n": [1]}}', '{"suggestion": {"n": true}}', '{"suggestion": {"f": null}}',
     '{"suggestion": {"p": ["a"]}}', '{"suggestion": {"n": "five"}}', '{"suggestion": {"c": [true]}}',
     '{"suggestion": {"order": []}}', '{"suggestion": {"order": [2, 2, "x"]}}', '{"suggestion": {"order": 5}}',
     '{"suggestion": {"order": "none"}}', "[1, 2]", "5"],
)  # fmt: skip
def test_unusable(answer):
    with pytest.raises(Unusable):
        read(answer)


@pytest.mark.parametrize("name", [*"nkcp", "order"])
@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 10_000])
def test_no_number_is_longer_than_python_can_show(name, number):
    try:
        values = read(f"{{'suggestion': {{'{name}': {number}}}}}")
    except Unusable:
        return
    assert json.dumps(values)


@pytest.mark.parametrize("name", ["n", "c", "p", "order"])
def test_lists_of_any_depth_are_no_value(name):
    for depth in (*range(150, 1100, 7), 10_000):  # json, repr and recursion each end at a depth of their own
        nested = f"[{'[' * depth}{']' * depth}]"
        with pytest.raises(Unusable):
            read(f'{{"suggestion": {{"{name}": {nested}}}}}')


def test_python_s_tuples_are_lists():
    assert read("{'order': (2, 0, 1)}") == {"order": [2, 0, 1]}


@pytest.mark.parametrize(
    "sent", [" ", "<reasoning>", "<variable><name>n</name><value>", "</value> ", "<variable><name>"]
)
@pytest.mark.parametrize("start", ["", "<variable><name>", "<variable><name>n</name><value>5"])
def test_tags_take_linear_time(start, sent):
    begin = time.process_time()
    try:
        read_tags(start + sent * (300_000 // len(sent)), EVERY_KIND)
    except Unusable:
        pass
    assert time.process_time() - begin < 2


def test_what_a_record_can_t_hold_is_replaced():
    assert read('{"suggestion": {"p": "a\\ud800b", "c": "\\ud83d\\ude00"}}') == {"p": "a\ufffdb", "c": "\U0001f600"}


@given(st.text() | st.text("{}[]\":,'n kpf\\\n0123456789", max_size=200))
def test_no_answer_breaks_the_parser(text):
    try:
        values = read(text)
    except Unusable:
        return
    assert values.keys() <= {p.name for p in EVERY_KIND.parameters}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=5), x, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*"nkcpf", "order"]), json_values), st.text(max_size=30), st.text(max_size=30))
def test_no_json_breaks_the_parser(values, before, after):
    try:
        read(before + json.dumps({"suggestion": values}) + after)
    except Unusable:
        pass


# backspaces and form feeds of JSON are read as the commands of LaTeX that models write with one backslash;
# lone surrogates, which no record can hold, are replaced
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\b\f"), max_size=500),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 9),
)
def test_a_proper_answer_comes_through_whole(text, n, k):
    answer = {"reasoning": "because", "suggestion": {"p": text, "n": n, "k": k, "f": CODE}}
    assert read(json.dumps(answer)) == {"p": text, "n": n, "k": k, "f": CODE}
    assert read(f"Here:\n{json.dumps(answer, ensure_ascii=False)}") == {"p": text, "n": n, "k": k, "f": CODE}


def test_the_schema_names_every_parameter():
    s = schema(EVERY_KIND)
    assert s["properties"]["suggestion"]["required"] == [*"nkcpf", "order"]
    assert s["properties"]["suggestion"]["properties"]["k"] == {"type": "integer"}
