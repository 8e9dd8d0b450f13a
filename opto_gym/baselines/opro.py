"""The specialists of the OPRO paper's problems: least squares, and tours by insertion and by an exact method.

All that they know is in the trace graph: the points, or the cities.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import tours
from ..agents.base import Agent, Run, Values, check_graph
from ..core import Problem, TraceFeedback
from ..spaces import Number, Permutation
from ..trace import TraceGraph


def inputs(agent: Agent, graph: TraceGraph, name: str) -> list[Any]:
    """The values of the graph's inputs of this name.

    Raises:
        OptoGymError: If the inputs are masked, or only a score is left.
    """
    check_graph(type(agent).__name__, graph, "inputs")
    named = (n for k, n in enumerate(graph.nodes) if graph.kind(k) == "input")
    return [n.value for n in named if graph.operators[n.operator].name == name]


class LeastSquares(Agent):
    """Fits a linear function to all points seen so far (`LinearRegression-v0`, `BatchRegression-v0`).

    Where the parameters are whole numbers, the best of those around the fit.
    """

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
        """Why not: only weights and an intercept `b` will do."""
        *weights, last = (p.name for p in problem.parameters)
        numbers = all(isinstance(p.space, Number) for p in problem.parameters)
        fits = numbers and last == "b" and bool(weights) and all(name[0] == "w" for name in weights)
        return None if fits else "LeastSquares fits a line, with weights w, w1, ... and an intercept b"

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.points: dict[tuple[float, ...], None] = {}  # each once, in the order seen
        self.values: Values = problem.start

    def propose(self, observation: TraceFeedback) -> Values:
        """The fit to the points seen; the last one where a run broke off and shows none."""
        graph = observation.graph
        for x, y in zip(inputs(self, graph, "x"), inputs(self, graph, "y"), strict=True):
            # many points of one feature, or one point of several
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
        ways = []
        for value, space in zip(found.tolist(), spaces, strict=True):
            assert isinstance(space, Number)
            value = min(max(value, space.low), space.high)
            ways.append((math.floor(value), math.ceil(value)) if space.integer else (value,))

        candidates = list(itertools.product(*ways))
        losses = np.sum((columns @ np.array(candidates).T - points[:, -1:]) ** 2, axis=0)
        return dict(zip(self.problem.start, candidates[int(np.argmin(losses))], strict=True))


class Tour(Agent):
    """Proposes one tour through the cities of the trace graph, again and again."""

    def plan(self, cities: tuple[tours.City, ...]) -> Sequence[int]:
        """The tour."""
        raise NotImplementedError

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
        """Why not: only a tour will do."""
        fits = [p.name for p in problem.parameters] == ["tour"] and isinstance(problem.parameters[0].space, Permutation)
        return None if fits else f"{cls.__name__} plans a tour, and there is no parameter `tour` alone"

    def run(self) -> Run:
        """Proposes the tour; the start's as long as no graph has shown the cities."""
        observation: TraceFeedback = yield
        tour = list(self.problem.start["tour"])
        while True:
            cities = inputs(self, observation.graph, "cities")
            if cities:
                tour = list(self.plan(tuple((x, y) for x, y in cities[0])))
            observation = yield {"tour": tour}


def nearest_neighbour(cities: Sequence[tours.City]) -> list[int]:
    """From city 0 always on to the nearest city that is left."""
    tour, left = [0], set(range(1, len(cities)))
    while left:
        tour.append(min(left, key=lambda k: (math.dist(cities[k], cities[tour[-1]]), k)))
        left.remove(tour[-1])
    return tour


def nearest_insertion(cities: Sequence[tours.City]) -> list[int]:
    """Grows a tour from city 0: takes the city nearest to one of the tour, and puts it where it costs least.

    Rosenkrantz, Stearns and Lewis, "An Analysis of Several Heuristics for the Traveling Salesman Problem", 1977.
    """
    tour = [0]
    left = {k: math.dist(cities[k], cities[0]) for k in range(1, len(cities))}  # city -> distance to the tour
    while left:
        city = min(left, key=lambda k: (left[k], k))
        del left[city]
        tour.insert(_cheapest(cities, tour, city)[1], city)
        left = {k: min(d, math.dist(cities[k], cities[city])) for k, d in left.items()}
    return tour


def farthest_insertion(cities: Sequence[tours.City]) -> list[int]:
    """Grows a tour from city 0: takes the city that costs most where it costs least, and puts it there.

    As Yang et al. define it (OPRO, section 3.2); in 1977's paper it is the city farthest from the tour.
    """
    tour, left = [0], list(range(1, len(cities)))
    while left:
        _, place, city = max((*_cheapest(cities, tour, k), k) for k in left)
        tour.insert(place, city)
        left.remove(city)
    return tour


def _cheapest(cities: Sequence[tours.City], tour: list[int], city: int) -> tuple[float, int]:
    """What it costs to insert a city where that costs least, and the place."""

    def cost(place: int) -> float:
        a, b = cities[tour[place - 1]], cities[tour[place % len(tour)]]
        return math.dist(a, cities[city]) + math.dist(cities[city], b) - math.dist(a, b)

    return min((cost(place), place) for place in range(1, len(tour) + 1))


class NearestNeighbour(Tour):
    """From the first city always on to the nearest one that is left ("NN" in the OPRO paper)."""

    def plan(self, cities: tuple[tours.City, ...]) -> list[int]:
        """The tour."""
        return nearest_neighbour(cities)


class NearestInsertion(Tour):
    """Inserts the city nearest to the tour so far, where it costs least."""

    def plan(self, cities: tuple[tours.City, ...]) -> list[int]:
        """The tour."""
        return nearest_insertion(cities)


class FarthestInsertion(Tour):
    """Inserts the city whose cheapest insertion costs most ("FI" in the OPRO paper)."""

    def plan(self, cities: tuple[tours.City, ...]) -> list[int]:
        """The tour."""
        return farthest_insertion(cities)


class ExactTour(Tour):
    """A shortest tour, by integer programming (`opto_gym.tours.shortest`)."""

    def plan(self, cities: tuple[tours.City, ...]) -> tuple[int, ...]:
        """The tour."""
        return tours.shortest(cities)
