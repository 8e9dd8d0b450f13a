"""The paper's pseudo-code of a graph, in its sections, within a budget of characters.

While the budget lasts, everything is shown whole; only loops of more than twenty rounds are folded, with every value
that changed in them. What goes first when it does not last stands in `Rank`: arithmetic, and values that repeat what
has just been shown. What goes last are errors and failed checks, what is said of the operators that led to them, and
the parameters. A line says how much was left out.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .allocation import Line, fit_lines
from .data import Data, Literal
from .display import GRID_FORMAT, MOST_NUMBERS, float_texts, is_grid, numbers_in, write
from .expressions import expression
from .loops import LEAVES, LONGEST, WIDEST, Fold, computed, folded
from .ranking import SHARES, Rank, Ranking
from .rounds import Rounds
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

LEGEND = f"# {GRID_FORMAT}\n"
SHORTEST_CUT = 30
"""The characters that the note of a cut takes, at most."""


def pseudocode(graph: TraceGraph, budget: int) -> str:
    """See `TraceGraph.to_pseudocode`."""
    parts = sections(graph, budget - sum(len(t) + 4 for t in TITLES.values()))
    return "\n\n".join(f"#{TITLES[name]}\n{text}" for name, text in parts.items() if text)


def sections(graph: TraceGraph, budget: int) -> dict[str, str]:
    """See `TraceGraph.sections`. A part that was masked is empty."""
    renderer = _Renderer(graph, None, budget)
    texts = renderer.fitted(renderer.lines)
    return {name: texts.get(name, "") for name in TITLES}


def calls(graph: TraceGraph, places: Sequence[int], budget: int) -> str:
    """Some nodes of a graph, a line each with its value, in at most `budget` characters; loops are folded.

    Args:
        graph: The graph.
        places: The nodes' places, in order.
        budget: Characters.
    """
    renderer = _Renderer(graph, places, budget)
    return renderer.fitted(renderer.call_lines).get("others", "")


class _Basis(NamedTuple):
    """What the rendering of some nodes begins with at any budget; see the attributes of `_Renderer`."""

    body: Sequence[int]
    leaves: Sequence[int]
    ranking: Ranking
    floats: dict[float, str]
    has_board: bool


class _Renderer:
    """The lines of a graph's sections.

    Args:
        graph: The graph.
        body: The places of the nodes that are shown with what they were computed from; None for all computed ones.
        budget: Characters.
    """

    def __init__(self, graph: TraceGraph, body: Sequence[int] | None, budget: int) -> None:
        self.budget = budget
        self.graph, self.names = graph, graph.names
        self._values: dict[int, Any] = {}
        kept = graph.__dict__ if body is None else {}  # a prompt is fitted by rendering a graph at several budgets
        if "_basis" not in kept:
            kept["_basis"] = self._basis(computed(graph) if body is None else body)
        self.body, self.leaves, self.ranking, self.floats, self.has_board = kept["_basis"]
        self.rounds = Rounds(graph, self.body, lambda k: write(self.value(k), self.floats), budget)

    def _basis(self, body: Sequence[int]) -> _Basis:
        """What does not depend on the budget."""
        graph = self.graph
        inputs = {place for place, op in enumerate(graph.operators) if op.kind == "input"}
        nodes = enumerate(graph.nodes) if inputs else ()
        leaves = [k for k, n in nodes if n.operator in inputs and k != graph.output]
        return _Basis(body, leaves, Ranking(graph, body), self._float_texts(body, leaves), self._has_board())

    def fitted(self, lines: Callable[[Sequence[int | Fold], int], Iterator[Line]]) -> dict[str, str]:
        """The sections' texts within the budget; loops are folded as far as that takes, and boards are explained."""
        budget = self.budget - (len(LEGEND) if self.has_board else 0)
        folds_alike = len(self.body) > WIDEST * LONGEST * LONG_LOOP  # no loop of so few rounds is large enough
        for rounds in (SHORT_LOOP,) if folds_alike else (LONG_LOOP, SHORT_LOOP):
            texts, whole = fit_lines(lines(self._plan(rounds), budget), budget, SHARES)
            if whole:
                break
        if budget < self.budget:
            first = next((name for name in TITLES if "grid(" in texts.get(name, "")), None)
            texts |= {first: LEGEND + texts[first]} if first else {}
        return texts

    def value(self, k: int) -> Any:
        """The value of a node."""
        if k not in self._values:
            self._values[k] = self.graph.nodes[k].value
        return self._values[k]

    def _plan(self, rounds: int) -> list[int | Fold]:
        """The body with its loops folded, except for the first error or failed check of each operator."""
        body, plan, begin = self.body, list[int | Fold](), 0
        first = {self.graph.nodes[k].operator: k for k in sorted(self.ranking.bad, reverse=True)}
        for k in sorted(first.values()) if rounds == SHORT_LOOP else ():
            end = bisect.bisect_left(body, k)
            if end < len(body) and body[end] == k:  # else it is the output, which has a section of its own
                plan += [*folded(self.graph, body[begin:end], rounds), k]
                begin = end + 1
        return [*plan, *folded(self.graph, body[begin:], rounds)]

    def _float_texts(self, body: Sequence[int], leaves: Sequence[int]) -> dict[float, str]:
        """The texts of the floats that were computed; those of parameters, inputs and literals are exact."""
        graph = self.graph
        if len(graph) > MOST_NUMBERS:
            return {}
        exact, rounded = set[int | float](), set[float]()
        for k in (*graph.parameters, *leaves):
            exact.update(numbers_in(self.value(k)))
        for k in (*body, graph.output):
            for literal in graph.nodes[k].inputs:
                if isinstance(literal, Literal):
                    exact.update(numbers_in(literal.value))
            for number in numbers_in(self.value(k)):
                (rounded if type(number) is float else exact).add(number)
            if len(rounded) + len(exact) > MOST_NUMBERS:
                return {}
        return float_texts(rounded, exact)

    # ---- lines
    def lines(self, plan: Sequence[int | Fold], budget: int) -> Iterator[Line]:
        """The lines of all sections, in the order of each section."""
        graph = self.graph
        yield from self._documentation()
        for k in graph.parameters:
            op = graph.operators[graph.nodes[k].operator]
            if op.description:
                yield _line(Rank.GUIDE, "variables", cut, f"# {op.name}: {' '.join(op.description.split())}")
        for k in graph.parameters:
            yield _line(Rank.PARAMETER, "variables", self._variable, k)
            if graph.operators[graph.nodes[k].operator].constraint:
                yield _line(Rank.GUIDE, "constraints", self._constraint, k)
        if "inputs" not in graph.hidden:
            for k in self.leaves:
                yield _line(Rank.NEAR, "inputs", self._valued, k)
        shown = tuple(name for name in ("code", "others") if name not in graph.hidden)
        for item, rank, nodes in self.ranking.ranked(plan, budget) if shown else ():
            if isinstance(item, Fold):
                text = functools.partial(self.rounds.parts, item)
                yield Line(rank, shown, text, nodes, self.rounds.shortest(item))
            else:
                yield Line(rank, shown, None if item is None else functools.partial(self._parts, item), nodes)
        called = "code" in shown and graph.kind(graph.output) not in LEAVES
        yield Line(Rank.OUTPUT, ("code", "outputs") if called else ("outputs",), self._output)

    def call_lines(self, plan: Sequence[int | Fold], budget: int) -> Iterator[Line]:
        """The nodes of the body, a line each with its call and its value."""
        for item, rank, nodes in self.ranking.ranked(plan, budget):
            if item is None:
                yield Line(rank, ("others",), None, nodes)
            elif isinstance(item, Fold):
                line = _line(rank, "others", self.rounds.calls_with_values, item)
                yield line._replace(nodes=nodes, shortest=self.rounds.shortest(item))
            else:
                yield _line(rank, "others", self._call_with_value, item)

    def _documentation(self) -> Iterator[Line]:
        """What is said of each operator that was used, in the order of the table."""
        ranks: dict[str, Rank] = {}
        for place, op in enumerate(self.graph.operators):
            text = f"[{op.name}] {op.description}"
            if op.description and op.kind not in LEAVES:
                rank = Rank.GUIDE if place in self.ranking.path else Rank.DOCUMENTATION
                ranks[text] = min(rank, ranks.get(text, rank))
        for text, rank in ranks.items():
            yield _line(rank, "documentation", cut, text)

    def _variable(self, k: int, limit: int) -> str:
        value, op = self.value(k), self.graph.operators[self.graph.nodes[k].operator]
        if op.kind == "code":
            return cut(f"(code) {self.names[k]}:\n{str(value).rstrip()}", limit)
        return self._pair(f"({self._type(k)}) {self.names[k]}=", self._plain(value), limit)

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
        if len(name) > limit // 2:
            return cut(name + value, limit)
        return name + cut(value, max(limit - len(name), SHORTEST_CUT))

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
        if len(text) <= limit:
            return text
        most = max(40, limit // (2 * max(1, len(arguments))))
        arguments = [a if isinstance(i, int) else cut(a, most) for i, a in zip(node.inputs, arguments, strict=True)]
        shorter = f"{self.names[k]} = {expression(op.name, op.kind, op.arguments, arguments)}"
        return shorter if len(shorter) <= limit else cut(text, limit)  # rather long literals than the end of the call

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

    def _has_board(self) -> bool:
        """Whether a value is a board; literals are none, they are scalars."""
        shown = (n.shown for n in self.graph.nodes)
        return any(type(s) is Data and s.json.startswith('[["') and is_grid(s.value) for s in shown)


def _line(rank: Rank, section: str, text: Callable[[T, int], str], what: T) -> Line:
    return Line(rank, (section,), lambda limit: {section: text(what, limit)})
