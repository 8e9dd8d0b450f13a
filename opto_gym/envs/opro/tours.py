"""Closed tours through cities in the plane: their lengths, and a shortest one."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

City = tuple[int, int]


def legs(cities: Sequence[Sequence[float]], tour: Sequence[int]) -> list[float]:
    """The distance from each city of a closed tour to the next; the last is that from the last city to the first."""
    return [math.dist(cities[a], cities[b]) for a, b in zip(tour, [*tour[1:], tour[0]], strict=True)]


def length(cities: Sequence[Sequence[float]], tour: Sequence[int]) -> float:
    """The length of a closed tour. It is correctly rounded, so that it does not depend on where the tour starts."""
    return math.fsum(legs(cities, tour))


@functools.lru_cache(256)
def shortest(cities: tuple[City, ...]) -> tuple[int, ...]:
    """A shortest closed tour, from city 0.

    Exact: the formulation of Dantzig, Fulkerson and Johnson, "Solution of a Large-Scale Traveling-Salesman Problem",
    1954 (each city has two of the chosen legs), is solved as an integer program by HiGHS. Where the solution consists
    of several subtours, constraints that exclude them are added and the program is solved again.

    Raises:
        RuntimeError: If HiGHS finds no solution.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(cities)
    if n <= 3:
        return tuple(range(n))
    a, b = np.triu_indices(n, 1)
    ends = np.zeros((n, len(a)))
    ends[a, np.arange(len(a))] = ends[b, np.arange(len(a))] = 1.0
    cost = [math.dist(cities[i], cities[j]) for i, j in zip(a, b, strict=True)]
    constraints: list[Any] = [LinearConstraint(ends, 2, 2)]
    while True:
        found = milp(
            cost,
            integrality=np.ones(len(a), dtype=int),
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": 0.0},
        )
        if found.x is None:
            raise RuntimeError(f"HiGHS found no tour through {n} cities: {found.message}")
        chosen = found.x > 0.5
        tours = _tours(n, a[chosen].tolist(), b[chosen].tolist())
        if len(tours) == 1:
            return tuple(tours[0])
        inside = np.array([np.isin(a, t) & np.isin(b, t) for t in tours], dtype=float)
        constraints.append(LinearConstraint(inside, -np.inf, [len(t) - 1 for t in tours]))


def _tours(n: int, a: list[int], b: list[int]) -> list[list[int]]:
    """The closed tours of which the legs (a, b) consist, where each of the n cities has two legs."""
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for i, j in zip(a, b, strict=True):
        neighbours[i].append(j)
        neighbours[j].append(i)
    tours, left = [], set(range(n))
    while left:
        tour = [min(left)]
        left.remove(tour[0])
        while following := [k for k in neighbours[tour[-1]] if k in left]:
            tour.append(min(following))
            left.remove(tour[-1])
        tours.append(tour)
    return tours
