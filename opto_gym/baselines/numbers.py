"""Minimizers of numbers by the score alone, and bisection by the feedback's direction: no graph is read.

The classic methods for `NumericalOptimization` and other problems of real numbers. What they minimize is minus the
reward, one oracle call a value; derivatives are finite differences, which cost a call a parameter.
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
    """An agent for problems of real numbers."""

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: all parameters must be real numbers."""
        return no_real_numbers(cls, problem)

    def bounds(self) -> list[tuple[float, float]]:
        """Lowest and highest values, by parameter."""
        spaces = [p.space for p in self.problem.parameters]
        return [(s.low, s.high) for s in spaces if isinstance(s, Number)]

    def values(self, x: Any) -> Values:
        """A vector as parameters, within their bounds."""
        inside = zip(self.problem.start, x, self.bounds(), strict=True)
        return {name: min(max(float(v), low), high) for name, v, (low, high) in inside}
