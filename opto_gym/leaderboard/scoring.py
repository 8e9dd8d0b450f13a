"""Scoring parameters on the test split, which no agent sees."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..agents.base import Values
from ..core import OptoEnv
from ..llm.record import collect_call_keys
from .records import TrialFolder
from .schema import ScoreRecord
from .spec import TrialSpec, digest

SCORING = ("each", "end", "never")
"""When parameters are scored: after each oracle call, at the trial's end, never."""

MOST_SCORES = 1000
"""The examples' scores are recorded one by one up to this number."""


class Scorer:
    """Scores the parameters of one trial on test, each set once.

    Args:
        env: The environment, apart from the agent's: a model inside it is asked under another role.
        spec: What the trial runs.
        folder: The record, whose scorings are not made again.
        shared: Scores that the trials of one run share, by task and parameters, where no model sits inside the task.
    """

    def __init__(
        self, env: OptoEnv, spec: TrialSpec, folder: TrialFolder, shared: dict[str, ScoreRecord] | None = None
    ) -> None:
        self.env, self.spec, self.folder = env, spec, folder
        self.shared = {} if shared is None else shared
        self.recorded = {scored.parameters_hash: scored for scored in folder.tests()}

    def score(self, parameters: Values, call: int) -> None:
        """Scores parameters, unless they were scored before.

        Args:
            parameters: A value for each parameter.
            call: The oracle call after which this is.
        """
        key = digest(parameters)
        if key not in self.recorded:
            scored = self._evaluate(parameters, key, call)
            self.folder.add_test(scored)
            self.recorded[key] = scored

    def score_of(self, parameters: Values | None) -> float | None:
        """The score of parameters; None if they were not scored."""
        scored = None if parameters is None else self.recorded.get(digest(parameters))
        return None if scored is None else scored.score

    def measure(self, parameters: Values) -> Mapping[str, float | None]:
        """What else the environment measures of the recommended parameters."""
        return self.env.measure(parameters)

    def _evaluate(self, parameters: Values, key: str, call: int) -> ScoreRecord:
        begin = time.monotonic()
        place = digest([self.spec.env_key, key])
        known = self.shared.get(place)
        if known is not None:
            return ScoreRecord(
                parameters_hash=key,
                score=known.score,
                reward=known.reward,
                scores=known.scores,
                error=known.error,
                call=call,
                task_calls=[],
                seconds=round(time.monotonic() - begin, 4),
            )
        with collect_call_keys() as task_calls:
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
            self.shared[place] = scored
        return scored
