"""The trace graph: immutable plain data, and `backward`, which cuts it out of a run.

A graph is a table of operators and a list of nodes that point into it, in evaluation order (the post-order of the
graph's shape). The same program gives the same graph, names and hash in any process, thread or order.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import TraceError
from .nodes import Node, Operator, Tracked, make
from .parameters import Parameter
from .values import LARGEST, snapshot, thaw

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS = ("code", "documentation", "inputs", "others", "constraints")
"""The parts of a graph that `TraceGraph.masked` can hide; the paper's masked variant hides the first four."""

KINDS = ("input", "parameter", "code", "operator", "call", "error")

_EXACT, _NUMBER = frozenset({bool, type(None)}), frozenset({int, float})
TEXT = 20_000  # characters of one text that a graph keeps; of a parameter's, five times as many


class Literal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A literal argument, in the form of values.py."""

    shown: Any

    @property
    def value(self) -> Any:
        """The Python value."""
        return thaw(self.shown)


class Data(msgspec.Struct, frozen=True, gc=False):
    """A value that is no plain scalar: its type's name and its JSON form, as text and so immutable."""

    type: str
    json: str

    @property
    def value(self) -> Any:
        """The Python value, a fresh copy; `values.Cut` stands for parts that were not kept."""
        try:
            return thaw(msgspec.json.decode(self.json))
        except msgspec.DecodeError as e:
            raise TraceError(f"expected a value's JSON text, got {self.json[:80]!r}: {e}") from e


class OperatorInfo(msgspec.Struct, frozen=True, gc=False):
    """One entry of a graph's table of operators; the fields are those of `nodes.Operator`."""

    name: str
    kind: str
    description: str = ""
    arguments: tuple[str, ...] = ()
    constraint: str = ""


