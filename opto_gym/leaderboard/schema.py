"""The records of a run as typed data: one struct for each kind of line or file.

::

    run.json       RunRecord
    trial.json     TrialRecord, with TrialSummary once the trial has ended
    steps.jsonl    StepRecord, one line an oracle call
    tests.jsonl    ScoreRecord, one line a scoring on test
    llm.jsonl      see `opto_gym.llm.record`

A field that is None because an older version did not record it reads as "not recorded"; `upgrade` converts version 1.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from ..errors import RecordError
from ..llm import LIMITS
from ..problems import Anchors
from .identity import Identity
from .spec import TrialSpec

VERSION = 2
"""The version of the records that this release writes."""

R = TypeVar("R")


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the records: attributes, and for one release the keys of version 1 (``record["name"]``)."""

    _old_keys: ClassVar[Mapping[str, str]] = {}

    def __getitem__(self, key: str) -> Any:
        warnings.warn(f"records have attributes now: read .{self._name(key)}", DeprecationWarning, stacklevel=2)
        try:
            return getattr(self, self._name(key))
        except AttributeError:
            raise KeyError(key) from None

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key of version 1; `default` where it is missing or not recorded."""
        value = getattr(self, self._name(key), None)
        return default if value is None else value

    def keys(self) -> Iterator[str]:
        """The names of the fields, so that ``dict(record)`` and ``{**record}`` work."""
        return iter(self.__struct_fields__)

    def _name(self, key: str) -> str:
        return self._old_keys.get(key, key)


class Limits(Record, frozen=True, kw_only=True):
    """A budget: the most of each amount; None is unlimited. The names are those of `opto_gym.llm.LIMITS`."""

    oracle_calls: float | None = None
    evaluations: float | None = None
    llm_calls: float | None = None
    tokens: float | None = None
    usd: float | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, limits: Mapping[str, float | None] | Limits | None) -> Limits:
        """Limits of a mapping by name."""
        return limits if isinstance(limits, cls) else cls(**dict(limits or {}))

    def to_dict(self) -> dict[str, float]:
        """The amounts that are limited, by name."""
        return {name: value for name in LIMITS if (value := getattr(self, name)) is not None}

    def with_changes(self, limits: Mapping[str, float | None]) -> Limits:
        """The same with other limits of these names."""
        return msgspec.structs.replace(self, **{k: v for k, v in limits.items() if v is not None})

    def __str__(self) -> str:
        return ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in self.to_dict().items())


class Amounts(Record, frozen=True, kw_only=True):
    """What was spent, by the same names."""

    oracle_calls: float = 0.0
    evaluations: float = 0.0
    llm_calls: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0
    seconds: float = 0.0


class Totals(Record, frozen=True, kw_only=True):
    """Sums over the model calls of a role; `usd` is None where a price is unknown."""

    calls: int = 0
    attempts: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    usd: float | None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.tokens_in + self.tokens_out


NOTHING = Totals(usd=0.0)


class LedgerTotals(Record, frozen=True, kw_only=True):
    """The totals by role."""

    optimizer: Totals = NOTHING
    task: Totals = NOTHING
    judge: Totals = NOTHING
    test: Totals = NOTHING

    def values(self) -> tuple[Totals, ...]:
        """The totals of all roles."""
        return self.optimizer, self.task, self.judge, self.test


class LostAttempts(Record, frozen=True, kw_only=True):
    """What earlier attempts of the trial spent, which could not be continued."""

    _old_keys: ClassVar[Mapping[str, str]] = {"tries": "attempts"}

    attempts: int
    oracle_calls: int
    evaluations: int
    ledger: LedgerTotals


class ProblemRecord(Record, frozen=True, kw_only=True):
    """The problem, as `opto_gym.Problem.to_json` writes it."""

    id: str
    arguments: dict[str, Any]
    objective: str
    parameters: list[dict[str, Any]]
    scores: tuple[float, float]
    oracle_calls: int | None = None
    feedback_kinds: list[str]
    examples: dict[str, int]
    runtime: str | None = None


class SandboxRecord(Record, frozen=True, kw_only=True):
    """What protected the machine from candidates' code, see `opto_gym.sandbox.Sandbox.in_force`."""

    level: str
    landlock_abi: int | None = None
    seccomp: bool = False
    namespaces: list[str] = []
    uid_dropped: bool = False
    missing: list[str] = []
    least: str = ""
    platform: str = ""


class Machine(Record, frozen=True, kw_only=True):
    """Where a trial ran, and with which versions."""

    python: str
    system: str
    cores: int | None
    versions: dict[str, str]
    sandbox: SandboxRecord


class ModelsRecord(Record, frozen=True, kw_only=True):
    """What `opto_gym.llm.Client.describe` says of the models at work."""

    optimizer: dict[str, Any] | None
    task: dict[str, Any] | None


