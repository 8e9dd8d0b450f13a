"""What a node does: each row of docs/tracing.md's table, and what is refused."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref

import numpy as np
import pytest

from opto_gym import trace
from opto_gym.trace import Node, TraceError, backward, node, operator, parameter


def code(n):
    """The graph's code section."""
    return backward(n).sections()["code"]


@pytest.fixture(params=["node", "parameter"])
def wrap(request):
    """A node that depends on a parameter, and the parameter itself: they behave alike."""
    return lambda value: parameter(value, "x") if request.param == "parameter" else parameter(value, "x").node


BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@pytest.mark.parametrize("symbol", BINARY)
def test_binary_operators_are_traced_both_ways_round(wrap, symbol):
    f = BINARY[symbol]
    for result, value in ((f(wrap(6), 2), f(6, 2)), (f(6, wrap(2)), f(6, 2)), (f(wrap(6), node(2)), f(6, 2))):
        assert type(result.data) is type(value)
        assert result.data == value
    assert f" {symbol} " in code(f(wrap(6), 2)) or symbol in ("==", "<", ">", "<=", ">=")
    assert "x" in code(f(6, wrap(2)))


def test_order_of_a_reflected_operation_is_kept(wrap):
    assert code(7 - wrap(2)) == "sub0 = 7 - x"
    assert code(7 < wrap(9)) == "gt0 = x > 7"  # noqa: SIM300


def test_unary_operators_round_divmod(wrap):
    import math

    results = [
        -wrap(2.5),
        +wrap(2.5),
        abs(wrap(-2.5)),
        math.floor(wrap(2.5)),
        math.ceil(wrap(2.5)),
        math.trunc(wrap(2.5)),
    ]
    assert [r.data for r in results] == [-2.5, 2.5, 2.5, 2, 3, 2]
    assert (round(wrap(2.567), 1).data, round(wrap(2.5)).data, (~wrap(5)).data) == (2.6, 2, -6)
    quotient, rest = divmod(wrap(17), 5)
    assert (quotient.data, rest.data) == (3, 2)


def test_matmul(wrap):
    assert np.array_equal((wrap(np.eye(2)) @ np.ones(2)).data, [1.0, 1.0])


def test_condition_asks_the_value_and_is_not_recorded(wrap):
    x = wrap(3)
    y = x + 1 if x > 2 else x - 1
    assert len(backward(y)) == 2
    assert not wrap(0)
    assert wrap([0])
    assert (not wrap([])) is True


def test_comparison_is_a_node_with_a_truth_value(wrap):
    same = wrap(3) == 3
    assert isinstance(same, Node)
    assert same.data is True
    assert not wrap(3) == 4  # noqa: SIM201


def test_len_and_in_ask_the_value(wrap):
    assert len(wrap([1, 2, 3])) == 3
    assert 2 in wrap([1, 2])
    assert 3 not in wrap([1, 2])
    assert node(2) in wrap([1, 2])
    assert "a" in wrap({"a": 1})


def test_items_are_nodes_keys_of_dictionaries_are_plain(wrap):
    assert code(wrap([1, 2])[1] + 0) == "getitem0 = x[1]\nadd0 = getitem0 + 0"
    assert [type(i) for i in wrap((1, 2))] == [Node, Node]
    assert [i.data for i in wrap("ab")] == ["a", "b"]
    d = wrap({"a": 1, "b": 2})
    assert list(d) == ["a", "b"] == list(d.keys())
    assert [(k, v.data) for k, v in d.items()] == [("a", 1), ("b", 2)]
    assert [v.data for v in d.values()] == [1, 2]
    assert code(sum(d.values())).count("x[") == 2
    assert sorted(i.data for i in wrap({3, 4})) == [3, 4]
    assert [i.data for i in reversed(wrap([1, 2]))] == [2, 1]


def test_unpacking(wrap):
    first, *rest = wrap([1, 2, 3])
    assert first.data == 1
    assert [r.data for r in rest] == [2, 3]
    assert code(first) == "getitem0 = x[0]"


def test_index_by_nodes_and_slices(wrap):
    x = wrap([10, 20, 30])
    assert x[node(1)].data == 20
    assert x[parameter(1, "i") : 3].data == [20, 30]
    assert x[-1].data == 30
    assert code(x[1:]) == "getitem0 = x[1:]"
    assert code(x[::2]) == "getitem0 = x[::2]"
    assert code(x[parameter(1, "i") : 3]) == "slice0 = slice(i, 3, None)\ngetitem0 = x[slice0]"
    assert operator(lambda x, s: x[s])(x, slice(1, 2)).data == [20]
    assert node({"k": 5})[parameter("k", "key")].data == 5


