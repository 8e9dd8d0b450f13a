"""SCATS's rule for traffic lights: cycle and split from nominal flows, without a simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..agents.base import Agent, Values, check_graph
from ..errors import OptoGymError
from ..problems import Problem, TraceFeedback
from ..spaces import Number
from ..trace import TraceGraph

DIRECTIONS = (("W1", "E1", "EW"), ("N1", "S1", "NS"))  # the graph's names of the flows, east-west and north-south


class SCATS(Agent):
    """Green times in proportion to the nominal flows, which it reads from the graph. It proposes one plan in each step.

    After the Sydney Coordinated Adaptive Traffic System (Sims and Dobinson, IEEE Transactions on Vehicular Technology,
    1980), as in the Trace paper's traffic experiment (Cheng, Nie and Swaminathan, NeurIPS 2024): the cycle decreases
    with the total flow, and the direction with the larger flow gets the larger part of it.

    At one intersection the cycle is 60 s divided by the total flow in vehicles/s, rounded down. The weaker direction
    gets cycle / (1 + ratio of the flows), rounded down, and the stronger one the rest, both within their bounds. In the
    grid the cycle is given.
    """

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the parameters are not green times, else None."""
        names = [p.name for p in problem.parameters]
        greens = names == ["EW_time", "NS_time"] or all(name.startswith("J_") for name in names)
        return None if greens else "SCATS times traffic lights, with the parameters EW_time and NS_time or J_0_0, ..."

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, without a plan."""
        super().reset(problem, seed=seed)
        self.plan = problem.start
        self._planned = False

    def propose(self, observation: TraceFeedback) -> Values:
        """The plan; the start values until a run shows the flows.

        Raises:
            OptoGymError: If the graph is masked, or does not have the flows.
        """
        graph = observation.graph
        if not self._planned and graph.error is None:
            self.plan, self._planned = self._plan_of(graph), True
        return dict(self.plan)

    def _plan_of(self, graph: TraceGraph) -> Values:
        """The green times by the flows in a graph."""
        check_graph("SCATS", graph, "code", "inputs")
        plan: Values = {}
        for node in graph.nodes:
            timed = [graph.names[k] for k in node.inputs if isinstance(k, int) and k in graph.parameters]
            inputs = (graph.nodes[k].value for k in node.inputs if isinstance(k, int) and k not in graph.parameters)
            flows = next((flows for value in inputs if (flows := _flows(value))), None)
            if timed and flows:
                plan |= self._split(timed, *flows)
        if set(plan) != set(self.plan):
            raise OptoGymError("SCATS expected nominal flows beside every parameter in the graph, found none")
        return plan

    def _split(self, timed: list[str], ew: float, ns: float) -> Values:
        """The green times of one junction: of both phases, or of east-west alone where the cycle is given.

        Args:
            timed: The junction's parameters.
            ew: The flow from east and west, in vehicles/s.
            ns: The flow from north and south, in vehicles/s.
        """
        spaces = {p.name: p.space for p in self.problem.parameters}
        space = spaces[timed[0]]
        assert isinstance(space, Number)
        cycle = math.floor(60 / (ew + ns)) if len(timed) == 2 else int(space.low + space.high)
        weaker = math.floor(cycle / (1 + max(ew, ns) / min(ew, ns)))
        greens = (weaker, cycle - weaker) if ew < ns else (cycle - weaker, weaker)
        return {name: int(min(max(green, space.low), space.high)) for name, green in zip(timed, greens, strict=False)}


def _flows(value: Any) -> tuple[float, float] | None:
    """The flows (east-west, north-south) in vehicles/s, if a value is a dictionary of flows; else None."""
    if not isinstance(value, Mapping):
        return None
    ew, ns = (sum(value[k] for k in names if isinstance(value.get(k), float)) for names in DIRECTIONS)
    return (ew, ns) if ew > 0 and ns > 0 else None
