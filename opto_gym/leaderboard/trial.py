"""One trial: an agent on an environment under a budget, recorded and resumable."""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .. import registration
from ..agents.base import Values
from ..core import OptoEnv
from ..errors import BudgetSpent, OptoGymError, RecordError
from ..llm import Budget, CallRecord, Client, Ledger, Reservation
from ..wrappers.observations import unwrapped
from .identity import Identity
from .machine import machine
from .oracle import RecordedOracle
from .records import TrialFolder
from .schema import (
    VERSION,
    Amounts,
    LedgerTotals,
    Limits,
    LostAttempts,
    ModelsRecord,
    ProblemRecord,
    ScoreRecord,
    StepRecord,
    Totals,
    TrialRecord,
    TrialSummary,
    plain,
)
from .scoring import Scorer
from .spec import TrialSpec, digest


@dataclasses.dataclass(slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: Its id.
        path: Its folder.
        status: ``done`` or ``failed``.
        error: The last line of the traceback, if it failed.
        differences: In a replay, what disagrees with the record.
        steps: Oracle calls, without the start values'.
        notices: In a replay, what a reader should know of the record.
    """

    trial: str
    path: Path
    status: str
    error: str | None = None
    differences: list[str] = dataclasses.field(default_factory=list)
    steps: int = 0
    notices: list[str] = dataclasses.field(default_factory=list)


class Choices:
    """The parameters of a trial that count: the current ones, and the recommended ones after each oracle call."""

    def __init__(self, own: Callable[[], Values | None]) -> None:
        self._own = own
        self._best: dict[str, tuple[tuple[float, int], Values]] = {}
        self.current: Values | None = None
        self.history: list[tuple[int, str]] = []

    def update(self, step: StepRecord) -> Values:
        """Takes note of an oracle call; gives the parameters that are recommended after it."""
        self.current = step.parameters
        best, rank = self._best.get(step.split), (step.reward, step.call)
        if best is None or rank >= best[0]:  # of equal rewards the latest
            self._best[step.split] = rank, step.parameters
        recommended = self.recommended()
        self.history.append((step.call, digest(recommended)))
        return recommended

    def recommended(self) -> Values:
        """The agent's own choice, else the best on val, else on train."""
        own = self._own()
        if own is not None:
            return dict(plain(own))
        return self._best["val" if "val" in self._best else "train"][1]


class TrialRunner:
    """Runs a trial in its folder: environment, agent, oracle, scorer and record put together.

    Args:
        spec: What to run.
        path: The folder.
        limits: The budget, by name.
        test_scores: When current and recommended parameters are scored on test, of `scoring.SCORING`.
        parent: The whole run's budget.
        cap: The limits of that, for the record.
        identity: The trial's, if it is known already.
        shared_scores: See `Scorer`.
        progress: Called with (trial, step, ledger) after each oracle call.
        stop: Set to end all trials of the run.
    """

    call_mode = "resume"

    def __init__(
        self,
        spec: TrialSpec,
        path: Path,
        *,
        limits: Mapping[str, float | None] | Limits,
        test_scores: str = "each",
        parent: Budget | None = None,
        cap: Mapping[str, float | None] | Limits | None = None,
        identity: Identity | None = None,
        shared_scores: dict[str, ScoreRecord] | None = None,
        progress: Callable[[str, StepRecord, Ledger], None] = lambda trial, step, ledger: None,
        stop: threading.Event | None = None,
    ) -> None:
        self.spec, self.path, self.trial, self.test_scores = spec, path, path.name, test_scores
        self.limits, self.cap, self.parent = Limits.of(limits), Limits.of(cap), parent
        self._identity, self._shared_scores, self._progress = identity, shared_scores, progress
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()

    def run(self) -> Outcome:
        """Runs the trial to its end; what fails inside it is recorded and returned, never raised.

        Raises:
            RecordError: If the record can't be read or written.
        """
        self.folder, self.ledger = TrialFolder(self.path), Ledger()
        self.oracle: RecordedOracle | None = None
        self.choices = Choices(self._own_recommendation)
        self.identity = self._identity or self.spec.identity()
        self._open()
        record = CallRecord(self.folder.llm, trial=self.trial, mode=self.call_mode)
        status, error = "done", None
        try:
            try:
                ended = self._optimize(record)
            finally:
                if self.oracle is not None and self.test_scores != "never" and not self._stop.is_set():
                    self._score_at_end()  # of a trial that failed too, which counts with the start values' score
        except (KeyboardInterrupt, RecordError):
            raise
        except BudgetSpent as e:  # outside of the agent's loop: nothing can be said of its parameters
            if self._stop.is_set():
                raise KeyboardInterrupt from e
            status, ended, error = "failed", f"budget: {e.limit}", traceback.format_exc()
        except (Exception, SystemExit) as e:
            status, ended, error = "failed", f"{type(e).__name__}: {e}", traceback.format_exc()
        finally:
            record.close()
            self.folder.close()
        self._close(status, ended, error)
        steps = 0 if self.oracle is None else len(self.oracle.steps) - 1
        return Outcome(self.trial, self.path, status, ended if error else None, steps=steps)

    # ---------------------------------------------------------------- what a replay does otherwise
    def _open(self) -> None:
        """Opens the record: what earlier sessions and attempts spent goes into the budget."""
        before = self.folder.trial()
        self._started = before.started if before else round(time.time(), 3)
        if not self.spec.resumable:
            self.folder.archive_attempt()
        lost = [step for step in self.folder.lost_steps() if step.call]
        # a killed session's time counts up to its last call
        last = [step.spent.seconds for step in (*lost[-1:], *self.folder.steps()[-1:])]
        seconds = max(before.seconds if before else 0.0, *last, 0.0)
        self._write("running", ended=None, seconds=seconds)
        self._reserve(self.limits, lost, seconds)

    def _make_oracle(self, env: Any, seed: int) -> RecordedOracle:
        return RecordedOracle(
            env, self.budget, self.folder, seed=seed, on_step=self._after, invalid_answers=self._take_invalid_answers
        )

    def _make_scorer(self, env: OptoEnv) -> Scorer:
        scorer = Scorer(env, self.spec, self.folder, self._shared_scores)
        if env.uses_model:  # the recorded scorings are not made again, but they were paid for
            env.llm.book_recorded(key for scored in scorer.recorded.values() for key in scored.task_calls)
        return scorer

    def _run_agent(self) -> None:
        assert self.oracle is not None
        self.agent.optimize(self.env.problem, self.oracle)

    def _own_recommendation(self) -> Values | None:
        return self.agent.recommend()

    def _close(self, status: str, ended: str, error: str | None) -> None:
        """Closes the record."""
        self._write(status, ended=ended, seconds=self.budget.spent["seconds"], error=error)

    # ---------------------------------------------------------------- the rest is common
    def _reserve(self, limits: Limits, lost: list[StepRecord], seconds: float) -> None:
        """The budget, with what lost attempts spent."""
        self.budget = Budget(limits.to_dict(), parent=self.parent, seconds_before=seconds)
        self.lost_calls, self.lost_evaluations = len(lost), sum(len(step.examples) for step in lost)
        Reservation(self.budget, {"oracle_calls": self.lost_calls, "evaluations": self.lost_evaluations}).settle()

    def _optimize(self, record: CallRecord) -> str:
        """Puts environment, agent, oracle and scorer together and lets the agent work; gives why it ended."""
        calls = self.limits.oracle_calls
        env = self.spec.make_env(int(calls) if calls else None)
        self.env, test_env = unwrapped(env), unwrapped(self.spec.make_env())
        if self.env.uses_model:
            self.env.llm = self._client(self.spec.task_model, "task", self.budget, record)
            # scoring is not the agent's spending, but it counts in the whole run's
            test_env.llm = self._client(self.spec.task_model, "test", self.parent, record)
        self.scorer = self._make_scorer(test_env)
        self.agent = registration.make_agent(self.spec.agent, **self.spec.settings)
        problem = self.env.problem
        reason = self.agent.unsupported_reason(problem)
        if reason:
            raise OptoGymError(reason)
        if self.agent.uses_model:
            self.agent.llm = self._client(self.spec.optimizer_model, "optimizer", self.budget, record)
        agent_seed, episode_seed = self.spec.seeds()
        self.agent.reset(problem, seed=agent_seed)
        self.oracle = self._make_oracle(env, episode_seed)
        self._note_and_score(self.oracle.steps[0])
        try:
            self._run_agent()
            spent = [name for name in ("oracle_calls", "evaluations") if self.budget.left(name) < 1]
        except BudgetSpent as e:
            spent = [e.limit]
        if self._stop.is_set():
            raise KeyboardInterrupt
        return "solved" if self.oracle.solved else f"budget: {spent[0]}" if spent else "agent"

    def _client(self, model: str | None, role: str, budget: Budget | None, record: CallRecord) -> Client:
        """A client in the trial's ledger, with the calls of lost attempts in it."""
        client = self.spec.client(model, role=role, budget=budget, ledger=self.ledger, record=record)
        client.book_lost(line for line in self.folder.lost_calls() if line.role == role)
        return client

    def _take_invalid_answers(self) -> list[str]:
        reasons, self.agent.invalid_answers = self.agent.invalid_answers, []
        return reasons

    def _after(self, step: StepRecord) -> None:
        """After each call: keeps the best, scores, reports; ends the trial if the run is stopped."""
        if self.oracle is None:  # the start values' call, before there is an oracle
            return
        self._note_and_score(step)
        self._progress(self.trial, step, self.ledger)
        if self._stop.is_set():
            raise BudgetSpent("stopped", "the run is stopped")

    def _note_and_score(self, step: StepRecord) -> None:
        with self._lock:
            recommended = self.choices.update(step)
            if self.test_scores == "each":
                self.scorer.score(step.parameters, step.call)
                self.scorer.score(recommended, step.call)

    def _score_at_end(self) -> None:
        """Scores the start values, the current and the recommended parameters, and measures the latter."""
        assert self.oracle is not None
        recommended = self.choices.recommended()
        for parameters in (self.oracle.steps[0].parameters, self.choices.current, recommended):
            if parameters is not None:
                self.scorer.score(parameters, self.oracle.steps[-1].call)
        self._measures = dict(self.scorer.measure(recommended))

    def _write(self, status: str, *, ended: str | None, seconds: float, error: str | None = None) -> None:
        summary = None
        if status != "running" and self.oracle is not None:
            summary = self._summary(self.oracle)
        self.folder.write_trial(
            TrialRecord(
                version=VERSION,
                trial=self.trial,
                status=status,  # type: ignore[arg-type]
                ended=ended,
                error=error,
                spec=self.spec,
                identity=self.identity,
                limits=self.limits,
                cap=self.cap,
                test_scores=self.test_scores,
                started=self._started,
                seconds=round(seconds, 3),
                where=machine(registration.agent_class(self.spec.agent)),
                summary=summary,
            )
        )

    _measures: Mapping[str, float | None] = {}

    def _summary(self, oracle: RecordedOracle) -> TrialSummary:
        steps, env, recommended = oracle.steps, self.env, self.choices.recommended()
        return TrialSummary(
            problem=msgspec.json.decode(env.problem.to_json(), type=ProblemRecord),
            scale=env.scale,
            anchors=env.anchors,
            oracle_calls=len(steps) - 1,
            evaluations=sum(len(step.examples) for step in steps[1:]),
            # those after the last call count too
            invalid_answers=sum(len(step.invalid_answers) for step in steps) + len(self.agent.invalid_answers),
            errors=sum(step.error is not None for step in steps[1:]),
            solved=oracle.solved,
            start_score=self.scorer.score_of(steps[0].parameters),
            current_score=self.scorer.score_of(self.choices.current),
            recommended_score=self.scorer.score_of(recommended),
            recommended=plain(recommended),
            measures=dict(self._measures),
            recommendations=self.choices.history,
            models=ModelsRecord(
                optimizer=self.agent.llm.describe() if self.agent.uses_model else None,
                task=env.llm.describe() if env.uses_model else None,
            ),
            ledger=self._totals(),
            lost=self._lost(),
            spent=msgspec.convert(self.budget.spent, Amounts),
        )

    def _totals(self, *, lost: bool = False) -> LedgerTotals:
        roles = LedgerTotals.__struct_fields__
        return LedgerTotals(**{r: msgspec.convert(self.ledger.totals(r, lost=lost), Totals) for r in roles})

    def _lost(self) -> LostAttempts | None:
        """What lost attempts spent; None without any."""
        attempts = len(self.folder.attempts())
        if not attempts:
            return None
        return LostAttempts(
            attempts=attempts,
            oracle_calls=self.lost_calls,
            evaluations=self.lost_evaluations,
            ledger=self._totals(lost=True),
        )
