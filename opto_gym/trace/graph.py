"""The trace graph: immutable plain data, which `backward` makes of a run.

A graph is a table of operators and a list of nodes that point into it, in evaluation order (the post-order of the
graph's shape). The same program gives the same graph, names and hash in any process, thread or order.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import TraceError
from ..utils.moved import moved_names
from .data import OPERATOR_KINDS, PARTS, Data, GraphNode, OperatorInfo
from .diagrams import graphviz, mermaid
from .render import pseudocode, sections

if TYPE_CHECKING:
    from collections.abc import Mapping


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
            if op.kind not in OPERATOR_KINDS:
                raise TraceError(f"operator {op.name!r}: expected a kind of {list(OPERATOR_KINDS)}, got {op.kind!r}")
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
                    taken.add(name)  # another operator's name may end in a digit
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
        return sections(self, budget)

    def to_pseudocode(self, budget: int = 8_000) -> str:
        """The paper's pseudo-code, at most `budget` characters; where something is left out, a line says how much."""
        return pseudocode(self, budget)

    def to_mermaid(self, budget: int = 8_000) -> str:
        """A Mermaid flowchart, at most `budget` characters."""
        return mermaid(self, budget)

    def to_graphviz(self, budget: int = 8_000) -> str:
        """A Graphviz digraph, at most `budget` characters."""
        return graphviz(self, budget)


_ENCODER: msgspec.json.Encoder = msgspec.json.Encoder()

_DECODER: msgspec.json.Decoder[TraceGraph] = msgspec.json.Decoder(TraceGraph)


def make_data(type_name: str, shown: Any) -> Data:
    """A value's JSON form as text."""
    return Data(type_name, _ENCODER.encode(shown).decode())


_HIDDEN = make_data("hidden", {"$cut": "hidden"})


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "BATCH": "trace.propagation",
            "backward": "trace.propagation",
            "batch": "trace.propagation",
        },
    )
