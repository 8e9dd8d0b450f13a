"""Rehearses a trial with stand-ins for its models, which send nothing, to find out what the trial will ask them.

The agent proposes and the environment evaluates as in the trial; only the answers of the models are made up. So the
calls of a step are counted as they are, whether it asks once, several times, or for several answers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from .. import registration
from ..agents.base import Values
from ..agents.external.base import External
from ..agents.toolkit.prompt_budget import FRAME, count_tokens
from ..core import OptoEnv
from ..errors import BudgetSpent, MissingExtra
from ..llm import LIMITS, Budget, Client
from ..llm.answer import Answer
from ..llm.request import MAX_TOKENS
from ..problems import Evaluation
from ..utils.tokenizer import count_exactly
from ..wrappers.observations import unwrapped
from .amounts import Limits
from .made_up_answers import AnswerWriter
from .oracle import CallKey, RecordedOracle
from .schema import StepRecord
from .scored_sets import Recommendation
from .spec import TrialSpec

SECONDS = 2.0
"""How long a rehearsal goes on after its first oracle call; the rest of the trial is extrapolated."""

FEWEST_STEPS, MOST_SECONDS = 8, 10.0
"""The steps of an agent that a rehearsal has to hold, since prompts grow at first; but no more than so many seconds."""

MOST_SCORED, MOST_VALIDATED = 25, 10
"""The examples of a scoring, and of an oracle call on val, that are rehearsed at most; the rest count like these."""

OVERESTIMATE_LOCAL, OVERESTIMATE_HOSTED = 1.33, 1.57
"""By how much `count_tokens` exceeds the tokens of the embedded model, and of hosted ones; see docs/agents.md."""

TOKENS_OF_A_CALL = 10
"""What a hosted model counts for the roles and the ends of a call's messages, about."""