class TrialSummary(Record, frozen=True, kw_only=True):
    """What a trial says of itself at its end.

    Attributes:
        problem: The problem.
        scale: ``linear`` or ``log``, for the normalization.
        anchors: Dated scores for the normalization.
        oracle_calls: Without the start values'.
        evaluations: Example evaluations.
        invalid_answers: Answers of the optimizer's model that could not be used.
        errors: Oracle calls that ended in an error node.
        solved: Whether a call proved the problem solved.
        start_score: The start values' score on test; None if it was not scored, as the next two.
        current_score: The last proposal's.
        recommended_score: The recommended parameters'.
        recommended: Those parameters.
        measures: What else the environment measures of them.
        recommendations: (number of an oracle call, hash of the parameters recommended after it).
        models: The models at work.
        ledger: Model calls by role, lost ones included.
        lost: What earlier attempts spent; None without any.
        spent: Of the trial's budget.
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


class TrialRecord(Record, frozen=True, kw_only=True):
    """``trial.json``: what ran, where, and how it ended.

    Attributes:
        version: Of the record.
        trial: The trial's id.
        status: Whether it is running, done or failed. A trial that was killed is still "running".
        ended: Why it ended: ``solved``, ``agent``, ``budget: NAME``, or the error in a line.
        error: The traceback, if it failed.
        spec: What was asked for.
        identity: What decides its results; the id is the hash of it.
        limits: Its budget.
        cap: The whole run's budget.
        test_scores: When parameters are scored on test: after ``each`` call, at the ``end``, ``never``.
        started: Seconds since 1970.
        seconds: Wall time, over all sessions.
        where: The machine.
        summary: None while it runs, or if it failed before its first oracle call.
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
    """How one answer of the optimizer's model was read.

    Attributes:
        call: The key of the model call.
        read: The values that were read from it.
        refused: Why it could not be used.
    """

    call: str
    read: dict[str, Any] | None = None
    refused: str | None = None


class StepRecord(Record, frozen=True, kw_only=True):
    """A line of ``steps.jsonl``: one oracle call.

    Attributes:
        call: Its number; 0 is the start values'.
        key: The hash of parameters, examples and split.
        n: How often the same key came before.
        parameters: The values that were evaluated, as JSON holds them.
        parameters_hash: The hash of the values.
        split: ``train`` or ``val``.
        examples: Their indices in the split, or the examples themselves.
        score: Mean of the examples' scores.
        reward: The same, higher is better.
        success: Whether every example is solved.
        error: The first error node's message, or None.
        feedback: `opto_gym.Feedback.to_dict`.
        graph: The hash of the trace graph, in ``blobs/``.
        metrics: Plain data of the environment's.
        task_calls: The keys of the calls of the model inside the task.
        invalid_answers: Why answers of the optimizer's model could not be used, since the oracle call before.
        spent: The trial's budget so far.
        seconds: What the call took.
        time: Of its end, seconds since 1970.
        scores: The examples' scores; None if not recorded, as all that follow.
        errors: The examples' errors, None for an example without one.
        optimizer_calls: The keys of the optimizer's model calls since the oracle call before.
        answers: How their answers were read.
        parents: The numbers of the oracle calls that the proposal was made from.
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


class ScoreRecord(Record, frozen=True, kw_only=True):
    """A line of ``tests.jsonl``: one scoring on the test split.

    Attributes:
        parameters_hash: The hash of the parameters.
        score: Mean of the examples' scores.
        reward: The same, higher is better.
        scores: The examples' scores; None where there are more than 1,000.
        error: The first error node's message, or None.
        call: The oracle call after which it was made.
        task_calls: The keys of the calls of the model inside the task.
        seconds: What it took.
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
    """A trial of a run, with its budget."""

    spec: TrialSpec
    limits: Limits


class RunRecord(Record, frozen=True, kw_only=True):
    """``run.json``: what was asked for, so that a run can be continued from its folder alone.

    Attributes:
        version: Of the record.
        trials: The trials with their budgets.
        skipped: (environment, agent, why they can't work together).
        cap: The whole run's budget.
        test_scores: As in `TrialRecord`.
        jobs: Trials at a time.
    """

    version: int
    trials: list[PlannedTrial]
    skipped: list[tuple[str, str, str]]
    cap: Limits
    test_scores: str
    jobs: int


def to_plain(record: Record) -> dict[str, Any]:
    """A record as JSON data."""
    return msgspec.to_builtins(record, enc_hook=str)  # type: ignore[no-any-return]


def from_plain(data: Any, kind: type[R], place: Path | str) -> R:
    """A record from JSON data.

    Args:
        data: Of this version.
        kind: The struct.
        place: The file, and the line, for the error.

    Raises:
        RecordError: If the data does not fit; the message says where.
    """
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError) as e:
        raise RecordError(f"{place} is damaged: {e}. Restore it from a copy") from e


def plain(x: Any) -> Any:
    """A value as JSON holds it: tuples become lists, and what JSON can't hold becomes a text."""
    return json.loads(json.dumps(x, default=str))
