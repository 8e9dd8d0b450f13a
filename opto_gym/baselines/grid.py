"""Grid search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..agents.base import ProposalLoop
from ..problems import Parameter
from ..spaces import Choice, Number
from ..utils.checks import at_least
from .search import Search, library_value, reach


class Grid(Search):
    """A grid over the whole space, as fine as the budget allows: an upper bound where the space is small enough.

    All parameters get the same number of values from bound to bound, as far as their spaces have so many. A parameter
    that gets a single value keeps its start value. It ends when all points of the grid are evaluated.

    Args:
        points: The number of points at most; None takes the problem's number of oracle calls, or 100 where it has none.
    """

    def __init__(self, *, points: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        if points is not None:
            at_least(1, points=points)
        self.points = points

    def run(self) -> ProposalLoop:
        """Proposes the points of the grid in order."""
        parameters = self.problem.parameters
        counts = fair_counts([_size(p) for p in parameters], self.points or self.problem.oracle_calls or 100)
        yield
        for point in itertools.product(*(_points(p, n) for p, n in zip(parameters, counts, strict=True))):
            yield self._values(point)


def _size(p: Parameter) -> float:
    """The number of values in a parameter's space."""
    if isinstance(p.space, Choice):
        return len(p.space.options)
    assert isinstance(p.space, Number)
    low, high = reach(p.space)
    return high - low + 1 if p.space.integer else math.inf


def fair_counts(sizes: Sequence[float], points: int) -> list[int]:
    """How many values each parameter gets in a grid, as equal as possible.

    Args:
        sizes: The number of values in each parameter's space.
        points: The number of points of the grid at most.
    """
    counts = [1] * len(sizes)
    while True:
        grow = sorted((counts[k], k) for k in range(len(sizes)) if counts[k] < sizes[k])
        fits = [k for n, k in grow if math.prod(counts) // n * (n + 1) <= points]
        if not fits:
            return counts
        counts[fits[0]] += 1


def _points(p: Parameter, n: int) -> list[Any]:
    """A parameter's n values in the grid, as the library has them."""
    if n == 1:
        return [library_value(p, p.start)]
    if isinstance(p.space, Choice):
        return list(range(n))
    assert isinstance(p.space, Number)
    x = np.linspace(*reach(p.space), n)
    return [round(v) if p.space.integer else v for v in x.tolist()]
