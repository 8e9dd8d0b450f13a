"""Baselines for the travelling salesman problem: nearest neighbour, insertion, and an exact method.

They read the cities in the trace graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..agents.base import Agent, ProposalLoop, check_graph
from ..envs.opro import tours
from ..problems import Problem, TraceFeedback
from ..spaces import Permutation
from ..trace import TraceGraph


def inputs(agent: Agent, graph: TraceGraph, name: str) -> list[Any]:
    """The values of the graph's inputs of this name.

    Raises:
        OptoGymError: If the inputs are masked, or only the score is left of the graph.
    """
    check_graph(type(agent).__name__, graph, "inputs")
    named = (n for k, n in enumerate(graph.nodes) if graph.kind(k) == "input")
    return [n.value for n in named if graph.operators[n.operator].name == name]


class Tour(Agent):
    """Proposes one tour through the cities of the trace graph in each step. Subclasses implement `plan`."""

    def plan(self, cities: tuple[tours.City, ...]) -> Sequence[int]:
        """A tour through cities, as their indices in the order of the visits.

        Args:
            cities: The cities' coordinates.
        """
        raise NotImplementedError

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the only parameter is not a tour, else None."""
        fits = [p.name for p in problem.parameters] == ["tour"] and isinstance(problem.parameters[0].space, Permutation)
        return None if fits else f"{cls.__name__} plans a tour, and expects `tour` as the only parameter"

    def run(self) -> ProposalLoop:
        """Proposes the tour; the start values until a graph shows the cities."""
        observation: TraceFeedback = yield
        tour = list(self.problem.start["tour"])
        while True:
            cities = inputs(self, observation.graph, "cities")
            if cities:
                tour = list(self.plan(tuple((x, y) for x, y in cities[0])))
            observation = yield {"tour": tour}


def nearest_neighbour(cities: Sequence[tours.City]) -> list[int]:
    """A tour from city 0 that always continues to the nearest city that is left."""
    tour, left = [0], set(range(1, len(cities)))
    while left:
        tour.append(min(left, key=lambda k: (math.dist(cities[k], cities[tour[-1]]), k)))
        left.remove(tour[-1])
    return tour


def nearest_insertion(cities: Sequence[tours.City]) -> list[int]:
    """A tour that grows from city 0: inserts the city that is nearest to the tour, where it adds the least length.

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
    """A tour that grows from city 0: inserts the city whose cheapest insertion adds the most length, at that place.

    This is the definition of Yang et al. ("Large Language Models as Optimizers", section 3.2); in the paper of
    Rosenkrantz et al. it is the city that is farthest from the tour.
    """
    tour, left = [0], list(range(1, len(cities)))
    while left:
        _, place, city = max((*_cheapest(cities, tour, k), k) for k in left)
        tour.insert(place, city)
        left.remove(city)
    return tour


def _cheapest(cities: Sequence[tours.City], tour: list[int], city: int) -> tuple[float, int]:
    """The length that a city adds to a tour at its cheapest place, and that place."""

    def cost(place: int) -> float:
        a, b = cities[tour[place - 1]], cities[tour[place % len(tour)]]
        return math.dist(a, cities[city]) + math.dist(cities[city], b) - math.dist(a, b)

    return min((cost(place), place) for place in range(1, len(tour) + 1))


class NearestNeighbour(Tour):
    """The tour of `nearest_neighbour` ("NN" in the OPRO paper)."""

    def plan(self, cities: tuple[tours.City, ...]) -> list[int]:
        """The tour, see `Tour.plan`."""
        return nearest_neighbour(cities)


class NearestInsertion(Tour):
    """The tour of `nearest_insertion`."""

    def plan(self, cities: tuple[tours.City, ...]) -> list[int]:
        """The tour, see `Tour.plan`."""
        return nearest_insertion(cities)


class FarthestInsertion(Tour):
    """The tour of `farthest_insertion` ("FI" in the OPRO paper)."""

    def plan(self, cities: tuple[tours.City, ...]) -> list[int]:
        """The tour, see `Tour.plan`."""
        return farthest_insertion(cities)


class ExactTour(Tour):
    """A shortest tour, by integer programming (`opto_gym.envs.opro.tours.shortest`)."""

    def plan(self, cities: tuple[tours.City, ...]) -> tuple[int, ...]:
        """The tour, see `Tour.plan`."""
        return tours.shortest(cities)
