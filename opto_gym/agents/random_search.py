"""Random search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..problems import TraceFeedback
from ..utils.checks import number_in
from ..utils.moved import moved_names
from .base import Agent, ProposalLoop, Values
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

    def run(self) -> ProposalLoop:
        """Samples or mutates, and keeps the best parameters; of equals the latest."""
        from scipy.stats import qmc

        self._halton = qmc.Halton(len(self.problem.parameters), rng=self.rng)
        observation: TraceFeedback = yield
        best, reward = self.problem.start, observation.feedback.reward
        while True:
            values = self._sample(best) if self.rng.random() < self.explore else self._mutate(best)
            observation = yield values
            if observation.feedback.reward >= reward:
                best, reward = values, observation.feedback.reward

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
