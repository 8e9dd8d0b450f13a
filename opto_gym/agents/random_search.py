"""Random search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..problems import Problem, TraceFeedback
from ..utils.checks import number_in
from ..utils.moved import moved_names
from .base import Agent, Values
from .toolkit.moves import mutate, sample


class RandomSearch(Agent):
    """Random search with moves for each kind of space: a floor that an optimizer should beat.

    A third of the proposals on average, `explore`, is sampled: numbers and choices as the next point of a
    low-discrepancy sequence (Halton, Numerische Mathematik, 1960). The others mutate the best parameters seen, by
    reward on train: a number by a step whose size spans orders of magnitude, a choice at random, a permutation by
    reversing a part of it, a text by dropping, adding or swapping sentences, code by a change of its syntax tree (a
    constant, an operator, a comparison, a returned value). It reads the rewards alone, and neither the feedback's words
    nor the graph.

    Args:
        explore: The share of proposals that are sampled, in [0, 1].
    """

    def __init__(self, *, explore: float = 1 / 3, **settings: Any) -> None:
        super().__init__(**settings)
        number_in("[0, 1]", explore=explore)
        self.explore = explore

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, with the start values as the best."""
        from scipy.stats import qmc

        super().reset(problem, seed=seed)
        self._halton = qmc.Halton(len(problem.parameters), rng=self.rng)
        self._values = self._best = problem.start
        self._reward = -math.inf

    def propose(self, observation: TraceFeedback) -> Values:
        """Keeps the parameters proposed last if they are the best, of equals the latest; samples or mutates."""
        if observation.feedback.reward >= self._reward:
            self._best, self._reward = self._values, observation.feedback.reward
        best = self._best
        self._values = self._sample(best) if self.rng.random() < self.explore else self._mutate(best)
        return self._values

    def _sample(self, best: Values) -> Values:
        """The next point of the low-discrepancy sequence; permutations are drawn, and texts mutated."""
        (point,) = self._halton.random()
        return {
            p.name: sample(p.space, best[p.name], self.rng, float(u))
            for p, u in zip(self.problem.parameters, point, strict=True)
        }

    def _mutate(self, best: Values) -> Values:
        """The best parameters with one or more of them mutated."""
        parameters = self.problem.parameters
        chosen = self.rng.random(len(parameters)) < 1 / len(parameters)
        chosen[int(self.rng.integers(len(parameters)))] = True
        return {
            p.name: mutate(p.space, best[p.name], self.rng) if change else best[p.name]
            for p, change in zip(parameters, chosen, strict=True)
        }


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "ADDITIONS": "agents.toolkit.moves",
        },
    )