ANSWERS = {"optimizer": (20, 400), "task": (5, 150), "test": (5, 150)}
"""For each role, (a few, a middle number of) tokens of an answer; the most are the `max_tokens` that are asked for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """What calls of a model use.

    Attributes:
        calls: Number of calls.
        tokens_in: Tokens of the prompts.
        tokens_out: Tokens of the answers: the fewest, a middle number, and the most.
    """

    calls: float = 0.0
    tokens_in: float = 0.0
    tokens_out: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __add__(self, other: Use) -> Use:
        low, middle, high = (a + b for a, b in zip(self.tokens_out, other.tokens_out, strict=True))
        return Use(self.calls + other.calls, self.tokens_in + other.tokens_in, (low, middle, high))

    def __mul__(self, factor: float) -> Use:
        low, middle, high = (factor * tokens for tokens in self.tokens_out)
        return Use(factor * self.calls, factor * self.tokens_in, (low, middle, high))

    def __sub__(self, other: Use) -> Use:
        return self + other * -1.0


Uses = Mapping[str, Use]
"""What the calls of each role use."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a trial will ask its models.

    Attributes:
        history: What has been used after each rehearsed oracle call, by role; the first is that of the start values.
        each: What one more oracle call uses, by role.
        oracle_calls: The number of oracle calls until the budget is spent, `seconds` aside; None if nothing bounds it.
        scoring: What the scoring of the start values uses, and that of a proposal.
        measuring: What `OptoEnv.measure` uses.
        seconds: Time of an oracle call, and of a scoring, beside the models' answers.
        examples: The number of examples of an oracle call, and of a scoring.
        recommendation: How the recommended parameters are chosen.
        unknown: Why it isn't known what the agent asks; None if it is. Then only the task's calls are counted.
    """

    history: tuple[Uses, ...]
    each: Uses
    oracle_calls: float | None
    scoring: tuple[Use, Use]
    measuring: Use
    seconds: tuple[float, float]
    examples: tuple[int, int]
    recommendation: Recommendation
    unknown: str | None = None

    def uses(self, oracle_calls: float) -> Uses:
        """What a trial with so many oracle calls uses, by role."""
        last = len(self.history) - 1
        if oracle_calls <= last:
            return self.history[int(oracle_calls)]
        more = oracle_calls - last
        known = self.history[-1]
        return {role: known.get(role, Use()) + self.each.get(role, Use()) * more for role in {*known, *self.each}}


class _Meter:
    """Counts what stand-ins are asked, within a budget. Thread-safe.

    Args:
        limits: The trial's budget, of which `seconds` is not rehearsed.
        asks: Whether the agent asks a model, so that the rehearsal has to hold some of its steps.

    Attributes:
        uses: What has been used, by role.
        spent: What has been spent, by the names of `LIMITS`.
        history: (uses, spent) after each oracle call; the first is that of the start values.
        asked: (number of oracle calls, uses, spent) before each step of the agent that asks its model.
        seconds: The seconds of each oracle call.
        stopped: Whether the rehearsal has been ended before its budget was spent.
    """

    def __init__(self, limits: Limits, *, asks: bool = False) -> None:
        self.budget = Budget({name: v for name, v in limits.to_dict().items() if name != "seconds"})
        self.uses: dict[str, Use] = {}
        self.spent = dict.fromkeys(LIMITS, 0.0)
        self.history: list[tuple[dict[str, Use], dict[str, float]]] = []
        self.asked: list[tuple[int, dict[str, Use], dict[str, float]]] = []
        self.seconds: list[float] = []
        self.stopped = False
        self._asks, self._begin = asks, 0.0
        self._lock = threading.RLock()

    def add(self, client: Client, use: Use) -> None:
        """Adds what a call uses.

        Raises:
            BudgetSpent: If the budget does not hold it, or the rehearsal has lasted long enough.
        """
        self.check()
        with self._lock:
            if client.role == "optimizer" and (not self.asked or self.asked[-1][0] != len(self.history) - 1):
                self.asked.append((len(self.history) - 1, dict(self.uses), dict(self.spent)))
            if client.role != "test":
                tokens = use.tokens_in, use.tokens_out[1]
                usd = client.price.of(*tokens) if client.price else 0.0
                self._spend(llm_calls=use.calls, tokens=sum(tokens), usd=usd)
            self.uses[client.role] = self.uses.get(client.role, Use()) + use

    def end_call(self, step: StepRecord) -> None:
        """Keeps what has been used until the end of an oracle call."""
        with self._lock:
            if not self.history:
                self._begin = time.monotonic()
            self.spent["oracle_calls"] = len(self.history)
            self.history.append((dict(self.uses), dict(self.spent)))
            self.seconds.append(step.seconds)

    def check(self) -> None:
        """Ends the rehearsal if it has lasted long enough.

        Raises:
            BudgetSpent: If so.
        """
        passed, is_enough = time.monotonic() - self._begin, not self._asks or len(self.asked) > FEWEST_STEPS
        if len(self.history) > 1 and passed > (SECONDS if is_enough else MOST_SECONDS):
            self.stopped = True
            raise BudgetSpent("seconds", "the rehearsal has lasted long enough")

    def _spend(self, **amounts: float) -> None:
        self.budget.reserve(**amounts).settle()
        for name, amount in amounts.items():
            self.spent[name] += amount


class _StandIn(Client):
    """A client that sends nothing: it counts what it is asked, and makes up an answer.

    Args:
        spec: The trial.
        model: The model's name.
        role: Of `ledger.ROLES`.
        meter: Where calls are counted.
        write: Makes up the text of an answer to a prompt.
    """

    def __init__(
        self, spec: TrialSpec, model: str | None, role: str, meter: _Meter, write: Callable[[str], str]
    ) -> None:
        super().__init__(model, base_url=spec.base_url, role=role)
        self._meter, self._write = meter, write

    @property
    def concurrency(self) -> int:
        """One: nothing is waited for."""
        return 1

    def _call(self, request: dict[str, Any], *, record_body: bool, fewest_tokens: int | None = None) -> Answer:
        n, most = int(request.get("n", 1)), int(request.get("max_tokens") or MAX_TOKENS)
        text = "\n".join(_texts(request))
        tokens_in = _count_prompt(self.model, text)
        few, middle = (min(tokens, most) for tokens in ANSWERS[self.role])
        self._meter.add(self, Use(1, tokens_in, (n * few, n * middle, n * most)))
        texts = tuple(self._write(text) for _ in range(n))
        choices = [{"index": k, "message": {"role": "assistant", "content": t}} for k, t in enumerate(texts)]
        return Answer(
            text=texts[0],
            texts=texts,
            finish_reason="stop",
            tokens_in=tokens_in,
            tokens_out=n * middle,
            seconds=0.0,
            usd=0.0,
            counted="usage",
            body=json.dumps({"choices": choices}) if record_body else None,
        )


def _count_prompt(model: str, text: str) -> int:
    """The tokens of a prompt: by a vocabulary where a hosted model is asked and one is installed, else an estimate."""
    if model == "local":
        return round((count_tokens(text) + FRAME) / OVERESTIMATE_LOCAL)
    try:
        return count_exactly(text) + TOKENS_OF_A_CALL
    except MissingExtra:
        return round((count_tokens(text) + FRAME) / OVERESTIMATE_HOSTED)


def _texts(request: Mapping[str, Any]) -> list[str]:
    return [m["content"] if isinstance(m.get("content"), str) else json.dumps(m) for m in request["messages"]]


class _Nowhere:
    """A trial's folder that holds nothing and keeps nothing."""

    def steps(self) -> list[StepRecord]:
        return []

    def add_step(self, step: StepRecord, graph: str) -> None:
        pass


