"""The paper's minimal sub-graph: `backward` from an output to the parameters.

What the sub-graph holds is defined in `backward`, in a few recursive lines. `_SubGraph.add` finds the same in one pass
without recursion, since a trace may be a million nodes deep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import TraceError
from .data import EXACT, NUMBER, TEXT, GraphNode, Literal, OperatorInfo
from .graph import TraceGraph, make_data
from .nodes import Node, Operator, Tracked, make
from .parameters import Parameter
from .values import LARGEST, snapshot

BATCH = Operator("batch", "operator", "The outputs of several examples.")


def batch(outputs: Sequence[Node]) -> Node:
    """Several examples' outputs joined in one node.

    Raises:
        TraceError: If one of them is no node.
    """
    nodes = [o.node if isinstance(o, Parameter) else o for o in outputs]
    for o in nodes:
        if not isinstance(o, Node):
            raise TraceError(f"batch() expected nodes, got {o!r}: no parameter can have made it")
    return make(BATCH, tuple(nodes), [o.data for o in nodes], any(o._depends for o in nodes))


def _beginning(v: str, keep: int) -> Any:
    """A long text's beginning, in the form of values.py."""
    return {"$cut": f"{v[:keep].encode('utf-8', 'replace').decode()} ... ({len(v) - keep} more characters)"}


