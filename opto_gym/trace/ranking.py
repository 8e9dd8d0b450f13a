"""What of a graph matters most: which lines go last, and which first, when a budget does not hold all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from .data import Data
from .loops import LEAVES, Fold

if TYPE_CHECKING:
    from .graph import TraceGraph


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

SHORTEST = 8
"""No line of a node has fewer characters than this, all its sections together."""

PARTS = ("getitem", "item", "getattr")
"""The operators that take a part out of a value."""


class Ranking:
    """The ranks of a graph's nodes.

    Args:
        graph: The graph.
        body: The places of the computed nodes to be shown, in order.

    Attributes:
        bad: The errors and failed checks.
        path: The operators that led to them or, where there are none, to the output; as far as they have a
            documentation.
    """

    def __init__(self, graph: TraceGraph, body: Sequence[int]) -> None:
        self._nodes, self._operators = graph.nodes, graph.operators
        self._base = [_base(op.kind, op.description) for op in graph.operators]
        self._parts = {k for k, op in enumerate(graph.operators) if op.name in PARTS}
        verdicts, errors = self._survey([*body, graph.output])
        self.bad = errors | {k for k, verdict in verdicts.items() if not verdict}
        ends = self.bad or {graph.output}
        near = {i for k in ends | {graph.output} for i in graph.nodes[k].inputs if type(i) is int}
        self._special = dict.fromkeys([*verdicts, *near], Rank.NEAR) | dict.fromkeys(self.bad, Rank.CHECK)
        self.path = self._find_path(ends)

    def _survey(self, places: Sequence[int]) -> tuple[dict[int, bool], set[int]]:
        """What the checks among some nodes say, and the errors."""
        verdicts, errors = dict[int, bool](), set[int]()
        fails, nodes = [op.kind == "error" for op in self._operators], self._nodes
        for k in places:
            shown = nodes[k].shown
            if shown is True or shown is False:
                verdicts[k] = shown
            elif type(shown) is Data and shown.type == "dict" and (verdict := _verdict(shown.json)) is not None:
                verdicts[k] = verdict
        if any(fails):
            errors.update(k for k in places if fails[nodes[k].operator])
        return {k: verdict for k, verdict in verdicts.items() if k not in errors}, errors

    def _find_path(self, ends: set[int]) -> set[int]:
        wanted = {k for k, op in enumerate(self._operators) if op.description and op.kind not in LEAVES}
        nodes, path, used = self._nodes, set(ends), set[int]()
        for k in range(max(ends), -1, -1):
            if len(used) == len(wanted):  # a graph may have a million nodes, but few operators
                break
            if k in path:
                node = nodes[k]
                if node.operator in wanted:
                    used.add(node.operator)
                for i in node.inputs:
                    if type(i) is int:
                        path.add(i)
        return used

    def rank(self, item: int | Fold, before: int | None) -> Rank:
        """The rank of a node or loop; `before` is the node that is shown before it."""
        if isinstance(item, Fold):
            return max(Rank.CHECK, min(self.rank(k, None) for k in item.nodes[:2000]))
        node = self._nodes[item]
        base = self._base[node.operator]
        if base <= Rank.PARAMETER:
            return base
        rank = self._special.get(item, base)
        repeats = node.operator in self._parts and before is not None and before in node.inputs[:1]
        return Rank.REPEAT if repeats and rank != Rank.CHECK else rank

    def _ranks(self, plan: Sequence[int | Fold]) -> list[Rank]:
        nodes, base, special, parts = self._nodes, self._base, self._special, self._parts
        ranks: list[Rank] = []
        before: int | None = None
        for item in plan:
            if type(item) is int and item not in special and (op := nodes[item].operator) not in parts:
                ranks.append(base[op])  # as `rank` has it, for most nodes
            else:
                ranks.append(self.rank(item, before))
            before = item.nodes[-1] if isinstance(item, Fold) else item
        return ranks

    def ranked(self, plan: Sequence[int | Fold], budget: int) -> Iterator[tuple[int | Fold | None, Rank, int]]:
        """(node or loop, its rank, the nodes that it stands for), in order; None stands for what is left out anyway.

        Lines are left out from the middle of their rank, so that of a rank with many lines only the first and the last
        can be shown in `budget` characters.
        """
        ranks = self._ranks(plan)
        most = budget // SHORTEST + 1
        skipped = np.zeros(len(plan), bool)
        if len(plan) > 2 * most:
            table = np.array(ranks)
            for rank in Rank:
                skipped[np.flatnonzero(table == rank)[most:-most]] = True
        begin = 0
        for k in [*np.flatnonzero(~skipped).tolist(), len(plan)]:
            if k > begin:
                left_out = plan[begin:k]
                yield None, Rank.REPEAT, sum(len(i.nodes) if isinstance(i, Fold) else 1 for i in left_out)
            if k < len(plan):
                shown = plan[k]
                yield shown, ranks[k], len(shown.nodes) if isinstance(shown, Fold) else 1
            begin = k + 1


_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def _base(kind: str, description: str) -> Rank:
    """The rank of an operator's nodes where nothing else is known of them."""
    if kind == "error":
        return Rank.OUTPUT
    if kind in LEAVES:
        return Rank.PARAMETER
    return Rank.CALL if kind == "call" or description else Rank.ARITHMETIC


def _verdict(text: str) -> bool | None:
    """What a dictionary says as a check: all its truth values must hold. None without any.

    Args:
        text: The dictionary as values.py writes it.
    """
    if "true" not in text and "false" not in text:
        return None
    value: dict[str, Any] = _DECODER.decode(text)
    pairs = value.get("$dict")  # ends in a dictionary that says what was cut, if anything was
    items = value.values() if pairs is None else [p[1] for p in pairs if type(p) is list and len(p) == 2]
    verdicts = [v for v in items if type(v) is bool]
    return all(verdicts) if verdicts else None
