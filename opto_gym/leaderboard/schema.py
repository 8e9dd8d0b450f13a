"""The records of a run as typed data, with one struct for each kind of file or line.

::

    run.json       RunRecord
    trial.json     TrialRecord, with TrialSummary once the trial has ended
    steps.jsonl    StepRecord, one line for each oracle call
    tests.jsonl    ScoreRecord, one line for each set of parameters that is scored on test
    llm.jsonl      see `opto_gym.llm.record`

Records of version 1 are converted by `upgrade`. A field that they did not have is None, which means "not recorded".
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from ..errors import DamagedRecord
from ..problems import Anchors
from .amounts import Amounts, LedgerTotals, Limits
from .base_record import Record as Record
from .endpoints import CallSettings
from .identity import Identity
from .spec import TrialSpec
from .where import Machine as Machine
from .where import SandboxRecord as SandboxRecord

VERSION = 2
"""The version of the record format that this release writes."""

R = TypeVar("R")


class LostAttempts(Record, frozen=True, kw_only=True):
    """The number of earlier attempts of a trial that could not be continued, and the amounts that they spent."""

    _old_keys: ClassVar[Mapping[str, str]] = {"tries": "attempts"}

    attempts: int
    oracle_calls: int
    evaluations: int
    ledger: LedgerTotals


class ProblemRecord(Record, frozen=True, kw_only=True):
    """The problem; its fields are those of `opto_gym.Problem.to_json`."""

    id: str
    arguments: dict[str, Any]
    objective: str
    parameters: list[dict[str, Any]]
    scores: tuple[float, float]
    oracle_calls: int | None = None
    feedback_kinds: list[str]
    examples: dict[str, int]
    runtime: str | None = None


class ModelsRecord(Record, frozen=True, kw_only=True):
    """The descriptions of the models, as `opto_gym.llm.Client.describe` returns them; None where no model is used."""

    optimizer: dict[str, Any] | None
    task: dict[str, Any] | None


class TrialSummary(Record, frozen=True, kw_only=True):
    """The results of a trial, recorded at its end.

    Attributes:
        problem: The problem.
        scale: The scale on which scores are normalized: ``linear`` or ``log``.
        anchors: The dated scores for the normalization; None if the environment declares none.
        oracle_calls: Number of oracle calls, without that of the start values.
        evaluations: Number of example evaluations.
        invalid_answers: Number of answers of the optimizer's model that could not be used.
        errors: Number of oracle calls that ended in an error node.
        solved: Whether a call proved that the problem is solved.
        start_score: Score of the start values on test; None if they were not scored.
        current_score: Score of the last proposal on test; None if it was not scored.
        recommended_score: Score of the recommended parameters on test; None if they were not scored.
        recommended: The recommended parameters.
        measures: Further measurements of the recommended parameters, see `opto_gym.OptoEnv.measure`.
        recommendations: (number of an oracle call, hash of the parameters recommended after it).
        models: The models that were used.
        ledger: The model calls of each role, with those of lost attempts.
        lost: The amounts that lost attempts spent; None if there were none.
        spent: The amounts that were spent of the trial's budget.
        cut_prompts: Number of the agent's prompts that the server has probably cut; None if not recorded.
        adaptations: By model, how requests were changed since its endpoint refuses some of what they hold; the changes
            are those of `opto_gym.llm.adapting`.
        caveats: Why the results mean little, see `caveats.find_caveats`; None if not recorded.
    """

    _old_keys: ClassVar[Mapping[str, str]] = {"invalid": "invalid_answers"}

    problem: ProblemRecord
    scale: str
    anchors: Anchors | None
    oracle_calls: int
    evaluations: int
    invalid_answers: int
    errors: int
    solved: bool
    start_score: float | None
    current_score: float | None
    recommended_score: float | None
    recommended: dict[str, Any]
    measures: dict[str, float | None]
    recommendations: list[tuple[int, str]]
    models: ModelsRecord
    ledger: LedgerTotals
    lost: LostAttempts | None
    spent: Amounts
    cut_prompts: int | None = None
    adaptations: dict[str, list[str]] = {}
    caveats: list[str] | None = None


class TrialRecord(Record, frozen=True, kw_only=True):
    """``trial.json``: what ran, on which machine, and how it ended.

    Attributes:
        version: Version of the record format.
        trial: The trial's id.
        status: ``running``, ``done`` or ``failed``. The status of a trial that was killed is ``running``.
        ended: Why the trial ended: ``solved``, ``agent``, ``budget: NAME``, or the error in one line; None while it
            runs.
        error: The traceback of a failed trial; else None.
        spec: The environment, agent, models and seed.
        identity: Everything that the results depend on; the trial's id contains its hash.
        limits: Budget of the trial.
        cap: Budget of the whole run.
        test_scores: When parameters are scored on test: after ``each`` oracle call, at the ``end``, or ``never``.
        started: Start time, in seconds since 1970.
        seconds: Duration in seconds of wall time; for a resumed trial, the sum over its sessions.
        where: The machine.
        summary: The results; None while the trial runs, or if it failed before its first oracle call.
    """

    version: int
    trial: str
    status: Literal["running", "done", "failed"]
    ended: str | None
    error: str | None
    spec: TrialSpec
    identity: Identity
    limits: Limits
    cap: Limits
    test_scores: str
    started: float
    seconds: float
    where: Machine
    summary: TrialSummary | None = None


class AnswerReading(Record, frozen=True, kw_only=True):
    """How one answer of the optimizer's model was interpreted.

    Attributes:
        call: The key of the model call.
        read: The values that were read from it, by parameter; None if it was read as text, or could not be used.
        refused: Why the answer could not be used; None if it could.
    """

    call: str
    read: dict[str, Any] | None = None
    refused: str | None = None


class StepRecord(Record, frozen=True, kw_only=True):
    """A line of ``steps.jsonl``: one oracle call.

    The fields from `scores` on are None if they were not recorded.

    Attributes:
        call: Number of the oracle call; call 0 evaluates the start values.
        key: Hash of parameters, examples and split.
        n: Number of earlier oracle calls with the same key.
        parameters: The evaluated values, as JSON data.
        parameters_hash: Hash of the values.
        split: ``train`` or ``val``.
        examples: The examples, each as its index in the split or as the example itself.
        score: Mean of the examples' scores.
        reward: The score, turned so that higher is better.
        success: Whether every example is solved.
        error: Message of the first error node; None if there is none.
        feedback: The feedback, as `opto_gym.Feedback.to_dict` returns it.
        graph: Hash of the trace graph, which is a file in ``blobs/``.
        metrics: Further data from the environment.
        task_calls: Keys of the calls of the model inside the task.
        invalid_answers: For each unusable answer of the optimizer's model since the previous oracle call, the reason.
        spent: The amounts that the trial had spent after this call.
        seconds: Duration of the call.
        time: End of the call, in seconds since 1970.
        scores: Scores of the examples.
        errors: Errors of the examples; None for an example without an error.
        optimizer_calls: Keys of the optimizer's model calls since the previous oracle call.
        answers: How the answers to these calls were interpreted.
        parents: Numbers of the oracle calls whose parameters the proposal was derived from.
        token_factor: The factor from estimated to reported tokens that the agent's prompts were fitted with.
    """

    _old_keys: ClassVar[Mapping[str, str]] = {"calls": "task_calls", "invalid": "invalid_answers"}

    call: int
    key: str
    n: int
    parameters: dict[str, Any]
    parameters_hash: str
    split: str
    examples: list[Any]
    score: float
    reward: float
    success: bool
    error: str | None
    feedback: dict[str, Any]
    graph: str
    metrics: dict[str, Any]
    task_calls: list[str]
    invalid_answers: list[str]
    spent: Amounts
    seconds: float
    time: float
    scores: list[float] | None = None
    errors: list[str | None] | None = None
    optimizer_calls: list[str] | None = None
    answers: list[AnswerReading] | None = None
    parents: list[int] | None = None
    token_factor: float | None = None


class ScoreRecord(Record, frozen=True, kw_only=True):
    """A line of ``tests.jsonl``: the score of one set of parameters on the test split.

    Attributes:
        parameters_hash: Hash of the parameters.
        score: Mean of the examples' scores.
        reward: The score, turned so that higher is better.
        scores: Scores of the examples; None if there are more than 1,000.
        error: Message of the first error node; None if there is none.
        call: Number of the oracle call after which the parameters were scored.
        task_calls: Keys of the calls of the model inside the task.
        seconds: Duration of the evaluation.
    """

    _old_keys: ClassVar[Mapping[str, str]] = {"calls": "task_calls"}

    parameters_hash: str
    score: float
    reward: float
    scores: list[float] | None
    error: str | None
    call: int
    task_calls: list[str]
    seconds: float


class PlannedTrial(Record, frozen=True, kw_only=True):
    """A trial of a run, with its budget.

    Attributes:
        spec: The environment, agent, models and seed.
        limits: Its budget.
        test_scores: As in `TrialRecord`; None is the run's.
    """

    spec: TrialSpec
    limits: Limits
    test_scores: str | None = None


class RunRecord(Record, frozen=True, kw_only=True):
    """``run.json``: the plan of a run. A run is continued from its folder alone.

    Attributes:
        version: Version of the record format.
        trials: The trials.
        skipped: (environment, agent, reason why the agent can't run on the environment).
        cap: Budget of the whole run.
        test_scores: As in `TrialRecord`, of the trials that do not say otherwise.
        jobs: Number of trials that run at a time.
        calls: How model calls are made, and their prices.
    """

    version: int
    trials: list[PlannedTrial]
    skipped: list[tuple[str, str, str]]
    cap: Limits
    test_scores: str
    jobs: int
    calls: CallSettings = CallSettings()


def to_plain(record: Record) -> dict[str, Any]:
    """Converts a record to JSON data."""
    return msgspec.to_builtins(record, enc_hook=str)  # type: ignore[no-any-return]


def from_plain(data: Any, kind: type[R], place: Path | str) -> R:
    """Converts JSON data to a record.

    Args:
        data: The data, in the current version of the format.
        kind: The struct to create.
        place: The file, and the line where there are several, for the error message.

    Raises:
        DamagedRecord: If a field is missing, has a wrong type, or is a number that is infinite or beyond 64 bits; the
            message names the place, the field, and what was expected.
    """
    try:
        record = msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError, OverflowError) as e:
        raise DamagedRecord(f"{place} is damaged: {e}. Restore the file from a copy") from e
    field = _unusable_number(record, "$")
    if field is not None:
        raise DamagedRecord(f"{place} is damaged: expected a finite number of 64 bits - at `{field}`. Restore the file")
    return record


def _unusable_number(x: Any, name: str) -> str | None:
    """The name of a number in a record that no amount, score or time can be; None if there is none."""
    if isinstance(x, float):
        return None if math.isfinite(x) else name
    if isinstance(x, int):
        return None if -(2**63) <= x < 2**63 else name
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(x, msgspec.Struct):
        parts = ((f"{name}.{field}", getattr(x, field)) for field in _typed_fields(type(x)))
    elif isinstance(x, Anchors):
        parts = ((f"{name}.{field}", getattr(x, field)) for field in ("start", "best"))
    elif isinstance(x, list | tuple):
        parts = ((f"{name}[{i}]", part) for i, part in enumerate(x))
    elif isinstance(x, dict):
        parts = ((f"{name}[...]", part) for part in x.values())
    return next((found for part in parts if (found := _unusable_number(part[1], part[0])) is not None), None)


@functools.cache
def _typed_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields whose types say what their values are; the rest, such as parameters, may hold any JSON data."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if "Any" not in repr(field.type))


def plain(x: Any) -> Any:
    """Converts a value to JSON data: tuples become lists, and values that JSON can't hold become their text."""
    return json.loads(json.dumps(x, default=str))