class _Oracle(RecordedOracle):
    """The oracle of a rehearsal: it records nothing, and evaluates a part of the examples where they are many.

    Args:
        env: The environment with its wrappers.
        meter: What it counts with.
        seed: The seed of the episode.
    """

    def __init__(self, env: Any, meter: _Meter, seed: int) -> None:
        self._meter = meter
        super().__init__(env, meter.budget, cast(Any, _Nowhere()), seed=seed, on_step=meter.end_call)

    @property
    def over(self) -> bool:
        """Whether no further call is possible, or the rehearsal has lasted long enough."""
        return super().over or self._meter.stopped

    def _finish(self, step: StepRecord) -> None:
        super()._finish(step)
        self._solved = False  # made-up values solve a problem by chance alone

    def _evaluate(
        self, parameters: Mapping[str, Any], examples: Sequence[Any] | None, split: str, number: int, key: CallKey
    ) -> tuple[Evaluation, StepRecord]:
        self._meter.check()
        wanted = list(range(len(self._base_env.splits[split]))) if examples is None else list(examples)
        rehearsed = _spread(wanted, MOST_VALIDATED) if split == "val" else wanted
        if number:
            self._meter.spent["evaluations"] += len(wanted)
        before = self._meter.uses.get("task", Use())
        evaluated = super()._evaluate(dict(parameters), rehearsed, split, number, key)
        if len(rehearsed) < len(wanted):
            more = (self._meter.uses.get("task", Use()) - before) * (len(wanted) / len(rehearsed) - 1)
            self._meter.add(self._base_env.llm, more)
        return evaluated


def _spread(examples: Sequence[Any], most: int) -> list[Any]:
    """So many of the examples at most, evenly spread."""
    if len(examples) <= most:
        return list(examples)
    return [examples[int(k)] for k in np.linspace(0, len(examples) - 1, most)]


