"""The trace oracle of a trial: it charges each call to the budget, records it, and answers recorded calls again."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import msgspec

from ..agents.base import Values
from ..core import OptoEnv
from ..errors import BudgetSpent, DamagedRecord
from ..llm import Budget
from ..llm.record import calls_of_evaluation
from ..problems import Evaluation, Feedback, TraceFeedback
from ..trace import TraceGraph
from ..utils.moved import moved_names
from ..wrappers.channels import Channel
from .amounts import Amounts
from .notes import AgentNotes
from .records import TrialFolder
from .schema import StepRecord, plain
from .spec import digest

CallKey = tuple[str, int]
"""Identifies a recorded call: (hash of parameters, examples and split; number of earlier calls with the same hash)."""


class RecordedOracle:
    """The oracle of one trial. Thread-safe.

    A call gets its number when it is made, not when it is finished, because the number determines which examples are
    drawn. When a trial is resumed, a call whose `CallKey` is in the record is not evaluated again: its observation is
    read from the record.

    Args:
        env: The environment with its wrappers.
        budget: The budget in which oracle calls and example evaluations are reserved.
        folder: The trial's folder.
        seed: The seed of the episode.
        on_step: Called with the record of each call when it is finished, in the thread that made the call.
        take_notes: Returns what the agent did since the last oracle call, and resets it.

    Attributes:
        recorded: The parameters of the calls that were in the record at the start, in order.
        recorded_steps: These calls.
        steps: The finished calls of this session, in order of completion, including those answered from the record. The
            start values' call is the first.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        budget: Budget,
        folder: TrialFolder,
        *,
        seed: int,
        on_step: Callable[[StepRecord], None] = lambda step: None,
        take_notes: Callable[[], AgentNotes] = AgentNotes,
    ) -> None:
        self.env, self.budget, self.folder, self.seed = env, budget, folder, seed
        self._on_step, self._take_notes = on_step, take_notes
        self._lock = threading.Lock()
        self._step_by_key = {(step.key, step.n): step for step in folder.steps()}
        self._recorded_numbers = {step.call for step in self._step_by_key.values()}
        self.recorded_steps = sorted((s for s in self._step_by_key.values() if s.call), key=attrgetter("call"))
        self.recorded = [step.parameters for step in self.recorded_steps]
        # the recorded calls that the agent has not made again yet, with their numbers of examples
        self._not_repeated = {(step.key, step.n): len(step.examples) for step in self.recorded_steps}
        self._last_occurrence: dict[str, int] = {}
        self._last_number = 0
        self._last_metrics: dict[str, Any] | None = None
        self._solved = False
        self.steps: list[StepRecord] = []
        start = dict(self._base_env.problem.start)
        self._start = self._answer(start, None, "train", 0, *self._find(True, start, None, "train"))

    @property
    def _base_env(self) -> OptoEnv:
        return self.env.unwrapped  # type: ignore[return-value]

    @property
    def record(self) -> list[StepRecord]:
        """The old name of `recorded_steps`, for one release."""
        warnings.warn("RecordedOracle.record is now called recorded_steps", DeprecationWarning, stacklevel=2)
        return self.recorded_steps

    @property
    def start(self) -> TraceFeedback:
        """The observation of the start values. It is call number 0, which costs no oracle call."""
        return self._start

    def __call__(
        self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
    ) -> TraceFeedback:
        """Evaluates parameters in one oracle call.

        Args:
            parameters: A value for each parameter.
            examples: Indices into the split; None draws a batch of train, or takes the whole of val.
            split: ``"train"`` or ``"val"``.

        Raises:
            BudgetSpent: If the budget does not hold the call, or an earlier call solved the problem.
            ValueError: If there is no such split, or it is the test split, which agents never see.
        """
        sizes = {name: len(s) for name, s in self._base_env.splits.items() if name != "test"}
        if split not in sizes:
            raise ValueError(f"the oracle expected a split of {sorted(sizes)}, got {split!r}: no agent sees test")
        parameters = dict(self._base_env._values(parameters))
        with self._lock:
            if self._solved:
                raise BudgetSpent("oracle_calls", "the problem is solved")
            size = min(self._base_env.batch, sizes[split]) if split == "train" else sizes[split]
            reservation = self.budget.reserve(oracle_calls=1, evaluations=size if examples is None else len(examples))
            key, step = self._find(False, parameters, examples, split)
            self._not_repeated.pop(key, None)
            if step is None and not self._can_repeat_the_rest():
                reservation.cancel()
                raise BudgetSpent("oracle_calls", "recorded calls that were not made again yet need the rest")
            number = step.call if step is not None else self._next_number()
        with reservation:
            return self._answer(parameters, examples, split, number, key, step)

    def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
        """Evaluates several proposals, one oracle call each; the observations are in the proposals' order."""
        return [self(p) for p in proposals]

    @property
    def over(self) -> bool:
        """Whether no further call is possible: the problem is solved, or no call or evaluation is left."""
        return self._solved or self.budget.left("oracle_calls") < 1 or self.budget.left("evaluations") < 1

    @property
    def solved(self) -> bool:
        """Whether a call has solved the problem, which ends the trial; see `OptoEnv.ends_when_solved`."""
        return self._solved

    def _can_repeat_the_rest(self) -> bool:
        """Whether what is left of the budget holds all recorded calls that the agent has not made again yet.

        It always does if the agent makes the same calls as before the interruption, in any order. An agent that makes
        other calls first must not spend what the recorded calls need, or the record could not be repeated.
        """
        left, waiting = self.budget.left, self._not_repeated
        return left("oracle_calls") >= len(waiting) and left("evaluations") >= sum(waiting.values())

    def _find(
        self, is_start: bool, parameters: Values, examples: Sequence[int] | None, split: str
    ) -> tuple[CallKey, StepRecord | None]:
        """The key of a call that is being made, and its record if there is one."""
        content = digest([is_start, parameters, None if examples is None else [int(i) for i in examples], split])
        occurrence = self._last_occurrence[content] = self._last_occurrence.get(content, -1) + 1
        key = (content, occurrence)
        return key, self._step_by_key.get(key)

    def _next_number(self) -> int:
        """The smallest number that no call has, neither in this session nor in the record.

        Numbers in the record are skipped before their calls are made again, because threads may make them in another
        order than before the interruption.
        """
        self._last_number += 1
        while self._last_number in self._recorded_numbers:
            self._last_number += 1
        return self._last_number

    def _answer(
        self,
        parameters: Values,
        examples: Sequence[int] | None,
        split: str,
        number: int,
        key: CallKey,
        step: StepRecord | None,
    ) -> TraceFeedback:
        """The observation of a call: from its record `step`, or else by an evaluation, which is recorded."""
        if step is not None:
            return self._answer_from_record(step)
        begin = time.monotonic()
        examples = self._chosen_or_drawn(examples, split, number)
        result, evaluated = self._evaluate(parameters, examples, split, number, key)
        evaluated = msgspec.structs.replace(
            evaluated,
            spent=msgspec.convert(self.budget.spent, Amounts),
            seconds=round(time.monotonic() - begin, 4),
            time=round(time.time(), 3),
        )
        self.folder.add_step(evaluated, result.graph.to_json())
        self._finish(evaluated)
        return self._apply_wrappers(result.observation, number)

    def _chosen_or_drawn(self, examples: Sequence[int] | None, split: str, number: int) -> Sequence[Any] | None:
        """The examples of a call: chosen by the agent, or of train drawn by the environment; None are all of val."""
        if examples is not None or split != "train":
            return examples
        return list(self._base_env.draw(self.seed, number, self._last_metrics))

    def _answer_from_record(self, step: StepRecord) -> TraceFeedback:
        try:
            graph = TraceGraph.from_json(self.folder.blob(step.graph))
        except DamagedRecord as damage:  # a power cut may take a graph whose step is on the disk
            graph = self._graph_again(step, damage)
        else:
            if step.call:
                self._take_notes()  # discards them: the step already holds them
            if self._base_env.uses_model:
                self._base_env.llm.book_recorded(step.task_calls)
        self._finish(step)
        return self._apply_wrappers(TraceFeedback(graph, Feedback.from_dict(step.feedback)), step.call)

    def _graph_again(self, step: StepRecord, damage: DamagedRecord) -> TraceGraph:
        """The graph of a recorded call, by an evaluation on its examples, and written again.

        Raises:
            DamagedRecord: `damage`, if it is another graph.
        """
        key = (step.key, step.n)
        graph = self._evaluate(step.parameters, step.examples, step.split, step.call, key)[0].graph
        if graph.content_hash != step.graph:
            raise damage
        self.folder.write_blob(step.graph, graph.to_json())
        return graph

    def _evaluate(
        self, parameters: Values, examples: Sequence[Any] | None, split: str, number: int, key: CallKey
    ) -> tuple[Evaluation, StepRecord]:
        """Evaluates parameters; returns the evaluation, and its record without times and amounts spent."""
        with calls_of_evaluation(f"oracle call {key[0][:16]} {key[1]}") as task_calls:
            result = self._base_env.evaluate(parameters, split=split, examples=examples)
        notes = self._take_notes() if number else AgentNotes()
        return result, StepRecord(
            call=number,
            key=key[0],
            n=key[1],
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
            invalid_answers=notes.invalid_answers,
            spent=Amounts(),
            seconds=0.0,
            time=0.0,
            scores=[float(r.feedback.score) for r in result.per_example],
            errors=[r.error for r in result.per_example],
            optimizer_calls=notes.optimizer_calls,
            answers=notes.answers,
            token_factor=notes.token_factor,
        )

    def _finish(self, step: StepRecord) -> None:
        """Adds a finished call to the session, and calls `on_step`."""
        with self._lock:
            self._last_metrics = step.metrics
            self._solved = self._solved or (step.success and self._base_env.ends_when_solved and step.call > 0)
            self.steps.append(step)
        self._on_step(step)

    def _apply_wrappers(self, observation: TraceFeedback, number: int) -> TraceFeedback:
        """The observation after all wrappers that change observations, the innermost first."""
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


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"Place": "leaderboard.oracle:CallKey"})
