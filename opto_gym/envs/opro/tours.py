"""Tours through cities in the plane: their lengths, and a shortest one."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

City = tuple[int, int]


def legs(cities: Sequence[Sequence[float]], tour: Sequence[int]) -> list[float]:
    """The distances from each city of the tour to the next, and from the last to the first."""
    return [math.dist(cities[a], cities[b]) for a, b in zip(tour, [*tour[1:], tour[0]], strict=True)]


def length(cities: Sequence[Sequence[float]], tour: Sequence[int]) -> float:
    """The length of a closed tour, correctly rounded: it does not depend on where the tour starts."""
    return math.fsum(legs(cities, tour))


@functools.lru_cache(256)
def shortest(cities: tuple[City, ...]) -> tuple[int, ...]:
    """A shortest closed tour, from city 0.

    Exact: the program of Dantzig, Fulkerson and Johnson, "Solution of a Large-Scale Traveling-Salesman Problem", 1954
    (each city has two of the chosen legs), solved as an integer program by HiGHS; where the answer falls apart into
    several tours, these are forbidden and it is solved again, until it is one tour.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(cities)
    if n <= 3:
        return tuple(range(n))
    a, b = np.triu_indices(n, 1)
    ends = np.zeros((n, len(a)))
    ends[a, np.arange(len(a))] = ends[b, np.arange(len(a))] = 1.0
    cost = [math.dist(cities[i], cities[j]) for i, j in zip(a, b, strict=True)]
    rules: list[Any] = [LinearConstraint(ends, 2, 2)]
    while True:
        found = milp(
            cost,
            integrality=np.ones(len(a), dtype=int),
            bounds=Bounds(0, 1),
            constraints=rules,
            options={"mip_rel_gap": 0.0},
        )
        if found.x is None:
            raise RuntimeError(f"HiGHS found no tour through {n} cities: {found.message}")
        chosen = found.x > 0.5
        tours = _tours(n, a[chosen].tolist(), b[chosen].tolist())
        if len(tours) == 1:
            return tuple(tours[0])
        inside = np.array([np.isin(a, t) & np.isin(b, t) for t in tours], dtype=float)
        rules.append(LinearConstraint(inside, -np.inf, [len(t) - 1 for t in tours]))


def _tours(n: int, a: list[int], b: list[int]) -> list[list[int]]:
    """The closed tours that legs make up, where each city has two."""
    beside: list[list[int]] = [[] for _ in range(n)]
    for i, j in zip(a, b, strict=True):
        beside[i].append(j)
        beside[j].append(i)
    tours, left = [], set(range(n))
    while left:
        tour = [min(left)]
        left.remove(tour[0])
        while following := [k for k in beside[tour[-1]] if k in left]:
            tour.append(min(following))
            left.remove(tour[-1])
        tours.append(tour)
    return tours
