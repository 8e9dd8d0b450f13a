"""Minimizers of numbers by the score alone, and bisection by the feedback's direction: no graph is read.

The classic methods for `NumericalOptimization` and other problems of real numbers. What they minimize is minus the
reward, one oracle call a value; derivatives are finite differences, which cost a call a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np

from ..agents.base import Agent, Oracle, Run, Values, number_in
from ..agents.gradients import direction
from ..core import Problem, TraceFeedback
from ..spaces import Number
from .adam import Moments, no_real_numbers

_Array = np.ndarray[Any, np.dtype[np.float64]]


class NumberAgent(Agent):
    """An agent for problems of real numbers."""

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
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


class AdamBare(NumberAgent):
    """Adam on the bare function: `adam.Adam` without the graph, with a forward difference for each parameter.

    A step takes one call more than there are parameters, where `Adam` by the trace takes one. Where differences are
    exact enough, both make the same steps.

    Args:
        learning_rate: Step size; the Trace paper's comparison has 0.1.
        difference: How far a parameter is moved for a difference.
        beta1: As of `Adam`.
        beta2: As of `Adam`.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.1,
        difference: float = 1e-6,
        beta1: float = 0.9,
        beta2: float = 0.999,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        number_in("(0, inf)", learning_rate=learning_rate, difference=difference)
        number_in("[0, 1)", beta1=beta1, beta2=beta2)
        self.learning_rate, self.difference, self.beta1, self.beta2 = learning_rate, difference, beta1, beta2

    def run(self) -> Run:
        """Proposes a point near the last one for each parameter, then the step."""
        values = self.problem.start
        moments = Moments(list(values), self.learning_rate, self.beta1, self.beta2)
        observation: TraceFeedback = yield
        while True:
            if observation.feedback.success:
                observation = yield dict(values)
                continue
            error, slopes = -observation.feedback.reward, {}
            for (name, x), (_, high) in zip(values.items(), self.bounds(), strict=True):
                h = self.difference if x + self.difference <= high else -self.difference
                moved = yield {**values, name: x + h}
                slopes[name] = (-moved.feedback.reward - error) / h
            values = self.values([values[name] + step for name, step in moments.steps(slopes).items()])
            observation = yield dict(values)


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


class Bisection(NumberAgent):
    """Halves intervals between "larger" and "smaller", one parameter after the other.

    It looks in both directions from where it is, at distances 1, 2, 4, ..., until the feedback's direction changes
    between two neighbours, and halves that interval. A change of direction may be a pole, where halving ends in
    nothing: then it looks on. Of the points seen on a parameter's line it keeps the best and goes on with the next
    parameter.
    """

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
        """Why not: numbers, and feedback that says in which direction."""
        said = "future_positive" in problem.feedback_kinds
        no_direction = None if said else f"{cls.__name__} needs feedback that says larger or smaller (future_positive)"
        return super().why_not(problem) or no_direction

    def run(self) -> Run:
        """Proposes points on the parameters' lines."""
        values = self.problem.start
        observation: TraceFeedback = yield
        while True:
            for name, (low, high) in zip(values, self.bounds(), strict=True):
                x = values[name]
                ways = {x: direction(observation.feedback)}
                rewards = {x: observation.feedback.reward}
                waiting = [*_around(x, low, high)]
                while waiting:
                    x = waiting.pop(0)
                    observation = yield {**values, name: x}
                    while observation.feedback.success:
                        observation = yield {**values, name: x}
                    ways[x], rewards[x] = direction(observation.feedback), observation.feedback.reward
                    waiting = [m for m in _middles(ways, x) if m not in ways] + waiting
                values = {**values, name: max(rewards, key=lambda x: rewards[x])}
                observation = yield dict(values)


def _around(x: float, low: float, high: float) -> Iterator[float]:
    """Points at distances 1, 2, 4, ... on both sides, as far as the bounds (or 2^20, where there are none)."""
    for k in range(21):
        for point in (x + 2.0**k, x - 2.0**k):
            if low <= point <= high:
                yield point


def _middles(ways: dict[float, int], x: float) -> Iterator[float]:
    """The middles between x and its neighbours where the direction changes, while there is room between them."""
    points = sorted(ways)
    at = points.index(x)
    for neighbour in points[max(0, at - 1) : at] + points[at + 1 : at + 2]:
        middle = (x + neighbour) / 2
        if ways[x] * ways[neighbour] < 0 and abs(x - neighbour) > 1e-12 * max(1.0, abs(x)) and not math.isnan(middle):
            yield middle
