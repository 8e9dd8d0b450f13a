"""Bisection by the direction that the feedback gives."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..agents.base import ProposalLoop
from ..agents.toolkit.gradients import direction
from ..problems import Problem, TraceFeedback
from .numbers import NumberAgent


class Bisection(NumberAgent):
    """Halves intervals between "larger" and "smaller", one parameter after the other.

    It looks in both directions from where it is, at distances 1, 2, 4, ..., until the feedback's direction changes
    between two neighbours, and halves that interval. A change of direction may be a pole, where halving ends in
    nothing: then it looks on. Of the points seen on a parameter's line it keeps the best and goes on with the next
    parameter.
    """

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: numbers, and feedback that says in which direction."""
        said = "future_positive" in problem.feedback_kinds
        no_direction = None if said else f"{cls.__name__} needs feedback that says larger or smaller (future_positive)"
        return super().unsupported_reason(problem) or no_direction

    def run(self) -> ProposalLoop:
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
