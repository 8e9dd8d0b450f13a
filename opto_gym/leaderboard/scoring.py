"""Scores parameters on the test split, which agents never see."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import msgspec

from ..agents.base import Values
from ..core import OptoEnv
from ..errors import BudgetSpent
from ..llm import Budget
from ..llm.record import calls_of_evaluation
from .records import TrialFolder
from .schema import ScoreRecord
from .spec import TrialSpec, digest

SCORING = ("each", "end", "never")
"""When parameters are scored on test: after each oracle call, at the end of the trial, or never."""

OVER_CAP = 0.1
"""The part of a run's cap of seconds that scoring may take beyond it: so a run that uses up its cap has scores, too."""

MOST_SCORES = 1000
"""The scores of single examples are recorded if there are at most this many."""


class Scorer:
    """Scores the parameters of one trial on test. The same parameters are scored once.

    Args:
        env: An environment of its own, not the agent's: the calls of a model inside it have the role ``test``.
        spec: What the trial runs.
        folder: The trial's folder. Scores that it holds are not computed again.
        shared: Scores that the trials of a run share, by the hash of the task and the parameters. The scorer reads it,
            and adds its own scores if no model sits inside the environment.

    Attributes:
        recorded: The scores so far, by the hash of the parameters.
        scored: What is being scored, in words; "" if nothing is.
    """

    def __init__(
        self, env: OptoEnv, spec: TrialSpec, folder: TrialFolder, shared: dict[str, ScoreRecord] | None = None
    ) -> None:
        self.env, self.spec, self.folder = env, spec, folder
        self.shared = {} if shared is None else shared
        self.scored = ""
        self.recorded = {scored.parameters_hash: scored for scored in folder.tests()}

    def score(self, parameters: Values, call: int, what: str) -> None:
        """Scores parameters and records the score, unless these parameters have a score already.

        Args:
            parameters: A value for each parameter.
            call: The number of the last oracle call, for the record.
            what: What they are, for the progress.
        """
        key = digest(parameters)
        if key not in self.recorded:
            self.scored = what
            try:
                scored = self._evaluate(parameters, key, call)
            finally:
                self.scored = ""
            self.folder.add_test(scored)
            self.recorded[key] = scored

    def score_of(self, parameters: Values | None) -> float | None:
        """The recorded score of parameters; None if they were not scored, or `parameters` is None."""
        scored = None if parameters is None else self.recorded.get(digest(parameters))
        return None if scored is None else scored.score

    def check_time(self, run_budget: Budget) -> None:
        """Checks that what is being scored, if anything is, may go on.

        Args:
            run_budget: The budget of the whole run.

        Raises:
            BudgetSpent: If its cap of seconds is over, and `OVER_CAP` of it, too.
        """
        cap = run_budget.limits.get("seconds", math.inf)
        if self.scored and run_budget.spent["seconds"] > cap * (1 + OVER_CAP):
            raise BudgetSpent("seconds", f"the scoring on test takes longer than the run's cap of {cap:g} seconds")

    def measure(self, parameters: Values) -> Mapping[str, float | None]:
        """What the environment measures of parameters besides their score, by name; see `OptoEnv.measure`."""
        return self.env.measure(parameters)

    def _evaluate(self, parameters: Values, key: str, call: int) -> ScoreRecord:
        """The score of parameters, taken from `shared` or computed; `key` is their hash."""
        begin = time.monotonic()
        shared_key = digest([self.spec.env_key, key])
        shared = self.shared.get(shared_key)
        if shared is not None:
            return msgspec.structs.replace(shared, call=call, task_calls=[], seconds=round(time.monotonic() - begin, 4))
        with calls_of_evaluation(f"scoring {key[:16]}") as task_calls:
            result = self.env.evaluate(parameters, split="test")
        scores = [float(r.feedback.score) for r in result.per_example]
        scored = ScoreRecord(
            parameters_hash=key,
            score=result.score,
            reward=result.reward,
            scores=scores if len(scores) <= MOST_SCORES else None,
            error=result.error,
            call=call,
            task_calls=task_calls,
            seconds=round(time.monotonic() - begin, 4),
        )
        if not self.env.uses_model:
            self.shared[shared_key] = scored
        return scored
