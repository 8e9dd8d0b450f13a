"""The paper's pseudo-code of a graph, in its sections, within a budget of characters.

While the budget lasts, everything is shown whole; only loops of more than twenty rounds are folded, with every value
that changed in them. What goes first when it does not last stands in `Rank`: arithmetic, and values that repeat what
has just been shown. What goes last are errors and failed checks, what is said of the operators that led to them, and
the parameters. A line says how much was left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

from .allocation import Line, fit_lines
from .data import Data, Literal
from .display import GRID_FORMAT, float_texts, is_grid, numbers_in, write
from .expressions import expression
from .loops import LEAVES, Fold, computed, folded
from .values import cut

if TYPE_CHECKING:
    from .graph import TraceGraph

T = TypeVar("T")

TITLES = {
    "code": "Code",
    "documentation": "Documentation",
    "variables": "Variables",
    "constraints": "Constraints",
    "inputs": "Inputs",
    "others": "Others",
    "outputs": "Outputs",
}
LONG_LOOP = 20
"""The rounds of a loop that are shown one by one while the budget lasts."""

SHORT_LOOP = 4
"""The rounds of a loop that are shown one by one in any case."""

CALL = 120
"""The characters of a call that are shown before its value is cut further."""


class Rank(IntEnum):
    """What goes last (the first of these) and first (the last) when a budget does not hold all."""

    OUTPUT = 0  # and errors
    GUIDE = 1  # the documentation of what led to an error or a failed check, and constraints
    PARAMETER = 2
    CHECK = 3  # that failed
    DOCUMENTATION = 4  # of the other operators
    NEAR = 5  # inputs, other checks, and what errors, failed checks and the output were computed from
    CALL = 6  # of operators that have a documentation, and of code
    ARITHMETIC = 7
    REPEAT = 8  # a part of what has just been shown


SHARES: dict[int, float] = {
    Rank.OUTPUT: 0.6,
    Rank.GUIDE: 0.6,
    Rank.PARAMETER: 0.85,
    Rank.CHECK: 0.6,
    Rank.DOCUMENTATION: 0.6,
    Rank.NEAR: 0.6,
    Rank.CALL: 0.85,
    Rank.ARITHMETIC: 0.9,
    Rank.REPEAT: 1.0,
}
"""How much of what is left each rank may take while later ones need it too."""


def pseudocode(graph: TraceGraph, budget: int) -> str:
    """See `TraceGraph.to_pseudocode`."""
    parts = sections(graph, budget - sum(len(t) + 4 for t in TITLES.values()))
    return "\n\n".join(f"#{TITLES[name]}\n{text}" for name, text in parts.items() if text)


def sections(graph: TraceGraph, budget: int) -> dict[str, str]:
    """See `TraceGraph.sections`. A part that was masked is empty."""
    body = computed(graph)
    for rounds in (LONG_LOOP, SHORT_LOOP):
        renderer = _Renderer(graph, body, rounds)
        texts, whole = fit_lines(renderer.lines(), budget - renderer.legend_length, SHARES)
        if whole:
            break
    return renderer.with_legend({name: texts.get(name, "") for name in TITLES}, budget)


def calls(graph: TraceGraph, places: Sequence[int], budget: int) -> str:
    """Some nodes of a graph, a line each with its value, in at most `budget` characters; loops are folded.

    Args:
        graph: The graph.
        places: The nodes' places, in order.
        budget: Characters.
    """
    for rounds in (LONG_LOOP, SHORT_LOOP):
        texts, whole = fit_lines(_Renderer(graph, places, rounds).call_lines(), budget, SHARES)
        if whole:
            break
    return texts.get("others", "")


class _Renderer:
    """The lines of a graph's sections.

    Args:
        graph: The graph.
        body: The places of the nodes that are shown with what they were computed from.
        rounds: The rounds of a loop that are shown one by one.
    """

    def __init__(self, graph: TraceGraph, body: Sequence[int], rounds: int) -> None:
        self.graph, self.names = graph, graph.names
        self._values: dict[int, Any] = {}
        self.leaves = [k for k in range(len(graph)) if graph.kind(k) == "input" and k != graph.output]
        self.bad, self.path, self.near = self._blame(body)
        self.plan = self._plan(body, rounds)
        self.floats = self._float_texts(body)
        hidden = graph.hidden
        seen = [*([] if "inputs" in hidden else self.leaves), *([] if "others" in hidden else body), graph.output]
        self.legend_length = len(GRID_FORMAT) + 3 if any(is_grid(self.value(k)) for k in seen) else 0

    def value(self, k: int) -> Any:
        """The value of a node."""
        if k not in self._values:
            self._values[k] = self.graph.nodes[k].value
        return self._values[k]

    # ---- what matters
    def _blame(self, body: Sequence[int]) -> tuple[set[int], set[int], set[int]]:
        """The errors and failed checks, the nodes that led to them, and what they were computed from directly.

        Without an error and a failed check the output takes their place.
        """
        graph = self.graph
        bad = {k for k in (*body, graph.output) if graph.kind(k) == "error" or check(self.value(k)) is False}
        path, near = set[int](), set[int]()
        ends = bad or {graph.output}
        for k in range(len(graph) - 1, -1, -1):
            if k in ends or k in path:
                path.add(k)
                inputs = [i for i in graph.nodes[k].inputs if type(i) is int]
                path.update(inputs)
                if k in ends or k == graph.output:
                    near.update(inputs)
        return bad, path, near

    def _plan(self, body: Sequence[int], rounds: int) -> list[int | Fold]:
        """The body with its loops folded, except for the first error or failed check of each operator."""
        first = {self.graph.nodes[k].operator: k for k in reversed(body) if k in self.bad}
        plan: list[int | Fold] = []
        begin = 0
        for end in sorted(body.index(k) for k in first.values()) if rounds == SHORT_LOOP else ():
            plan += [*folded(self.graph, body[begin:end], rounds), body[end]]
            begin = end + 1
        return [*plan, *folded(self.graph, body[begin:], rounds)]

    def _rank(self, k: int, before: int | None) -> Rank:
        """The rank of a computed node; `before` is the node that is shown before it."""
        operator = self.graph.operators[self.graph.nodes[k].operator]
        if operator.kind == "error":
            return Rank.OUTPUT
        if k in self.bad:
            return Rank.CHECK
        if operator.name in ("getitem", "item", "getattr") and before in self.graph.nodes[k].inputs[:1]:
            return Rank.REPEAT
        if k in self.near or check(self.value(k)) is not None:
            return Rank.NEAR
        return Rank.CALL if operator.kind == "call" or operator.description else Rank.ARITHMETIC

    def _float_texts(self, body: Sequence[int]) -> dict[float, str]:
        """The texts of the floats that were computed; those of parameters, inputs and literals are exact."""
        graph = self.graph
        if len(graph) > 20_000:
            return {}
        exact: list[int | float] = []
        for k in (*graph.parameters, *self.leaves):
            exact += numbers_in(self.value(k))
        rounded: list[float] = []
        for k in (*body, graph.output):
            for literal in graph.nodes[k].inputs:
                if isinstance(literal, Literal):
                    exact += numbers_in(literal.value)
            for number in numbers_in(self.value(k)):
                (rounded if type(number) is float else exact).append(number)
        return float_texts(rounded, exact)

    # ---- lines
    def lines(self) -> Iterator[Line]:
        """The lines of all sections, in the order of each section."""
        graph = self.graph
        yield from self._documentation()
        for k in graph.parameters:
            yield _line(Rank.PARAMETER, "variables", self._variable, k)
            if graph.operators[graph.nodes[k].operator].constraint:
                yield _line(Rank.GUIDE, "constraints", self._constraint, k)
        if "inputs" not in graph.hidden:
            for k in self.leaves:
                yield _line(Rank.NEAR, "inputs", self._valued, k)
        shown = tuple(name for name in ("code", "others") if name not in graph.hidden)
        yield from self._body(shown, self._parts, self._fold_parts)
        yield Line(Rank.OUTPUT, ("outputs",), self._output)

    def call_lines(self) -> Iterator[Line]:
        """The nodes of the body, a line each with its call and its value."""
        yield from self._body(
            ("others",),
            lambda k, limit: {"others": self._call_with_value(k, limit)},
            lambda f, limit: {"others": self._fold_call(f, limit)},
        )

    def _body(
        self,
        sections: tuple[str, ...],
        parts: Callable[[int, int], dict[str, str]],
        fold_parts: Callable[[Fold, int], dict[str, str]],
    ) -> Iterator[Line]:
        if not sections:
            return
        before: int | None = None
        for item in self.plan:
            if isinstance(item, Fold):
                rank = min((self._rank(k, None) for k in item.nodes[:2000]), default=Rank.CALL)
                rank = Rank.CHECK if rank is Rank.OUTPUT else rank
                yield Line(rank, sections, functools.partial(fold_parts, item), len(item.nodes))
                before = item.nodes[-1]
            else:
                rank = Rank.PARAMETER if self.graph.kind(item) in LEAVES else self._rank(item, before)
                yield Line(rank, sections, functools.partial(parts, item))
                before = item

    def _documentation(self) -> Iterator[Line]:
        """What is said of each operator that was used, in the order of the table."""
        used = {self.graph.nodes[k].operator for k in self.path}
        seen = set[str]()
        for place, op in enumerate(self.graph.operators):
            text = f"[{op.name}] {op.description}"
            if op.description and op.kind not in LEAVES and text not in seen:
                seen.add(text)
                rank = Rank.GUIDE if place in used else Rank.DOCUMENTATION
                yield _line(rank, "documentation", cut, text)

    def _variable(self, k: int, limit: int) -> str:
        value, op = self.value(k), self.graph.operators[self.graph.nodes[k].operator]
        description = f"# {op.name}: {' '.join(op.description.split())}\n" if op.description else ""
        if len(description) > limit // 3:  # the value is worth more
            description = ""
        left = limit - len(description)
        if op.kind == "code":
            return description + cut(f"(code) {self.names[k]}:\n{str(value).rstrip()}", left)
        return description + self._pair(f"({self._type(k)}) {self.names[k]}=", self._plain(value), left)

    def _constraint(self, k: int, limit: int) -> str:
        op = self.graph.operators[self.graph.nodes[k].operator]
        return cut(f"({self._type(k)}) {op.name}: {op.constraint}", limit)

    def _plain(self, value: Any) -> str:
        return value if isinstance(value, str) else write(value)

    def _valued(self, k: int, limit: int) -> str:
        floats = {} if self.graph.kind(k) in LEAVES else self.floats
        return self._pair(f"({self._type(k)}) {self.names[k]}=", write(self.value(k), floats), limit)

    @staticmethod
    def _pair(name: str, value: str, limit: int) -> str:
        """A name and a value of which the value is cut."""
        return cut(name + value, limit) if len(name) > limit // 2 else name + cut(value, limit - len(name))

    def _type(self, k: int) -> str:
        shown = self.graph.nodes[k].shown
        if self.graph.kind(k) == "code":
            return "code"
        return shown.type if type(shown) is Data else type(shown).__name__

    def _call(self, k: int, limit: int) -> str:
        node = self.graph.nodes[k]
        op = self.graph.operators[node.operator]
        arguments = [self.names[i] if isinstance(i, int) else write(i.value) for i in node.inputs]
        text = f"{self.names[k]} = {expression(op.name, op.kind, op.arguments, arguments)}"
        if len(text) > limit:  # cut long literals rather than the end of the call
            most = max(40, limit // (2 * max(1, len(arguments))))
            arguments = [a if isinstance(i, int) else cut(a, most) for i, a in zip(node.inputs, arguments, strict=True)]
            text = cut(f"{self.names[k]} = {expression(op.name, op.kind, op.arguments, arguments)}", limit)
        return text

    def _parts(self, k: int, limit: int) -> dict[str, str]:
        """A computed node's lines in the sections of calls and of values."""
        hidden, parts = self.graph.hidden, {}
        if "code" not in hidden:
            parts["code"] = self._call(k, limit if "others" in hidden else max(CALL, limit // 2))
        if "others" not in hidden:
            parts["others"] = self._valued(k, max(limit - sum(map(len, parts.values())), min(60, limit)))
        return parts

    def _output(self, limit: int) -> dict[str, str]:
        graph, k = self.graph, self.graph.output
        parts = {"outputs": self._valued(k, limit)}
        if "code" not in graph.hidden and graph.kind(k) not in LEAVES:
            parts["code"] = self._call(k, max(CALL, limit // 2))
            parts["outputs"] = self._valued(k, max(limit - len(parts["code"]), min(60, limit)))
        return parts

    def _call_with_value(self, k: int, limit: int) -> str:
        if self.graph.kind(k) == "code":
            return self._variable(k, limit)
        if self.graph.kind(k) in LEAVES:
            return self._pair(f"{self.names[k]} = ", write(self.value(k)), limit)
        return self._pair(f"{self._call(k, max(CALL, limit // 2))}  # gave ", write(self.value(k), self.floats), limit)

    # ---- loops
    def _fold_parts(self, fold: Fold, limit: int) -> dict[str, str]:
        hidden, parts = self.graph.hidden, {}
        if "code" not in hidden:
            parts["code"] = self._fold_call(fold, limit if "others" in hidden else limit // 4)
        if "others" not in hidden:
            parts["others"] = self._fold_values(fold, limit - len(parts.get("code", "")))
        return parts

    def _fold_call(self, fold: Fold, limit: int) -> str:
        nodes, period = fold.nodes, fold.period
        operations, give = ("this operation", "gives") if period == 1 else (f"these {period} operations", "give")
        names = ", ".join(f"{self.names[nodes[j]]}..{self.names[nodes[j - period]]}" for j in range(period))
        text = f"# ... {len(nodes) // period} more rounds of {operations}"
        return f"{text}, which {give} {names}" if len(text) + len(names) + 14 <= limit else text

    def _fold_values(self, fold: Fold, limit: int) -> str:
        """A line an operation, with its values in all rounds."""
        each = limit // fold.period
        return "\n".join(self._column(fold.nodes[j :: fold.period], each) for j in range(fold.period))

    def _column(self, nodes: Sequence[int], limit: int) -> str:
        """The values of one operation: equal ones in a row once, with their number."""
        head = f"# {self.names[nodes[0]]}..{self.names[nodes[-1]]}: "
        runs = _runs(nodes, lambda k: (type(self.graph.nodes[k].shown), self.graph.nodes[k].shown))
        if len(runs) == 1:
            return head + "always " + cut(write(self.value(nodes[0]), self.floats), max(40, limit - len(head)))
        return head + _ends([self._run(k, n) for k, n in runs], [n for _, n in runs], max(40, limit - len(head)))

    def _run(self, k: int, count: int) -> str:
        return write(self.value(k), self.floats) + (f" ({count} times)" if count > 1 else "")

    # ---- what a reader has to know
    def with_legend(self, texts: dict[str, str], budget: int) -> dict[str, str]:
        """The sections, with the format of boards explained in the first that shows one."""
        for name in ("inputs", "others", "outputs"):
            if self.legend_length and "grid(" in texts[name]:
                texts[name] = f"# {GRID_FORMAT}\n{texts[name]}"
                break
        return texts


def _line(rank: Rank, section: str, text: Callable[[T, int], str], what: T) -> Line:
    return Line(rank, (section,), lambda limit: {section: text(what, limit)})


def check(value: Any) -> bool | None:
    """What a check says: a truth value, or a dictionary with truth values, all of which must hold. None for others."""
    if type(value) is bool:
        return value
    verdicts = [v for v in value.values() if type(v) is bool] if type(value) is dict else []
    return all(verdicts) if verdicts else None


def _runs(nodes: Iterable[int], key: Callable[[int], Any]) -> list[tuple[int, int]]:
    """(first node, count) of each stretch of nodes with equal keys."""
    runs: list[tuple[int, int]] = []
    last: Any = object()
    for k in nodes:
        if (now := key(k)) == last:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((k, 1))
            last = now
    return runs


def _ends(texts: list[str], counts: list[int], limit: int) -> str:
    """Values one after the other; where they don't fit, as many of both ends as do, with the number of the others."""
    separator = "; "
    if sum(len(t) + len(separator) for t in texts) - len(separator) <= limit:
        return separator.join(texts)
    room = limit - len(f"..({sum(counts)} more values)..") - 2 * len(separator)
    head: list[str] = []
    tail: list[str] = []
    low, high = 0, len(texts)
    while low < high:  # two from the end for one from the beginning
        from_head = len(head) * 2 < len(tail)
        text = texts[low] if from_head else texts[high - 1]
        room -= len(text) + len(separator)
        if room < 0:
            break
        if from_head:
            head.append(text)
            low += 1
        else:
            tail.append(text)
            high -= 1
    return separator.join([*head, f"..({sum(counts[low:high])} more values)..", *tail[::-1]])
