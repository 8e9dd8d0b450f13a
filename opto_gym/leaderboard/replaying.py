"""Replaying a trial from its record, without an endpoint or model, and comparing every step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..agents.base import Values
from ..errors import OptoGymError, RecordError, ReplayMismatch
from ..problems import TraceFeedback
from .identity import RULES
from .oracle import Place, RecordedOracle
from .records import TrialFolder
from .schema import StepRecord, TrialRecord, TrialSummary
from .scoring import Scorer
from .spec import digest
from .trial import Outcome, TrialRunner


def replay(path: str | Path) -> Outcome:
    """Runs a trial again from its record, without an endpoint or model, and compares every step.

    The agent's calls are answered from ``llm.jsonl``; every recorded oracle call and every scoring on test is evaluated
    again. `Outcome.differences` names what disagrees. Nothing is written. Of an agent that can't be continued
    (`Agent.resumable`) only the evaluations are made again.

    Raises:
        RecordError: If the folder holds no trial.
    """
    path = Path(path)
    record = TrialFolder(path).trial() if (path / "trial.json").exists() else None
    if record is None:
        raise RecordError(f"{path} holds no trial.json: expected the folder of a trial")
    replayer = Replayer(record, path)
    outcome = replayer.run()
    outcome.differences = replayer.differences
    if record.identity.rules != RULES:
        outcome.notices.append("the rules that identify a trial have changed since the record")
    elif record.spec.trial_id(replayer.identity) != path.name:
        outcome.differences.insert(0, "the environment's problem or the agent's source has changed since the record")
    recorded = sum(step.call > 0 for step in TrialFolder(path).steps())
    # the record's end is no difference: there the original was killed, or its budget (the whole run's too) was spent
    ended = outcome.steps == recorded and record.ended != "agent"
    if outcome.error is not None and not (ended and outcome.error.startswith(ReplayMismatch.__name__)):
        outcome.differences.append(outcome.error)
    elif outcome.steps != recorded:
        outcome.differences.append(f"{recorded} calls are recorded, {outcome.steps} were made")
    if not recorded and outcome.error is None and record.status == "failed":
        raise OptoGymError(f"{path.name} failed before its first call: there is nothing to replay")
    return outcome


class Replayer(TrialRunner):
    """Runs a trial against its record.

    Args:
        record: The trial's.
        path: Its folder, in which nothing is changed.

    Attributes:
        differences: What disagrees.
    """

    call_mode = "replay"

    def __init__(self, record: TrialRecord, path: Path) -> None:
        # a trial that was killed while it ran may lack its last scorings
        scores = record.test_scores if record.status != "running" else "never"
        super().__init__(record.spec, path, limits=record.limits, test_scores=scores)
        self.record, self._repeated = record, False
        self.differences: list[str] = []

    def _open(self) -> None:
        """A budget that ends where the record ends."""
        lost = [step for step in self.folder.lost_steps() if step.call]
        calls = sum(step.call > 0 for step in self.folder.steps()) + len(lost)
        limits = {**self.limits.to_dict(), "oracle_calls": float(calls)}
        limits.pop("seconds", None)
        self._reserve(type(self.limits).of(limits), lost, 0.0)

    def _make_oracle(self, env: Any, seed: int) -> ReplayedOracle:
        return ReplayedOracle(
            env,
            self.budget,
            self.folder,
            self.differences,
            seed=seed,
            on_step=self._after,
            invalid_answers=self._take_invalid_answers,
        )

    def _make_scorer(self, env: Any) -> Scorer:
        return ReplayedScorer(env, self.spec, self.folder, self.differences)

    def _run_agent(self) -> None:
        """The agent again, or the recorded calls of one that would not repeat them."""
        if self.spec.resumable:
            super()._run_agent()
            return
        assert isinstance(self.oracle, ReplayedOracle)
        for step in self.oracle.record:
            self.agent.invalid_answers = list(step.invalid_answers)
            self.oracle.repeat(step)
        self._repeated = True

    def _own_recommendation(self) -> Values | None:
        if self._repeated and self.record.summary is not None:  # what the agent would say now is not what it said
            return self.record.summary.recommended
        return super()._own_recommendation()

    def _close(self, status: str, ended: str, error: str | None) -> None:
        """Compares what the trial says of itself; times, prices and the record's own counts apart."""
        recorded = self.record.summary
        if recorded is None or self.oracle is None:
            return
        apart = {"ledger", "spent", "models", "lost"}
        if [step.call for step in self.oracle.steps] != [step.call for step in self.folder.steps()]:
            apart |= {"recommendations", "current_score"}  # an agent's threads came in another order
        if not self.spec.resumable:
            apart |= {"recommendations", "invalid_answers"}  # as the agent had them at the end
        found = self._summary(self.oracle)
        names = [name for name in TrialSummary.__struct_fields__ if name not in apart]
        self.differences += different("summary", recorded, found, names)


