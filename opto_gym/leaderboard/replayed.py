"""The oracle and the scorer of a replay: they evaluate again what is recorded, and compare it with the record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..agents.base import Values
from ..core import OptoEnv
from ..errors import RecordError, ReplayMismatch
from ..llm.record import CallRecord
from ..problems import TraceFeedback
from .amounts import Amounts
from .base_record import Record
from .consistency import chosen_examples, is_close
from .oracle import CallKey, RecordedOracle
from .records import TrialFolder
from .schema import ScoreRecord, StepRecord, plain
from .scoring import Scorer
from .spec import digest

COMPARED_FIELDS = (
    *("call", "key", "n", "parameters", "parameters_hash", "split", "examples", "score", "reward", "success", "error"),
    *("feedback", "graph", "metrics", "task_calls", "invalid_answers"),
    *("scores", "errors", "optimizer_calls", "answers", "parents", "token_factor"),
)
"""The fields of a `StepRecord` that a replay compares. Times are not, and `spent` is compared amount by amount."""

COMPARED_SCORE_FIELDS = ("parameters_hash", "score", "reward", "scores", "error", "task_calls")
"""The fields of a `ScoreRecord` that a replay compares, besides ``call``."""

_AMOUNTS = ("oracle_calls", "evaluations", "llm_calls", "tokens", "usd")  # of `Amounts`, without the time


class ReplayedOracle(RecordedOracle):
    """Evaluates every recorded call again and compares it with the record.

    Args:
        env: As for `RecordedOracle`.
        budget: The budget of the replay.
        folder: The trial's folder.
        differences: A list to which deviations from the record are added.
        model_calls: The trial's model calls.
        is_agent_run: Whether the agent makes the calls, one after the other or side by side as it did before. Else
            `repeat` makes them, and what they follow on and had spent is not compared.
        keywords: Further arguments of `RecordedOracle`.

    Attributes:
        side_by_side: Whether calls may have been made side by side: threads made them, or the lines of the record are
            not in the order of their numbers. Then their order is chance, and what follows from it is not compared.
    """

    def __init__(
        self,
        env: Any,
        budget: Any,
        folder: TrialFolder,
        differences: list[str],
        model_calls: CallRecord,
        *,
        is_agent_run: bool,
        **keywords: Any,
    ) -> None:
        self.differences, self._model_calls = differences, model_calls
        self.side_by_side, self._is_agent_run = False, is_agent_run
        self._thread, self._begun = threading.get_ident(), -1
        super().__init__(env, budget, folder, **keywords)

    def __call__(
        self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
    ) -> TraceFeedback:
        """Evaluates a call of the agent again, see `RecordedOracle`."""
        if threading.get_ident() != self._thread:
            self.side_by_side = True
        return super().__call__(parameters, examples, split)

    def repeat(self, step: StepRecord) -> None:
        """Evaluates a recorded call again and compares it, in place of the agent that would make it.

        Raises:
            BudgetSpent: If the budget does not hold it.
        """
        self._is_agent_run = False
        with self.budget.reserve(oracle_calls=1, evaluations=len(step.examples)):
            self._answer(step.parameters, chosen_examples(step), step.split, step.call, (step.key, step.n), step)

    def _find(
        self, is_start: bool, parameters: Values, examples: Sequence[int] | None, split: str
    ) -> tuple[CallKey, StepRecord | None]:
        self._begun += 1
        return super()._find(is_start, parameters, examples, split)

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
        """The observation of a call, by an evaluation on the examples that it had."""
        if step is None:
            if self._base_env.uses_model:  # the original's budget may have ended in this call: then it ends here, too
                self._evaluate(parameters, self._examples(examples, split, number, None), split, number, key)
            raise ReplayMismatch(f"call {number}: these parameters are not in the record: {parameters}")
        examples = self._examples(examples, split, number, step)
        result, found = self._evaluate(parameters, examples, split, number, key)
        step = _with_current_keys(step, self._model_calls)
        self.differences += field_differences(f"call {step.call}", step, found, COMPARED_FIELDS)
        if self._is_agent_run and not self.side_by_side:
            if step.call != self._begun:
                self.differences.append(f"call {step.call}: call was {step.call}, is {self._begun}")
            spent = msgspec.convert(self.budget.spent, Amounts)
            self.differences += amount_differences(f"call {step.call}: spent", step.spent, spent, _AMOUNTS)
        try:
            self.folder.blob(step.graph)
        except RecordError as e:
            self.differences.append(f"call {step.call}: {e}")
        self._finish(step)
        return self._apply_wrappers(result.observation, number)

    def _examples(
        self, examples: Sequence[int] | None, split: str, number: int, step: StepRecord | None
    ) -> Sequence[Any] | None:
        """The examples of a call, as `_chosen_or_drawn`, or those of its record if the environment may draw them."""
        drawn = self._chosen_or_drawn(examples, split, number)
        if drawn is examples or step is None or not self.side_by_side or plain(drawn) == step.examples:
            return drawn
        # the environment may go on from the call that ended last, and which one that was is chance
        ended = (*self.recorded_steps, *self.steps[:1])
        others = [self._base_env.draw(self.seed, number, other.metrics) for other in ended]
        return step.examples if step.examples in [plain(list(other)) for other in others] else drawn

    @property
    def not_made(self) -> list[StepRecord]:
        """The recorded calls that the agent has not made again."""
        return [step for step in self.recorded_steps if (step.key, step.n) in self._not_repeated]


class ReplayedScorer(Scorer):
    """Scores parameters again, each set once, and compares the scores with the record.

    Args:
        env: As for `Scorer`.
        spec: As for `Scorer`.
        folder: The trial's folder.
        differences: A list to which deviations from the record are added.
        model_calls: The trial's model calls.
    """

    def __init__(
        self, env: OptoEnv, spec: Any, folder: TrialFolder, differences: list[str], model_calls: CallRecord
    ) -> None:
        super().__init__(env, spec, folder)
        self.lines = folder.tests()
        self.differences, self._model_calls = differences, model_calls
        self._calls: dict[str, int] = {}  # by the hash of parameters, the call after which the replay scored them

    @property
    def compared(self) -> int:
        """The number of recorded scorings that were computed again."""
        return sum(scored.parameters_hash in self._calls for scored in self.lines)

    def score(self, parameters: Values, call: int, what: str) -> None:
        """Scores parameters and compares the score, unless these parameters were compared already.

        Args:
            parameters: A value for each parameter.
            call: The number of the last oracle call.
            what: What they are.
        """
        key = digest(parameters)
        if key in self._calls:
            return
        self._calls[key] = call
        recorded = self.recorded.get(key)
        if recorded is None:
            self.differences.append(f"test at call {call}: this scoring is not in the record")
        else:
            self._compare(parameters, recorded)

    def compare_rest(
        self, known: Mapping[str, Values], may_be_scored: Callable[[str, int], bool], *, is_ordered: bool
    ) -> None:
        """Compares the recorded scorings that the replay did not make, and after which calls all of them were made.

        Args:
            known: The parameters of the trial, by their hash.
            may_be_scored: Whether parameters, by their hash, may have been scored after a call though the replay does
                not do that: at an earlier end of a trial whose budget was raised.
            is_ordered: Whether oracle calls were made one by one.
        """
        previous = 0
        for number, recorded in enumerate(self.lines, 1):
            key, what = recorded.parameters_hash, f"tests.jsonl, line {number}"
            at = self._calls.get(key)
            if at is None and key in known:
                self._calls[key] = recorded.call
                self._compare(known[key], recorded)
            if is_ordered and recorded.call < previous:
                self.differences.append(f"{what}: call is {recorded.call}, that of the line before {previous}")
            elif is_ordered and recorded.call != at and not may_be_scored(key, recorded.call):
                expected = "the replay does not score these parameters" if at is None else f"is {at}"
                self.differences.append(f"{what}: call was {recorded.call}, {expected}")
            previous = recorded.call

    def _compare(self, parameters: Values, recorded: ScoreRecord) -> None:
        found = self._evaluate(parameters, digest(parameters), recorded.call)
        recorded = _with_current_keys(recorded, self._model_calls)
        self.differences += field_differences(f"test at call {recorded.call}", recorded, found, COMPARED_SCORE_FIELDS)


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
        if (was := getattr(recorded, name)) != (now := getattr(found, name))
        and repr(was) != repr(now)  # NaN is not equal to itself
        and not _not_recorded(recorded, name)
    ]


def amount_differences(what: str, recorded: Record, found: Record, names: Collection[str]) -> list[str]:
    """The amounts in which two records differ by more than the order of a sum can cause, as `field_differences`."""
    return [
        f"{what} {name} was {was!r}, is {now!r}"
        for name in names
        if not is_close(was := getattr(recorded, name), now := getattr(found, name))
    ]


def _with_current_keys(record: Any, calls: CallRecord) -> Any:
    """A record in which the keys of model calls are those of this release."""
    changes: dict[str, Any] = {"task_calls": [calls.current_key(key) for key in record.task_calls]}
    if isinstance(record, StepRecord):
        if record.optimizer_calls is not None:
            changes["optimizer_calls"] = [calls.current_key(key) for key in record.optimizer_calls]
        if record.answers is not None:
            changes["answers"] = [
                msgspec.structs.replace(reading, call=calls.current_key(reading.call)) for reading in record.answers
            ]
    return msgspec.structs.replace(record, **changes)


def _not_recorded(record: Record, name: str) -> bool:
    """Whether a record has no value of a field, because it is of a version that did not have the field.

    The structs of `schema` give such fields the default None. A field without a default was always recorded, and its
    None is a value.
    """
    (field,) = (field for field in msgspec.structs.fields(record) if field.name == name)
    return field.default is None and getattr(record, name) is None
