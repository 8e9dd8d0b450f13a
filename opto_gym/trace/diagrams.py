"""Graphs as pictures: Mermaid and Graphviz sources, bounded, with loops rolled up."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from .display import short
from .loops import Fold, computed, folded

if TYPE_CHECKING:
    from .graph import TraceGraph


class _Box(NamedTuple):
    key: str
    label: str
    kind: str
    inputs: tuple[str, ...]


def _boxes(g: TraceGraph, limit: int) -> list[_Box]:
    """At most about `limit` boxes: the output's side first, then parameters; one box stands for what is left out."""
    plan = folded(g, computed(g))
    names = g.names
    home: dict[int, str] = {}
    for item in plan:
        if isinstance(item, Fold):
            home.update(dict.fromkeys(item.nodes, f"fold{item.nodes[0]}"))
    shown = [k for k in range(len(g)) if k not in home]
    ends = {g.output, *g.parameters[: limit // 2]}
    if len(shown) > limit:
        keep = set(sorted(ends)[:limit]) | set(shown[-max(1, limit - len(ends)) :])
        home.update(dict.fromkeys((k for k in shown if k not in keep), "rest"))
        shown = [k for k in shown if k in keep]

    def key(k: int) -> str:
        return home.get(k, f"n{k}")

    def inputs(nodes: Iterator[int], own: str) -> tuple[str, ...]:
        found = (key(i) for k in nodes for i in g.nodes[k].inputs if type(i) is int)
        return tuple(dict.fromkeys(i for i in found if i != own))[:limit]

    groups: dict[str, list[int]] = {}
    for k, h in home.items():
        groups.setdefault(h, []).append(k)
    boxes = []
    for h, nodes in groups.items():
        label = f"{len(nodes)} nodes of a loop" if h != "rest" else f"{len(nodes)} nodes left out"
        boxes.append(_Box(h, label, "fold", inputs(iter(nodes), h)))
    for k in shown:
        op = g.operators[g.nodes[k].operator]
        boxes.append(_Box(key(k), f"{names[k]} = {short(g.nodes[k].value, 40)}", op.kind, inputs(iter([k]), key(k))))
    return boxes


def _bounded(g: TraceGraph, budget: int, write: type[_Mermaid] | type[_Graphviz]) -> str:
    """The picture with as many boxes as the budget holds."""
    limit = max(2, min(len(g), budget // 60))
    while True:
        text = write.text(_boxes(g, limit))
        if len(text) <= budget or limit <= 2:
            return text if len(text) <= budget else write.text([_Box("n0", f"{len(g)} nodes", "fold", ())])
        limit //= 2


class _Mermaid:
    shapes: ClassVar = {"input": ("[/", "/]"), "parameter": ("([", "])"), "code": ("([", "])"), "error": ("{{", "}}")}

    @classmethod
    def text(cls, boxes: list[_Box]) -> str:
        lines = ["flowchart TD"]
        for b in boxes:
            left, right = cls.shapes.get(b.kind, ("[", "]"))
            label = html.escape(b.label).replace("\n", " ").replace("\\", "&#92;")
            lines.append(f'  {b.key}{left}"{label}"{right}')
        lines += [f"  {i} --> {b.key}" for b in boxes for i in b.inputs]
        return "\n".join(lines) + "\n"


class _Graphviz:
    shapes: ClassVar = {"input": "box", "parameter": "ellipse", "code": "ellipse", "error": "octagon", "fold": "folder"}

    @classmethod
    def text(cls, boxes: list[_Box]) -> str:
        lines = ["digraph trace {", "  node [fontname=Helvetica];"]
        for b in boxes:
            label = b.label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            lines.append(f'  {b.key} [label="{label}", shape={cls.shapes.get(b.kind, "plaintext")}];')
        lines += [f"  {i} -> {b.key};" for b in boxes for i in b.inputs]
        return "\n".join([*lines, "}"]) + "\n"


def mermaid(g: TraceGraph, budget: int) -> str:
    """See `TraceGraph.to_mermaid`."""
    return _bounded(g, budget, _Mermaid)


def graphviz(g: TraceGraph, budget: int) -> str:
    """See `TraceGraph.to_graphviz`."""
    return _bounded(g, budget, _Graphviz)