def test_text_of_a_node_is_for_debugging(wrap):
    for text in (str(wrap(5)), repr(wrap(5)), f"{wrap(5)!r}"):
        assert text == "<x: 5>"
    assert len(repr(wrap("a" * 10_000))) < 100
    assert "0x" not in repr(wrap(object()))


@pytest.mark.parametrize(
    "leave",
    [
        int,
        float,
        complex,
        hash,
        range,
        lambda x: f"{x}",
        lambda x: "{}".format(x),  # noqa: UP032
        lambda x: format(x, ".2f"),
        lambda x: [10, 20, 30][x],
        lambda x: {1: 2}[x],
        lambda x: {x},
        lambda x: {x: 1},
    ],
)
def test_leaving_the_trace_is_refused_and_names_the_mend(wrap, leave):
    with pytest.raises(TraceError, match=r"\.data") as e:
        leave(wrap(1))
    assert "@operator" in str(e.value)


def test_data_takes_the_value_out(wrap):
    x = wrap(2)
    assert [10, 20, 30][x.data] == 30
    assert x.data + 1 == 3


def test_what_python_decides_by_itself(wrap):
    x = wrap(None)
    assert x is not None  # `is` sees the node: ask x.data
    assert not isinstance(wrap(1), int)
    with pytest.raises(TypeError, match="JSON"):
        json.dumps(wrap(1))
    with pytest.raises(TypeError):
        ",".join([wrap("a")])
    assert "%s" % wrap(5) == "<x: 5>"  # noqa: UP031


def test_sorting_compares_values_and_is_not_recorded():
    nodes = [parameter(v, f"p{v}") for v in (3, 1, 2)]
    assert [n.data for n in sorted(nodes)] == [1, 2, 3]
    best = max(nodes)
    assert len(backward(best)) == 1


def test_numpy_numbers_and_arrays_leave_the_operation_to_the_node(wrap):
    for product in (np.float64(2.0) * wrap(3.0), wrap(3.0) * np.float64(2.0), np.arange(2) + wrap(1)):
        assert isinstance(product, Node)
    assert np.array_equal((np.arange(2) + wrap(1)).data, [1, 2])
    with pytest.raises(TypeError):
        np.sin(wrap(1.0))


def test_copies_are_the_node_and_a_pickled_one_has_its_trace():
    x = parameter([1], "x").node
    assert copy.copy(x) is x
    assert copy.deepcopy([x])[0] is x
    again = pickle.loads(pickle.dumps(x))
    assert (again.data, backward(again)) == (x.data, backward(x))


def test_attributes_and_methods(wrap):
    assert code(wrap(3 + 4j).real + 0).startswith("getattr0 = x.real")
    assert code(wrap("a-b").split("-", maxsplit=1)) == ".split0 = x.split('-', maxsplit=1)".lstrip(".")
    assert wrap("abc").upper().data == "ABC"
    assert wrap("abc").replace("a", parameter("z", "new")).data == "zbc"
    assert not hasattr(wrap("abc"), "nothing")
    with pytest.raises(AttributeError, match="nothing"):
        wrap("abc").nothing
    with pytest.raises(AttributeError):
        wrap("abc")._private


def test_a_callable_value_can_be_called():
    f = node(lambda a, *, b: a + b, "f")
    assert f(parameter(1, "x"), b=2).data == 3


def test_containers_of_nodes_keep_the_data_flow():
    x, y = parameter(1, "x"), parameter(2, "y")

    @operator
    def total(xs):
        return sum(xs["all"]) + xs["one"]

    result = total({"all": [x, (y * 2)], "one": y})
    assert result.data == 7
    assert {backward(result).names[k] for k in backward(result).parameters} == {"x", "y"}
    assert "list0 = [x, mul0]" in code(result)
    assert node([x, 1]).data == [1, 1]
    assert node((x,))[0].data == 1


def test_snapshots_show_what_was():
    @operator
    def last(xs):
        return xs[-1]

    values = [1, 2]
    x = node(values, "xs")
    y = last([x, parameter(1, "p")][0]) + parameter(1, "p")
    values.append(99)
    shown = backward(y).nodes
    assert [n.value for n in shown if n.value in ([1, 2], [1, 2, 99])] == []  # `last` depends on no parameter
    z = node([x, parameter(1, "p")])
    assert [1, 2] in [n.value for n in backward(z).nodes]
    assert backward(z).nodes[-1].value == [[1, 2, 99], 1]
    assert repr(x) == "<xs: [1, 2]>"


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.append(3),
        lambda x: x.sort(reverse=True),
        lambda x: operator(lambda xs: xs.pop())(x),
        lambda x: operator(lambda xs: xs[1].append(1))([0, x]),
        lambda x: x.__setitem__(0, 1),
        lambda x: x.__delitem__(0),
    ],
)
def test_change_in_place_is_refused(wrap, change):
    with pytest.raises(TraceError, match=r"in place.*return the new value"):
        change(wrap([1, 2]))


