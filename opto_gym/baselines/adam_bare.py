"""Adam on finite differences of the score."""

from __future__ import annotations

from typing import Any

from ..agents.base import ProposalLoop
from ..problems import TraceFeedback
from ..utils.checks import number_in
from .adam import Moments
from .numbers import NumberAgent


class AdamBare(NumberAgent):
    """Adam without the graph: `Adam` whose gradient is a forward difference of the score for each parameter.

    A step costs one oracle call more than there are parameters, where `Adam` needs one. Where the differences are
    precise enough, both make the same steps.

    Args:
        learning_rate: The step size; the Trace paper's comparison has 0.1.
        difference: By how much a parameter is moved to measure a difference.
        beta1: As for `Adam`.
        beta2: As for `Adam`.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.1,
        difference: float = 1e-6,
        beta1: float = 0.9,
        beta2: float = 0.999,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        number_in("(0, inf)", learning_rate=learning_rate, difference=difference)
        number_in("[0, 1)", beta1=beta1, beta2=beta2)
        self.learning_rate, self.difference, self.beta1, self.beta2 = learning_rate, difference, beta1, beta2

    def run(self) -> ProposalLoop:
        """Proposes for each parameter the current point with that one moved, and then the step."""
        values = self.problem.start
        moments = Moments(list(values), self.learning_rate, self.beta1, self.beta2)
        observation: TraceFeedback = yield
        while True:
            if observation.feedback.success:
                observation = yield dict(values)
                continue
            error, slopes = -observation.feedback.reward, {}
            for (name, x), (_, high) in zip(values.items(), self.bounds(), strict=True):
                h = self.difference if x + self.difference <= high else -self.difference
                moved = yield {**values, name: x + h}
                slopes[name] = (-moved.feedback.reward - error) / h
            values = self.values([values[name] + step for name, step in moments.steps(slopes).items()])
            observation = yield dict(values)
