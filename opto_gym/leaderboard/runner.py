"""Plans, runs and resumes sets of trials. Trials run in parallel threads and are recorded in one folder."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from .. import registration
from ..agents.human import check_terminal
from ..errors import RecordError
from ..llm import LIMITS, Budget, Reservation, local
from ..sandbox import shared
from ..utils.extras import require
from ..wrappers.observations import unwrapped
from .amounts import Amounts, Limits
from .config import Named, RunConfig
from .identity import RULES
from .planning import Environments, Plan, Planned, grid
from .progress import Progress
from .records import RunFolder, TrialFolder, read_trial
from .schema import VERSION, PlannedTrial, RunRecord, ScoreRecord, TrialRecord, TrialSummary
from .spec import TrialSpec
from .suites import suite_plan
from .trial import Outcome, TrialRunner


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


def plan(envs: Iterable[Named] | RunConfig, agents: Iterable[Named] = (), **keywords: Any) -> Plan:
    """Plans a run without running it. `Plan.estimate` says what it may cost.

    Args:
        envs: Environments, as for `run`; or a complete `RunConfig`.
        agents: Agents, as for `run`.
        keywords: Further arguments of `RunConfig.of`: ``seeds``, ``limits`` (a trial's budget), ``cap``, models, ...

    Raises:
        ValueError: If an argument or the budget is invalid, or if no agent can run on any of the environments.
        MissingExtra: If an extra that an environment or agent needs is not installed.
    """
    config = envs if isinstance(envs, RunConfig) else RunConfig.of(envs, agents, **keywords)
    if config.suite is None:
        return grid(config)
    names = ("cap", "model", "optimizer_model", "task_model", "base_url", "mask", "feedback", "wrappers", "test_scores")
    settings = {name: getattr(config, name) for name in names}
    return suite_plan(config.suite, seeds=config.seeds, limits=config.budget, agents=config.agents or None, **settings)


def run(
    envs: Iterable[Named] | RunConfig,
    agents: Iterable[Named] = (),
    *,
    out: str | Path | None = None,
    oracle_calls: int | None = None,
    evaluations: int | None = None,
    llm_calls: int | None = None,
    tokens: int | None = None,
    usd: float | None = None,
    seconds: float | None = None,
    jobs: int | None = None,
    progress: bool = True,
    **keywords: Any,
) -> RunResult:
    """Runs every agent on every environment with every seed, and records the trials in a folder.

    Trials that the folder already holds are not run again if they are done. Interrupted trials, and done trials whose
    budget is larger now, are continued from their records.

    Args:
        envs: Environments: ids or ``module:Class``, or (id, arguments); or a complete `RunConfig`.
        agents: Agents: names or ``module:Class``, or (name, settings).
        out: The run's folder; None takes that of the configuration.
        oracle_calls: The most oracle calls per trial; None is unlimited, as for the next five.
        evaluations: The most example evaluations per trial.
        llm_calls: The most model calls per trial.
        tokens: The most tokens per trial, input and output.
        usd: The most money per trial, in USD.
        seconds: The most wall time per trial, in seconds.
        jobs: Number of trials that run at a time; None takes that of the configuration, or 1.
        progress: Whether to show progress.
        keywords: Further fields of `RunConfig`: ``seeds``, ``cap``, ``model``, ``mask``, ``test_scores``, ...

    Raises:
        ValueError: If an argument or the budget is invalid, or if no agent can run on any of the environments.
        TypeError: If both a `RunConfig` and other settings are given.
        MissingExtra: If an extra that an environment or agent needs is not installed; then no trial runs.
        RecordError: If the folder can't be used, or a record in it is damaged.
        KeyboardInterrupt: After Ctrl-C. The run can be resumed.
    """
    amounts = {
        "oracle_calls": oracle_calls,
        "evaluations": evaluations,
        "llm_calls": llm_calls,
        "tokens": tokens,
        "usd": usd,
        "seconds": seconds,
    }
    if isinstance(envs, RunConfig):
        config = envs
        if keywords or agents or any(v is not None for v in amounts.values()):
            raise TypeError("run() expected a RunConfig alone: put agents, budgets and settings into it")
    else:
        config = RunConfig.of(envs, agents, limits=amounts, **keywords)
    out = config.out if out is None else out
    if out is None:
        raise ValueError("expected out, the folder to record the run in, got none: pass out=, or set it in RunConfig")
    return execute(plan(config), Path(out), jobs=config.jobs if jobs is None else jobs, progress=progress)


def resume(
    out: str | Path,
    *,
    limits: Mapping[str, float | None] | None = None,
    cap: Mapping[str, float | None] | None = None,
    jobs: int | None = None,
    progress: bool = True,
    again: bool = False,
) -> RunResult:
    """Continues a run from its folder alone.

    Args:
        out: The run's folder.
        limits: New limits of each trial's budget, by name. The other limits stay.
        cap: New limits of the whole run's budget, by name. The other limits stay.
        jobs: Number of trials that run at a time; None takes the number of the last session.
        progress: Whether to show progress.
        again: Whether to run recorded trials whose identity has changed again, from the beginning.

    Raises:
        ValueError: If a new limit is invalid, or less than what has been spent already.
        RecordError: If the folder holds no run, or if the identity of a recorded trial has changed and `again` is not
            set. Then no trial runs.
    """
    folder = RunFolder(Path(out))
    record = folder.plan
    Budget(limits)
    Budget(cap)
    notices = _check_new_limits(folder, record, limits or {}, cap or {})
    trials: dict[str, Planned] = {}
    environments = Environments()
    for trial in record.trials:
        spec = trial.spec
        require(*registration.agent_class(spec.agent).needs)
        env = environments.of(spec)
        identity = spec.identity(env)
        new_limits = trial.limits.with_changes(limits or {})
        planned = Planned(spec, identity, new_limits, unwrapped(env).runs_code, trial.test_scores)
        trials[spec.trial_id(identity)] = planned
    if not again:
        _check_identities(folder, trials)
    resumed = Plan(trials, tuple(record.skipped), record.cap.with_changes(cap or {}), record.test_scores)
    jobs = record.jobs if jobs is None else jobs
    return execute(resumed, Path(out), jobs=jobs, progress=progress, notices=notices)


def _check_new_limits(
    folder: RunFolder, record: RunRecord, limits: Mapping[str, float | None], cap: Mapping[str, float | None]
) -> list[str]:
    """Checks new limits against what has been spent.

    Returns:
        A notice for each limit that is lower than the recorded one.

    Raises:
        ValueError: If a limit is less than what has been spent already.
    """
    spent = [_spent_so_far(TrialFolder(path)) for path in folder.trials()]
    notices = []
    for owner, new, recorded, total in (
        ("a trial", limits, [trial.limits for trial in record.trials], max),
        ("the whole run", cap, [record.cap], sum),
    ):
        for name, value in ((n, v) for n, v in new.items() if v is not None):
            used = total([float(getattr(amounts, name)) for amounts in spent] or [0.0])
            if value < used:
                raise ValueError(
                    f"expected {name} of at least {used:g}, which {owner} has spent already, got {value:g}"
                )
            old = max((v for amounts in recorded if (v := getattr(amounts, name)) is not None), default=value)
            if value < old:
                notices.append(f"the budget of {owner} is lowered from {old:g} to {value:g} {name}")
    return notices


def _spent_so_far(folder: TrialFolder) -> Amounts:
    """What a trial has spent. If it was killed, this is known up to its last oracle call."""
    record = folder.trial()
    if record is not None and record.summary is not None:
        return record.summary.spent
    steps = folder.steps()
    return replace(steps[-1].spent, oracle_calls=len(steps) - 1.0) if steps else Amounts()


def _check_identities(folder: RunFolder, trials: Mapping[str, Planned]) -> None:
    """Checks that no recorded trial would run again because its identity has changed: it would be paid for twice.

    Raises:
        RecordError: If one would.
    """
    current_ids = {planned.spec.text: trial for trial, planned in trials.items()}
    changed, rules_changed = [], False
    for path in folder.trials():
        record = read_trial(path)
        trial = current_ids.get(record.spec.text) if record else None
        if record and trial is not None and trial != path.name and not folder.trial_path(trial).exists():
            changed.append(path.name)
            rules_changed = rules_changed or record.identity.rules != RULES
    if changed:
        reason = (
            "the rules that identify a trial have changed since they were recorded"
            if rules_changed
            else "the source of their agent or environment has changed since they were recorded"
        )
        more = ", ..." if len(changed) > 3 else ""
        raise RecordError(
            f"{folder.path} has {len(changed)} recorded trials that would run again from their beginning, at their "
            f"full cost: {', '.join(changed[:3])}{more}; {reason}. Pass --again to run them again (again=True in "
            "Python); `opto-gym report` and `opto-gym replay` can read them without that"
        )


def execute(plan: Plan, out: Path, *, jobs: int, progress: bool, notices: Sequence[str] = ()) -> RunResult:
    """Runs the trials of a plan.

    ``run.json`` is written first. It keeps the trials of earlier plans in the same folder.

    Args:
        plan: The plan.
        out: The run's folder.
        jobs: Number of trials that run at a time.
        progress: Whether to show progress.
        notices: Lines to print before the trials start.

    Raises:
        ValueError: If `jobs` is less than 1, or greater than 1 for an agent that asks a person.
        RecordError: If the folder holds files that no run has written, or can't be used.
        SandboxError: If a task runs proposed code, and this machine's sandbox is weaker than the required level.
    """
    if jobs < 1:
        raise ValueError(f"expected at least 1 job, got {jobs}")
    if any(planned.runs_code for planned in plan.trials.values()):
        shared().check()
    folder = RunFolder(out)
    _check_folder(folder)
    folder.lock()
    try:
        planned_specs = {planned.spec.text for planned in plan.trials.values()}
        earlier = _earlier_trials(folder.plan, plan.test_scores) if folder.has_plan else []
        folder.write_plan(
            RunRecord(
                version=VERSION,
                trials=[
                    *(trial for trial in earlier if trial.spec.text not in planned_specs),
                    *(
                        PlannedTrial(spec=planned.spec, limits=planned.limits, test_scores=planned.test_scores)
                        for planned in plan.trials.values()
                    ),
                ],
                skipped=list(plan.skipped),
                cap=plan.cap,
                test_scores=plan.test_scores,
                jobs=jobs,
            )
        )
        return _Execution(plan, folder, jobs, progress).run(notices)
    finally:
        folder.unlock()


def _earlier_trials(earlier: RunRecord, test_scores: str) -> list[PlannedTrial]:
    """The trials of an earlier plan, which are scored as that said where the new plan's `test_scores` differs."""
    if earlier.test_scores == test_scores:
        return list(earlier.trials)
    return [replace(trial, test_scores=trial.test_scores or earlier.test_scores) for trial in earlier.trials]


def _check_folder(folder: RunFolder) -> None:
    """Checks that a folder is missing, empty, or a run's, so that records and reports are not mixed with other files.

    Raises:
        RecordError: If it holds other files.
    """
    if folder.has_plan or not folder.path.is_dir():
        return
    known = {".lock", "lock.txt", "trials", "run.json.part", "looks.jsonl"}
    foreign = sorted(path.name for path in folder.path.iterdir() if path.name not in known)
    if foreign:
        more = ", ..." if len(foreign) > 3 else ""
        raise RecordError(
            f"{folder.path} holds files that are not a run's: {', '.join(foreign[:3])}{more}. Expected a folder that "
            "is empty or missing, or that a run has made: choose another --out"
        )


class _Execution:
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
        self.stop = threading.Event()
        self.shared_scores: dict[str, ScoreRecord] = {}
        self.done: list[Outcome] = []
        self.todo: dict[str, Planned] = {}

    def run(self, notices: Sequence[str]) -> RunResult:
        """Runs the trials that are not finished.

        Args:
            notices: Lines to print before the trials start.
        """
        for name, planned in self.plan.trials.items():
            finished = _finished(self.folder.trial_path(name), planned, self.plan)
            if finished is None:
                self.todo[name] = planned
                continue
            assert finished.summary is not None
            self.done.append(_outcome(name, self.folder.trial_path(name), finished.summary))
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
        with Progress(len(calls), len(self.done), calls, self.show_progress, bar=not interactive) as progress:
            for notice in notices:
                progress.say(notice)
            for env, agent, reason in self.plan.skipped:
                progress.say(f"skipped {agent} on {env}: {reason}")
            self._run_trials(progress, interactive)
        order = list(self.plan.trials)
        trials = sorted(self.done, key=lambda outcome: order.index(outcome.trial))
        return RunResult(self.folder.path, tuple(trials), self.plan.skipped)

    def _run_trials(self, progress: Progress, interactive: bool) -> None:
        """Runs the trials of `todo`. If one raises, or at Ctrl-C, stops all others and raises the error."""
        runners = [self._runner(name, planned, progress) for name, planned in self.todo.items()]
        with ThreadPoolExecutor(self.jobs) as pool:
            futures: list[Future[Outcome]] = [pool.submit(runner.run) for runner in runners]
            try:
                pending = set(futures)
                while pending:
                    ready, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in ready:
                        outcome = future.result()
                        self.done.append(outcome)
                        progress.trial(outcome)
            except BaseException:
                self.stop.set()
                self.run_budget.stop()  # refuses model calls too, for agents that make no oracle call for a long time
                for future in futures:
                    future.cancel()
                progress.say(
                    "stopping: leave the prompt with Ctrl-D" if interactive else "stopping after the calls in flight"
                )
                raise

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
            stop=self.stop,
        )


def _outcome(trial: str, path: Path, summary: TrialSummary) -> Outcome:
    """How a trial ended that was done before."""
    caveats = summary.caveats or []
    return Outcome(trial, path, "done", steps=summary.oracle_calls, ledger=summary.ledger, caveats=caveats)


def left_to_do(plan: Plan, out: Path) -> Plan:
    """The plan without the trials that are finished in a folder. Those that are not finished are whole in it."""
    path = RunFolder(out).trial_path
    return plan.only(t for t, planned in plan.trials.items() if _finished(path(t), planned, plan) is None)


def _finished(path: Path, planned: Planned, plan: Plan) -> TrialRecord | None:
    """The record of a trial that needs no further work; None if the trial is new, unfinished, or can be continued."""
    record = read_trial(path)
    if record is None or record.summary is None or record.status != "done":
        return None
    if record.test_scores != (planned.test_scores or plan.test_scores):
        return None
    done = record.ended == "solved" or _same_budget(record, planned.limits, plan.cap, planned.spec)
    return record if done else None


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
