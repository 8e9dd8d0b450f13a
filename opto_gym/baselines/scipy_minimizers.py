"""SciPy's minimizers: L-BFGS-B and Nelder-Mead."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from ..agents.base import Oracle
from ..problems import Problem
from .numbers import NumberAgent, _Array


class _Over(Exception):
    """Breaks scipy's loop off where no further call is possible."""


class ScipyMinimizer(NumberAgent):
    """A method of `scipy.optimize.minimize`, begun anew from random points until the budget is spent.

    Those are drawn around zero, by order of magnitude from 0.1 to 10.
    """

    method: ClassVar[Literal["L-BFGS-B", "Nelder-Mead"]]

    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """Minimizes minus the reward."""
        from scipy.optimize import minimize

        known = {tuple(problem.start.values()): -oracle.start.feedback.reward}

        def error(x: _Array) -> float:
            values = self.values(x)
            point = tuple(values.values())
            if point not in known:
                if oracle.over:
                    raise _Over
                known[point] = -oracle(values).feedback.reward
            return known[point]

        x = np.array(list(problem.start.values()), dtype=float)
        while not oracle.over:
            try:
                minimize(error, x, method=self.method, bounds=self.bounds())
            except _Over:
                return
            signs = self.rng.choice((-1.0, 1.0), size=x.shape)
            x = np.asarray(signs * 10 ** self.rng.uniform(-1, 1, size=x.shape))


class LBFGS(ScipyMinimizer):
    """L-BFGS-B with scipy's forward differences, begun anew where it ends.

    Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM J. Sci. Comput.,
    1995. An error |y - y*| has a kink at its minimum, which no quasi-Newton method is made for.
    """

    method = "L-BFGS-B"


class NelderMead(ScipyMinimizer):
    """The simplex method of Nelder and Mead (The Computer Journal, 1965), begun anew where it ends."""

    method = "Nelder-Mead"
