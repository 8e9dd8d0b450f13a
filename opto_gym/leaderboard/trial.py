"""Runs one trial: an agent on an environment under a budget, recorded so that it can be resumed and replayed."""

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
from ..errors import BudgetSpent, DamagedRecord, RecordError
from ..evaluation import watched_evaluations
from ..llm import Budget, CallMonitor, CallRecord, Client, Ledger, Reservation
from ..utils.redaction import redact
from ..wrappers.observations import unwrapped
from .amounts import LedgerTotals, Limits
from .endpoints import CallSettings
from .identity import Identity
from .machine import machine
from .notes import AgentNotes, take_notes
from .oracle import RecordedOracle
from .records import TrialFolder
from .schema import (
    VERSION,
    Machine,
    ScoreRecord,
    StepRecord,
    TrialRecord,
    plain,
)
from .scoring import Scorer
from .spec import TrialSpec, digest
from .spending import ledger_totals
from .summary import caveats_of, summary_of
from .trust import mark, of_spec, place_of_trial


@dataclasses.dataclass(slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: The trial's id.
        path: The trial's folder.
        status: ``"done"``, ``"failed"``, or ``"damaged"`` if its record is, so that it was not run.
        error: If the trial failed, the reason in one line, as in `TrialRecord.ended`; if its record is damaged, the
            file and what is wrong with it; otherwise None.
        differences: In a replay, each deviation from the record, as a line of text.
        steps: Number of oracle calls; the start values' call is not counted.
        notices: In a replay, facts about the record that a reader should know but that are no deviation.
        incomplete: In a replay, why the record verifies no result, such as that the trial failed; None if it may.
        unverifiable: In a replay, what of the record can't be computed again, of `unverifiable.REASONS`.
        ledger: The model calls of each role; None if it is not known.
        caveats: Why the results of a trial that is done mean little.
    """

    trial: str
    path: Path
    status: str
    error: str | None = None
    differences: list[str] = dataclasses.field(default_factory=list)
    steps: int = 0
    notices: list[str] = dataclasses.field(default_factory=list)
    incomplete: str | None = None
    unverifiable: list[str] = dataclasses.field(default_factory=list)
    ledger: LedgerTotals | None = None
    caveats: list[str] = dataclasses.field(default_factory=list)


class Choices:
    """Keeps track of the parameters that a trial is scored by: the current and the recommended ones.

    Args:
        agent_recommendation: Returns the parameters that the agent recommends; None if it makes no choice of its own.

    Attributes:
        current: The parameters of the last finished oracle call; None before the first.
        history: (number of an oracle call, hash of the parameters recommended after it), in order of completion.
    """

    def __init__(self, agent_recommendation: Callable[[], Values | None]) -> None:
        self._agent_recommendation = agent_recommendation
        self._best_by_split: dict[str, tuple[tuple[float, int], Values]] = {}
        self.current: Values | None = None
        self.history: list[tuple[int, str]] = []

    def update(self, step: StepRecord) -> Values:
        """Adds a finished oracle call; returns the parameters that are recommended after it."""
        self.current = step.parameters
        best, rank = self._best_by_split.get(step.split), (step.reward, step.call)
        if best is None or rank >= best[0]:  # between equal rewards, the later call wins
            self._best_by_split[step.split] = rank, step.parameters
        recommended = self.recommended()
        self.history.append((step.call, digest(recommended)))
        return recommended

    def recommended(self) -> Values:
        """The recommended parameters: the agent's choice if it makes one, or else those of the best oracle call.

        The best call has the highest reward among the calls on val, or among those on train if there is none on val.
        """
        chosen = self._agent_recommendation()
        if chosen is not None:
            return dict(plain(chosen))
        return self._best_by_split["val" if "val" in self._best_by_split else "train"][1]


class TrialRunner:
    """Runs a trial in its folder. `run` makes the environment, the agent, the oracle and the scorer.

    Args:
        spec: What the trial runs.
        path: The trial's folder; its name is the trial's id.
        limits: The trial's budget: amounts by the names of `opto_gym.llm.LIMITS`.
        test_scores: When the current and the recommended parameters are scored on test; one of `scoring.SCORING`.
        parent: The budget of the whole run; None if it has none.
        cap: The limits of `parent`, for the record.
        identity: The trial's identity; None computes it.
        shared_scores: Scores that the trials of a run share, see `Scorer`.
        progress: Called with (id of the trial, step, ledger) after each oracle call.
        working: Called with (id of the trial, what it does, such as "scoring the start values 37/200") after each
            example.
        stop: An event that stops the trial after its current oracle call; None takes that of `monitor`.
        monitor: Watches the model calls of the whole run.
        calls: How model calls are made, and their prices.

    Attributes:
        endpoints: The address of each role's model, by role.
        call_mode: How model calls use their record, see `opto_gym.llm.CallRecord`. The replay overrides it.
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
        working: Callable[[str, str], None] = lambda trial, activity: None,
        stop: threading.Event | None = None,
        monitor: CallMonitor | None = None,
        calls: CallSettings | None = None,
    ) -> None:
        self.spec, self.path, self.trial, self.test_scores = spec, path, path.name, test_scores
        self.limits, self.cap, self.parent = Limits.of(limits), Limits.of(cap), parent
        self._identity, self._shared_scores = identity, shared_scores
        self._progress, self._working = progress, working
        self._monitor = monitor or CallMonitor()
        self._stop = stop or self._monitor.stopped
        self._calls_settings, self._lock = calls or CallSettings(), threading.Lock()
        self.endpoints: dict[str, str] = {}
        self._previous: TrialRecord | None = None  # what trial.json was at the start

    def run(self) -> Outcome:
        """Runs the trial to its end. An error of the agent or the environment is recorded and returned, not raised.

        Raises:
            RecordError: If the record can't be read or written. A damaged record keeps the results that it had.
            KeyboardInterrupt: If the run is stopped; the trial can be resumed.
        """
        try:
            return self._run()
        except DamagedRecord:
            if self._previous is not None:
                self.folder.write_trial(self._previous)
            raise

    def _run(self) -> Outcome:
        self.folder, self.ledger = TrialFolder(self.path), Ledger()
        self.oracle: RecordedOracle | None = None
        self.choices = Choices(self._agent_recommendation)
        self.identity = self._identity or self.spec.identity()
        self._measures: Mapping[str, float | None] = {}
        self._open()
        self._calls = record = CallRecord(self.folder.llm, trial=self.trial, mode=self.call_mode)
        status, error = "done", None
        try:
            with watched_evaluations(
                lambda *done: self._working(self.trial, _activity(self, *done)), lambda: _look(self)
            ):
                try:
                    ended = self._optimize(record)
                finally:
                    if self.oracle is not None and self.test_scores != "never" and not self._stop.is_set():
                        self._score_at_end()  # even if the trial failed: it counts with the start values' score
        except (KeyboardInterrupt, RecordError):
            raise
        except BudgetSpent as e:  # outside the agent's loop; in the loop it is a regular end, see `_optimize`
            if self._stop.is_set():
                raise KeyboardInterrupt from e
            status, ended, error = "failed", f"budget: {e.limit}", traceback.format_exc()
        except (Exception, SystemExit) as e:
            status, ended, error = "failed", f"{type(e).__name__}: {e}", traceback.format_exc()
        finally:
            record.close()
            self.folder.close()
        ended, error = redact(ended), redact(error) if error else None
        self._close(status, ended, error)
        steps, totals = 0 if self.oracle is None else len(self.oracle.steps) - 1, ledger_totals(self.ledger)
        caveats = caveats_of(self) if status == "done" else []
        return Outcome(
            self.trial, self.path, status, ended if error else None, steps=steps, ledger=totals, caveats=caveats
        )

    # ---------------------------------------------------------------- overridden by the replay
    def _open(self) -> None:
        """Marks the trial as running, and makes its budget with what earlier sessions and attempts spent."""
        mark(of_spec(self.spec), place_of_trial(self.path))
        previous = self._previous = self.folder.trial()
        self._started = previous.started if previous else round(time.time(), 3)
        self.folder.remove_parts()
        if not self.spec.resumable:
            self.folder.archive_attempt()
        lost = [step for step in self.folder.lost_steps() if step.call]
        # the time of a session that was killed is known up to its last oracle call
        at_last_call = [step.spent.seconds for step in (*lost[-1:], *self.folder.steps()[-1:])]
        seconds = max(previous.seconds if previous else 0.0, *at_last_call, 0.0)
        self._write("running", ended=None, seconds=seconds)
        self._make_budget(self.limits, lost, seconds)

    def _make_oracle(self, env: Any, seed: int) -> RecordedOracle:
        return RecordedOracle(
            env, self.budget, self.folder, seed=seed, on_step=self._on_step, take_notes=self._take_notes
        )

    def _make_scorer(self, env: OptoEnv) -> Scorer:
        scorer = Scorer(env, self.spec, self.folder, self._shared_scores)
        if env.uses_model:  # the recorded scores are not computed again, but their model calls count as spent
            env.llm.book_recorded(key for scored in scorer.recorded.values() for key in scored.task_calls)
        return scorer

    def _run_agent(self) -> None:
        assert self.oracle is not None
        self.agent.optimize(self.env.problem, self.oracle)

    def _agent_recommendation(self) -> Values | None:
        return self.agent.recommend()

    def _close(self, status: str, ended: str, error: str | None) -> None:
        """Records how the trial ended."""
        self._write(status, ended=ended, seconds=self.budget.spent["seconds"], error=error)

    # ---------------------------------------------------------------- shared with the replay
    def _make_budget(self, limits: Limits, lost: list[StepRecord], seconds: float) -> None:
        """Makes the budget; adds what earlier attempts and sessions spent.

        Args:
            limits: The limits.
            lost: The oracle calls of lost attempts.
            seconds: Wall time of the earlier sessions, in seconds.
        """
        self.budget = Budget(limits.to_dict(), parent=self.parent, seconds_before=seconds)
        self.lost_calls, self.lost_evaluations = len(lost), sum(len(step.examples) for step in lost)
        Reservation(self.budget, {"oracle_calls": self.lost_calls, "evaluations": self.lost_evaluations}).settle()

    def _optimize(self, record: CallRecord) -> str:
        """Makes the environment, the agent, the oracle and the scorer, and runs the agent; returns why it ended."""
        calls = self.limits.oracle_calls
        env = self.spec.make_env(int(calls) if calls else None)
        self.env, test_env = unwrapped(env), unwrapped(self.spec.make_env())
        if self.env.uses_model:
            self.env.llm = self._client(self.spec.task_model, "task", self.budget, record)
            # scoring is charged to the budget of the run, and not to the trial's
            test_env.llm = self._client(self.spec.task_model, "test", self.parent, record)
        self.scorer = self._make_scorer(test_env)
        self.agent = registration.make_agent(self.spec.agent, **self.spec.settings)
        self.agent.use_model_settings(self.spec.model_settings)
        if self.agent.uses_model:
            self.agent.llm = self._client(self.spec.optimizer_model, "optimizer", self.budget, record)
        agent_seed, episode_seed = self.spec.seeds()
        self.agent.reset(self.env.problem, seed=agent_seed)
        self.oracle = self._make_oracle(env, episode_seed)
        self._update_and_score(self.oracle.steps[0])
        try:
            self._run_agent()
            spent = [name for name in ("oracle_calls", "evaluations") if self.budget.left(name) < 1]
        except BudgetSpent as e:
            spent = [e.limit]
        if self._stop.is_set():
            raise KeyboardInterrupt
        return "solved" if self.oracle.solved else f"budget: {spent[0]}" if spent else "agent"

    def _client(self, model: str | None, role: str, budget: Budget | None, record: CallRecord) -> Client:
        """A client for a model. It adds its calls, and first those of lost attempts, to the trial's ledger."""
        settings = self._calls_settings.of_client(model)
        client = self.spec.client(
            model, role=role, budget=budget, ledger=self.ledger, record=record, monitor=self._monitor, **settings
        )
        self.endpoints[role] = client.endpoint
        client.book_lost(line for line in self.folder.lost_calls() if line.role == role)
        return client

    def _take_notes(self) -> AgentNotes:
        return take_notes(self.agent, self._calls.take_call_keys("optimizer"))

    def _on_step(self, step: StepRecord) -> None:
        """Updates the choices, scores the parameters, and reports progress after an oracle call.

        Raises:
            BudgetSpent: If the run is stopped.
        """
        if self.oracle is None:  # the oracle's constructor makes the start values' call, which `_optimize` then scores
            return
        self._update_and_score(step)
        self._progress(self.trial, step, self.ledger)
        if self._stop.is_set():
            raise BudgetSpent("stopped", "the run is stopped")

    def _update_and_score(self, step: StepRecord) -> None:
        """Updates the current and the recommended parameters, and scores them if every call is scored."""
        with self._lock:
            recommended = self.choices.update(step)
            if self.test_scores == "each":
                what = f"the parameters of call {step.call}" if step.call else "the start values"
                self.scorer.score(step.parameters, step.call, what)
                self.scorer.score(recommended, step.call, "the recommended parameters")

    def _score_at_end(self) -> None:
        """Scores the start values, the current and the recommended parameters; measures the recommended ones."""
        assert self.oracle is not None
        recommended, last = self.choices.recommended(), self.oracle.steps[-1].call
        scored = {"the start values": self.oracle.steps[0].parameters, "the last parameters": self.choices.current}
        for what, parameters in (scored | {"the recommended parameters": recommended}).items():
            if parameters is not None:
                self.scorer.score(parameters, last, what)
        self._measures = dict(self.scorer.measure(recommended))

    def _write(self, status: str, *, ended: str | None, seconds: float, error: str | None = None) -> None:
        """Writes ``trial.json``; see `TrialRecord` for the arguments."""
        summary = None
        if status != "running" and self.oracle is not None:
            summary = summary_of(self, self.oracle)
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
                where=_where(self),
                summary=summary,
            )
        )


def _where(runner: TrialRunner) -> Machine:
    where = machine(registration.agent_class(runner.spec.agent))
    return msgspec.structs.replace(where, endpoints=dict(runner.endpoints) or None)


def _look(runner: TrialRunner) -> None:
    """Raises BudgetSpent to end an evaluation, which is not recorded, if the run is stopped or its cap is over."""
    if runner._stop.is_set():
        raise BudgetSpent("stopped", "the run is stopped")
    if runner.oracle is not None and runner.parent is not None:
        runner.scorer.check_time(runner.parent)


def _activity(runner: TrialRunner, done: int, number: int) -> str:
    """What a trial does after so many of the examples of an evaluation, for the progress."""
    if runner.oracle is None:
        return f"the start values {done}/{number}"
    what = runner.scorer.scored
    return f"{f'scoring {what}' if what else f'oracle call {len(runner.oracle.steps)}'} {done}/{number}"
