"""Adam, with the gradient from the trace graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..agents.base import Agent, Values
from ..agents.toolkit.gradients import direction, gradient
from ..errors import OptoGymError
from ..problems import Problem, TraceFeedback
from ..spaces import Number
from ..utils.checks import number_in


def no_real_numbers(cls: type[Agent], problem: Problem) -> str | None:
    """Why an agent for real numbers can't work on the problem: a parameter is of another kind. None if all are real."""
    numbers = all(isinstance(p.space, Number) and not p.space.integer for p in problem.parameters)
    return None if numbers else f"{cls.__name__} needs parameters that are all real numbers"


class Moments:
    """Adam's running means of the gradient and of its square, and the steps that follow from them.

    Args:
        names: The parameters' names.
        learning_rate: The step size.
        beta1: The decay of the gradient's running mean.
        beta2: The decay of the running mean of its square.
    """

    def __init__(self, names: Sequence[str], learning_rate: float, beta1: float, beta2: float) -> None:
        self.learning_rate, self.beta1, self.beta2 = learning_rate, beta1, beta2
        self.mean, self.square = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        self.count = 0

    def steps(self, slopes: Mapping[str, float]) -> dict[str, float]:
        """The step of each parameter, from the slopes of the error, by name."""
        self.count += 1
        moves = {}
        for name, g in slopes.items():
            self.mean[name] = self.beta1 * self.mean[name] + (1 - self.beta1) * g
            self.square[name] = self.beta2 * self.square[name] + (1 - self.beta2) * g * g
            mean = self.mean[name] / (1 - self.beta1**self.count)
            root = math.sqrt(self.square[name] / (1 - self.beta2**self.count))
            moves[name] = -self.learning_rate * mean / (root + 1e-8)
        return moves


class Adam(Agent):
    """Adam on numbers, with the gradient from the trace graph.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1. The gradient is exact, by
    reverse accumulation over the recorded operators. The direction in which the output has to change is read from the
    feedback ("larger", "smaller"), as in the Trace paper's comparison (Cheng, Nie and Swaminathan, NeurIPS 2024), which
    minimizes |y - y*|.

    Where a run ends in an error, its slopes count as 0, so that the momentum continues past it.

    Args:
        learning_rate: The step size; the Trace paper's comparison has 0.1.
        beta1: The decay of the gradient's running mean, in [0, 1).
        beta2: The decay of the running mean of its square, in [0, 1).
    """

    def __init__(
        self, *, learning_rate: float = 0.1, beta1: float = 0.9, beta2: float = 0.999, **settings: Any
    ) -> None:
        super().__init__(**settings)
        number_in("(0, inf)", learning_rate=learning_rate)
        number_in("[0, 1)", beta1=beta1, beta2=beta2)
        self.learning_rate, self.beta1, self.beta2 = learning_rate, beta1, beta2

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if a parameter is not a real number, else None."""
        return no_real_numbers(cls, problem)

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, at its start values."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start
        self.moments = Moments(list(self.values), self.learning_rate, self.beta1, self.beta2)

    def propose(self, observation: TraceFeedback) -> Values:
        """One step against the gradient of the error; the last parameters again if they solve the problem.

        Raises:
            OptoGymError: If the graph gives no derivatives, or the feedback no direction.
        """
        if observation.feedback.success:
            return dict(self.values)
        graph = observation.graph
        slopes, sign = gradient(graph, "Adam"), direction(observation.feedback)
        output = graph.nodes[graph.output].value
        if sign == 0 and graph.error is None and output == output:  # errors and NaN have no direction
            raise OptoGymError('Adam needs feedback that says "larger" or "smaller" (kind future_positive)')
        steps = self.moments.steps({name: -sign * slope for name, slope in slopes.items()})
        for p in self.problem.parameters:
            assert isinstance(p.space, Number)
            self.values[p.name] = min(max(self.values[p.name] + steps[p.name], p.space.low), p.space.high)
        return dict(self.values)
