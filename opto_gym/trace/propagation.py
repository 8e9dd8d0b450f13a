"""The paper's minimal sub-graph: `backward` from an output to the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import TraceError
from .nodes import Node, Operator, Tracked, make
from .parameters import Parameter
from .values import LARGEST, snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping
from .data import EXACT, NUMBER, TEXT, GraphNode, Literal, OperatorInfo
from .graph import TraceGraph, make_data

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
    return make(BATCH, tuple(nodes), [o.data for o in nodes], any(o._live for o in nodes))


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
    `parameters` that nothing reached. Linear in its size, iterative, without any state.

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
    table: dict[OperatorInfo, int] = {}
    known: dict[Operator, int] = {}  # the operators of nodes that depend on a parameter, and their places in the table
    fixed: dict[Operator, int] = {}  # of those that do not: they are inputs, whatever made them
    place: dict[int, int] = {}  # id(node) -> its place
    nodes: list[GraphNode] = []

    def entry(op: Operator, live: bool) -> int:
        kind = op.kind if live or op.kind in ("input", "error") else "input"
        info = OperatorInfo(op.name, kind, op.description, op.arguments, op.constraint)
        k = (known if live else fixed)[op] = table.setdefault(info, len(table))
        return k

    def leaf(n: Node) -> int:
        k = (known if n._live else fixed).get(n._op)
        at = place[id(n)] = len(nodes)
        nodes.append(GraphNode(entry(n._op, n._live) if k is None else k, (), _shown(n)))
        return at

    stack: list[Any] = [output]
    add, pop, push, get = nodes.append, stack.pop, stack.append, place.get
    while stack:
        n = pop()
        if n is not None:  # first visit: come back after its inputs
            if id(n) not in place:
                push(n)
                push(None)
                for i in reversed(n._inputs):
                    t = type(i)
                    if (t is Node or t is Tracked) and i._live and id(i) not in place:
                        push(i)
            continue
        n = pop()
        inputs: list[int | Literal] = []
        for i in n._inputs:
            t = type(i)
            if t is Node or t is Tracked:
                k = get(id(i))
                inputs.append(leaf(i) if k is None else k)
            else:
                inputs.append(Literal(i) if (t is float or t is int) and -LARGEST <= i <= LARGEST else _literal(i))
        op, v = n._op, n.data
        k = known.get(op)
        t = type(v)  # the scalars of _shown, without the call
        shown = v if (t is float or t is int) and -LARGEST <= v <= LARGEST else _shown(n)
        place[id(n)] = len(nodes)
        add(GraphNode(entry(op, n._live) if k is None else k, tuple(inputs), shown))
    ours = _named(parameters or (), nodes, table, known, leaf)
    # those named come in the order given, others after them, in evaluation order
    kinds = [info.kind in ("parameter", "code") for info in table]
    order = tuple(dict.fromkeys((*ours, *(k for k, g in enumerate(nodes) if kinds[g.operator]))))
    operators = tuple(table)
    names = [operators[nodes[k].operator].name for k in order]
    if len(set(names)) < len(names):
        raise _one_name(next(n for n in names if names.count(n) > 1))
    return TraceGraph(operators, tuple(nodes), order, place[id(output)])


def _one_name(name: str) -> TraceError:
    return TraceError(
        f"the parameter name {name!r} stands for two values: give each parameter a name of its own, and change values "
        "only between two runs"
    )


def _named(
    parameters: Iterable[Any],
    nodes: Sequence[GraphNode],
    table: Mapping[OperatorInfo, int],
    known: Mapping[Operator, int],
    leaf: Callable[[Node], int],
) -> list[int]:
    """The places of these parameters; of one that has changed since, the value that the run used."""
    entries = set(table.values()) - {k for info, k in table.items() if info.kind not in ("parameter", "code")}
    used = {g.operator: k for k, g in enumerate(nodes) if g.operator in entries}
    found = []
    ours: dict[str, Operator] = {}
    for p in parameters:
        n = p.node if isinstance(p, Parameter) else p
        if not isinstance(n, Node) or n._op.kind not in ("parameter", "code"):
            raise TraceError(f"backward() expected parameters, got {p!r}")
        if ours.setdefault(n._op.name, n._op) is not n._op:
            raise _one_name(n._op.name)
        k = used.get(known.get(n._op, -1))
        found.append(leaf(n) if k is None else k)
    return found
