"""Finds the loops of a run: stretches of a graph in which the same operations repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import TraceGraph

LEAVES = ("input", "parameter", "code")
"""The kinds of operators whose nodes were not computed."""


LONGEST = 40
"""The operations in a round of the longest loops that are looked for."""

WIDEST = 32
"""Loops that hold less than this part of all nodes are not folded."""


class Fold(NamedTuple):
    """The rounds of a loop that are not shown one by one.

    Attributes:
        period: The operations in a round.
        nodes: The nodes of these rounds, in order.
        before: The nodes of the round before them, which is shown.
    """

    period: int
    nodes: Sequence[int]
    before: Sequence[int]


def computed(graph: TraceGraph) -> list[int]:
    """The nodes that were computed, in order, without the output."""
    leaves = [op.kind in LEAVES for op in graph.operators]
    return [k for k, n in enumerate(graph.nodes) if not leaves[n.operator] and k != graph.output]


def folded(graph: TraceGraph, body: Sequence[int], most: int = 4) -> list[int | Fold]:
    """Nodes with the long loops among them folded: the first round and the last two stay.

    Args:
        graph: The graph.
        body: The places of the nodes, in order.
        most: The rounds of a loop that stay as they are; longer loops are folded if they hold at least one of `WIDEST`
            parts of all nodes.
    """
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
        if rounds <= most or WIDEST * period * rounds < len(body):
            plan += body[begin:end]
            continue
        start += begin
        first, last, after = start + period, start + period * (rounds - 2), start + period * rounds
        loop: list[int | Fold] = [
            *body[start:first],
            Fold(period, body[first:last], body[start:first]),
            *body[last:after],
        ]
        waiting += [(after, end), loop, (begin, start)]
    return plan


def repetition(sequence: Sequence[int] | np.ndarray, longest: int = LONGEST) -> tuple[int, int, int]:
    """(period, rounds, start) of the repetition that covers most of a sequence; the shortest period of equals.

    Args:
        sequence: The operations.
        longest: The longest period to look for.
    """
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