class GraphNode(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A node of a graph.

    Attributes:
        operator: Its place in `TraceGraph.operators`.
        inputs: The places of other nodes, or `Literal` arguments.
        shown: The value at the time of the operation: a scalar, or `Data`.
    """

    operator: int
    inputs: tuple[int | Literal, ...]
    shown: bool | int | float | str | Data | None

    @property
    def value(self) -> Any:
        """The Python value."""
        return self.shown.value if type(self.shown) is Data else self.shown


class TraceGraph(msgspec.Struct, frozen=True, eq=False, dict=True):
    """The smallest sub-graph that joins parameters to an output. Immutable; equal by content.

    Attributes:
        operators: The table of operators.
        nodes: The nodes in evaluation order.
        parameters: The places of the parameters among the nodes, reached or not.
        output: The place of the output.
        hidden: The parts that were masked.
    """

    operators: tuple[OperatorInfo, ...]
    nodes: tuple[GraphNode, ...]
    parameters: tuple[int, ...]
    output: int
    hidden: tuple[str, ...] = ()
    version: int = 1

    def to_json(self) -> str:
        """The graph as JSON text; `from_json` gives it back without loss."""
        return self._json.decode()

    @functools.cached_property
    def _json(self) -> bytes:
        return _ENCODER.encode(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> TraceGraph:
        """The graph that `to_json` wrote.

        Raises:
            TraceError: If the text is no graph; the message says where.
        """
        try:
            graph = _DECODER.decode(text)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as e:
            raise TraceError(f"from_json() expected the JSON text of a trace graph: {e}") from e
        graph._check()
        return graph

    def _check(self) -> None:
        if self.version != 1:
            raise TraceError(f"expected a trace graph of version 1, got {self.version}")
        if not set(self.hidden) <= set(PARTS):
            raise TraceError(f"expected hidden parts of {list(PARTS)}, got {list(self.hidden)}")
        for op in self.operators:
            if op.kind not in KINDS:
                raise TraceError(f"operator {op.name!r}: expected a kind of {list(KINDS)}, got {op.kind!r}")
        for k, n in enumerate(self.nodes):
            if not 0 <= n.operator < len(self.operators):
                raise TraceError(f"node {k}: expected an operator below {len(self.operators)}, got {n.operator}")
            for i in n.inputs:
                if type(i) is int and not 0 <= i < k:
                    raise TraceError(f"node {k}: expected inputs among the nodes before it, got {i}")
        for i in (*self.parameters, self.output):
            if not 0 <= i < len(self.nodes):
                raise TraceError(f"expected a node below {len(self.nodes)}, got {i}")

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of the JSON form, in hexadecimal."""
        return hashlib.sha256(self._json).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TraceGraph) and (self is other or self._json == other._json)

    def __hash__(self) -> int:
        return hash(self.content_hash)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"TraceGraph({len(self)} nodes, {len(self.parameters)} parameters, {self.content_hash[:12]})"

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each node: a parameter's own, else the operator's with a number, in evaluation order."""
        taken = {self.operators[self.nodes[i].operator].name for i in self.parameters}
        count: dict[str, int] = {}
        names = []
        for n in self.nodes:
            op = self.operators[n.operator]
            name = base = op.name.lstrip(".")
            while op.kind not in ("parameter", "code"):
                k = count.get(base, 0)
                count[base] = k + 1
                name = f"{base}{k}"
                if name not in taken:
                    break
            names.append(name)
        return tuple(names)

    def kind(self, k: int) -> str:
        """The kind of node k's operator."""
        return self.operators[self.nodes[k].operator].kind

    @property
    def error(self) -> str | None:
        """``"(IndexError) message"`` where the run broke off in an error node, else None."""
        for k in self.nodes[self.output].inputs, (self.output,):
            for i in k:
                if type(i) is int and self.kind(i) == "error":
                    return str(self.nodes[i].value)
        return None

    def masked(self, parts: Iterable[str]) -> TraceGraph:
        """A copy without some of `PARTS`.

        ``code`` hides what was computed from what, ``documentation`` the descriptions of operators, ``inputs`` fixed
        inputs, ``others`` intermediate values, ``constraints`` what parameters must satisfy.

        Raises:
            TraceError: For a part of another name.
        """
        hide = tuple(p for p in PARTS if p in set(parts) | set(self.hidden))
        unknown = sorted(set(parts) - set(PARTS))
        if unknown:
            raise TraceError(f"expected parts of {list(PARTS)}, got {unknown}")
        ends = {self.output, *self.parameters}
        keep, operators = [], []
        for op in self.operators:
            silent = op.kind in ("operator", "call", "error") and "documentation" in hide
            operators.append(
                OperatorInfo(
                    op.name,
                    op.kind,
                    "" if silent else op.description,
                    () if silent else op.arguments,
                    "" if "constraints" in hide else op.constraint,
                )
            )
        for k in range(len(self.nodes)):
            fixed = self.kind(k) == "input"
            dropped = ("inputs" in hide and "code" in hide) if fixed else ("others" in hide and "code" in hide)
            if k in ends or not dropped:
                keep.append(k)
        place = {k: i for i, k in enumerate(keep)}
        nodes = []
        for k in keep:
            n = self.nodes[k]
            inputs = () if "code" in hide else tuple(place[i] if type(i) is int else i for i in n.inputs)
            part = "inputs" if self.kind(k) == "input" else "others"
            shown = _HIDDEN if part in hide and k not in ends else n.shown
            nodes.append(GraphNode(n.operator, inputs, shown))
        used = sorted({n.operator for n in nodes})
        renumber = {op: i for i, op in enumerate(used)}
        return TraceGraph(
            tuple(operators[op] for op in used),
            tuple(GraphNode(renumber[n.operator], n.inputs, n.shown) for n in nodes),
            tuple(place[k] for k in self.parameters),
            place[self.output],
            hide,
        )

    def sections(self, budget: int = 8_000) -> Mapping[str, str]:
        """The paper's sections (code, documentation, variables, constraints, inputs, others, outputs) as texts."""
        from .render import sections

        return sections(self, budget)

    def to_pseudocode(self, budget: int = 8_000) -> str:
        """The paper's pseudo-code, at most `budget` characters; what is left out is said, with how much."""
        from .render import pseudocode

        return pseudocode(self, budget)

    def to_mermaid(self, budget: int = 8_000) -> str:
        """A Mermaid flowchart, at most `budget` characters."""
        from .diagrams import mermaid

        return mermaid(self, budget)

    def to_graphviz(self, budget: int = 8_000) -> str:
        """A Graphviz digraph, at most `budget` characters."""
        from .diagrams import graphviz

        return graphviz(self, budget)


_ENCODER: msgspec.json.Encoder = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[TraceGraph] = msgspec.json.Decoder(TraceGraph)


def _data(type_name: str, shown: Any) -> Data:
    return Data(type_name, _ENCODER.encode(shown).decode())


_HIDDEN = _data("hidden", {"$cut": "hidden"})
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
        return _data(t.__name__, n._snap)
    if t in _EXACT or (t in _NUMBER and -LARGEST <= v <= LARGEST):
        return v
    if t is str:
        most = TEXT * 5 if n._op.kind in ("parameter", "code") else TEXT
        if len(v) > most:
            return _data("str", _beginning(v, most // 2))
    shown = snapshot(v)
    return shown if type(shown) is str else _data(t.__name__, shown)


def _literal(v: Any) -> Literal:
    t = type(v)
    if t in _EXACT or (t in _NUMBER and -LARGEST <= v <= LARGEST):
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
