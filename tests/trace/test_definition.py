"""`backward` finds what the definition in its docstring says."""

from __future__ import annotations

import inspect
import textwrap

from hypothesis import given
from hypothesis import strategies as st

from opto_gym.trace import Node, backward, node, operator, parameter

add = operator(lambda *values: sum(values), name="add", description="")
lines = inspect.getdoc(backward).split("::\n", 1)[1].split("\nLinear in", 1)[0]
DEFINITION = {"Node": Node}
exec(textwrap.dedent(lines), DEFINITION)

START = 4  # two parameters and two fixed values


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=40), st.booleans())
def test_the_sub_graph_is_that_of_the_definition(steps, literal):
    nodes = [parameter(1.0, "x").node, parameter(2.0, "y").node, node(3.0, "a"), node(4.0, "b")]
    for chosen in steps:
        nodes.append(add(*[nodes[k % len(nodes)] for k in chosen], *[5] * literal))
    found = list(DEFINITION["minimal"](nodes[-1], {}).values())
    graph = backward(nodes[-1])
    assert [n.data for n in found] == [g.value for g in graph.nodes]
    assert [n._op.name for n in found] == [graph.operators[g.operator].name for g in graph.nodes]
    place = {id(n): k for k, n in enumerate(found)}
    for n, g in zip(found, graph.nodes, strict=True):
        inputs = [place[id(i)] for i in n._inputs if isinstance(i, Node) and DEFINITION["depends_on_a_parameter"](n)]
        assert [i for i in g.inputs if isinstance(i, int)] == inputs
    assert graph.output == len(graph) - 1


def test_the_definition_leaves_out_what_leaves_were_made_of():
    x, a = parameter(1.0, "x").node, node(3.0, "a")
    b = add(add(a, a), a)
    assert [n.data for n in DEFINITION["minimal"](add(x, b), {}).values()] == [1.0, 9.0, 10.0]
