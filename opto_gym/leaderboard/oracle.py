"""The trace oracle as the harness serves it: paid from the budget, recorded, and answered from the record."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import gymnasium as gym

from ..agents.base import Values
from ..core import OptoEnv
from ..errors import BudgetSpent, RecordError, ReplayMismatch
from ..llm import Budget
from ..llm.record import collect_call_keys
from ..problems import Feedback, TraceFeedback
from ..trace import TraceGraph
from ..wrappers.channels import Channel
from .records import TrialFolder, digest


class RecordedOracle:
    """The oracle of one trial; safe to call from several threads.

    A call's number, which draws its examples, is given at submission. A recorded call is found again by the hash of
    its parameters, examples and split, and by how often that came before.

    Args:
        env: The environment with its wrappers.
        budget: Where oracle calls and example evaluations are reserved.
        folder: The record.
        seed: The episode's.
        replay: Evaluate everything again and compare it with the record.
        on_call: Called after each call with its line, in the calling thread.
        notes: Gives, and forgets, the reasons of unusable answers since the last call.

    Attributes:
        recorded: The parameters of the calls on record, in order.
        record: The lines of those calls.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        budget: Budget,
        folder: TrialFolder,
        *,
        seed: int,
        replay: bool = False,
        on_call: Callable[[dict[str, Any]], None] = lambda line: None,
        notes: Callable[[], list[str]] = list,
    ) -> None:
        self.env, self.budget, self.folder, self.seed, self.replay = env, budget, folder, seed, replay
        self._on_call, self._notes = on_call, notes
        self._lock = threading.Lock()
        self._recorded = {(line["key"], line["n"]): line for line in folder.steps()}
        self._numbers = {line["call"] for line in self._recorded.values()}
        self.record = sorted((s for s in self._recorded.values() if s["call"]), key=itemgetter("call"))
        self.recorded = [line["parameters"] for line in self.record]
        self._unasked = {(line["key"], line["n"]): len(line["examples"]) for line in self.record}
        self._seen: dict[str, int] = {}
        self._calls, self._last_metrics = 0, None
        self._solved = False
        self.differences: list[str] = []
        self.lines: list[dict[str, Any]] = []
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
            place, line = self._find(False, parameters, examples, split)
            self._unasked.pop(place, None)
            if line is None and not self.replay and not self._can_pay_for_the_record():
                held.cancel()
                raise BudgetSpent("oracle_calls", "what is on record, and is not asked again, leaves nothing")
            number = line["call"] if line is not None else self._next_number()
        with held:
            return self._call(parameters, examples, split, number, place, line)

    def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
        """Several calls, in order."""
        return [self(p) for p in proposals]

    def _can_pay_for_the_record(self) -> bool:
        """Whether the budget holds the calls on record that were not asked again yet.

        It does, in whatever order they are asked, unless an agent does something else than before it was interrupted.
        """
        left, unasked = self.budget.left, self._unasked
        return left("oracle_calls") >= len(unasked) and left("evaluations") >= sum(unasked.values())

    def again(self, line: dict[str, Any]) -> None:
        """In a replay: evaluates a call on record again.

        Raises:
            BudgetSpent: If the budget does not hold it.
        """
        with self.budget.reserve(oracle_calls=1, evaluations=len(line["examples"])):
            self._call(line["parameters"], None, line["split"], line["call"], (line["key"], line["n"]), line)

    def _find(
        self, start: bool, parameters: Values, examples: Sequence[int] | None, split: str
    ) -> tuple[tuple[str, int], dict[str, Any] | None]:
        """(key, n-th time) of a call, and its line if it is recorded."""
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
        place: tuple[str, int],
        line: dict[str, Any] | None,
    ) -> TraceFeedback:
        begin = time.monotonic()
        if line is not None and not self.replay:
            observation = TraceFeedback(
                TraceGraph.from_json(self.folder.blob(line["graph"])), Feedback.from_dict(line["feedback"])
            )
            if number:
                self._notes()
            if self._inner.uses_model:
                self._inner.llm.book_recorded(line.get("calls", ()))
            self._after(line)
            return self._wrapped(observation, number)
        if line is None and self.replay:
            raise ReplayMismatch(f"call {number}: these parameters are not in the record: {parameters}")
        if line is not None:
            examples = line["examples"]  # as they were drawn
        elif examples is None and split == "train":
            examples = list(self._inner.draw(self.seed, number, self._last_metrics))
        with collect_call_keys() as calls:
            result = self._inner.evaluate(parameters, split=split, examples=examples)
        new = {
            "call": number,
            "key": place[0],
            "n": place[1],
            "parameters": plain(parameters),
            "parameters_hash": digest(parameters),
            "split": split,
            "examples": [r.example for r in result.per_example],
            "score": result.score,
            "reward": result.reward,
            "success": result.success,
            "error": result.error,
            "feedback": result.feedback.to_dict(),
            "graph": result.graph.content_hash,
            "metrics": dict(result.metrics),
            "calls": calls,
            "invalid": self._notes() if number else [],
        }
        if line is not None:
            self._compare(line, new)
            self._after(line)
        else:
            new["spent"] = {k: v for k, v in self.budget.spent.items() if v}
            new["seconds"] = round(time.monotonic() - begin, 4)
            new["time"] = round(time.time(), 3)
            self.folder.add_step(new, result.graph.to_json())
            self._after(new)
        return self._wrapped(result.observation, number)

    def _after(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._last_metrics = line["metrics"]
            self._solved = self._solved or (line["success"] and self._inner.ends_when_solved and line["call"] > 0)
            self.lines.append(line)
        self._on_call(line)

    def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        for name in ("call", "parameters", "score", "reward", "success", "error", "feedback", "graph", "invalid"):
            if plain(old[name]) != plain(new[name]):
                self.differences.append(f"call {old['call']}: {name} was {old[name]!r:.200}, is {new[name]!r:.200}")
        try:
            self.folder.blob(old["graph"])
        except RecordError as e:
            self.differences.append(f"call {old['call']}: {e}")

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

    @property
    def over(self) -> bool:
        """Whether no call is possible any more."""
        return self._solved or self.budget.left("oracle_calls") < 1 or self.budget.left("evaluations") < 1

    @property
    def solved(self) -> bool:
        """Whether a call proved the problem solved."""
        return self._solved


def plain(x: Any) -> Any:
    """What a record makes of a value."""
    return json.loads(json.dumps(x, default=str))