class ReplayedOracle(RecordedOracle):
    """Evaluates every recorded call again and compares it with the record.

    Args:
        env: As for `RecordedOracle`, and so the others.
        budget: Of the replay.
        folder: The record.
        differences: Where what disagrees is added.
        more: `RecordedOracle`'s other arguments.
    """

    def __init__(self, env: Any, budget: Any, folder: TrialFolder, differences: list[str], **more: Any) -> None:
        self.differences = differences
        super().__init__(env, budget, folder, **more)

    def repeat(self, step: StepRecord) -> None:
        """Evaluates a recorded call again.

        Raises:
            BudgetSpent: If the budget does not hold it.
        """
        with self.budget.reserve(oracle_calls=1, evaluations=len(step.examples)):
            self._call(step.parameters, None, step.split, step.call, (step.key, step.n), step)

    def _can_pay_for_the_record(self) -> bool:
        return True  # a call that is not recorded is a difference, whatever it costs

    def _call(
        self,
        parameters: Values,
        examples: Sequence[int] | None,
        split: str,
        number: int,
        place: Place,
        step: StepRecord | None,
    ) -> TraceFeedback:
        if step is None:
            raise ReplayMismatch(f"call {number}: these parameters are not in the record: {parameters}")
        result, found = self._evaluate(parameters, step.examples, split, number, place)
        self.differences += different(f"call {step.call}", step, found, COMPARED)
        try:
            self.folder.blob(step.graph)
        except RecordError as e:
            self.differences.append(f"call {step.call}: {e}")
        self._after(step)
        return self._wrapped(result.observation, number)


COMPARED = (
    *("call", "parameters", "score", "reward", "success", "error", "feedback", "graph", "invalid_answers"),
    *("scores", "errors"),
)
"""The fields of a step that a replay compares, as far as they are recorded."""


class ReplayedScorer(Scorer):
    """Scores parameters again, each set once, and compares with the record."""

    def __init__(self, env: Any, spec: Any, folder: TrialFolder, differences: list[str]) -> None:
        super().__init__(env, spec, folder)
        self.differences, self._compared = differences, set[str]()

    def score(self, parameters: Values, call: int) -> None:
        """Scores parameters and compares."""
        key = digest(parameters)
        if key in self._compared:
            return
        self._compared.add(key)
        found, recorded = self._evaluate(parameters, key, call), self.recorded.get(key)
        names = ("score", "reward", "scores", "error")
        if recorded is None:
            self.differences.append(f"test at call {call}: this scoring is not in the record")
        else:
            self.differences += different(f"test at call {recorded.call}", recorded, found, names)


def different(what: str, recorded: Any, found: Any, names: Iterable[str]) -> list[str]:
    """What disagrees between two records in the fields of these names; what is not recorded does not count."""
    return [
        f"{what}: {name} was {was!r:.200}, is {now!r:.200}"
        for name in names
        if (was := getattr(recorded, name)) != (now := getattr(found, name)) and not _missing(recorded, name)
    ]


def _missing(recorded: Any, name: str) -> bool:
    """Whether the record is of a version that did not record the field."""
    return getattr(recorded, name) is None and name in ("scores", "errors") and isinstance(recorded, StepRecord)
