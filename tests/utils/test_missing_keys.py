"""KeyErrors whose key is of another type than the dict's keys: in the sandbox, in one's own program, in operators."""

from __future__ import annotations

import re

import pytest

from opto_gym import trace
from opto_gym.sandbox import Sandbox
from opto_gym.trace import ExecutionError, node, operator, parameter
from opto_gym.utils.missing_keys import explain

CASES = [  # the dict, the key that is not in it, what is said
    ({3: "nails", 4: "bolts"}, "3", "the keys are integers, such as 3; got the text '3'"),
    ({4: "bolts"}, "3", "the keys are integers, such as 4; got the text '3'"),
    ({"3": "nails"}, 3, "the keys are texts, such as '3'; got the integer 3"),
    ({"a": 1, "3": 2}, 3, "the keys are texts, such as '3'; got the integer 3"),
    ({(0, 1): "sea"}, "0,1", "the keys are tuples, such as (0, 1); got the text '0,1'"),
    ({"0,1": "sea"}, (0, 1), "the keys are texts, such as '0,1'; got the tuple (0, 1)"),
    ({(5,): 1}, 5, "the keys are tuples, such as (5,); got the integer 5"),
    ({0.5: "half"}, "0.5", "the keys are numbers, such as 0.5; got the text '0.5'"),
    ({3: 1, (1, 2): 2}, "3", "there is the integer 3; got the text '3'"),
    ({"nails": 1}, "nail", ""),
    ({3: 1, "4": 2}, "3", ""),
    ({3: 1}, 4, ""),
    ({}, "3", ""),
    ({None: 1}, "3", ""),
]
IDS = [f"{key!r} in {d!r}" for d, key, _ in CASES]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as s:
        yield s


@pytest.mark.parametrize(("stock", "key", "said"), CASES, ids=IDS)
def test_in_a_candidate(sandbox, stock, key, said):
    source = f"def find(x):\n    stock = {stock!r}\n    return stock[{key!r}]\n"
    with sandbox.load({"find": source}) as process:
        error = process.call("find", [1]).error
    assert error.message == f"{key!r} ({said})" if said else repr(key)
    assert error.line == 3


def test_in_an_argument_of_a_candidate_and_in_a_global(sandbox):
    source = "TABLE = {1: {2: 3}}\n\ndef find(x):\n    return {0}\n"
    for asked, said in (
        ("x['shops'][0][3]", "3 (the keys are texts, such as '3'; got the integer 3)"),
        ("TABLE[1]['2']", "'2' (the keys are integers, such as 2; got the text '2')"),
        ("int(x['shop'])", "'shop'"),
    ):
        with sandbox.load({"find": source.replace("{0}", asked)}) as process:
            assert process.call("find", [{"shops": [{"3": "nails"}]}]).error.message == said


def test_the_search_ends_on_large_and_circular_values():
    circle = [{"a": 1}] * 300
    circle.append(circle)
    large = dict.fromkeys(range(20_000), circle)
    with pytest.raises(KeyError) as raised:
        large["3"]
    assert explain(raised.value) == explain(raised.value, [circle, [[circle] * 1000] * 1000]) == ""


@trace.bundle(trainable=True)
def choose(stock):
    """Chooses."""
    return stock["3"]


def test_in_ones_own_program():
    with pytest.raises(KeyError) as raised:
        choose(node({3: "nails"}))
    assert isinstance(raised.value, ExecutionError)
    said = "(KeyError) '3' (the keys are integers, such as 3; got the text '3')"
    assert raised.value.exception_node.data.startswith(said)


def test_in_an_operator_and_in_the_index_of_a_node():
    @operator
    def look_up(stock, key):
        """Looks up."""
        return stock[key]

    stock, key = node({3: "nails"}, "stock"), parameter("3", "key")
    for fails in (lambda: look_up(stock, key), lambda: stock[key], lambda: node({"3": 1})[parameter(3, "key")]):
        with pytest.raises(ExecutionError) as raised:
            fails()
        said = trace.backward(raised.value.exception_node).to_pseudocode()
        assert re.search(r"3'? \(the keys are (integers|texts), such as '?3'?; got the (text|integer) '?3'?\)", said)
