"""Bayesian optimization with a Gaussian process, by scikit-optimize."""

from __future__ import annotations

import warnings
from typing import Any

from ..agents.base import ProposalLoop
from ..problems import Parameter, TraceFeedback
from ..spaces import Choice, Number
from ..utils.checks import at_least
from ..utils.extras import need
from .search import Search, library_value, reach


class GaussianProcess(Search):
    """Bayesian optimization with a Gaussian process: scikit-optimize's `gp_minimize` by its ask-and-tell interface.

    It has the settings of the Trace paper's traffic experiment (Cheng, Nie and Swaminathan, NeurIPS 2024): the start
    values, 5 Sobol points, then the best of three acquisition functions ("gp_hedge"). Instead of a point that it has
    evaluated before it takes a random one, without skopt's warnings. Needs `pip install 'opto-gym[search]'`.

    Args:
        initial: The number of Sobol points before the first point of the Gaussian process.
    """

    needs = ("skopt",)

    def __init__(self, *, initial: int = 5, **settings: Any) -> None:
        super().__init__(**settings)
        at_least(1, initial=initial)
        self.initial = initial

    def run(self) -> ProposalLoop:
        """Proposes the optimizer's points, and tells it minus their rewards."""
        skopt = need("skopt")
        warnings.filterwarnings(
            "ignore", "The (balance properties of Sobol|objective has been evaluated)", module="skopt"
        )
        dimensions = [self._dimension(skopt.space, p) for p in self.problem.parameters]
        seed = self._seed()
        estimator = skopt.utils.cook_estimator(
            "GP", space=skopt.utils.normalize_dimensions(dimensions), random_state=seed, noise="gaussian"
        )
        optimizer = skopt.Optimizer(
            dimensions,
            estimator,
            n_initial_points=self.initial + 1,
            initial_point_generator="sobol",
            random_state=seed,
        )
        x = [library_value(p, p.start) for p in self.problem.parameters]
        observation: TraceFeedback = yield
        while True:
            optimizer.tell(x, -observation.feedback.reward)
            x = optimizer.ask()
            observation = yield self._values(x)

    @staticmethod
    def _dimension(space: Any, p: Parameter) -> Any:
        if isinstance(p.space, Choice):
            return space.Categorical(list(range(len(p.space.options))), name=p.name)
        assert isinstance(p.space, Number)
        low, high = reach(p.space)
        return (space.Integer if p.space.integer else space.Real)(low, high, name=p.name)
