"""Operators, parameters, code parameters, models."""

from __future__ import annotations

import asyncio
import copy
import threading

import pytest

from opto_gym import trace
from opto_gym.trace import (
    CodeParameter,
    ExecutionError,
    Node,
    TraceError,
    TraceGraph,
    backward,
    batch,
    bundle,
    model,
    node,
    operator,
    parameter,
)
from tests.support.programs import act, acting


def code(n):
    return backward(n).sections()["code"]


@operator
def fire(map, shot, *, power=1):
    """Fires at the map."""
    return f"{map}{shot}{power}"


def test_an_operator_has_one_form_for_one_call():
    p = parameter("m", "p")
    forms = [fire(p, 3), fire(p, shot=3), fire(shot=3, map=p)]
    assert [f.data for f in forms] == ["m31"] * 3
    assert code(fire(p, shot=3)) == code(fire(shot=3, map=p)) == "fire0 = fire(map=p, shot=3, power=1)"
    assert code(fire(p, 3)) == "fire0 = fire(map=p, shot=3)"
    assert code(fire(p, 3, power=parameter(2, "w"))) == "fire0 = fire(map=p, shot=3, power=w)"
    with pytest.raises(TypeError, match="shot"):
        fire(p, shoot=3)


def test_every_way_to_give_arguments():
    def f(a, /, b=2, *rest, c, d="four", **more):
        return a, b, rest, c, d, more

    traced = operator(f)
    p = parameter(1, "p")
    for args, kwargs in (
        ((), {"c": 3}),
        ((), {"b": 5, "c": 3, "z": 9}),
        ((7,), {"c": p}),
        ((7, 8, 9), {"c": 3, "d": None, "y": p}),
        ((), {"y": 1, "c": 3, "b": p}),
    ):
        for _ in range(2):
            plain = {k: 1 if v is p else v for k, v in kwargs.items()}
            assert traced(p, *args, **kwargs).data == f(1, *args, **plain)
            assert traced(1, *args, **plain) == f(1, *args, **plain)
    for args, kwargs in (((), {}), ((p,), {}), ((p,), {"a": 1, "b": 2}), ((p, 2), {"b": 3, "c": 3})):
        with pytest.raises(TypeError):
            traced(*args, **kwargs)


def test_operators_without_fixed_arguments():
    p = parameter(1, "p")
    assert code(operator(lambda a, *rest, **more: a, name="f")(p, 2, k=3)) == "f0 = f(p, 2, 3)"
    assert operator(max, name="most", description="")(p, 2).data == 2


def test_operators_are_plain_functions_without_nodes_and_nest():
    @operator
    def inner(x):
        return x + 1

    @operator
    def outer(x):
        assert type(x) is int
        return inner(x) * 2

    assert type(inner(1)) is int
    assert type(inner(x=1)) is int
    assert inner([1, [2]][0]) == 2
    assert outer(parameter(1, "p")).data == 4
    assert inner.__name__ == "inner"
    assert outer.__wrapped__(1) == 4


def test_results_that_are_or_hold_nodes_keep_the_data_flow():
    p, q = parameter(1, "p"), parameter(2, "q")
    for result, value in (
        (operator(lambda x: q)(p), 2),
        (operator(lambda x: q + 1)(p), 3),
        (operator(lambda x: [q, (x,)])(p), [2, (1,)]),
    ):
        assert result.data == value
        assert len(backward(result).parameters) == 2


def test_methods_record_everything_but_their_object():
    class Board:
        def __init__(self):
            self.shots = 0

        @operator
        def fire(self, x, by=1):
            """Fires."""
            self.shots += 1
            return x + by

        @classmethod
        @operator
        def make(cls, x):
            return (cls.__name__, x)

        @staticmethod
        @operator
        def twice(x):
            return 2 * x

    board, p = Board(), parameter(1, "p")
    assert code(board.fire(p, by=2)) == code(Board.fire(board, p, by=2)) == "fire0 = fire(x=p, by=2)"
    assert board.shots == 2
    assert code(Board.make(p)) == "make0 = make(x=p)"
    assert code(board.twice(p)) == "twice0 = twice(x=p)"
    with pytest.raises(TraceError, match="below @staticmethod"):
        operator(staticmethod(len))
    with pytest.raises(TraceError, match="decorates a function"):
        operator(3)


