"""The minimal sub-graph, its hash, and its masks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym.trace import PARTS, TraceError, TraceGraph, backward, node, operator, parameter
from tests.support.graphs import join

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
