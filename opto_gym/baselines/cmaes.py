"""CMA-ES, by the library cmaes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..agents.base import ProposalLoop
from ..problems import TraceFeedback
from ..utils.checks import at_least, number_in
from ..utils.extras import need
from .search import Search


class CMAES(Search):
    """Covariance matrix adaptation from the start values (Hansen, "The CMA Evolution Strategy", 2016), by cmaes.

    It uses the margin of Hamano et al. ("CMA-ES with Margin", GECCO 2022), which keeps whole numbers from getting
    stuck. Bounds are scaled to the unit cube. The proposals of a generation are made one by one. Needs
    `pip install 'opto-gym[search]'`.

    Args:
        sigma: The initial step size, as a fraction of the distance between the bounds.
        population: The size of a generation; None takes the library's, 4 + 3 log of the number of parameters.
    """

    needs = ("cmaes",)
    chooses = False
    least = 2

    def __init__(self, *, sigma: float = 0.2, population: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        number_in("(0, inf)", sigma=sigma)
        if population is not None:
            at_least(2, population=population)
        self.sigma, self.population = sigma, population

    def run(self) -> ProposalLoop:
        """Proposes a generation, and adapts the distribution to its rewards."""
        cmaes = need("cmaes")
        low, high, start = self._numbers()
        width = high - low
        whole = np.array([p.space.integer for p in self.problem.parameters])  # type: ignore[attr-defined]
        optimizer = cmaes.CMAwM(
            mean=(start - low) / width,
            sigma=self.sigma,
            bounds=np.array([[0.0, 1.0]] * len(start)),
            steps=np.where(whole, 1 / width, 0.0),
            seed=self._seed(),
            population_size=self.population,
        )
        yield
        while True:
            solutions = []
            for _ in range(optimizer.population_size):
                x, kept = optimizer.ask()
                observation: TraceFeedback = yield self._values(low + x * width)
                solutions.append((kept, -observation.feedback.reward))
            optimizer.tell(solutions)
