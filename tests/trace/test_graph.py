"""The minimal sub-graph, its JSON form, its hash, and its masks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto_gym.trace import PARTS, Cut, Literal, TraceError, TraceGraph, backward, node, operator, parameter


@operator
def join(*values):
    """Joins."""
    return len(values)


# --- the minimal sub-graph against its definition


@st.composite
def programs(draw):
    """A random program: (which of the leaves are parameters, the inputs of each step, the output)."""
    leaves = draw(st.lists(st.booleans(), min_size=1, max_size=6))
    steps = []
    for k in range(draw(st.integers(0, 25))):
        steps.append(draw(st.lists(st.integers(0, len(leaves) + k - 1), min_size=1, max_size=3)))
    return leaves, steps, draw(st.integers(0, len(leaves) + len(steps) - 1))


@given(programs())
def test_minimal_subgraph_is_what_the_paper_defines(program):
    leaves, steps, output = program
    nodes = [parameter(k, f"p{k}") if trainable else node(k, f"c{k}") for k, trainable in enumerate(leaves)]
    parents = {k: [] for k in range(len(leaves))}
    for inputs in steps:
        parents[len(nodes)] = inputs
        nodes.append(join(*(nodes[i] for i in inputs), len(nodes)))  # the literal tells the steps apart
    parameters = {k for k, trainable in enumerate(leaves) if trainable}

    def up(k):
        return {k}.union(*(up_of[i] for i in parents[k]))

    up_of = {}
    for k in range(len(nodes)):
        up_of[k] = up(k)
    on_paths = {k for k in up_of[output] if up_of[k] & parameters} | {output}
    expected = on_paths | {i for k in on_paths if up_of[k] & parameters for i in parents[k]} | parameters

    graph = backward(nodes[output], [nodes[k] for k in parameters])

    def step_of(k):
        n = graph.nodes[k]
        if graph.kind(k) in ("parameter", "code") or graph.names[k][0] == "c":
            return n.value
        if n.inputs:
            return n.inputs[-1].value
        return None  # a step that no parameter reached has become an input

    found = [step_of(k) for k in range(len(graph))]
    fixed_steps = {k for k in expected if k >= len(leaves) and not up_of[k] & parameters}
    assert sorted(s for s in found if s is not None) == sorted(expected - fixed_steps)
    assert found.count(None) == len(fixed_steps)
    assert {graph.nodes[k].value for k in graph.parameters} == parameters
    for k, n in enumerate(graph.nodes):  # in evaluation order, with the same edges
        assert all(i < k for i in n.inputs if isinstance(i, int))
        if n.inputs:
            sources = [found[i] for i in n.inputs[:-1]]
            true = [None if i in fixed_steps else i for i in parents[found[k]]]
            assert sources == true
    assert TraceGraph.from_json(graph.to_json()) == graph


def test_unreached_parameters_come_in_the_order_given():
    a, b, c = (parameter(k, n) for k, n in enumerate("abc"))
    graph = backward(b + 1, [c, b, a])
    assert [graph.names[k] for k in graph.parameters] == ["c", "b", "a"]
    assert graph.sections()["variables"] == "(int) c=2\n(int) b=1\n(int) a=0"
    assert graph.names[graph.output] == "add0"


def test_what_is_no_node_is_refused_with_the_reason():
    for wrong in (5, None, [parameter(1, "p")], "x"):
        with pytest.raises(TraceError, match="data flow was lost"):
            backward(wrong)
    with pytest.raises(TraceError, match="expected parameters"):
        backward(node(1), [node(2)])
    assert len(backward(parameter(1, "p"))) == 1


def test_names_avoid_the_parameters_names():
    p, q = parameter(1, "p"), parameter(1, "add0")
    assert backward(node(5, "p") + p + q).names == ("p", "p0", "add1", "add0", "add2")


# --- one hash in any process, thread and order

PROGRAM = """
import random
from opto_gym.trace import *

@operator
def words(x, y):
    "Sets."
    return {"beta", "alpha", "gamma", frozenset({"delta", "epsilon"}), 1, 2.5, None}

