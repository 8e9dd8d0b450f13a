"""The order in which TextGrad criticises the values of a trace graph."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ...trace import TraceGraph


class Plan(NamedTuple):
    """What is criticised, and from where: TextGrad's graph inside a trace graph.

    Attributes:
        pairs: (parameter, use): a parameter, and a node that has it as an argument and is criticised.
        examples: Of each such node the examples whose output follows from it by plain operators.
        successors: Of each the other such nodes that follow from it by plain operators.
        uses: How many uses each parameter has, criticised or not, by name.
    """

    pairs: list[tuple[int, int]]
    examples: dict[int, list[int]]
    successors: dict[int, list[int]]
    uses: dict[str, int]


def plan(graph: TraceGraph, ends: Sequence[int], order: Sequence[str], max_calls: int) -> Plan:
    """What fits into `max_calls`.

    First the last use of each parameter for each example, each criticised by its nearest successor; then their other
    successors; then uses that are farther from the outputs, with all their successors.
    """
    places = {graph.names[p]: p for p in graph.parameters}
    found: dict[int, list[int]] = {p: [] for p in graph.parameters}
    reached = reach(graph, ends, ())
    for use in range(len(graph) - 1, -1, -1):
        if reached[use]:
            for p in found.keys() & sources(graph, use):
                found[p].append(use)
    asked = [(places[name], k) for name in order if name in places for k in range(len(ends))]
    lists = [[(p, use) for use in found[p] if reached[use] >> k & 1] for p, k in asked]
    pairs = in_turn(lists)[:max_calls]
    once = sum(map(bool, lists))
    while True:
        uses = sorted({use for _, use in pairs})
        masks = reach(graph, ends, uses)
        left = max_calls - len(pairs) - len({p for p, _ in pairs})
        if left >= sum(masks[use].bit_count() for use in uses) or (len(pairs) <= once and left >= len(uses)):
            break
        pairs.pop()
    targets = [*uses, *range(len(ends))]  # the nearest first
    bits = [*(1 << len(ends) + j for j in range(len(uses))), *(1 << k for k in range(len(ends)))]
    ways = in_turn([(use, j) for j, bit in enumerate(bits) if masks[use] & bit] for use in uses)[:left]
    return Plan(
        pairs,
        {use: [targets[j] for u, j in ways if u == use and j >= len(uses)] for use in uses},
        {use: [targets[j] for u, j in ways if u == use and j < len(uses)] for use in uses},
        {graph.names[p]: len(at) for p, at in found.items()},
    )


def in_turn(lists: Iterable[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """The first of each list, then the second of each, ...; each item once."""
    turns = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    return list(dict.fromkeys(item for item in turns if item is not None))


def reach(graph: TraceGraph, ends: Sequence[int], walls: Sequence[int]) -> list[int]:
    """Of each node what follows from it by plain operators, as bits: the ends first, then the walls, in order."""
    bits = {wall: 1 << len(ends) + j for j, wall in enumerate(walls)}
    masks = [0] * len(graph)
    for k, end in enumerate(ends):
        masks[end] |= 1 << k
    for k in range(len(graph) - 1, -1, -1):
        if masks[k]:
            bit = bits.get(k, masks[k])
            for i in sources(graph, k):
                masks[i] |= bit
    return masks


def sources(graph: TraceGraph, k: int) -> list[int]:
    """The nodes among a node's arguments."""
    return [i for i in graph.nodes[k].inputs if type(i) is int]


def between(graph: TraceGraph, start: int, end: int, walls: Collection[int]) -> list[int]:
    """The nodes on the ways from one node to another that pass no wall, the last included, in order."""
    after = {start}
    for k in range(start + 1, end + 1):
        if (k == end or k not in walls) and not after.isdisjoint(sources(graph, k)):
            after.add(k)
    needed = {end}
    for k in range(end, start, -1):
        if k in needed:
            needed.update(after.intersection(sources(graph, k)))
    return sorted(needed - {start})
