"""Replays a trial from its record, without an endpoint or a model, and compares every oracle call and score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from ..agents.base import Values
from ..core import OptoEnv
from ..errors import OptoGymError, RecordError, ReplayMismatch
from ..problems import TraceFeedback
from ..utils.moved import moved_names
from .base_record import Record
from .identity import RULES
from .notes import AgentNotes
from .oracle import CallKey, RecordedOracle
from .records import RunFolder, TrialFolder, read_trial
from .schema import StepRecord, TrialRecord, TrialSummary
from .scoring import Scorer
from .spec import digest
from .trial import Outcome, TrialRunner
from .trust import check as check_trust
from .trust import of_spec, place_of_trial, without_endpoints

COMPARED_FIELDS = (
    *("call", "parameters", "score", "reward", "success", "error", "feedback", "graph", "invalid_answers"),
    *("scores", "errors", "optimizer_calls", "answers", "token_factor"),
)
"""The fields of a `StepRecord` that a replay compares. Times, amounts spent and keys of the task's calls are not."""


def replay(path: str | Path, *, trust: bool = False) -> Outcome:
    """Runs a trial again from its record, without an endpoint or a model, and compares every call and score.

    The agent's model calls are answered from ``llm.jsonl``. Every oracle call and every scoring on test is evaluated
    again, and each deviation from the record is added to `Outcome.differences`. Nothing is written. An agent that can't
    resume from its record (`Agent.resumable`), or whose source has changed since, does not run again; its recorded
    oracle calls are evaluated instead.

    Args:
        path: The trial's folder.
        trust: Whether to run what the record names and is not registered, if this user has neither made nor trusted it;
            see `leaderboard.trust`.

    Returns:
        The outcome of the replay. Its `notices` say if the agent or the rules of identities have changed since the
        record was made.

    Raises:
        RecordError: If the folder holds no trial, or a record is damaged.
        TrustError: If the record names what is not registered, this user has not made it, and `trust` is not set.
        OptoGymError: If the trial failed before its first oracle call.
    """
    path = Path(path)
    record = read_trial(path)
    if record is None:
        raise RecordError(f"{path} holds no trial.json: expected the folder of a trial")
    check_trust(without_endpoints(of_spec(record.spec)), place_of_trial(path), trust=trust)
    replayer = Replayer(record, path)
    outcome = replayer.run()
    outcome.differences = replayer.differences
    if record.identity.rules != RULES:
        outcome.notices.append("the rules that identify a trial have changed since the record")
    elif replayer.agent_has_changed:
        outcome.notices.append("the agent has changed since the record: its recorded calls were evaluated without it")
    if record.identity.rules == RULES and record.identity.env != replayer.identity.env:
        outcome.differences.insert(0, "the environment's problem has changed since the record")
    recorded = sum(step.call > 0 for step in TrialFolder(path).steps())
    # The agent may ask for more than is recorded where the original was killed, or its budget (or the run's) was spent.
    stopped_at_end = outcome.steps == recorded and record.ended != "agent"
    if outcome.error is not None and not (stopped_at_end and outcome.error.startswith(ReplayMismatch.__name__)):
        outcome.differences.append(outcome.error)
    elif outcome.steps != recorded:
        outcome.differences.append(f"{recorded} calls are recorded, {outcome.steps} were made")
    if not recorded and outcome.error is None and record.status == "failed":
        raise OptoGymError(f"{path.name} failed before its first call: there is nothing to replay")
    return outcome


class Replayer(TrialRunner):
    """Runs a trial again and compares it with its record.

    Args:
        record: The content of the trial's ``trial.json``.
        path: The trial's folder. Nothing in it is changed.

    Attributes:
        differences: Each deviation from the record, as a line of text.
    """

    call_mode = "replay"

    def __init__(self, record: TrialRecord, path: Path) -> None:
        # The record of a killed trial may lack the scorings after its last oracle calls, so none are compared.
        test_scores = record.test_scores if record.status != "running" else "never"
        run = RunFolder(path.parent.parent)
        calls = run.plan.calls if run.has_plan else None  # with the prices that a limit on money needs
        super().__init__(record.spec, path, limits=record.limits, test_scores=test_scores, calls=calls)
        self.record, self._agent_was_skipped = record, False
        self._repeated: StepRecord | None = None
        self.differences: list[str] = []

    def _open(self) -> None:
        """Makes a budget of as many oracle calls as are recorded, without a time limit."""
        lost = [step for step in self.folder.lost_steps() if step.call]
        calls = sum(step.call > 0 for step in self.folder.steps()) + len(lost)
        limits = {**self.limits.to_dict(), "oracle_calls": float(calls)}
        limits.pop("seconds", None)
        self._make_budget(type(self.limits).of(limits), lost, 0.0)

    def _make_oracle(self, env: Any, seed: int) -> ReplayedOracle:
        return ReplayedOracle(
            env,
            self.budget,
            self.folder,
            self.differences,
            seed=seed,
            on_step=self._on_step,
            take_notes=self._take_notes,
        )

    def _make_scorer(self, env: OptoEnv) -> Scorer:
        return ReplayedScorer(env, self.spec, self.folder, self.differences)

    @property
    def agent_has_changed(self) -> bool:
        """Whether the agent may propose otherwise than at the time of the record."""
        recorded = self.record.identity
        return recorded.rules != RULES or recorded.agent != self.identity.agent

    def _run_agent(self) -> None:
        """Runs the agent; or evaluates the recorded calls, if the agent might not make the same calls again."""
        if self.spec.resumable and not self.agent_has_changed:
            super()._run_agent()
            return
        assert isinstance(self.oracle, ReplayedOracle)
        for step in self.oracle.recorded_steps:
            self._repeated = step
            self.oracle.repeat(step)
        self._agent_was_skipped = True

    def _take_notes(self) -> AgentNotes:
        if self._repeated is None:
            return super()._take_notes()
        # the agent does nothing, so what it did is not compared
        return AgentNotes(**{name: getattr(self._repeated, name) for name in AgentNotes.__struct_fields__})

    def _agent_recommendation(self) -> Values | None:
        if self._agent_was_skipped and self.record.summary is not None:  # the agent has seen nothing to recommend from
            return self.record.summary.recommended
        return super()._agent_recommendation()

    def _close(self, status: str, ended: str, error: str | None) -> None:
        """Compares the summaries, except for prices, times, models, lost attempts, and what follows from the rest."""
        recorded = self.record.summary
        if recorded is None or self.oracle is None:
            return
        not_compared = {"ledger", "spent", "models", "lost", "caveats"}
        if [step.call for step in self.oracle.steps] != [step.call for step in self.folder.steps()]:
            not_compared |= {"recommendations", "current_score"}  # they depend on the order in which threads finished
        if self._agent_was_skipped:
            not_compared |= {"recommendations", "invalid_answers", "cut_prompts"}
        found = self._summary(self.oracle)
        if recorded.problem.runtime is None:  # not recorded
            found = replace(found, problem=replace(found.problem, runtime=None))
        names = [name for name in TrialSummary.__struct_fields__ if name not in not_compared]
        self.differences += field_differences("summary", recorded, found, names)


