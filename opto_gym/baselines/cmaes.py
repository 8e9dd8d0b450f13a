"""CMA-ES, by cmaes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..agents.base import ProposalLoop
from ..problems import TraceFeedback
from ..utils.checks import at_least, number_in
from ..utils.extras import need
from .search import Search


class CMAES(Search):
    """Covariance matrix adaptation from the start values (Hansen, 2016), by cmaes.

    With the margin of Hamano et al. (GECCO 2022), which keeps whole numbers from getting stuck. Bounds are scaled to
    the unit cube; a generation is proposed one by one. Needs `pip install 'opto-gym[search]'`.

    Args:
        sigma: The first step size, as a share of the bounds' distance.
        population: A generation's size; None leaves it to the library (4 + 3 log of the number of parameters).
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
        """Proposes a generation, then adapts."""
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
            told = []
            for _ in range(optimizer.population_size):
                x, kept = optimizer.ask()
                observation: TraceFeedback = yield self._values(low + x * width)
                told.append((kept, -observation.feedback.reward))
            optimizer.tell(told)