def test_async_operators_in_any_order_give_one_trace():
    @operator
    async def slow(x, *, wait=0.0):
        """Waits."""
        await asyncio.sleep(wait)
        if wait < 0.005:
            return x * 2
        raise KeyError("late")

    async def run(first, second):
        p = parameter(1, "p")
        a, b = await asyncio.gather(slow(p, wait=first), slow(p + 1, wait=second))
        return backward(a + b)

    assert (
        len(
            {
                asyncio.run(run(*w)).to_json().replace("0.002", "w").replace("0.0", "w")
                for w in ((0.002, 0.0), (0.0, 0.002))
            }
        )
        == 1
    )
    assert asyncio.run(slow(3)) == 6
    with pytest.raises(KeyError) as e:
        asyncio.run(slow(parameter(1, "p"), wait=0.01))
    assert "late" in e.value.exception_node.data


# --- parameters


def test_setting_a_parameter_leaves_older_traces_alone():
    p = parameter(1.0, "p", description="A number.", constraint="positive")
    before = p * 2
    p.data = 5.0
    graph = backward(before, [p])
    assert [graph.nodes[k].value for k in graph.parameters] == [1.0]
    assert backward(p * 2).nodes[0].value == 5.0
    assert (p.name, p.description, p.constraint, p.node.data) == ("p", "A number.", "positive", 5.0)
    p.data = p * 3
    assert p.data == 15.0


def test_a_parameter_that_changes_within_a_run_is_refused():
    p = parameter(1, "p")
    before = p + 1
    p.data = 2
    with pytest.raises(TraceError, match="only between two runs"):
        backward(before + p)


@pytest.mark.parametrize("name", ["two words", "", "1x", None, 3])
def test_names_are_identifiers(name):
    with pytest.raises(TraceError, match="identifier"):
        parameter(1, name)


def test_two_parameters_of_one_name_are_refused():
    a, b = parameter(1, "p"), parameter(2, "p")
    for output, named in ((a + b, None), (a + 1, [a, b]), (node(1), [a, b])):
        with pytest.raises(TraceError, match="'p'"):
            backward(output, named)


def test_copies_of_parameters_go_their_own_way():
    p = parameter([1], "p")
    for q in (copy.copy(p), copy.deepcopy(p)):
        q.data = [2]
        assert p.data == [1]
    act = acting("def act(x):\n    return x + 1\n")
    other = copy.deepcopy(act)
    other.data = "def act(x):\n    return x - 1\n"
    assert (act(1).data, other(1).data) == (2, 0)


def test_node_makes_parameters_too():
    p = node(1, "p", trainable=True, description=None, constraint=None)
    assert isinstance(p, trace.Parameter)
    assert node(p.node) is p.node
    assert node(3, name="three").data == 3


# --- code parameters


def test_the_source_of_a_function_is_a_parameter_with_its_lines():
    assert act.data == 'def act(x):\n    """Acts."""\n    y = x\n    return y[9]\n'
    assert (act.name, act.description, act.constraint) == ("act", "Acts.", "The code must define: def act(x)")
    with pytest.raises(IndexError) as e:
        act(node([1]))
    assert (e.value.line, e.value.text) == (4, "return y[9]")
    assert e.value.exception_node.data == "(IndexError) list index out of range [line 4: return y[9]]"


@pytest.mark.parametrize(
    ("source", "error", "line"),
    [
        ("def act(x):\n    return x[9]", IndexError, 2),
        ("import math\ndef helper(x):\n    return x[9]\ndef act(x):\n    return helper(x)", IndexError, 3),
        ("def act(x)\n    return 1", SyntaxError, 1),
        ("def other(x):\n    return 1", NameError, None),
        ("act = 5", NameError, None),
        ("def act():\n    return 1", TypeError, None),
        ("def act(x):\n    return act(x)", RecursionError, 2),
        ("1/0", ZeroDivisionError, 1),
        ("def act(x):\n\traise Exception", Exception, 2),
        ("\0", Exception, None),
        ("", NameError, None),
    ],
)
def test_a_bad_proposal_is_an_error_with_its_line(source, error, line):
    with pytest.raises(ExecutionError) as e:
        acting(source)(node([1]))
    assert isinstance(e.value, error)
    assert e.value.line == line
    if line:
        assert e.value.text == source.splitlines()[line - 1].strip()
        assert f"[line {line}: {e.value.text}]" in e.value.exception_node.data


