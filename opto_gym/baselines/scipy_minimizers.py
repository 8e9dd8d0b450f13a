"""SciPy's minimizers: L-BFGS-B and Nelder-Mead."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from ..agents.base import Oracle
from ..problems import Problem
from .numbers import NumberAgent, _Array


class _OutOfCalls(Exception):
    """Raised in the minimized function to end scipy's loop, where no further oracle call is possible."""


class ScipyMinimizer(NumberAgent):
    """A method of `scipy.optimize.minimize`, restarted from random points until the budget is spent.

    The points are drawn around zero, with absolute values from 0.1 to 10 by order of magnitude.

    Attributes:
        method: The method's name in scipy.
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
                    raise _OutOfCalls
                known[point] = -oracle(values).feedback.reward
            return known[point]

        x = np.array(list(problem.start.values()), dtype=float)
        while not oracle.over:
            try:
                minimize(error, x, method=self.method, bounds=self.bounds())
            except _OutOfCalls:
                return
            signs = self.rng.choice((-1.0, 1.0), size=x.shape)
            x = np.asarray(signs * 10 ** self.rng.uniform(-1, 1, size=x.shape))


class LBFGS(ScipyMinimizer):
    """L-BFGS-B with scipy's forward differences, restarted where it ends.

    Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM J. Sci. Comput.,
    1995. Quasi-Newton methods expect a smooth function, which an error |y - y*| is not at its minimum.
    """

    method = "L-BFGS-B"


class NelderMead(ScipyMinimizer):
    """The simplex method of Nelder and Mead (The Computer Journal, 1965), restarted where it ends."""

    method = "Nelder-Mead"
