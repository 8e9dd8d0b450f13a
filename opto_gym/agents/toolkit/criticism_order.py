"""Which values of a trace graph TextGrad criticises, and in which order.

TextGrad carries criticism from the results of a run back to the parameters. Every criticism is a call of a language
model, so only some nodes are criticised: the parameters, and their *uses*. A use is a node that has a parameter among
its inputs, such as the reply to a prompt. The other nodes, made by ordinary operators, are shown as the computation
between two criticised nodes.

An example with two parameters, ``first`` and ``second``. `reply` and `read` are operators; the output is `reply1`:

    first ----+                        second ----+
              |                                   |
    question0 +--> reply0 --> read0 --------------+--> reply1 --> feedback
                   (use of first)                      (use of second)

The criticisms, one call each, in their order:

    1. reply1   by the feedback on the output
    2. reply0   by criticism 1; the prompt shows read0 and reply1 as the computation between them
    3. first    by criticism 2
    4. second   by criticism 1

Then one call for each criticised parameter writes its new value, which makes six calls.

What a use is criticised by is called its target: an output (by the feedback on it), or another use (by the criticism
of that one). The targets of a use are those that it reaches through ordinary operators alone, not through another use:
above, reply0 has the target reply1, and reply1 the output. A use with several targets is criticised once by each.

A parameter that is used in a loop has many uses, and `plan_criticism` chooses as many as `max_calls` allows, those
nearest to the output first. After ``a1 = f(x, 0); a2 = f(x, a1); a3 = f(x, a2)`` the uses of x are a3, a2 and a1, and
three calls suffice for a3 alone: the criticism of a3, that of x by it, and the update of x.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ...trace import TraceGraph

ParameterUse = tuple[int, int]
"""The nodes of a parameter and of one of its uses."""


class CriticismPlan(NamedTuple):
    """What is criticised, and by what. Nodes are given by their index in the graph.

    Attributes:
        parameter_uses: The parameters that are criticised, each with a use whose criticism it is criticised by.
        examples: For each of these uses, the examples by whose feedback it is criticised.
        successors: For each of these uses, the other uses by whose criticism it is criticised.
        use_counts: How many uses each parameter has in the graph, criticised or not, by the parameter's name.
    """

    parameter_uses: list[ParameterUse]
    examples: dict[int, list[int]]
    successors: dict[int, list[int]]
    use_counts: dict[str, int]


def generations(plan: CriticismPlan) -> list[list[int]]:
    """The uses of a plan in the order of their criticism: each group depends only on those before it."""
    level: dict[int, int] = {}
    for use in sorted(plan.examples, reverse=True):  # a use's successors come before it
        level[use] = 1 + max((level[after] for after in plan.successors[use]), default=-1)
    groups: list[list[int]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for use, k in level.items():
        groups[k].append(use)
    return groups


def plan_criticism(graph: TraceGraph, outputs: Sequence[int], priority: Sequence[str], max_calls: int) -> CriticismPlan:
    """Chooses what is criticised with at most `max_calls` calls, updates of the parameters included.

    The plan first has the last use of each parameter for each example, criticised by its nearest target; then the other
    targets of these uses; then uses that are farther from the outputs, with all their targets.

    Args:
        graph: The trace graph of a run.
        outputs: The output node of each example.
        priority: The parameters' names; where not all fit, the first ones are criticised.
        max_calls: The number of calls of the model.
    """
    targets = reached_targets(graph, outputs, uses=())
    found = _uses_by_parameter(graph, targets)
    parameters = {graph.names[p]: p for p in graph.parameters}
    candidates = [
        [(parameters[name], use) for use in found[parameters[name]] if targets[use] >> example & 1]
        for name in priority
        if name in parameters
        for example in range(len(outputs))
    ]
    chosen, targets, calls_left = _choose_uses(graph, outputs, candidates, max_calls)
    uses = sorted({use for _, use in chosen})
    # target j is the use uses[j], and after these come the outputs: the nearest target is the first
    every = [[(use, j) for j in range(len(uses) + len(outputs)) if targets[use] >> j & 1] for use in uses]
    examples: dict[int, list[int]] = {use: [] for use in uses}
    successors: dict[int, list[int]] = {use: [] for use in uses}
    for use, j in round_robin(every)[:calls_left]:
        if j < len(uses):
            successors[use].append(uses[j])
        else:
            examples[use].append(j - len(uses))
    return CriticismPlan(chosen, examples, successors, {graph.names[p]: len(at) for p, at in found.items()})


def _uses_by_parameter(graph: TraceGraph, targets: Sequence[int]) -> dict[int, list[int]]:
    """The uses of each parameter that lead to an output, the last ones first."""
    found: dict[int, list[int]] = {p: [] for p in graph.parameters}
    for node in range(len(graph) - 1, -1, -1):
        if targets[node]:
            for p in found.keys() & input_nodes(graph, node):
                found[p].append(node)
    return found


def _choose_uses(
    graph: TraceGraph, outputs: Sequence[int], candidates: Sequence[Sequence[ParameterUse]], max_calls: int
) -> tuple[list[ParameterUse], list[int], int]:
    """The candidates that are criticised, the targets of each node, and the calls left for criticising the uses.

    Args:
        graph: The graph.
        outputs: The outputs.
        candidates: For each parameter and example, its uses, the last ones first.
        max_calls: The calls for criticising the parameters by their uses, the uses by their targets, and for updates.
    """
    chosen = round_robin(candidates)[:max_calls]
    last_uses = sum(map(bool, candidates))  # how many of the chosen are the last use of a parameter for an example
    while True:
        uses = sorted({use for _, use in chosen})
        targets = reached_targets(graph, outputs, uses)
        updates = len({p for p, _ in chosen})
        calls_left = max_calls - len(chosen) - updates
        all_targets_fit = calls_left >= sum(targets[use].bit_count() for use in uses)
        if all_targets_fit or (len(chosen) <= last_uses and calls_left >= len(uses)):
            return chosen, targets, calls_left
        chosen.pop()


def round_robin(lists: Iterable[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """The first item of each list, then the second of each, and so on; each item once."""
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    return list(dict.fromkeys(item for item in rounds if item is not None))


def reached_targets(graph: TraceGraph, outputs: Sequence[int], uses: Sequence[int]) -> list[int]:
    """For each node, the targets that it reaches through ordinary operators alone, as a bit mask.

    One pass from the last node to the first. A node that is a use stops the masks of what comes after it: to the nodes
    before it only the use itself is a target.

    Args:
        graph: The graph.
        outputs: The outputs. Bit ``len(uses) + k`` stands for outputs[k].
        uses: The uses. Bit ``j`` stands for uses[j].
    """
    use_bits = {use: 1 << j for j, use in enumerate(uses)}
    masks = [0] * len(graph)
    for k, output in enumerate(outputs):
        masks[output] |= 1 << len(uses) + k
    for node in range(len(graph) - 1, -1, -1):
        if masks[node]:
            passed_on = use_bits.get(node, masks[node])
            for i in graph.nodes[node].inputs:
                if type(i) is int:
                    masks[i] |= passed_on
    return masks


def input_nodes(graph: TraceGraph, node: int) -> list[int]:
    """The nodes among a node's inputs; its other inputs are plain values."""
    return [i for i in graph.nodes[node].inputs if type(i) is int]


def nodes_between(graph: TraceGraph, start: int, end: int, uses: Collection[int]) -> list[int]:
    """The nodes on the paths from `start` to `end` that pass through no use; `end` is included, `start` is not."""
    after_start = {start}
    for node in range(start + 1, end + 1):
        if (node == end or node not in uses) and not after_start.isdisjoint(input_nodes(graph, node)):
            after_start.add(node)
    on_a_path = {end}
    for node in range(end, start, -1):
        if node in on_a_path:
            on_a_path.update(after_start.intersection(input_nodes(graph, node)))
    return sorted(on_a_path - {start})