class ReplayedOracle(RecordedOracle):
    """Evaluates every recorded call again and compares it with the record.

    Args:
        env: As for `RecordedOracle`.
        budget: The budget of the replay.
        folder: The trial's folder.
        differences: A list to which deviations from the record are added.
        keywords: Further arguments of `RecordedOracle`.
    """

    def __init__(self, env: Any, budget: Any, folder: TrialFolder, differences: list[str], **keywords: Any) -> None:
        self.differences = differences
        super().__init__(env, budget, folder, **keywords)

    def repeat(self, step: StepRecord) -> None:
        """Evaluates a recorded call again and compares it.

        Raises:
            BudgetSpent: If the budget does not hold it.
        """
        with self.budget.reserve(oracle_calls=1, evaluations=len(step.examples)):
            self._answer(step.parameters, None, step.split, step.call, (step.key, step.n), step)

    def _can_repeat_the_rest(self) -> bool:
        return True  # a call that is not recorded is reported as a difference, even if the budget does not hold it

    def _answer(
        self,
        parameters: Values,
        examples: Sequence[int] | None,
        split: str,
        number: int,
        key: CallKey,
        step: StepRecord | None,
    ) -> TraceFeedback:
        """The observation of a call, by an evaluation on the recorded examples."""
        if step is None:
            raise ReplayMismatch(f"call {number}: these parameters are not in the record: {parameters}")
        result, found = self._evaluate(parameters, step.examples, split, number, key)
        self.differences += field_differences(f"call {step.call}", step, found, COMPARED_FIELDS)
        try:
            self.folder.blob(step.graph)
        except RecordError as e:
            self.differences.append(f"call {step.call}: {e}")
        self._finish(step)
        return self._apply_wrappers(result.observation, number)


class ReplayedScorer(Scorer):
    """Scores parameters again, each set once, and compares the scores with the record.

    Args:
        env: As for `Scorer`.
        spec: As for `Scorer`.
        folder: The trial's folder.
        differences: A list to which deviations from the record are added.
    """

    def __init__(self, env: OptoEnv, spec: Any, folder: TrialFolder, differences: list[str]) -> None:
        super().__init__(env, spec, folder)
        self.differences, self._compared = differences, set[str]()

    def score(self, parameters: Values, call: int, what: str) -> None:
        """Scores parameters and compares the score, unless these parameters were compared already.

        Args:
            parameters: A value for each parameter.
            call: The number of the last oracle call.
            what: What they are.
        """
        key = digest(parameters)
        if key in self._compared:
            return
        self._compared.add(key)
        found, recorded = self._evaluate(parameters, key, call), self.recorded.get(key)
        if recorded is None:
            self.differences.append(f"test at call {call}: this scoring is not in the record")
            return
        names = ("score", "reward", "scores", "error")
        self.differences += field_differences(f"test at call {recorded.call}", recorded, found, names)


def field_differences(what: str, recorded: Record, found: Record, names: Iterable[str]) -> list[str]:
    """The fields in which two records of the same kind differ.

    Args:
        what: What the records describe, such as ``"call 3"``.
        recorded: The record. A field that its version did not record is not compared.
        found: What the replay found.
        names: The fields to compare.

    Returns:
        A line of text per difference, with both values.
    """
    return [
        f"{what}: {name} was {was!r:.200}, is {now!r:.200}"
        for name in names
        if (was := getattr(recorded, name)) != (now := getattr(found, name)) and not _not_recorded(recorded, name)
    ]


def _not_recorded(record: Record, name: str) -> bool:
    """Whether a record has no value of a field, because it is of a version that did not have the field.

    The structs of `schema` give such fields the default None. A field without a default was always recorded, and its
    None is a value.
    """
    (field,) = (field for field in msgspec.structs.fields(record) if field.name == name)
    return field.default is None and getattr(record, name) is None


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "COMPARED": "leaderboard.replaying:COMPARED_FIELDS",
            "different": "leaderboard.replaying:field_differences",
        },
    )
