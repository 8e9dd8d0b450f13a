"""Random search, and its moves for each kind of space."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..problems import Problem, TraceFeedback
from ..utils.checks import number_in
from ..utils.moved import moved_names
from .base import Agent, Values
from .toolkit.moves import mutate, sample


class RandomSearch(Agent):
    """Random search with sensible moves for each kind of space: a floor that an optimizer should beat.

    Every third proposal, more or less, is drawn anew: numbers and choices as the next point of a sequence that fills
    their space evenly (Halton, 1960). The others change the best parameters seen (by reward on train): a number by a
    step whose size spans orders of magnitude, a choice at random, an order by turning a part of it around, a text by
    dropping, doubling or swapping sentences of texts seen, code by a change of its syntax tree (a constant, an
    operator, a comparison, a returned value). No text of the feedback and no graph is used.

    Args:
        explore: Share of proposals drawn anew.
    """

    def __init__(self, *, explore: float = 1 / 3, **settings: Any) -> None:
        super().__init__(**settings)
        number_in("[0, 1]", explore=explore)
        self.explore = explore

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, with the start values as the best."""
        from scipy.stats import qmc

        super().reset(problem, seed=seed)
        self._filling = qmc.Halton(len(problem.parameters), rng=self.rng)
        self._values = self._best = problem.start
        self._reward = -math.inf

    def propose(self, observation: TraceFeedback) -> Values:
        """Keeps the parameters proposed last if they are the best, of equals the latest; samples or mutates."""
        if observation.feedback.reward >= self._reward:
            self._best, self._reward = self._values, observation.feedback.reward
        best = self._best
        self._values = self._anew(best) if self.rng.random() < self.explore else self._near(best)
        return self._values

    def _anew(self, best: Values) -> Values:
        """The next point of a sequence that fills the space evenly; texts and orders are drawn."""
        (point,) = self._filling.random()
        return {
            p.name: sample(p.space, best[p.name], self.rng, float(u))
            for p, u in zip(self.problem.parameters, point, strict=True)
        }

    def _near(self, best: Values) -> Values:
        """The best with one parameter or more changed."""
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