class Rehearser:
    """Rehearses one trial.

    Args:
        spec: What the trial runs.
        limits: Its budget.
        scores: Whether parameters are scored on test.
    """

    def __init__(self, spec: TrialSpec, limits: Limits, *, scores: bool) -> None:
        self.spec, self.limits, self.scores = spec, limits, scores
        self.agent_class = registration.agent_class(spec.agent)
        self.meter = _Meter(limits, asks=self.agent_class.uses_model)
        self.wrapped = spec.make_env(int(limits.oracle_calls) if limits.oracle_calls else None)
        self.env: OptoEnv = unwrapped(self.wrapped)
        self.writer = AnswerWriter(self.env.problem, np.random.default_rng(spec.seed))
        self.recommended: Values | None = None

    def run(self) -> Rehearsal:
        """Rehearses the trial.

        Raises:
            Exception: Whatever the environment raises on its start values.
        """
        agent_seed, episode_seed = self.spec.seeds()
        if self.env.uses_model:
            self.env.llm = self._stand_in(self.spec.task_model, "task", self.writer.reply)
        oracle = _Oracle(self.wrapped, self.meter, episode_seed)
        unknown = self._unknown_reason()
        if unknown is None and (self.agent_class.uses_model or self.env.uses_model):
            unknown = self._run_agent(oracle, agent_seed)
        elif not self.env.uses_model and self.meter.seconds[0] < SECONDS:  # the first call starts processes
            _Oracle(self.wrapped, self.meter, episode_seed)
        scoring, measuring, seconds = self._score(oracle.steps[-1].parameters)
        history, each, calls = self._extrapolate(unknown is not None)
        examples = min(self.env.batch, len(self.env.splits["train"])), len(self.env.splits.get("test", ()))
        each_call = statistics.median(self.meter.seconds[1:] or self.meter.seconds)
        if seconds is None:
            seconds = each_call / max(1, examples[0]) * examples[1]
        compared = len(self.env.splits["val"]) if any(s.split == "val" for s in oracle.steps) else examples[0]
        recommendation = Recommendation.of(oracle.steps, self.recommended, compared)
        return Rehearsal(
            history, each, calls, scoring, measuring, (each_call, seconds), examples, recommendation, unknown
        )

    def _stand_in(self, model: str | None, role: str, write: Callable[[str], str]) -> _StandIn:
        return _StandIn(self.spec, model, role, self.meter, write)

    def _unknown_reason(self) -> str | None:
        """Why the agent can't be rehearsed; None if it can."""
        if self.agent_class.in_terminal:
            return "a person proposes"
        if issubclass(self.agent_class, External):
            return "it runs in a process of its own"
        return None

    def _run_agent(self, oracle: _Oracle, seed: int) -> str | None:
        """Runs the agent; returns why it isn't known what it asks, or None."""
        agent = registration.make_agent(self.spec.agent, **self.spec.settings)
        agent.use_model_settings(self.spec.model_settings)
        if agent.uses_model:
            agent.llm = self._stand_in(self.spec.optimizer_model, "optimizer", self.writer.proposal)
        try:
            with contextlib.suppress(BudgetSpent):
                agent.reset(self.env.problem, seed=seed)
                agent.optimize(self.env.problem, oracle)
            self.recommended = agent.recommend()
        except Exception as e:
            return f"{type(e).__name__}: {e}".splitlines()[0][:200]
        return None

    def _score(self, proposal: Mapping[str, Any]) -> tuple[tuple[Use, Use], Use, float | None]:
        """What scorings and `OptoEnv.measure` use, and the seconds of a scoring, None if these are not rehearsed.

        Args:
            proposal: Proposed parameters, whose prompts differ from those of the start values.
        """
        if not self.scores or "test" not in self.env.splits:
            return (Use(), Use()), Use(), 0.0
        if not self.env.uses_model:
            return (Use(), Use()), Use(), None
        meter = _Meter(Limits())
        env = unwrapped(self.spec.make_env())
        env.llm = _StandIn(self.spec, self.spec.task_model, "test", meter, self.writer.reply)
        examples = range(len(env.splits["test"]))
        rehearsed, begin = _spread(examples, MOST_SCORED), time.monotonic()
        share = len(examples) / len(rehearsed)
        env.evaluate(env.problem.start, split="test", examples=rehearsed)
        seconds, start = time.monotonic() - begin, meter.uses.get("test", Use())
        env.evaluate(proposal, split="test", examples=rehearsed)
        both = meter.uses.get("test", Use())
        env.measure(env.problem.start)
        return (start * share, (both - start) * share), meter.uses.get("test", Use()) - both, seconds * share

    def _extrapolate(self, is_unknown: bool) -> tuple[tuple[Uses, ...], Uses, float | None]:
        """`Rehearsal.history`, `Rehearsal.each` and `Rehearsal.oracle_calls`."""
        history, limits = self.meter.history, self.meter.budget.limits
        uses = [past for past, _ in history]
        done = len(history) - 1
        if is_unknown or not (self.agent_class.uses_model or self.env.uses_model):
            calls = limits.get("oracle_calls")
            if calls is None and "evaluations" in limits:
                calls = limits["evaluations"] // max(1, self.env.batch)
            task = uses[0].get("task", Use())
            return ({"task": task},), {"task": task}, calls
        if not self.meter.stopped:  # it was rehearsed to its end
            return (*uses[:-1], dict(self.meter.uses)), {}, float(done)
        # whole steps of the agent, whose oracle calls may differ; prompts grow at first, so not from the very first
        asked = self.meter.asked
        whole = len(asked) > 1
        first, before, spent_before = asked[(len(asked) - 1) // 2] if whole else (0, *history[0])
        last, after, spent_after = asked[-1] if whole else (done, *history[-1])
        each = {role: (use - before.get(role, Use())) * (1 / (last - first)) for role, use in after.items()}
        rates = {name: (spent_after[name] - spent_before[name]) / (last - first) for name in limits}
        more = [(limits[name] - history[-1][1][name]) / rate for name, rate in rates.items() if rate > 0]
        return tuple(uses), each, done + max(0.0, min(more)) if more else None
