"""Baselines for the broken pipelines of blame tasks: one finds the fault in the graph, one tries all repairs."""

from __future__ import annotations

import itertools
import re
from typing import Any

from ..agents.base import Agent, ProposalLoop, Values, check_graph
from ..envs.pipelines import possible_repairs
from ..problems import Parameter, Problem, TraceFeedback
from ..spaces import Code, Number
from ..trace import Data, TraceGraph


def to_blame(graph: TraceGraph) -> str | None:
    """The parameter of the first stage whose check failed; None where no check failed.

    Raises:
        OptoGymError: If the graph is masked, or only the score is left of it.
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
    """Values that may repair a parameter: code with one change, or other numbers, the nearest first."""
    if isinstance(p.space, Number):
        numbers = range(int(p.space.low), int(p.space.high) + 1)
        return sorted((n for n in numbers if n != p.start), key=lambda n: (abs(n - p.start), n))
    return [source for source in possible_repairs(p.start) if source != p.start]


class BlameBlind(Agent):
    """Tries the repairs of all stages in a random order, which is the best that is possible without the graph."""

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the problem's parameters are not the stages of a pipeline, else None."""
        fits = all(
            re.fullmatch("stage_[a-z]", p.name)
            and (isinstance(p.space, Code) or (isinstance(p.space, Number) and p.space.integer))
            for p in problem.parameters
        )
        return None if fits else f"{cls.__name__} repairs pipelines, whose parameters are stage_a, stage_b, ..."

    def run(self) -> ProposalLoop:
        """Proposes the start values with one repair at a time, and repeats the one that solves the problem."""
        start = self.problem.start
        observation: TraceFeedback = yield
        for name, value in itertools.cycle(self.order(observation)):
            values: Values = {**start, name: value}
            observation = yield values
            while observation.feedback.success:
                observation = yield values

    def order(self, observation: TraceFeedback) -> list[tuple[str, Any]]:
        """The repairs, as a parameter and its value, in the order in which they are tried.

        Args:
            observation: The observation of the start values.
        """
        every = [(p.name, v) for p in self.problem.parameters for v in candidates(p)]
        return [every[int(k)] for k in self.rng.permutation(len(every))]


class BlameGraph(BlameBlind):
    """Finds the faulty stage by the checks in the graph, and tries the repairs of that stage alone."""

    def order(self, observation: TraceFeedback) -> list[tuple[str, Any]]:
        """The repairs of the faulty stage, or of all stages where no check failed."""
        blamed = to_blame(observation.graph)
        return [(p.name, v) for p in self.problem.parameters if blamed in (p.name, None) for v in candidates(p)]
