"""Runs the trials of a plan side by side, in threads, until they are done or the user stops them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import msgspec

from .. import registration
from ..agents.human import check_terminal
from ..errors import DamagedRecord
from ..llm import LIMITS, Budget, CallMonitor, Client, Reservation, local
from ..llm.callables import find_function
from ..llm.limiter import concurrency_of_run
from ..llm.probe import probe
from .amounts import Limits
from .endpoints import check_key
from .machine import package_versions
from .planning import Plan, Planned
from .progress import Progress
from .records import RunFolder, read_trial
from .schema import ScoreRecord, TrialRecord, TrialSummary
from .spec import TrialSpec
from .trial import Outcome, TrialRunner
from .wholeness import is_whole
from .workers import Interrupts, Workers

_LOOKING = 0.2  # seconds between two looks at what has ended
_GIVING_UP = 1.0  # seconds that trials get to write down what they gave up


@dataclasses.dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run.

    Attributes:
        path: The run's folder.
        trials: The outcome of each trial, in the order of the plan.
        skipped: (environment, agent, reason why the agent can't run on it).
    """

    path: Path
    trials: tuple[Outcome, ...]
    skipped: tuple[tuple[str, str, str], ...] = ()


class Execution:
    """Runs the trials of a plan in a pool of threads, under the budget of the whole run.

    Args:
        plan: The plan.
        folder: The run's folder, locked.
        jobs: Number of trials that run at a time.
        show_progress: Whether to show progress.
    """

    def __init__(self, plan: Plan, folder: RunFolder, jobs: int, show_progress: bool) -> None:
        self.plan, self.folder, self.jobs, self.show_progress = plan, folder, jobs, show_progress
        self.run_budget = Budget(plan.cap.to_dict())
        self.monitor = CallMonitor()
        self.shared_scores: dict[str, ScoreRecord] = {}
        self.done: list[Outcome] = []
        self.todo: dict[str, Planned] = {}

    def run(self, notices: Sequence[str]) -> RunResult:
        """Runs the trials that are not finished.

        Args:
            notices: Lines to print before the trials start.
        """
        for name, planned in self.plan.trials.items():
            path = self.folder.trial_path(name)
            try:
                finished = finished_record(path, planned, self.plan)
            except DamagedRecord as e:
                self.done.append(Outcome(name, path, "damaged", str(e)))
                continue
            if finished is None:
                self.todo[name] = planned
                continue
            assert finished.summary is not None
            self.done.append(_outcome(name, path, finished.summary))
            Reservation(self.run_budget, _charged_to_run(finished)).settle()
        specs = [planned.spec for planned in self.todo.values()]
        if any("local" in (spec.optimizer_model, spec.task_model) for spec in specs):
            local.server()  # before the trials: its start blocks all threads for a second, which counts as their time
        interactive = any(registration.agent_class(spec.agent).in_terminal for spec in specs)
        if interactive:
            check_terminal()
            if self.jobs > 1:
                raise ValueError(f"a person does one trial at a time: expected 1 job, got {self.jobs}")
        calls = {trial: planned.limits.oracle_calls for trial, planned in self.plan.trials.items()}
        with (
            concurrency_of_run(self.plan.calls.concurrency, self.jobs),
            Progress(len(calls), len(self.done), calls, self.show_progress, bar=not interactive) as progress,
        ):
            self.monitor.say = progress.say
            for notice in notices:
                progress.say(notice)
            for env, agent, reason in self.plan.skipped:
                progress.say(f"skipped {agent} on {env}: {reason}")
            probe(self._new_clients())
            package_versions()  # else all trials that begin side by side read them
            self._run_trials(progress, interactive)
        order = list(self.plan.trials)
        trials = sorted(self.done, key=lambda outcome: order.index(outcome.trial))
        return RunResult(self.folder.path, tuple(trials), self.plan.skipped)

    def _new_clients(self) -> list[Client]:
        """A client for each endpoint that the trials of `todo` will certainly ask.

        Those of a trial that has recorded calls may find all their answers there.

        Raises:
            SettingsError: If the key of one is not there.
        """
        clients: dict[str, Client] = {}
        seen: set[str] = set()  # most trials ask the same ones
        for name, planned in self.todo.items():
            if (self.folder.trial_path(name) / "llm.jsonl").exists():
                continue
            spec = planned.spec
            for role, model in (("optimizer", spec.optimizer_model), ("task", spec.task_model)):
                asked = f"{model} {spec.address(role)} {spec.endpoint(role)}"
                if model is None or model == "local" or asked in seen or find_function(model):
                    continue
                seen.add(asked)
                check_key(spec.endpoint(role))
                settings = self.plan.calls.of_client(model)
                client = spec.client(model, role=role, budget=self.run_budget, monitor=self.monitor, **settings)
                clients.setdefault(f"{model} {client.endpoint} {spec.endpoint(role)}", client)
        return list(clients.values())

    def _run_trials(self, progress: Progress, interactive: bool) -> None:
        """Runs the trials of `todo`. If one raises, or at Ctrl-C, stops all others and raises the error."""
        workers: Workers[Outcome] = Workers(min(self.jobs, len(self.todo)))
        runners = [self._runner(name, planned, progress) for name, planned in self.todo.items()]
        with Interrupts() as interrupts:
            futures = [workers.submit(functools.partial(_run, runner)) for runner in runners]
            workers.close()
            try:
                pending = set(futures)
                while pending:
                    ready, pending = wait(pending, timeout=_LOOKING, return_when=FIRST_COMPLETED)
                    for future in ready:
                        outcome = future.result()
                        self.done.append(outcome)
                        progress.trial(outcome)
                    if interrupts.count:
                        raise KeyboardInterrupt
            except BaseException:
                self._stop(futures, interrupts, progress, interactive)
                raise

    def _stop(
        self, futures: Sequence[Future[Outcome]], interrupts: Interrupts, progress: Progress, interactive: bool
    ) -> None:
        """Stops all trials, and waits until those that run have ended; after another Ctrl-C, for a second at most."""
        seen = interrupts.count
        self.monitor.stop()
        self.run_budget.stop()  # refuses model calls too, for agents that make no oracle call for a long time
        for future in futures:
            future.cancel()
        waiting_for = self.monitor.in_flight() or "the oracle calls in flight"
        again = "Ctrl-C again ends at once, and model calls in flight count as paid"
        leave = "leave the prompt with Ctrl-D" if interactive else f"waiting for {waiting_for}. {again}"
        progress.say(f"stopping: {leave}")
        while wait(futures, timeout=_LOOKING).not_done:
            if interrupts.count > seen:
                self.monitor.abandon()
                wait(futures, timeout=_GIVING_UP)
                return

    def _runner(self, name: str, planned: Planned, progress: Progress) -> TrialRunner:
        return TrialRunner(
            planned.spec,
            self.folder.trial_path(name),
            limits=planned.limits,
            test_scores=planned.test_scores or self.plan.test_scores,
            parent=self.run_budget,
            cap=self.plan.cap,
            identity=planned.identity,
            shared_scores=self.shared_scores,
            progress=progress.step,
            working=progress.working,
            monitor=self.monitor,
            calls=self.plan.calls,
        )


