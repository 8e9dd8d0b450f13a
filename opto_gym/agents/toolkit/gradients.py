"""Exact derivatives from the trace graph, for agents that move numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...errors import OptoGymError
from ...problems import Feedback
from ...trace import TraceGraph
from ..base import check_graph

DERIVATIVES: dict[str, Callable[..., tuple[float, ...]]] = {
    "add": lambda a, b, y: (1.0, 1.0),
    "sub": lambda a, b, y: (1.0, -1.0),
    "mul": lambda a, b, y: (b, a),
    "truediv": lambda a, b, y: (1.0 / b, -a / b**2),
    "pow": lambda a, b, y: (b * a ** (b - 1), y * math.log(a) if a > 0 else 0.0),
    "neg": lambda a, y: (-1.0,),
    "pos": lambda a, y: (1.0,),
    "abs": lambda a, y: (math.copysign(1.0, a),),
}
"""For each operator, its derivatives by its inputs, as a function of the inputs and the output."""

STEEPEST = 1e100
"""Slopes are limited to this, so that their squares stay finite."""


def gradient(graph: TraceGraph, reader: str) -> dict[str, float]:
    """The derivative of the output by each parameter, by reverse accumulation over the graph.

    The slope is 0 at a pole, and where the run ended in an error.

    Args:
        graph: The graph of a run.
        reader: The agent's name, for the errors.

    Returns:
        The derivatives by the parameters' names.

    Raises:
        OptoGymError: If the graph is masked, if only the score is left of it, or if it has an operator that is not in
            `DERIVATIVES` or a value that is not a number.
    """
    check_graph(reader, graph, "code")
    slope = {graph.output: 1.0}
    for k in range(len(graph.nodes) - 1, -1, -1):
        node, kind = graph.nodes[k], graph.kind(k)
        if k not in slope or not node.inputs or kind == "error":
            continue
        name = graph.operators[node.operator].name
        if kind != "operator" or name not in DERIVATIVES:
            raise OptoGymError(f"{reader} knows the derivatives of {sorted(DERIVATIVES)}, but the graph has {name!r}")
        values = [graph.nodes[i].value if isinstance(i, int) else i.value for i in node.inputs]
        not_numbers = [v for v in (*values, node.value) if not isinstance(v, int | float)]
        if not_numbers:
            raise OptoGymError(f"{reader} expected numbers in the trace graph, got {not_numbers[0]!r} at {name!r}")
        try:
            partial = DERIVATIVES[name](*values, node.value)
        except ArithmeticError:
            partial = (0.0,) * len(values)
        for i, d in zip(node.inputs, partial, strict=True):
            if isinstance(i, int):
                slope[i] = slope.get(i, 0.0) + slope[k] * d
    return {graph.names[k]: bounded(slope.get(k, 0.0)) for k in graph.parameters}


def bounded(slope: float) -> float:
    """The slope, limited to `STEEPEST` in absolute value; 0 for NaN."""
    return 0.0 if math.isnan(slope) else min(max(slope, -STEEPEST), STEEPEST)


def direction(feedback: Feedback) -> int:
    """+1 if the output should grow, -1 if it should shrink, 0 if the feedback does not say."""
    text = str(feedback)
    return ("larger" in text) - ("smaller" in text)
