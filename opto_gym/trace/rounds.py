"""The lines of a folded loop: its calls with the arguments that change between its rounds, and the values they give."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .data import Literal
from .display import write
from .loops import Fold
from .ranking import PARTS
from .values import cut

if TYPE_CHECKING:
    from .graph import TraceGraph

SEPARATOR = "; "


class _Column(NamedTuple):
    """What a line shows of one operation in all folded rounds.

    Attributes:
        head: The beginning of the line.
        nodes: The operation's nodes.
        text: The text for a node.
        differ: Whether the texts for two nodes differ.
        key: What the column is found by among the others.
    """

    head: str
    nodes: Sequence[int]
    text: Callable[[int], str]
    differ: Callable[[int, int], bool]
    key: tuple[int, int, int | None]


class Rounds:
    """Writes the folded loops of a graph.

    Args:
        graph: The graph.
        body: The places of the nodes that are shown with what they were computed from.
        value: The text of a node's value.
        budget: The characters of the whole text; more of a loop need not be looked at.
    """

    def __init__(self, graph: TraceGraph, body: Sequence[int], value: Callable[[int], str], budget: int) -> None:
        self.graph, self.names, self.body, self.value, self.budget = graph, graph.names, body, value, budget
        self._runs: dict[tuple[int, int, int | None], list[tuple[int, int]]] = {}
        self._changing: dict[tuple[int, int, int], list[_Column]] = {}

    def parts(self, fold: Fold, limit: int) -> dict[str, str]:
        """The loop's texts in the sections of calls and of values, as far as these are shown."""
        hidden, parts = self.graph.hidden, {}
        if "code" not in hidden:
            parts["code"] = self.calls(fold, limit, limit if "others" in hidden else limit // 4)
        if "others" not in hidden:
            left = limit - len(parts.get("code", ""))
            parts["others"] = self._lines([self._values(fold, j) for j in range(fold.period)], left)
        return parts

    def calls_with_values(self, fold: Fold, limit: int) -> str:
        """The loop's calls, and below them the values that they gave."""
        calls = self.calls(fold, limit, limit // 4)
        values = [self._values(fold, j) for j in range(fold.period)]
        return f"{calls}\n{self._lines(values, limit - len(calls))}"

    def calls(self, fold: Fold, limit: int, most: int) -> str:
        """The number of rounds, and a line for each argument that changes in them.

        Args:
            fold: The loop.
            limit: The characters that the loop may take in all sections.
            most: Those that its first line may take.
        """
        nodes, period = fold.nodes, fold.period
        operations, give = ("this operation", "gives") if period == 1 else (f"these {period} operations", "give")
        text = f"# ... {len(nodes) // period} more rounds of {operations}"
        names = f", which {give} {', '.join(_span(self.names, nodes[j::period]) for j in range(period))}"
        text += names if len(text) + len(names) + 4 <= most else ""
        columns = self._arguments(fold)
        values = 0 if "others" in self.graph.hidden else period
        share = (limit - len(text)) * len(columns) // max(1, len(columns) + values)
        return "\n".join(filter(None, [text, self._lines(columns, share)]))

    def shortest(self, fold: Fold) -> int:
        """A number of characters that the loop takes in any case, if it is shown whole."""
        hidden = self.graph.hidden
        columns = [] if "code" in hidden else self._arguments(fold)
        columns = columns if "others" in hidden else [*columns, *(self._values(fold, j) for j in range(fold.period))]
        length = 0
        for column in columns:
            if length <= self.budget:  # more need not be known
                length += (len(SEPARATOR) + 1) * len(self._runs_of(column, self.budget))
        return length

    # ---- columns
    def _values(self, fold: Fold, j: int) -> _Column:
        """The values that an operation gave."""
        nodes = fold.nodes[j :: fold.period]

        def differ(a: int, b: int) -> bool:
            return _unlike(self.graph.nodes[a].shown, self.graph.nodes[b].shown)

        return _Column(f"# {_span(self.names, nodes)}: ", nodes, self.value, differ, (nodes[0], nodes[-1], None))

    def _arguments(self, fold: Fold) -> list[_Column]:
        """The arguments that the round before does not tell."""
        key = fold.nodes[0], fold.nodes[-1], fold.period
        if key not in self._changing:
            self._changing[key] = [c for j in range(fold.period) for c in self._changing_arguments(fold, j)]
        return self._changing[key]

    def _changing_arguments(self, fold: Fold, j: int) -> list[_Column]:
        nodes, inputs = fold.nodes[j :: fold.period], self.graph.nodes
        before = inputs[fold.before[j]].inputs
        if any(len(inputs[k].inputs) != len(before) for k in nodes):
            return [self._argument(nodes, -1)]
        return [self._argument(nodes, p) for p, first in enumerate(before) if self._changes(nodes, p, first)]

    def _changes(self, nodes: Sequence[int], p: int, before: int | Literal) -> bool:
        """Whether an argument is neither the same in all rounds nor always the node so many operations earlier."""
        inputs = self.graph.nodes
        first = inputs[nodes[0]].inputs[p]
        if not any(_different(inputs[k].inputs[p], first) for k in nodes):
            return _different(first, before)
        earlier = {self._distance(k, inputs[k].inputs[p]) for k in itertools.islice(nodes, 2)}
        if None in earlier or len(earlier) > 1:
            return True
        return any(self._distance(k, inputs[k].inputs[p]) not in earlier for k in nodes)

    def _distance(self, k: int, argument: int | Literal) -> int | None:
        """The number of operations that lie between a node and its argument; None for other arguments."""
        place = self._places.get(argument) if type(argument) is int else None
        return None if place is None else self._places[k] - place

    @functools.cached_property
    def _places(self) -> dict[int, int]:
        return {k: place for place, k in enumerate(self.body)}

    def _argument(self, nodes: Sequence[int], p: int) -> _Column:
        """The argument at a place; all arguments for the place -1."""
        inputs = self.graph.nodes

        def text(k: int) -> str:
            if p >= 0:
                return self._written(inputs[k].inputs[p])
            return f"({', '.join(map(self._written, inputs[k].inputs))})"

        def differ(a: int, b: int) -> bool:
            x, y = inputs[a].inputs, inputs[b].inputs
            if p >= 0:
                return _different(x[p], y[p])
            return len(x) != len(y) or any(map(_different, x, y))

        head = f"# {self._label(nodes[0], p)} of {_span(self.names, nodes)}: "
        return _Column(head, nodes, text, differ, (nodes[0], nodes[-1], p))

    def _written(self, argument: int | Literal) -> str:
        return self.names[argument] if type(argument) is int else write(argument.value)  # type: ignore[union-attr]

    def _label(self, k: int, p: int) -> str:
        """What an argument is called: by its name if it has one, else by its place, from 1."""
        node = self.graph.nodes[k]
        op, count = self.graph.operators[node.operator], len(node.inputs)
        if p < 0:
            return "arguments"
        names: dict[int, Any] = {}
        if op.name.startswith(".") or op.kind == "call":  # what stands before the brackets has no place in them
            names = {0: "object" if op.name.startswith(".") else "code", **{i: i for i in range(1, count)}}
        if op.name.startswith("."):
            names |= dict(enumerate(op.arguments, count - len(op.arguments)))
        elif len(op.arguments) >= count and op.kind == "operator":
            names = dict(enumerate(op.arguments))
        named = names.get(p, p + 1)
        return named if named in ("object", "code") and p == 0 else f"argument {named}"

    # ---- lines
    def _lines(self, columns: Sequence[_Column], limit: int) -> str:
        """A line a column; those that repeat what the one before holds get what the others leave."""
        lines = dict[int, str]()
        repeats = [n > 0 and self._repeats(column, columns[n - 1]) for n, column in enumerate(columns)]
        for repeating in (False, True):
            places = [n for n in range(len(columns)) if repeats[n] is repeating]
            for i, n in enumerate(places):
                lines[n] = self._line(columns[n], limit // (len(places) - i))
                limit -= len(lines[n]) + 1
        return "\n".join(lines[n] for n in range(len(columns)))

    def _repeats(self, column: _Column, before: _Column) -> bool:
        """Whether a column has parts of the values that the one before has."""
        node = self.graph.nodes[column.nodes[0]]
        return self.graph.operators[node.operator].name in PARTS and before.nodes[0] in node.inputs[:1]

    def _line(self, column: _Column, limit: int) -> str:
        """The texts of a column: equal ones in a row once, with their number."""
        left = max(40, limit - len(column.head))
        runs = self._runs_of(column, left)
        if len(runs) == 1:
            return f"{column.head}always {cut(column.text(column.nodes[0]), left)}"

        def text(i: int) -> str:
            k, count = runs[i]
            return column.text(k) + (f" ({count} times)" if count > 1 else "")

        return column.head + _ends(text, [n for _, n in runs], left)

    def _runs_of(self, column: _Column, limit: int) -> list[tuple[int, int]]:
        """What of `_runs` can be shown in `limit` characters."""
        most = limit // (len(SEPARATOR) + 1) + 2
        if column.key in self._runs:
            return self._runs[column.key]
        runs = _runs(column.nodes, column.differ, most)
        if len(runs) <= most:  # these are all
            self._runs[column.key] = runs
        return runs


def _span(names: Sequence[str], nodes: Sequence[int]) -> str:
    return f"{names[nodes[0]]}..{names[nodes[-1]]}"


def _unlike(a: Any, b: Any) -> bool:
    """Whether two scalars or `Data` are written differently: True, 1 and 1.0 are, and so are 0.0 and -0.0."""
    return a != b or type(a) is not type(b) or (not a and repr(a) != repr(b))


def _different(a: int | Literal, b: int | Literal) -> bool:
    """Whether two arguments differ."""
    if type(a) is Literal and type(b) is Literal:
        return _unlike(a.shown, b.shown)
    return type(a) is not type(b) or a != b


def _runs(nodes: Sequence[int], differ: Callable[[int, int], bool], most: int) -> list[tuple[int, int]]:
    """(first node, count) of each stretch of nodes with equal values.

    Args:
        nodes: The nodes.
        differ: Whether two nodes have different values.
        most: Of more stretches than this at either end, those between are given as one, since nobody will look at them.
    """
    n = len(nodes)
    changes = (i for i, pair in enumerate(itertools.pairwise(nodes), 1) if differ(*pair))
    begins = list(itertools.islice(changes, most))
    if len(begins) == most:
        backwards = (n - i for i, pair in enumerate(itertools.pairwise(reversed(nodes)), 1) if differ(*pair))
        begins = sorted({*begins, *itertools.islice(backwards, most)})
    begins = [0, *begins, n]
    return [(nodes[begin], end - begin) for begin, end in itertools.pairwise(begins)]


def _ends(text: Callable[[int], str], counts: Sequence[int], limit: int) -> str:
    """Values one after the other; where they don't fit, as many of both ends as do, with the number of the others.

    Args:
        text: The text of the i-th value.
        counts: The nodes that each value stands for.
        limit: Characters.
    """
    if len(counts) * (len(SEPARATOR) + 1) <= limit:
        texts = SEPARATOR.join(map(text, range(len(counts))))
        if len(texts) <= limit:
            return texts
    budget = limit - len(f"..({sum(counts)} more values)..") - 2 * len(SEPARATOR)
    head: list[str] = []
    tail: list[str] = []
    low, high = 0, len(counts)
    while low < high:  # two from the end for one from the beginning
        from_head = len(head) * 2 < len(tail)
        shown = text(low if from_head else high - 1)
        budget -= len(shown) + len(SEPARATOR)
        if budget < 0:
            break
        if from_head:
            head.append(shown)
            low += 1
        else:
            tail.append(shown)
            high -= 1
    left = sum(counts[low:high])
    return SEPARATOR.join([*head, f"..({left} more value{'s' if left > 1 else ''})..", *tail[::-1]])
