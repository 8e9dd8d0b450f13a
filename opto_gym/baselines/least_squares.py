"""Least squares on the points in the trace graph."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ..agents.base import Agent, Values
from ..problems import Problem, TraceFeedback
from ..spaces import Number
from .tours import inputs


class LeastSquares(Agent):
    """Fits a linear function to all points that the graphs have shown (`LinearRegression-v0`, `BatchRegression-v0`).

    Where parameters must be whole numbers, it takes the best of the whole numbers around the fit.
    """

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the parameters are not weights and an intercept `b`, else None."""
        *weights, last = (p.name for p in problem.parameters)
        numbers = all(isinstance(p.space, Number) for p in problem.parameters)
        fits = numbers and last == "b" and bool(weights) and all(name[0] == "w" for name in weights)
        return None if fits else "LeastSquares fits a line, with weights w, w1, ... and an intercept b"

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, without points."""
        super().reset(problem, seed=seed)
        self.points: dict[tuple[float, ...], None] = {}  # each point once, in the order of the runs
        self.values: Values = problem.start

    def propose(self, observation: TraceFeedback) -> Values:
        """The fit to all points; the last one again where a run ended in an error and shows no points."""
        graph = observation.graph
        for x, y in zip(inputs(self, graph, "x"), inputs(self, graph, "y"), strict=True):
            # x and y are the points of one feature, or x is one point of several features
            rows = zip(x, y, strict=True) if isinstance(y, list) else [(*x, y)]
            self.points.update(dict.fromkeys(rows))
        if self.points:
            self.values = self._fit()
        return dict(self.values)

    def _fit(self) -> Values:
        points = np.array(list(self.points), dtype=float)
        columns = np.column_stack([points[:, :-1], np.ones(len(points))])
        found = np.linalg.lstsq(columns, points[:, -1])[0]
        spaces = [p.space for p in self.problem.parameters]
        roundings = []
        for value, space in zip(found.tolist(), spaces, strict=True):
            assert isinstance(space, Number)
            value = min(max(value, space.low), space.high)
            roundings.append((math.floor(value), math.ceil(value)) if space.integer else (value,))

        candidates = list(itertools.product(*roundings))
        losses = np.sum((columns @ np.array(candidates).T - points[:, -1:]) ** 2, axis=0)
        return dict(zip(self.problem.start, candidates[int(np.argmin(losses))], strict=True))
