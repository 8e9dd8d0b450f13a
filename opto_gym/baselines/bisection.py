"""Bisection by the feedback's direction."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..agents.base import ProposalLoop
from ..agents.toolkit.gradients import direction
from ..problems import Problem, TraceFeedback
from .numbers import NumberAgent


class Bisection(NumberAgent):
    """Bisects intervals between "larger" and "smaller", one parameter after the other.

    It evaluates points on both sides of the current value, at distances 1, 2, 4, ..., until the feedback's direction
    changes between two neighbouring points, and bisects the interval between them. The direction may also change at a
    pole, where bisection finds no solution: then it continues with the remaining points. It keeps the best point of a
    parameter, and continues with the next parameter.
    """

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if a parameter is not a real number, or the feedback has no direction; else None."""
        directed = "future_positive" in problem.feedback_kinds
        no_direction = (
            None if directed else f"{cls.__name__} needs feedback that says larger or smaller (future_positive)"
        )
        return super().unsupported_reason(problem) or no_direction

    def run(self) -> ProposalLoop:
        """Proposes values of one parameter at a time."""
        values = self.problem.start
        observation: TraceFeedback = yield
        while True:
            for name, (low, high) in zip(values, self.bounds(), strict=True):
                x = values[name]
                directions = {x: direction(observation.feedback)}
                rewards = {x: observation.feedback.reward}
                waiting = [*_around(x, low, high)]
                while waiting:
                    x = waiting.pop(0)
                    observation = yield {**values, name: x}
                    while observation.feedback.success:
                        observation = yield {**values, name: x}
                    directions[x], rewards[x] = direction(observation.feedback), observation.feedback.reward
                    waiting = [m for m in _middles(directions, x) if m not in directions] + waiting
                values = {**values, name: max(rewards, key=lambda x: rewards[x])}
                observation = yield dict(values)


def _around(x: float, low: float, high: float) -> Iterator[float]:
    """Points at distances 1, 2, 4, ..., 2^20 on both sides of x, within the bounds."""
    for k in range(21):
        for point in (x + 2.0**k, x - 2.0**k):
            if low <= point <= high:
                yield point


def _middles(directions: dict[float, int], x: float) -> Iterator[float]:
    """The midpoints between x and those of its neighbours with another direction, unless they are too close."""
    points = sorted(directions)
    at = points.index(x)
    for neighbour in points[max(0, at - 1) : at] + points[at + 1 : at + 2]:
        middle = (x + neighbour) / 2
        if (
            directions[x] * directions[neighbour] < 0
            and abs(x - neighbour) > 1e-12 * max(1.0, abs(x))
            and not math.isnan(middle)
        ):
            yield middle