def test_a_proposal_may_import_and_define_helpers():
    made = acting("import math\ndef helper(x):\n    return math.sqrt(x)\ndef act(x):\n    return helper(x) + 1\n")
    assert made(node(9.0)).data == 4.0
    assert code(made(9.0)) == "act0 = act(9.0)"
    assert [backward(made(9.0)).kind(k) for k in range(2)] == ["code", "call"]
    with pytest.raises(TraceError, match="positional"):
        made(x=3)


def test_a_proposal_gets_copies_of_containers():
    made = acting("def act(x):\n    x['a'].append(1)\n    x.clear()\n    return 7\n")
    value = {"a": [0], "b": ({1}, bytearray(b"x"))}
    x = node(value)
    assert made(x).data == 7
    assert value == {"a": [0], "b": ({1}, bytearray(b"x"))}
    loop = []
    loop.append(loop)
    assert acting("def act(x):\n    return 7\n")(loop).data == 7


def test_threads_run_their_own_sources():
    wrong = []

    def work(k):
        made = acting(f"def act(x):\n    return {k}\n")  # all have one executor
        for _ in range(300):
            if made(0).data != k:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_functions_that_python_has_no_source_of_cannot_be_trained():
    space = {}
    exec("def f(x):\n    return x", space)
    with pytest.raises(TraceError, match="define it in a file"):
        bundle(trainable=True)(space["f"])
    with pytest.raises(TraceError, match="async"):

        @bundle(trainable=True)
        async def g(x):
            return x


# --- models


@model
class Part:
    def __init__(self):
        self.scale = node(2.0, "scale", trainable=True)


@model
class Player:
    """Two code parameters, a number, and a part that has its own."""

    bias = parameter(0.5, "bias")

    def __init__(self):
        self.part = Part()
        self.numbers = {"k": [parameter(1, "k")]}

    def __call__(self, map):
        return self.act(map, self.reason(map)) * self.part.scale + self.bias

    @bundle(trainable=True)
    def act(self, map, plan):
        """Acts."""
        return plan + len(map)

    @bundle(trainable=True)
    def reason(self, map):
        """Reasons."""
        return self.helper(map)

    def helper(self, map):
        return map[0]


def test_a_model_lists_its_parameters_in_order():
    player = Player()
    assert [p.name for p in player.parameters()] == ["bias", "act", "reason", "scale", "k"]
    assert player.parameters()[1] is player.act
    output = player(node([3, 4], "map"))
    assert output.data == 10.5
    graph = backward(output, player.parameters())
    assert [graph.names[k] for k in graph.parameters] == ["bias", "act", "reason", "scale", "k"]
    assert isinstance(player.act, CodeParameter)
    assert isinstance(output, Node)


def test_each_object_of_a_model_has_its_own_parameters():
    a, b = Player(), Player()
    a.reason.data = "def reason(self, map):\n    return 100\n"
    assert (a.reason(node([3])).data, b.reason(node([3])).data) == (100, 3)
    with pytest.raises(TraceError, match="rename it"):
        model(type("Own", (), {"parameters": lambda self: []}))


# --- batches


def test_outputs_of_several_examples_join_in_one_node():
    p = parameter(2, "p")
    joined = batch([p * 1, p * 2, p])
    assert joined.data == [2, 4, 2]
    assert code(joined) == "mul0 = p * 1\nmul1 = p * 2\nbatch0 = batch(mul0, mul1, p)"
    with pytest.raises(ZeroDivisionError) as e:
        p / 0
    graph = backward(batch([p * 1, e.value.exception_node]))
    assert graph.error == "(ZeroDivisionError) division by zero"
    assert TraceGraph.from_json(graph.to_json()) == graph
    with pytest.raises(TraceError, match="expected nodes"):
        batch([p, 3])
