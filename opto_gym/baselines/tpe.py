"""The tree-structured Parzen estimator, by Optuna."""

from __future__ import annotations

from typing import Any

from ..agents.base import ProposalLoop
from ..problems import Parameter, TraceFeedback
from ..spaces import Choice, Number
from ..utils.extras import need
from .search import Search, library_value, reach


class TPE(Search):
    """Optuna's tree-structured Parzen estimator.

    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; Watanabe, "Tree-Structured Parzen
    Estimator", 2023. Needs `pip install 'opto-gym[search]'`.
    """

    needs = ("optuna",)

    def run(self) -> ProposalLoop:
        """Proposes the study's trials, and tells it minus their rewards."""
        optuna = need("optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = {p.name: self._distribution(optuna.distributions, p) for p in self.problem.parameters}
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self._seed()))
        observation: TraceFeedback = yield
        start = {p.name: library_value(p, p.start) for p in self.problem.parameters}
        study.add_trial(
            optuna.trial.create_trial(params=start, distributions=space, value=-observation.feedback.reward)
        )
        while True:
            trial = study.ask(space)
            observation = yield self._values([trial.params[name] for name in space])
            study.tell(trial, -observation.feedback.reward)

    @staticmethod
    def _distribution(kinds: Any, p: Parameter) -> Any:
        if isinstance(p.space, Choice):
            return kinds.CategoricalDistribution(list(range(len(p.space.options))))
        assert isinstance(p.space, Number)
        low, high = reach(p.space)
        return (kinds.IntDistribution if p.space.integer else kinds.FloatDistribution)(low, high)
