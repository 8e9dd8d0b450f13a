"""A graph's JSON form: values there and back, what is cut, and damaged texts."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto_gym.trace import PARTS, Cut, Literal, TraceError, TraceGraph, backward, node, parameter
from tests.support.graphs import join

# --- values there and back

numbers = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.sampled_from([2**64, -(2**63) - 1, 10**308, 10**309, -(10**1000)]),
    st.floats(allow_nan=False),
    st.just(-0.0),
    st.booleans(),
    st.none(),
)
texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["\ud800", "$set", "", "\x00", "ü\U0001f600"])
scalars = numbers | texts | st.binary(max_size=20) | st.complex_numbers(allow_nan=False)
slices = st.slices(10)
hashable = st.recursive(scalars, lambda c: st.tuples(c, c) | st.frozensets(c, max_size=3), max_leaves=5)
arrays = st.sampled_from(
    [
        np.arange(6).reshape(2, 3),
        np.array(2.5),
        np.zeros((0, 3), "f4"),
        np.array([1e-300, np.inf, -0.0]),
        np.array([[1 + 2j, -0j]], "c8")[:, ::-1],
        np.array([True, False]),
        np.array(["a", "bcd"]),
        np.arange(4, dtype=">i2"),
        np.float32(0.1),
        np.int8(-3),
        np.bool_(True),
        np.complex128(1 - 2j),
        np.str_("text"),
    ]
)
values = st.recursive(
    scalars | arrays | slices | st.sets(hashable, max_size=4),
    lambda c: (
        st.lists(c, max_size=4)
        | st.tuples(c, c)
        | st.dictionaries(texts, c, max_size=4)
        | st.dictionaries(hashable, c, max_size=4)
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal, of one type, all the way down; 0.0 is not -0.0."""
    return canonical(a) == canonical(b)


def canonical(x):
    if isinstance(x, list | tuple):
        return type(x), [canonical(i) for i in x]
    if isinstance(x, dict):
        return dict, [(canonical(k), canonical(v)) for k, v in x.items()]
    if isinstance(x, set | frozenset):
        return type(x), sorted((canonical(i) for i in x), key=repr)
    if isinstance(x, np.ndarray):
        return str(x.dtype), x.shape, repr(x.tolist())
    return type(x), repr(x)


@settings(max_examples=150)
@given(values)
def test_values_go_to_json_and_back(value):
    p = parameter(value, "p")
    graph = backward(join(p, node(value, "v")))
    again = TraceGraph.from_json(graph.to_json())
    assert again == graph
    assert again.content_hash == graph.content_hash
    assert again.nodes == graph.nodes
    for n in again.nodes[:2]:
        assert same(n.value, value)
    graph.to_pseudocode(2000)


@given(scalars)
def test_literals_go_to_json_and_back(value):
    graph = backward(join(parameter(1, "p"), value))
    again = TraceGraph.from_json(graph.to_json())
    assert isinstance(again.nodes[-1].inputs[-1], Literal)
    assert same(again.nodes[-1].inputs[-1].value, value)


def test_not_a_number():
    for value in (float("nan"), [float("nan")], np.array([np.nan]), complex("nan+1j")):
        graph = backward(parameter(value, "p"))
        again = TraceGraph.from_json(graph.to_json())
        assert again == graph
        assert repr(again.nodes[0].value) == repr(value)


def test_ints_of_any_size():
    p = parameter(10**9000, "p")
    graph = backward(node([p, 10**9000]))
    again = TraceGraph.from_json(graph.to_json())
    assert again.nodes[-1].value == [10**9000] * 2
    assert "0x" in graph.to_pseudocode()
    assert "0x" in repr(p)


class Plain:
    pass


class Loud:
    def __repr__(self):
        return "at 0xdeadbeef"


