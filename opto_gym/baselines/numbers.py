"""The base class of baselines that work on real numbers without the graph, such as `NumericalOptimization`'s.

They minimize minus the reward, with one oracle call for each evaluation. Derivatives are finite differences, which cost
an oracle call for each parameter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..agents.base import Agent, Values
from ..problems import Problem
from ..spaces import Number
from .adam import no_real_numbers

_Array = np.ndarray[Any, np.dtype[np.float64]]


class NumberAgent(Agent):
    """An agent for problems whose parameters are all real numbers."""

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if a parameter is not a real number, else None."""
        return no_real_numbers(cls, problem)

    def bounds(self) -> list[tuple[float, float]]:
        """The lowest and the highest value of each parameter, in order."""
        spaces = [p.space for p in self.problem.parameters]
        return [(s.low, s.high) for s in spaces if isinstance(s, Number)]

    def values(self, x: Any) -> Values:
        """The parameters' values, by name, from a vector; values outside their bounds are moved to the bound."""
        triples = zip(self.problem.start, x, self.bounds(), strict=True)
        return {name: min(max(float(v), low), high) for name, v, (low, high) in triples}
