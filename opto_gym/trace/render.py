"""The paper's pseudo-code of a graph, in its sections, within a budget of characters.

Loops are rolled up: the first round and the last two are printed, between them one line an operation with its values.
Where something is left out, a line says how much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .data import Data, Literal
from .values import cut, short

if TYPE_CHECKING:
    from .graph import TraceGraph

TITLES = {
    "code": "Code",
    "documentation": "Documentation",
    "variables": "Variables",
    "constraints": "Constraints",
    "inputs": "Inputs",
    "others": "Others",
    "outputs": "Outputs",
}
_SHARES = {  # of a budget that is too small for all; what one does not use goes to the others
    "variables": 0.35,
    "outputs": 0.15,
    "code": 0.17,
    "others": 0.15,
    "documentation": 0.1,
    "inputs": 0.05,
    "constraints": 0.03,
}
_SYMBOLS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "lshift": "<<",
    "rshift": ">>",
    "and": "&",
    "or": "|",
    "xor": "^",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
_CUT = re.compile(r" \.\.\(\d+ more\)\.\. ")  # what `values.cut` leaves behind
_PREFIXES = {"neg": "-", "pos": "+", "invert": "~"}


class Fold(NamedTuple):
    """A loop: `rounds` repetitions of `period` operations; these are the nodes of the rounds that are not printed."""

    period: int
    nodes: Sequence[int]


def computed(graph: TraceGraph) -> list[int]:
    """The nodes that were computed, in order, the output apart."""
    leaves = [op.kind in ("input", "parameter", "code") for op in graph.operators]
    return [k for k, n in enumerate(graph.nodes) if not leaves[n.operator] and k != graph.output]


def folded(graph: TraceGraph, body: list[int]) -> list[int | Fold]:
    """The computed nodes with the loops of more than four rounds rolled up that hold at least a 32nd of them."""
    operators = np.array([graph.nodes[k].operator for k in body])
    plan: list[int | Fold] = []
    # What comes after the plan, its begin last: stretches that have not been looked at, and loops.
    waiting: list[tuple[int, int] | list[int | Fold]] = [(0, len(body))]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            plan += part
            continue
        begin, end = part
        period, rounds, start = repetition(operators[begin:end])
        if rounds <= 4 or 32 * period * rounds < len(body):
            plan += body[begin:end]
            continue
        start += begin
        first, last, after = start + period, start + period * (rounds - 2), start + period * rounds
        loop: list[int | Fold] = [*body[start:first], Fold(period, body[first:last]), *body[last:after]]
        waiting += [(after, end), loop, (begin, start)]
    return plan


def repetition(sequence: Sequence[int] | np.ndarray, longest: int = 40) -> tuple[int, int, int]:
    """(period, rounds, start) of the repetition that covers most of the sequence; the shortest period of equals."""
    s = np.asarray(sequence)
    best = (0, 0, 0)
    for p in range(1, min(longest, len(s) // 2) + 1):
        same = np.concatenate(([False], s[p:] == s[:-p], [False]))
        ends = np.flatnonzero(same[1:] != same[:-1])
        if not len(ends):
            continue
        lengths = ends[1::2] - ends[::2]
        at = int(lengths.argmax())
        rounds = int(lengths[at]) // p + 1
        if rounds * p > best[0] * best[1]:
            best = (p, rounds, int(ends[2 * at]))
    return best


def pseudocode(graph: TraceGraph, budget: int) -> str:
    """See `TraceGraph.to_pseudocode`."""
    parts = sections(graph, budget - sum(len(t) + 4 for t in TITLES.values()))
    return "\n\n".join(f"#{TITLES[name]}\n{text}" for name, text in parts.items() if text)


def sections(graph: TraceGraph, budget: int) -> dict[str, str]:
    """See `TraceGraph.sections`. A part that was masked is empty."""
    r = _Renderer(graph)
    bodies: dict[str, Callable[[int], str]] = {
        "code": r.code,
        "documentation": r.documentation,
        "variables": r.variables,
        "constraints": r.constraints,
        "inputs": r.inputs,
        "others": r.others,
        "outputs": r.outputs,
    }
    # First what each needs with the whole budget, then, if all do not fit, its share and what others left over.
    texts = {name: body(budget) for name, body in bodies.items()}
    budgets = shared({name: len(text) for name, text in texts.items()}, _SHARES, budget)
    return {name: text if len(text) <= budgets[name] else bodies[name](budgets[name]) for name, text in texts.items()}


def calls(graph: TraceGraph, places: Sequence[int], budget: int) -> str:
    """Some nodes of a graph, a line each with its value, in at most `budget` characters; loops are rolled up.

    Args:
        graph: The graph.
        places: The nodes' places, in order.
        budget: Characters.
    """
    r = _Renderer(graph, list(places))
    limit = max(80, budget // max(1, len(r.plan)))
    return fit(r.plan, lambda k: r.line(k, limit), r._fold_call, budget)


def shared(needs: dict[Any, int], shares: dict[Any, float], budget: int) -> dict[Any, int]:
    """Divides a budget: each part gets what it needs if that is within its share, else its share of what is left.

    Args:
        needs: The characters that each part needs.
        shares: The share of each part.
        budget: The characters to divide.
    """
    budgets: dict[Any, int] = {}
    while len(budgets) < len(needs):
        remaining = [n for n in needs if n not in budgets]
        whole, left = sum(shares[n] for n in remaining), budget - sum(budgets.values())
        small = {n: needs[n] for n in remaining if needs[n] <= left * shares[n] / whole}
        budgets.update(small or {n: int(left * shares[n] / whole) for n in remaining})
    return budgets


class _Renderer:
    def __init__(self, graph: TraceGraph, body: list[int] | None = None) -> None:
        self.g = graph
        self.names = graph.names
        self.plan = folded(graph, computed(graph) if body is None else body)

    def code(self, budget: int) -> str:
        if "code" in self.g.hidden:
            return ""
        plan = [*self.plan, self.g.output] if self.g.kind(self.g.output) not in _LEAVES else self.plan
        return fit(plan, self._call, self._fold_call, budget)

    def documentation(self, budget: int) -> str:
        lines = [
            f"[{op.name}] {op.description}" for op in self.g.operators if op.description and op.kind not in _LEAVES
        ]
        return fit(list(dict.fromkeys(lines)), lambda line: line, None, budget)

    def variables(self, budget: int) -> str:
        places = list(self.g.parameters)
        needs = {k: len(self._variable(k, budget)) + 1 for k in places}
        budgets = shared(needs, dict.fromkeys(places, 1.0), budget + 1)
        return fit(places, lambda k: self._variable(k, max(60, budgets[k] - 1)), None, budget)

    def constraints(self, budget: int) -> str:
        infos = [(k, self.g.operators[self.g.nodes[k].operator]) for k in self.g.parameters]
        lines = [f"({self._type(k)}) {op.name}: {op.constraint}" for k, op in infos if op.constraint]
        return fit(lines, lambda line: line, None, budget)

    def inputs(self, budget: int) -> str:
        if "inputs" in self.g.hidden:
            return ""
        leaves = [k for k in range(len(self.g)) if self.g.kind(k) == "input" and k != self.g.output]
        return fit(leaves, lambda k: self._value(k, max(200, budget // max(1, len(leaves)))), None, budget)

    def others(self, budget: int) -> str:
        if "others" in self.g.hidden:
            return ""
        return fit(self.plan, self._value, self._fold_value, budget)

    def outputs(self, budget: int) -> str:
        return cut(self._value(self.g.output, max(60, budget - 80)), budget)

    def _type(self, k: int) -> str:
        shown = self.g.nodes[k].shown
        if self.g.kind(k) == "code":
            return "code"
        return shown.type if type(shown) is Data else type(shown).__name__

    def _variable(self, k: int, limit: int) -> str:
        value, name = self.g.nodes[k].value, self.names[k]
        if self.g.kind(k) == "code":
            return cut(f"(code) {name}:\n{str(value).rstrip()}", limit)
        text = value if isinstance(value, str) else short(value, limit)
        return cut(f"({self._type(k)}) {name}={text}", limit)

    def _value(self, k: int, limit: int = 300) -> str:
        return f"({self._type(k)}) {self.names[k]}={short(self.g.nodes[k].value, limit)}"

    def _argument(self, i: int | Literal) -> str:
        return self.names[i] if isinstance(i, int) else short(i.value, 60)

    def _call(self, k: int) -> str:
        n = self.g.nodes[k]
        op = self.g.operators[n.operator]
        args = [self._argument(i) for i in n.inputs]
        return f"{self.names[k]} = {_expression(op.name, op.kind, op.arguments, args)}"

    def line(self, k: int, limit: int) -> str:
        """A node with its value: a call with what it gave, or a leaf."""
        if self.g.kind(k) == "code":
            return self._variable(k, limit)
        value = short(self.g.nodes[k].value, limit)
        return f"{self.names[k]} = {value}" if self.g.kind(k) in _LEAVES else f"{self._call(k)}  # gave {value}"

    def _fold_call(self, f: Fold) -> str:
        rounds = len(f.nodes) // f.period
        names = ", ".join(f"{self.names[f.nodes[j]]}..{self.names[f.nodes[j - f.period]]}" for j in range(f.period))
        operations = "this operation, which gives" if f.period == 1 else f"these {f.period} operations, which give"
        return f"# ... {rounds} more rounds of {operations} {cut(names, 400)}"

    def _fold_value(self, f: Fold) -> str:
        lines = []
        for j in range(f.period):
            column = f.nodes[j :: f.period]
            values = [short(self.g.nodes[k].value, 24) for k in column[:40]]
            if len(set(values)) == 1 and len(column) <= 40:
                shown = f"always {values[0]}"
            elif not any(map(_CUT.search, values)):
                more = f" ... {len(column) - 40} more" if len(column) > 40 else ""
                shown = cut(" ".join(values), 300) + more
            else:
                shown = f"{len(column)} values not shown"
            lines.append(f"# {self.names[column[0]]}..{self.names[column[-1]]}: {shown}")
        return "\n".join(lines)


_LEAVES = ("input", "parameter", "code")


def _expression(name: str, kind: str, arguments: tuple[str, ...], args: list[str]) -> str:
    """A call as Python would write it."""
    if kind == "error":
        return f"error after ({', '.join(args)})"
    if kind == "call":
        return f"{name}({', '.join(args[1:])})"
    if name.startswith(".") and args:
        k = len(args) - len(arguments)  # the last ones were given by name
        given = [*args[1:k], *(f"{a}={v}" for a, v in zip(arguments, args[k:], strict=True))]
        return f"{args[0]}{name}({', '.join(given)})"
    if kind == "operator" and not arguments:
        if name in _SYMBOLS and len(args) == 2:
            return f"{args[0]} {_SYMBOLS[name]} {args[1]}"
        if name in _PREFIXES and len(args) == 1:
            return f"{_PREFIXES[name]}{args[0]}"
        if name in ("getitem", "item") and len(args) == 2:
            return f"{args[0]}[{args[1]}]"
        if name == "getattr" and len(args) == 2:
            return f"{args[0]}.{args[1].strip(chr(39))}"
        if name == "list":
            return f"[{', '.join(args)}]"
        if name == "tuple":
            return f"({', '.join(args)}{',' if len(args) == 1 else ''})"
        if name == "dict":
            return "{" + ", ".join(f"{k}: {v}" for k, v in zip(args[::2], args[1::2], strict=True)) + "}"
    if len(arguments) >= len(args):  # less where defaults were used
        args = [f"{a}={v}" for a, v in zip(arguments, args, strict=False)]
    return f"{name}({', '.join(args)})"


def fit(items: Sequence[Any], line: Callable[[Any], str], fold: Callable[[Fold], str] | None, budget: int) -> str:
    """The items' lines; where they don't fit, the first and the last ones with a note of how many are left out.

    The end gets two thirds of the budget, since it is nearest to the feedback.

    Args:
        items: What to show, a line each.
        line: An item as a line.
        fold: A loop as a line; None where there are none.
        budget: Characters.
    """

    def text(item: Any) -> str:
        return fold(item) if fold is not None and isinstance(item, Fold) else line(item)

    def take(order: Iterator[Any], size: int) -> list[str]:
        taken = []
        for item in order:
            shown = text(item)
            size -= len(shown) + 1
            if size < 0:
                break
            taken.append(shown)
        return taken

    whole = take(iter(items), budget + 1)
    if len(whole) == len(items):
        return "\n".join(whole)
    reserved = 40
    tail = take(reversed(items), (budget - reserved) * 2 // 3)
    head = take(iter(items[: len(items) - len(tail)]), budget - reserved - sum(len(t) + 1 for t in tail))
    missing = items[len(head) : len(items) - len(tail)]
    count = sum(len(i.nodes) if isinstance(i, Fold) else 1 for i in missing)
    if not head and not tail and len(items) == 1:
        return cut(text(items[0]), budget)
    return cut("\n".join([*head, f"# ... {count} lines left out", *tail[::-1]]), budget)