def test_what_is_not_plain_data_is_shown_by_its_class():
    for thing in (Plain(), Loud(), lambda x: x, np.random.default_rng(), np.array([Plain()]), Plain, [Plain()]):
        graph = backward(join(parameter(1, "p"), thing))
        shown = graph.sections()["inputs"]
        assert "0x" not in shown
        assert "<" in shown
    assert "test_graph_json.Plain>" in backward(parameter(Plain(), "p")).sections()["variables"]


def test_subclasses_are_shown_as_what_they_derive_from():
    import collections
    import enum

    class Color(enum.IntEnum):
        RED = 3

    class Name(str):
        def __str__(self):
            return "wrong"

    Point = collections.namedtuple("Point", "x y")
    for value, shown in (
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, k=[1]), {"k": [1]}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (Point(1, 2), (1, 2)),
        (Color.RED, 3),
        (Name("n"), "n"),
        ([Color.RED, Name("n")], [3, "n"]),
    ):
        got = backward(parameter(value, "p")).nodes[0].value
        assert same(got, shown)
    counts = node(collections.Counter("aab"))
    with pytest.raises(TraceError, match="in place"):
        counts.update("c")


def test_what_is_cut_is_said_with_its_size():
    def shown(value):
        return backward(parameter(value, "p")).nodes[0].value

    long = shown([[k] for k in range(5000)])
    assert isinstance(long[-1], Cut)
    assert str(long[-1]) == "3000 more items"
    assert long[0] == [Cut("1 more items")]
    assert shown(list(range(2000))) == list(range(2000))
    assert shown(np.zeros((100, 100))) == "<numpy.ndarray of shape (100, 100) and float64>"
    assert shown(set(range(3000))) == "<set of 3000 items>"
    assert shown(b"x" * 2000) == "<bytes of 2000 items>"
    assert "more characters" in shown("x" * 200_000)
    texts = shown(["x" * 60_000] * 5)
    assert [type(t) for t in texts] == [str, str, Cut, Cut, Cut]
    assert "60000" in texts[-1]
    assert len(backward(parameter({"k": ["y" * 10**7]}, "p")).to_json()) < 1000
    big = backward(node("x") + parameter("z" * 10**6, "p"))
    assert len(big.to_json()) < 300_000
    assert len(backward(parameter("a", "p") + "y" * 10**6).to_json()) < 30_000


# --- damage


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["replace", "cut", "insert", "swap"]))
def test_damaged_text_is_a_trace_error_or_a_whole_graph(at, byte, how):
    p = parameter({"a": (1, {2}, np.ones(2))}, "p")
    good = backward(join(p, "text", 1.5, float("nan"), b"x"), [parameter(2, "q")]).to_json().encode()
    at %= len(good)
    text = {
        "replace": good[:at] + bytes([byte]) + good[at + 1 :],
        "cut": good[:at],
        "insert": good[:at] + bytes([byte]) + good[at:],
        "swap": good[at:] + good[:at],
    }[how]
    try:
        graph = TraceGraph.from_json(text)
        for n in graph.nodes:
            n.value
        graph.to_pseudocode(1000), graph.to_mermaid(1000), graph.to_graphviz(1000), graph.masked(PARTS), graph.error
    except TraceError as e:
        message = str(e)
    else:
        message = "expected"
    assert "expected" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(output=9),
        lambda d: d.update(parameters=[-1]),
        lambda d: d.update(version=99),
        lambda d: d["nodes"].reverse(),
        lambda d: d["nodes"][0].__setitem__(0, 7),
        lambda d: d["nodes"][-1].__setitem__(1, [5]),
        lambda d: d.update(hidden=["nonsense"]),
        lambda d: d["operators"][0].update(kind="nonsense"),
        lambda d: d.update(nodes=[]),
        lambda d: d.pop("operators"),
    ],
)
def test_inconsistent_graphs_are_refused(change):
    data = msgspec.json.decode(backward(parameter(1, "p") + 1).to_json())
    change(data)
    with pytest.raises(TraceError, match="expected"):
        TraceGraph.from_json(msgspec.json.encode(data))