def _shown(n: Node) -> Any:
    """A node's value in a graph."""
    v = n.data
    t = type(v)
    if n._snap is not None:
        return make_data(t.__name__, n._snap)
    if t in EXACT or (t in NUMBER and -LARGEST <= v <= LARGEST):
        return v
    if t is str:
        most = TEXT * 5 if n._op.kind in ("parameter", "code") else TEXT
        if len(v) > most:
            return make_data("str", _beginning(v, most // 2))
    shown = snapshot(v)
    return shown if type(shown) is str else make_data(t.__name__, shown)


def _literal(v: Any) -> Literal:
    t = type(v)
    if t in EXACT or (t in NUMBER and -LARGEST <= v <= LARGEST):
        return Literal(v)
    if t is str and len(v) > TEXT:
        return Literal(_beginning(v, 200))
    return Literal(snapshot(v))


def backward(output: Any, parameters: Iterable[Any] | None = None) -> TraceGraph:
    """The minimal sub-graph that joins the parameters to the output (Trace, NeurIPS 2024, section 3.2).

    It holds every node on a path from a parameter to the output, their other direct inputs as leaves, and those of
    `parameters` that nothing reached. As a definition, which lists the nodes in evaluation order::

        def depends_on_a_parameter(node):
            return node._op.kind in ("parameter", "code") or any(map(depends_on_a_parameter, inputs(node)))

        def inputs(node):
            return [i for i in node._inputs if isinstance(i, Node)]  # the others are literals

        def minimal(node, found):  # `found` holds the nodes so far, by their ids
            if id(node) not in found:
                for i in inputs(node):
                    if depends_on_a_parameter(i):
                        minimal(i, found)
                for i in inputs(node):
                    found.setdefault(id(i), i)  # the others are leaves: what they were made of is left out
                found[id(node)] = node
            return found

    Linear in the size of the sub-graph and without recursion. Nothing outside the call is changed.

    Args:
        output: The node that feedback is given on, an error node included.
        parameters: All parameters of the program, to show those too that the output does not depend on.

    Raises:
        TraceError: If `output` is no node, or two parameters have one name.
    """
    if isinstance(output, Parameter):
        output = output.node
    if not isinstance(output, Node):
        raise TraceError(
            f"backward() expected a node, got {type(output).__name__}: the data flow was lost before it, by .data, "
            "by a function without @operator, or because no argument was a node"
        )
    found = _SubGraph()
    found.add(output)
    given = found.add_parameters(parameters or ())
    # those given come first, in their order, and others after them, in evaluation order
    operators, nodes = tuple(found.table), tuple(found.nodes)
    are_parameters = [info.kind in ("parameter", "code") for info in operators]
    order = tuple(dict.fromkeys((*given, *(k for k, g in enumerate(nodes) if are_parameters[g.operator]))))
    names = [operators[nodes[k].operator].name for k in order]
    if len(set(names)) < len(names):
        raise _one_name(next(n for n in names if names.count(n) > 1))
    return TraceGraph(operators, nodes, order, found.places[id(output)])


class _SubGraph:
    """The sub-graph while it is built.

    Attributes:
        table: The operators, each with its place.
        nodes: The nodes, each after its inputs.
        places: The place of each node among them, by the node's id.
    """

    def __init__(self) -> None:
        self.table: dict[OperatorInfo, int] = {}
        self.nodes: list[GraphNode] = []
        self.places: dict[int, int] = {}
        # Operators' places in the table. Those of nodes that depend on no parameter are apart: they count as inputs.
        self._operators: dict[Operator, int] = {}
        self._input_operators: dict[Operator, int] = {}

    def add(self, output: Node) -> None:
        """Adds a node and what it depends on, in the order that `backward` defines.

        The stack holds nodes to visit, and below each None a node whose inputs have all been added. This loop takes
        most of `backward`'s time: scalars are treated in place, and the loop's names are local.
        """
        places, known, operator, leaf = self.places, self._operators, self._operator, self._leaf
        stack: list[Node | None] = [output]
        add, pop, push, place = self.nodes.append, stack.pop, stack.append, places.get
        while stack:
            n: Any = pop()
            if n is not None:  # first visit: come back after its inputs
                if id(n) not in places:
                    push(n)
                    push(None)
                    for i in reversed(n._inputs):
                        t = type(i)
                        if (t is Node or t is Tracked) and i._depends and id(i) not in places:
                            push(i)
                continue
            n = pop()
            inputs: list[int | Literal] = []
            for i in n._inputs:
                t = type(i)
                if t is Node or t is Tracked:
                    k = place(id(i))
                    inputs.append(leaf(i) if k is None else k)
                else:
                    inputs.append(Literal(i) if (t is float or t is int) and -LARGEST <= i <= LARGEST else _literal(i))
            v, k = n.data, known.get(n._op)
            t = type(v)
            shown = v if (t is float or t is int) and -LARGEST <= v <= LARGEST else _shown(n)
            places[id(n)] = len(places)
            add(GraphNode(operator(n) if k is None else k, tuple(inputs), shown))

    def _leaf(self, n: Node) -> int:
        """Adds a node without its inputs; returns its place."""
        k = (self._operators if n._depends else self._input_operators).get(n._op)
        place = self.places[id(n)] = len(self.nodes)
        self.nodes.append(GraphNode(self._operator(n) if k is None else k, (), _shown(n)))
        return place

    def _operator(self, n: Node) -> int:
        """The place of a node's operator in the table, which it is added to."""
        op = n._op
        kind = op.kind if n._depends or op.kind in ("input", "error") else "input"
        info = OperatorInfo(op.name, kind, op.description, op.arguments, op.constraint)
        k = (self._operators if n._depends else self._input_operators)[op] = self.table.setdefault(
            info, len(self.table)
        )
        return k

    def add_parameters(self, parameters: Iterable[Any]) -> list[int]:
        """The places of parameters, which are added where nothing reached them.

        Of a parameter that has changed since, it is the place of the value that the run used.
        """
        kinds = [info.kind for info in self.table]
        used = {g.operator: k for k, g in enumerate(self.nodes) if kinds[g.operator] in ("parameter", "code")}
        owners: dict[str, Any] = {}
        found = []
        for p in parameters:
            n = p.node if isinstance(p, Parameter) else p
            if not isinstance(n, Node) or n._op.kind not in ("parameter", "code"):
                raise TraceError(f"backward() expected parameters, got {p!r}")
            op, owner = owners.setdefault(n._op.name, (n._op, p))
            if op is not n._op or (owner is not p and isinstance(p, Parameter) and isinstance(owner, Parameter)):
                raise _one_name(op.name)
            k = used.get(self._operators.get(n._op, -1))
            found.append(self._leaf(n) if k is None else k)
        return found


def _one_name(name: str) -> TraceError:
    return TraceError(
        f"the parameter name {name!r} stands for two values: give each parameter a name of its own, and change values "
        "only between two runs"
    )
