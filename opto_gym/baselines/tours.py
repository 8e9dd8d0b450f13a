"""Tours for the travelling salesman: nearest neighbour, insertion, and an exact method.

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
        OptoGymError: If the inputs are masked, or only a score is left.
    """
    check_graph(type(agent).__name__, graph, "inputs")
    named = (n for k, n in enumerate(graph.nodes) if graph.kind(k) == "input")
    return [n.value for n in named if graph.operators[n.operator].name == name]


class Tour(Agent):
    """Proposes one tour through the cities of the trace graph, again and again."""

    def plan(self, cities: tuple[tours.City, ...]) -> Sequence[int]:
        """The tour."""
        raise NotImplementedError

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: only a tour will do."""
        fits = [p.name for p in problem.parameters] == ["tour"] and isinstance(problem.parameters[0].space, Permutation)
        return None if fits else f"{cls.__name__} plans a tour, and there is no parameter `tour` alone"

    def run(self) -> ProposalLoop:
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
    """A shortest tour, by integer programming (`opto_gym.envs.opro.tours.shortest`)."""

    def plan(self, cities: tuple[tours.City, ...]) -> tuple[int, ...]:
        """The tour."""
        return tours.shortest(cities)
