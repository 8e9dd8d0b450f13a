"""The trace oracle as the harness serves it: paid from the budget, recorded, and answered from the record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import gymnasium as gym
import msgspec

from ..agents.base import Values
from ..core import OptoEnv
from ..errors import BudgetSpent
from ..llm import Budget
from ..llm.record import collect_call_keys
from ..problems import Evaluation, Feedback, TraceFeedback
from ..trace import TraceGraph
from ..wrappers.channels import Channel
from .records import TrialFolder
from .schema import Amounts, StepRecord, plain
from .spec import digest

Place = tuple[str, int]
"""Where a call is found in the record: (hash of parameters, examples and split; how often that came before)."""


class RecordedOracle:
    """The oracle of one trial; safe to call from several threads.

    A call's number, which draws its examples, is given at submission. A recorded call is found again by its `Place`.

    Args:
        env: The environment with its wrappers.
        budget: Where oracle calls and example evaluations are reserved.
        folder: The record.
        seed: The episode's.
        on_step: Called after each call with its record, in the calling thread.
        invalid_answers: Gives, and forgets, the reasons of unusable answers since the last call.

    Attributes:
        recorded: The parameters of the calls on record, in order.
        record: Those calls.
        steps: The calls of this session, those from the record included; the start values' first.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        budget: Budget,
        folder: TrialFolder,
        *,
        seed: int,
        on_step: Callable[[StepRecord], None] = lambda step: None,
        invalid_answers: Callable[[], list[str]] = list,
    ) -> None:
        self.env, self.budget, self.folder, self.seed = env, budget, folder, seed
        self._on_step, self._invalid_answers = on_step, invalid_answers
        self._lock = threading.Lock()
        self._recorded = {(step.key, step.n): step for step in folder.steps()}
        self._numbers = {step.call for step in self._recorded.values()}
        self.record = sorted((s for s in self._recorded.values() if s.call), key=attrgetter("call"))
        self.recorded = [step.parameters for step in self.record]
        # the calls on record that the agent has not repeated yet, with their numbers of examples
        self._not_repeated = {(step.key, step.n): len(step.examples) for step in self.record}
        self._seen: dict[str, int] = {}
        self._calls = 0
        self._last_metrics: dict[str, Any] | None = None
        self._solved = False
        self.steps: list[StepRecord] = []
        start = dict(self._inner.problem.start)
        self._start = self._call(start, None, "train", 0, *self._find(True, start, None, "train"))

    @property
    def _inner(self) -> OptoEnv:
        return self.env.unwrapped  # type: ignore[return-value]

    @property
    def start(self) -> TraceFeedback:
        """The observation of the start values: call 0, which is not counted."""
        return self._start

    def __call__(
        self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
    ) -> TraceFeedback:
        """One oracle call.

        Raises:
            BudgetSpent: If the budget does not hold it, or the problem is solved.
            ValueError: For the test split, which no agent sees.
        """
        sizes = {name: len(s) for name, s in self._inner.splits.items() if name != "test"}
        if split not in sizes:
            raise ValueError(f"the oracle expected a split of {sorted(sizes)}, got {split!r}: no agent sees test")
        parameters = dict(self._inner._values(parameters))
        with self._lock:
            if self._solved:
                raise BudgetSpent("oracle_calls", "the problem is solved")
            size = min(self._inner.batch, sizes[split]) if split == "train" else sizes[split]
            held = self.budget.reserve(oracle_calls=1, evaluations=size if examples is None else len(examples))
            place, step = self._find(False, parameters, examples, split)
            self._not_repeated.pop(place, None)
            if step is None and not self._can_pay_for_the_record():
                held.cancel()
                raise BudgetSpent("oracle_calls", "the recorded calls that were not repeated yet take all that is left")
            number = step.call if step is not None else self._next_number()
        with held:
            return self._call(parameters, examples, split, number, place, step)

    def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
        """Several calls, in order."""
        return [self(p) for p in proposals]

    @property
    def over(self) -> bool:
        """Whether no call is possible any more."""
        return self._solved or self.budget.left("oracle_calls") < 1 or self.budget.left("evaluations") < 1

    @property
    def solved(self) -> bool:
        """Whether a call proved the problem solved."""
        return self._solved

    def _can_pay_for_the_record(self) -> bool:
        """Whether the budget holds the calls on record that were not repeated yet.

        It does, in whatever order they are repeated, unless an agent does something else than before it was
        interrupted.
        """
        left, waiting = self.budget.left, self._not_repeated
        return left("oracle_calls") >= len(waiting) and left("evaluations") >= sum(waiting.values())

    def _find(
        self, start: bool, parameters: Values, examples: Sequence[int] | None, split: str
    ) -> tuple[Place, StepRecord | None]:
        """The place of a call, and its record if there is one."""
        key = digest([start, parameters, None if examples is None else [int(i) for i in examples], split])
        n = self._seen[key] = self._seen.get(key, -1) + 1
        return (key, n), self._recorded.get((key, n))

    def _next_number(self) -> int:
        """The first number that no call has, here or in the record: threads may come in another order than then."""
        self._calls += 1
        while self._calls in self._numbers:
            self._calls += 1
        return self._calls

    def _call(
        self,
        parameters: Values,
        examples: Sequence[int] | None,
        split: str,
        number: int,
        place: Place,
        step: StepRecord | None,
    ) -> TraceFeedback:
        """Answers a call: from the record, or by an evaluation that is recorded."""
        if step is not None:
            return self._answer_from_record(step)
        begin = time.monotonic()
        if examples is None and split == "train":
            examples = list(self._inner.draw(self.seed, number, self._last_metrics))
        result, new = self._evaluate(parameters, examples, split, number, place)
        new = msgspec.structs.replace(
            new,
            spent=msgspec.convert(self.budget.spent, Amounts),
            seconds=round(time.monotonic() - begin, 4),
            time=round(time.time(), 3),
        )
        self.folder.add_step(new, result.graph.to_json())
        self._after(new)
        return self._wrapped(result.observation, number)

    def _answer_from_record(self, step: StepRecord) -> TraceFeedback:
        graph = TraceGraph.from_json(self.folder.blob(step.graph))
        if step.call:
            self._invalid_answers()  # those on record count
        if self._inner.uses_model:
            self._inner.llm.book_recorded(step.task_calls)
        self._after(step)
        return self._wrapped(TraceFeedback(graph, Feedback.from_dict(step.feedback)), step.call)

    def _evaluate(
        self, parameters: Values, examples: Sequence[Any] | None, split: str, number: int, place: Place
    ) -> tuple[Evaluation, StepRecord]:
        """The evaluation, and what is recorded of it; times and amounts apart."""
        with collect_call_keys() as task_calls:
            result = self._inner.evaluate(parameters, split=split, examples=examples)
        return result, StepRecord(
            call=number,
            key=place[0],
            n=place[1],
            parameters=plain(parameters),
            parameters_hash=digest(parameters),
            split=split,
            examples=plain([r.example for r in result.per_example]),
            score=result.score,
            reward=result.reward,
            success=result.success,
            error=result.error,
            feedback=plain(result.feedback.to_dict()),
            graph=result.graph.content_hash,
            metrics=plain(dict(result.metrics)),
            task_calls=task_calls,
            invalid_answers=self._invalid_answers() if number else [],
            spent=Amounts(),
            seconds=0.0,
            time=0.0,
            scores=[float(r.feedback.score) for r in result.per_example],
            errors=[r.error for r in result.per_example],
        )

    def _after(self, step: StepRecord) -> None:
        with self._lock:
            self._last_metrics = step.metrics
            self._solved = self._solved or (step.success and self._inner.ends_when_solved and step.call > 0)
            self.steps.append(step)
        self._on_step(step)

    def _wrapped(self, observation: TraceFeedback, number: int) -> TraceFeedback:
        """The observation as the wrappers show it, the innermost first."""
        layers = []
        env: Any = self.env
        while env is not env.unwrapped:
            if isinstance(env, gym.ObservationWrapper | Channel):
                layers.append(env)
            env = env.env
        for wrapper in reversed(layers):
            if isinstance(wrapper, Channel):
                observation = wrapper.observe(observation, episode=self.seed, call=number)
            else:
                observation = wrapper.observation(observation)
        return observation