def build(order=0):
    p, q = parameter(1.5, "p"), parameter({"k": {"b", "a"}}, "q")
    a, b = (p + 1, words(p, q)) if order else (lambda b, a: (a, b))(words(p, q), p + 1)
    c = words(a, b)
    for k in range(50):
        c = words(c, {"n": [a, k], "s": {"x", "y", "z"}})
    return backward(c, [p, q])
"""


def test_hash_is_the_same_in_any_process_thread_and_order():
    space = {}
    exec(PROGRAM, space)
    hashes = {space["build"](order).content_hash for order in (0, 1)}
    threads = [threading.Thread(target=lambda: hashes.add(space["build"]().content_hash)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seed in ("0", "1", "42"):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM + "\nprint(build().content_hash)"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(run.stdout.strip())
    assert len(hashes) == 1


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


def test_a_graph_is_immutable_plain_data():
    graph = backward(parameter([1], "p") * 2)
    with pytest.raises(AttributeError):
        graph.output = 0
    with pytest.raises(AttributeError):
        graph.nodes[0].shown = 1
    graph.nodes[0].value.append(5)
    assert graph.nodes[0].value == [1]
    assert {graph, TraceGraph.from_json(graph.to_json())} == {graph}
    assert graph != backward(parameter([1], "p") * 3)
    assert graph != "graph"


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
    assert "test_graph.Plain>" in backward(parameter(Plain(), "p")).sections()["variables"]


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


# --- masks


@pytest.fixture
def masked():
    @operator
    def scale(x, by):
        """Scales."""
        return x * by

    p = parameter(2, "p", constraint="small")
    graph = backward(scale(scale(p, node(3, "c")), 5))
    return lambda *parts: graph.masked(parts)


def test_masks_empty_their_sections(masked):
    whole = masked().sections()
    assert all(whole.values())
    for part, sections in {
        "code": ["code"],
        "documentation": ["documentation"],
        "inputs": ["inputs"],
        "others": ["others"],
        "constraints": ["constraints"],
    }.items():
        shown = masked(part).sections()
        assert [s for s in whole if not shown[s]] == sections
        if part == "documentation":
            assert "by=" not in shown["code"]
            assert "Scales" not in masked(part).to_json()


def test_the_papers_mask_leaves_variables_and_output(masked):
    graph = masked("code", "documentation", "inputs", "others")
    assert graph.to_pseudocode() == "#Variables\n(int) p=2\n\n#Constraints\n(int) p: small\n\n#Outputs\n(int) scale0=30"
    assert len(graph) == 2
    assert graph == graph.masked(["code"])
    assert masked("code").masked(["inputs", "others", "documentation"]) == graph
    assert TraceGraph.from_json(graph.to_json()) == graph
    with pytest.raises(TraceError, match="nonsense"):
        masked("nonsense")


@given(st.lists(st.sampled_from(PARTS)), programs())
def test_masks_hide_values_in_every_form(parts, program):
    leaves, steps, output = program
    nodes = [parameter("param", "p0"), *(node("fixed-input", f"c{k}") for k in range(1, len(leaves)))]
    mark = operator(lambda p, *v: "some-other", name="mark", description="described")
    for inputs in steps:
        nodes.append(mark(nodes[0], *(nodes[i] for i in inputs)))
    end = operator(lambda *v: "the-output", name="end", description="")
    graph = backward(end(*nodes[: 1 + output])).masked(parts)
    for text in (graph.to_json(), graph.to_pseudocode(), graph.to_mermaid(), graph.to_graphviz()):
        assert "documentation" not in parts or "described" not in text
        assert "inputs" not in parts or "fixed-input" not in text
        assert "others" not in parts or "some-other" not in text
        assert "the-output" in text
    assert set(graph.hidden) == set(parts)


def test_a_masked_error_is_still_an_error():
    p = parameter(1, "p")
    with pytest.raises(ZeroDivisionError) as e:
        p / 0
    assert backward(e.value.exception_node).masked(PARTS).error == "(ZeroDivisionError) division by zero"


def test_order_of_building_does_not_show():
    r = random.Random(0)

    def build(order):
        p = parameter(1.0, "p")
        parts = {}
        for k in order:
            parts[k] = p * float(k)
        return backward(join(*(parts[k] for k in range(20))))

    orders = [list(range(20)) for _ in range(5)]
    for order in orders[1:]:
        r.shuffle(order)
    assert len({build(o).content_hash for o in orders}) == 1