def test_change_of_something_deep_inside_is_refused():
    @operator
    def poke(world):
        world["a"][0]["b"].append(1)
        return 1

    with pytest.raises(TraceError, match="poke changed its input"):
        poke(parameter({"a": [{"b": []}]}, "world"))

    @operator
    def fill(xs):
        xs[:] = 0

    with pytest.raises(TraceError, match="fill changed its input"):
        fill(parameter(np.ones(3), "xs"))


def test_augmented_assignment_makes_a_new_node(wrap):
    x = y = wrap([1])
    y += [2]
    assert (x.data, y.data) == ([1], [1, 2])


@pytest.mark.parametrize(
    "bomb",
    [
        lambda x: x ** node(10**6),
        lambda x: 7 ** (x + 10**6),
        lambda x: x << 10**6,
        lambda x: "ab" * (x + 10**6),
        lambda x: [0] * (x + 10**7),
        lambda x: (x + 10**7) * (0,),
        lambda x: node("%99999999d") % x,
        lambda x: node("%*d") % (10**9, x.data),
        lambda x: node("%(k)9999s") % node({"k": 1}),
        lambda x: node("{:>99999999}").format(x),
        lambda x: node("{:{}}").format(x, 10**9),
    ],
)
def test_operations_that_fill_the_memory_are_feedback(bomb):
    with pytest.raises(trace.ExecutionError) as e:
        bomb(parameter(3, "x"))
    assert isinstance(e.value, OverflowError)


def test_bounded_operations_give_pythons_results(wrap):
    assert (wrap(3) ** 4).data == 81
    assert (wrap(1) << 70).data == 1 << 70
    assert (wrap("ab") * 3).data == "ababab"
    assert (wrap("%5.1f|%s|%%") % (2.25, "1000")).data == "  2.2|1000|%"
    assert (wrap("%(name)s is %(n)05d") % {"name": "x" * 2000, "n": 7}).data == "x" * 2000 + " is 00007"
    assert wrap("{0}, {name!r:>8}").format(1, name="a").data == "1,      'a'"
    assert wrap("{} {}").format(1, 2).data == "1 2"
    assert wrap("{a}").format_map({"a": 5}).data == "5"


def test_templates_are_filled_by_names_alone():
    class Secret:
        KEY = "s3cret"

    for template in ("{0.KEY}", "{0.__class__.__init__.__globals__}", "{x[KEY]}"):
        with pytest.raises(ValueError, match="name such as") as e:
            parameter(template, "prompt").format(Secret(), x={"KEY": 1})
        assert "s3cret" not in str(e.value)


def test_nodes_that_no_parameter_reaches_keep_no_history():
    thing = Thing()
    alive = weakref.ref(thing)
    y = node(thing, "thing").size + 1
    del thing
    gc.collect()
    assert alive() is None
    assert (len(backward(y)), y.data) == (1, 5)


class Thing:
    size = 4


@pytest.mark.parametrize("container", [lambda t: t, lambda t: [t], lambda t: {"k": (t,)}, lambda t: [0] * 3000 + [t]])
def test_values_that_refer_back_to_nodes_are_collected(container):
    def build():
        thing = Thing()
        make = operator(lambda p: container(thing))
        thing.node = make(parameter(1, "p"))  # the value refers to its own node
        return weakref.ref(thing)

    alive = build()
    gc.collect()
    assert alive() is None


def test_error_nodes_hold_no_exception():
    def build():
        thing = Thing()

        @operator
        def fails(x):
            raise ValueError(f"no {thing.size}")

        with pytest.raises(trace.ExecutionError) as e:
            fails(parameter(1, "p"))
        return weakref.ref(thing), e.value.exception_node

    alive, error = build()
    gc.collect()
    assert error.data == "(ValueError) no 4"
    assert alive() is None


@pytest.mark.parametrize("first", [[1.0], [object()]])  # numbers: in test_table
def test_long_chains_of_containers_need_no_recursion(first):
    y = parameter(first, "p").node
    for _ in range(50_000):
        y = y[:]
    graph = backward(y)
    assert len(graph) == 50_001
    del y
    assert len(graph.to_pseudocode(1000)) <= 1000


def test_cyclic_and_deep_arguments_end():
    loop = [1]
    loop.append(loop)
    deep = []
    for _ in range(10_000):
        deep = [deep]
    show = operator(lambda p, x: p + 1)
    for x in (loop, deep):
        assert show(parameter(1, "p"), x).data == 2
    assert "cut" not in backward(show(parameter(1, "p"), loop)).to_pseudocode()