def _run(runner: TrialRunner) -> Outcome:
    """Runs a trial; one whose record is damaged does not stop the others."""
    try:
        return runner.run()
    except DamagedRecord as e:
        return Outcome(runner.trial, runner.path, "damaged", str(e))


def _outcome(trial: str, path: Path, summary: TrialSummary) -> Outcome:
    """How a trial ended that was done before."""
    caveats = summary.caveats or []
    return Outcome(trial, path, "done", steps=summary.oracle_calls, ledger=summary.ledger, caveats=caveats)


def finished_record(path: Path, planned: Planned, plan: Plan) -> TrialRecord | None:
    """The record of a trial that needs no further work; None if the trial is new, unfinished, or can be continued.

    Raises:
        DamagedRecord: If the trial's record is damaged.
    """
    record = read_trial(path)
    if record is None or record.summary is None or record.status != "done":
        return None
    if record.test_scores != (planned.test_scores or plan.test_scores):
        return None
    done = record.ended == "solved" or _same_budget(record, planned.limits, plan.cap, planned.spec)
    # a trial that could not go on from what is left would be paid for once more
    return record if done and (not planned.spec.resumable or is_whole(record, path)) else None


def _same_budget(record: TrialRecord, limits: Limits, cap: Limits, spec: TrialSpec) -> bool:
    """Whether the limits that decide when the trial ends are the recorded ones.

    For a trial that can be resumed, these are all limits. Any other trial would run again from the beginning, so that
    only the limit that ended it counts.
    """
    names = LIMITS if spec.resumable else ((record.ended or "").removeprefix("budget: "),)
    pairs = ((record.limits.to_dict(), limits.to_dict()), (record.cap.to_dict(), cap.to_dict()))
    return all(old.get(name) == new.get(name) for old, new in pairs for name in names)


def _charged_to_run(record: TrialRecord) -> dict[str, float]:
    """What a finished trial took from the budget of the whole run: what it spent itself, and its scoring on test.

    Time is left out, because the run's time limit holds for one session.
    """
    assert record.summary is not None
    test = record.summary.ledger.test
    spent = msgspec.structs.asdict(record.summary.spent)
    del spent["seconds"]
    spent["llm_calls"] += test.calls
    spent["tokens"] += test.tokens
    spent["usd"] += test.usd or 0.0
    return spent
