"""The travelling salesman problem of the OPRO paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Permutation
from ...trace import node, operator
from ..drawing import charts
from ..drawing.scenes import Picture
from . import tours


class TSP(OptoEnv):
    """Find a short closed tour through cities.

    ## Description
    n cities lie at integer coordinates, drawn uniformly from -100 to 100. The parameter is the order in which to visit
    them; the tour returns from the last city to the first. The setting is that of Yang et al., "Large Language Models
    as Optimizers" (OPRO), ICLR 2024, section 3.2, with our own cities (the paper's are not published).

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `tour` | `Permutation(n)` | 0, 1, 2, ...: a random tour, since the cities are |

    ## Observation
    The graph (the cities, the legs of the tour, its length), and the feedback. The objective lists the cities too, as
    the paper's prompt does. The paper's optimizer sees past tours with their lengths, but no graph. For that setting,
    mask all of the graph and use `feedback=["reward"]`.

    ## Reward
    Minus the score. The score is the optimality gap: by how many percent the tour is longer than a shortest one, at
    most 1,000.

    ## Feedback
    * reward: "The tour is 868.41 long, 44.8 % longer than a shortest one."
    * hindsight_positive: "No tour is shorter."
    * hindsight_negative: "Legs that cross: 0 to 1 and 6 to 7; 1 to 2 and 6 to 7. Longest leg: 3 to 4 (179.8)."
    * future_positive: "Turning the part from 2 to 7 around shortens the tour by 99.3."

    ## Start
    The cities in the order of their numbers, which is not a shortest tour for any problem.

    ## End
    When solved (a shortest tour), or after `oracle_calls` steps.

    ## Score and anchors
    One case: test is train. Linear scale, anchors of 2026-11: 0 is the gap of the start values, 1 is gap 0. Mean
    gaps in percent, of the start values and the baselines over the problems 0 to 19, and those that the paper reports
    for five problems of its own (table 3):

    | n | start | nearest neighbour | nearest insertion | farthest insertion | paper: NN, FI, OPRO with GPT-4 |
    | --- | --- | --- | --- | --- | --- |
    | 10 | 80.0 | 7.9 | 6.4 | 0.9 | 13.0, 3.2, 0.0 |
    | 15 | 136.5 | 16.2 | 12.8 | 2.7 | 9.4, 1.2, 0.2 |
    | 20 | 178.8 | 15.3 | 14.5 | 3.8 | 16.0, 0.2, 1.4 |
    | 50 | 346.9 | 21.7 | 17.2 | 6.6 | 19.7, 9.8, 11.0 |

    In 200 calls on problem 0, `RandomSearch` reaches 0.8 to 7.6 for 10 cities and 20 to 32 for 20 cities (three seeds).

    ## Arguments
    * `n`: the number of cities, 5 to 50; 10. The paper uses 10, 15, 20 and 50.
    * `problem`: the number of the set of cities, 0 to 99; 0.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`.

    ## Kind, cost and source
    An instance; an example is None, since a run has no randomness. The first oracle call finds a shortest tour exactly,
    by integer programming: 0.01 s for n = 10, 0.02 s for 20, 0.25 s (at most 1.3 s over 20 problems) for 50. Each
    further call takes 0.2 ms for n = 10, 2 ms for 50. The task uses no language model and no data set. Source: the
    paper.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    scores = (1000.0, 0.0)
    splits = {"train": (None,), "test": (None,)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    anchors = Anchors(None, 0.0, "2026-11", "a shortest tour")
    ends_when_solved = True
    instance = True

    def __init__(self, *, n: int = 10, problem: int = 0, **keywords: Any) -> None:
        if type(n) is not int or not 5 <= n <= 50:
            raise ValueError(f"TSP: expected n of 5 to 50 cities, got {n!r}")
        if type(problem) is not int or not 0 <= problem < 100:
            raise ValueError(f"TSP: expected a problem from 0 to 99, got {problem!r}")
        self.cities = draw_cities(n, problem)
        places = ", ".join(f"{k}: {c}" for k, c in enumerate(self.cities))
        self.objective = (
            "Change the order in which the tour visits the cities so that its length, with the way back from the last "
            f"to the first, is as small as possible. The cities: {places}."
        )
        order = "the order in which to visit the cities"
        self.parameters = (Parameter("tour", Permutation(n), list(range(n)), order),)
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Computes the length of the proposed tour; the feedback compares it with a shortest one."""

        @operator
        def legs(cities: list[list[int]], tour: list[int]) -> list[float]:
            """The distance from each city of the tour to the next; the last is the way back to the first."""
            return tours.legs(cities, tour)

        @operator
        def length(legs: list[float]) -> float:
            """The length of the tour, the sum of its legs."""
            return math.fsum(legs)

        output = length(legs(node([list(c) for c in self.cities], "cities"), p.tour))
        return output, self._feedback(list(p.tour.data), output.data)

    def _feedback(self, tour: list[int], total: float) -> Feedback:
        least = tours.length(self.cities, tours.shortest(self.cities))
        gap = min(100 * (total / least - 1), self.scores[0])
        reward = Part("reward", f"The tour is {total:.2f} long, {gap:.1f} % longer than a shortest one.")
        if gap < 1e-9:  # a shortest tour, up to rounding
            return Feedback(0.0, (reward, Part("hindsight_positive", "No tour is shorter.")), True)
        each = tours.legs(self.cities, tour)
        longest = max(range(len(each)), key=each.__getitem__)
        ends = f"{tour[longest]} to {tour[(longest + 1) % len(tour)]}"
        cross = [f"{a} to {b} and {c} to {d}" for (a, b), (c, d) in crossings(self.cities, tour)]
        more = f"; and {len(cross) - 5} more pairs" if len(cross) > 5 else ""
        crossed = f"Legs that cross: {'; '.join(cross[:5])}{more}. " if cross else ""
        parts = [reward, Part("hindsight_negative", f"{crossed}Longest leg: {ends} ({each[longest]:.1f}).")]
        saved, first, last = best_turn(self.cities, tour)
        if saved > 0:
            turn = f"Turning the part from {first} to {last} around shortens the tour by {saved:.1f}."
            parts.append(Part("future_positive", turn))
        return Feedback(gap, tuple(parts))

    def reference_solution(self) -> dict[str, Any]:
        """A shortest tour, found exactly."""
        return {"tour": list(tours.shortest(self.cities))}

    def render_text(self) -> str:
        """The tour of the last call and its gap."""
        order, title = self._last_tour()
        return f"{' '.join(map(str, order)) or 'no tour'}: {title}\n"

    def render_image(self) -> Picture:
        """The cities and the tour of the last call."""
        order, title = self._last_tour()
        crossing = [leg for pair in crossings(self.cities, order) for leg in pair]
        return charts.tour(self.cities, order, crossing, title)

    def _last_tour(self) -> tuple[list[int], str]:
        """The order of the last call (empty where it was no valid tour), and a title."""
        assert self.last is not None
        graph = self.last.graph
        order = list(graph.nodes[graph.parameters[0]].value) if self.last.error is None else []
        return order, f"gap {self.last.score:.1f} %"


def draw_cities(n: int, problem: int) -> tuple[tours.City, ...]:
    """Draws n different cities for which the tour in the order of their numbers is not a shortest one."""
    rng = np.random.default_rng([20230907, problem, n])
    while True:
        cities = tuple((int(x), int(y)) for x, y in rng.integers(-100, 101, size=(n, 2)))
        if len(set(cities)) == n and best_turn(cities, range(n))[0] > 1:
            return cities


def best_turn(cities: Sequence[tours.City], tour: Sequence[int]) -> tuple[float, int, int]:
    """The best 2-opt move of a tour, which reverses a part of it: (length saved, first city, last city of the part)."""
    n, best = len(tour), (0.0, tour[0], tour[0])
    distance = [[math.dist(a, b) for b in cities] for a in cities]
    for i in range(n - 1):
        for j in range(i + 1, n - (i == 0)):
            before, first, last, after = tour[i - 1], tour[i], tour[j], tour[(j + 1) % n]
            saved = distance[before][first] + distance[last][after] - distance[before][last] - distance[first][after]
            if saved > best[0] + 1e-9:
                best = (saved, first, last)
    return best


Leg = tuple[int, int]


def crossings(cities: Sequence[tours.City], tour: Sequence[int]) -> list[tuple[Leg, Leg]]:
    """The pairs of legs that cross each other, in the order of the tour."""
    legs = list(zip(tour, [*tour[1:], *tour[:1]], strict=True))

    def side(a: int, b: int, c: int) -> int:
        (ax, ay), (bx, by), (cx, cy) = cities[a], cities[b], cities[c]
        turn = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        return (turn > 0) - (turn < 0)

    return [
        (p, q)
        for k, p in enumerate(legs)
        for q in legs[k + 1 :]
        if side(*p, q[0]) * side(*p, q[1]) < 0 and side(*q, p[0]) * side(*q, p[1]) < 0
    ]
