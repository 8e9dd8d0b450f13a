"""Solvers of broken pipelines, with no model: one blames by the graph, one tries everything."""

from __future__ import annotations

import itertools
import re
from typing import Any

from ..agents.base import Agent, Run, Values, check_graph
from ..envs.pipelines import possible_repairs
from ..problems import Parameter, Problem, TraceFeedback
from ..spaces import Code, Number
from ..trace import Data, TraceGraph


def to_blame(graph: TraceGraph) -> str | None:
    """The parameter that went into the first stage whose check says wrong; None where no check does.

    Raises:
        OptoGymError: If the graph is masked or only a score.
    """
    check_graph("BlameGraph", graph, "code", "others")
    checks = {k for k, op in enumerate(graph.operators) if op.kind == "operator" and op.name.startswith("check_")}
    for n in graph.nodes:
        if n.operator in checks and isinstance(n.shown, Data) and n.value["right"] is False:
            given, got = n.inputs
            seen, waiting = {given}, [got]
            while waiting:
                k = waiting.pop()
                if k in seen or not isinstance(k, int):
                    continue
                if graph.kind(k) in ("parameter", "code"):
                    return graph.names[k]
                seen.add(k)
                waiting += graph.nodes[k].inputs
    return None


def candidates(p: Parameter) -> list[Any]:
    """What may stand where a fault is: code with one place changed, other numbers, the nearest first."""
    if isinstance(p.space, Number):
        numbers = range(int(p.space.low), int(p.space.high) + 1)
        return sorted((n for n in numbers if n != p.start), key=lambda n: (abs(n - p.start), n))
    return [source for source in possible_repairs(p.start) if source != p.start]


class BlameBlind(Agent):
    """Tries mends for all stages, in an order drawn from the seed: what is left without the graph."""

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: only a pipeline's stages will do."""
        fits = all(
            re.fullmatch("stage_[a-z]", p.name)
            and (isinstance(p.space, Code) or (isinstance(p.space, Number) and p.space.integer))
            for p in problem.parameters
        )
        return None if fits else f"{cls.__name__} mends pipelines, with the parameters stage_a, stage_b, ..."

    def run(self) -> Run:
        """Proposes mend after mend of the start values, and stays at the one that is right."""
        start = self.problem.start
        observation: TraceFeedback = yield
        for name, value in itertools.cycle(self.order(observation)):
            values: Values = {**start, name: value}
            observation = yield values
            while observation.feedback.success:
                observation = yield values

    def order(self, observation: TraceFeedback) -> list[tuple[str, Any]]:
        """The mends in the order of trial, given the start's observation."""
        every = [(p.name, v) for p in self.problem.parameters for v in candidates(p)]
        return [every[int(k)] for k in self.rng.permutation(len(every))]


class BlameGraph(BlameBlind):
    """Blames a stage by the checks in the graph, and tries mends for it alone."""

    def order(self, observation: TraceFeedback) -> list[tuple[str, Any]]:
        """The mends of the stage to blame, or of all where no check says wrong."""
        blamed = to_blame(observation.graph)
        return [(p.name, v) for p in self.problem.parameters if blamed in (p.name, None) for v in candidates(p)]
