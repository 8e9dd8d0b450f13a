"""Each row of the table in docs/tracing.md, and the golden test of the Trace paper's figure 4."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle

import numpy as np
import pytest

from opto_gym import trace
from opto_gym.errors import EndpointError
from opto_gym.trace import ExecutionError, TraceError, TraceGraph, backward, node, operator, parameter


@pytest.fixture
def x():
    return parameter(3, "x")


def shown(n):
    graph = backward(n)
    return graph.sections()["code"].splitlines()


class Thing:
    size = 4

    def grow(self, by):
        return self.size + by


@pytest.mark.parametrize(
    ("expression", "value", "code"),
    [
        (lambda x: x + 2, 5, "add0 = x + 2"),
        (lambda x: 2 - x, -1, "sub0 = 2 - x"),
        (lambda x: -x, -3, "neg0 = -x"),
        (lambda x: x < 5, True, "lt0 = x < 5"),
        (lambda x: x == 3, True, "eq0 = x == 3"),
        (lambda x: abs(x), 3, "abs0 = abs(x)"),
        (lambda x: round(x / 2), 2, "round0 = round(truediv0)"),
        (lambda x: np.float64(2.0) * x, 6.0, "mul0 = 2.0 * x"),
        (lambda x: divmod(x, 2), (1, 1), "divmod0 = divmod(x, 2)"),
    ],
)
def test_traced(x, expression, value, code):
    n = expression(x)
    assert n.data == value
    assert shown(n)[-1] == code


def test_items_attributes_and_methods_are_traced():
    words = parameter("ab cd", "words")
    assert shown(words.split(" ")[1].upper())[-1] == "upper0 = getitem0.upper()"
    thing = node(Thing())
    by = parameter(3, "by")
    assert shown(thing.grow(by)) == ["grow0 = input0.grow(by)"]
    assert thing.size.data == 4


def test_control_flow_asks_the_value():
    n = parameter([1, 2], "l")
    assert len(n) == 2
    assert 2 in n
    assert bool(n)
    assert [i.data for i in n] == [1, 2]
    a, b = n
    assert shown(a + b) == ["getitem0 = l[0]", "getitem1 = l[1]", "add0 = getitem0 + getitem1"]
    assert list(parameter({"k": 1}, "d")) == ["k"]
    assert n is not None
    assert not isinstance(n, list)


@pytest.mark.parametrize(
    "leave", [int, float, complex, range, "{}".format, lambda n: f"{n}", lambda n: [1, 2, 3, 4][n], lambda n: f"{n:>9}"]
)
def test_leaving_the_trace_names_the_mend(x, leave):
    for n in (x, x + 0):
        with pytest.raises(TraceError, match=r"@operator|\.data"):
            leave(n)


def test_hash_copy_pickle_and_json(x):
    n = x + 1
    with pytest.raises((TypeError, TraceError), match=r"unhashable|key of a plain dictionary"):
        hash(n)
    assert copy.copy(n) is n
    assert copy.deepcopy(n) is n
    assert backward(pickle.loads(pickle.dumps(n))) == backward(n)
    with pytest.raises(TypeError):
        json.dumps(n)
    assert str(n) == "<add: 4>"
    assert pickle.loads(pickle.dumps(backward(n))) == backward(n)


def test_an_operator_without_nodes_is_a_plain_function():
    @operator
    def double(a):
        """Doubles."""
        return 2 * a

    assert double(4) == 8
    assert double(parameter(4, "x")).data == 8


def test_async_methods_keywords_and_several_outputs(x):
    @operator
    async def later(a, b=5):
        """Adds, later."""
        await asyncio.sleep(0)
        return a + b, a - b

    total, difference = asyncio.run(later(x, b=1))
    assert (total.data, difference.data) == (4, 2)
    assert shown(total)[0] == "later0 = later(a=x, b=1)"


def test_a_trace_shows_what_was():
    board = [["."]]
    n = node(board, "board")

    @operator
    def look(board, x):
        """Looks."""
        return board[0][0]

    seen = look(n, parameter(0, "x"))
    board[0][0] = "X"
    assert "grid(.)" in backward(seen).sections()["inputs"]


def test_changing_an_input_in_place_is_refused(x):
    @operator
    def push(items, x):
        """Appends."""
        items.append(x)
        return items

    with pytest.raises(TraceError, match="in place"):
        push(node([1]), x)


def test_errors_keep_their_type_and_carry_the_error_node():
    n = parameter([1, 2], "l")
    with pytest.raises(IndexError, match="out of range") as caught:
        n[7]
    assert isinstance(caught.value, ExecutionError)
    graph = backward(caught.value.exception_node)
    assert graph.error == "(IndexError) list index out of range"

    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a}-{b}")

    @operator
    def fails(x):
        """Fails."""
        raise Odd(1, 2)

    with pytest.raises(Odd, match="1-2"):
        fails(n)

    @operator
    def asks(x):
        """Asks a dead endpoint."""
        raise EndpointError("dead")

    with pytest.raises(EndpointError) as dead:
        asks(n)
    assert not isinstance(dead.value, ExecutionError)


@pytest.mark.parametrize("bomb", [lambda n: n**10**6, lambda n: n << 10**9, lambda n: node("ab") * (n * 10**9)])
def test_bombs_are_refused(x, bomb):
    with pytest.raises(OverflowError):
        bomb(x)


def test_code_parameters_name_the_line():
    @trace.bundle(trainable=True)
    def f(x):
        """First."""
        return x[0]

    assert f(node([1])).data == 1
    f.data = "import math\ndef f(x):\n    return x[9]\n"
    code = f
    with pytest.raises(IndexError) as caught:
        code(node([1]))
    assert caught.value.line == 3
    assert "[line 3: return x[9]]" in caught.value.exception_node.data


def test_figure_4_of_the_paper():
    @operator
    def bar(x):
        """This is a test, it does negative scaling."""
        return -2 * x

    @operator
    def add(b, a):
        """Adds."""
        return b + a

    @operator
    def mul(a, y):
        """Multiplies."""
        return a * y

    x = parameter(-1, "x", constraint="a whole number")
    a = bar(x)
    z = mul(a, add(node(1, "b"), a))
    assert dict(backward(z).sections()) == {
        "code": "bar0 = bar(x=x)\nadd0 = add(b=b0, a=bar0)\nmul0 = mul(a=bar0, y=add0)",
        "documentation": "[bar] This is a test, it does negative scaling.\n[add] Adds.\n[mul] Multiplies.",
        "variables": "(int) x=-1",
        "constraints": "(int) x: a whole number",
        "inputs": "(int) b0=1",
        "others": "(int) bar0=2\n(int) add0=3",
        "outputs": "(int) mul0=6",
    }


def test_json_both_ways_and_damage(x):
    graph = backward((x + 1) * [1, 2.5, float("nan"), (1, {2}), b"x", {"a": None}, "ü"][0])
    assert TraceGraph.from_json(graph.to_json()) == graph
    for text in ("", "{}", graph.to_json()[:-5], graph.to_json().replace('"output":2', '"output":99')):
        with pytest.raises(TraceError):
            TraceGraph.from_json(text)


@pytest.mark.parametrize("budget", [200, 500, 2000])
def test_renderers_keep_their_budget(budget):
    n = parameter("long " * 200, "text") + ""
    for k in range(300):
        n = n.replace(str(k), "x" * (k % 7)) if k % 5 else n + "y"
    graph = backward(n)
    for text in (graph.to_pseudocode(budget), graph.to_mermaid(budget), graph.to_graphviz(budget)):
        assert len(text) <= budget


@pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_many_nodes_need_no_recursion(length):
    n = parameter(0, "x")
    for _ in range(length):
        n = n + 1
    graph = backward(n)
    assert len(graph) == length + 1
    assert len(graph.to_pseudocode(2000)) <= 2000
    del n, graph


@pytest.mark.parametrize("name", ["add", "list", "neg", "getitem"])
def test_a_function_with_the_name_of_an_operation_of_python_is_written_as_a_call(name):
    made = operator(lambda *values: 0, name=name)(parameter(3, "x"), 1)
    assert f"{name}_0 = {name}_(x, 1)" in backward(made).to_pseudocode()
