"""Running a set of trials: the threads, resuming."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import msgspec

from .. import registration
from ..agents.human import check_terminal
from ..errors import RecordError
from ..llm import LIMITS, Budget, Reservation, local
from ..sandbox import shared
from ..utils.extras import require
from ..wrappers.observations import unwrapped
from .config import Named, RunConfig
from .identity import RULES
from .planning import Environments, Plan, Planned, grid
from .progress import Progress
from .records import RunFolder, TrialFolder
from .schema import VERSION, Amounts, Limits, PlannedTrial, RunRecord, ScoreRecord, TrialRecord
from .spec import TrialSpec
from .suites import suite_plan
from .trial import Outcome, TrialRunner


@dataclasses.dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did.

    Attributes:
        path: Its folder.
        trials: How each trial ended.
        skipped: Pairs that can't work together, with the reason.
    """

    path: Path
    trials: tuple[Outcome, ...]
    skipped: tuple[tuple[str, str, str], ...] = ()


def plan(envs: Iterable[Named] | RunConfig, agents: Iterable[Named] = (), **keywords: Any) -> Plan:
    """What a run would do: its trials, and what they may cost (`Plan.estimate`).

    Args:
        envs: Environments, or a whole `RunConfig`.
        agents: Agents.
        keywords: What `RunConfig.of` takes: ``seeds``, ``limits`` (the budget of a trial), ``cap``, models, ...

    Raises:
        ValueError: For an impossible grid or budget, or if nothing can run.
        MissingExtra: If an extra that one of them needs is not installed.
    """
    config = envs if isinstance(envs, RunConfig) else RunConfig.of(envs, agents, **keywords)
    if config.suite is None:
        return grid(config)
    names = ("cap", "model", "optimizer_model", "task_model", "base_url", "mask", "feedback", "wrappers", "test_scores")
    more = {name: getattr(config, name) for name in names}
    return suite_plan(config.suite, seeds=config.seeds, limits=config.budget, agents=config.agents or None, **more)


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
    """Runs every agent on every environment with every seed, and records all of it.

    Trials that are done are not run again; interrupted ones are continued from their record, and so are done ones that
    get a larger budget.

    Args:
        envs: Ids or ``module:Class``, or (id, arguments); or a whole `RunConfig`.
        agents: Names or ``module:Class``, or (name, settings).
        out: The run's folder; None for the configuration's.
        oracle_calls: Budget of a trial: oracle calls.
        evaluations: Budget of a trial: example evaluations.
        llm_calls: Budget of a trial: calls of the model.
        tokens: Budget of a trial: tokens in and out.
        usd: Budget of a trial: money.
        seconds: Budget of a trial: wall time.
        jobs: Trials at a time; None for one, or as the configuration says.
        progress: Show progress.
        keywords: The other fields of `RunConfig`: ``seeds``, ``cap``, ``model``, ``mask``, ``test_scores``, ...

    Raises:
        ValueError: For an impossible grid or budget.
        MissingExtra: If an extra that one of them needs is not installed; nothing is run.
        RecordError: If the folder can't be used.
        KeyboardInterrupt: After Ctrl-C; the run can be resumed.
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
        raise ValueError("expected out, the folder to record the run in")
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
    """Continues a run, from its folder alone.

    Args:
        out: The run's folder.
        limits: Budgets of a trial that replace those of the same name; not less than what a trial has spent already.
        cap: Budgets of the whole run, likewise.
        jobs: Trials at a time; None for as many as before.
        progress: Show progress.
        again: Run trials again, from their beginning, whose identity has changed since they were recorded.

    Raises:
        ValueError: If a budget is less than what is spent already.
        RecordError: If the identity of a recorded trial has changed, unless `again` is set; nothing is run.
    """
    folder = RunFolder(Path(out))
    record = folder.plan
    Budget(limits)
    Budget(cap)
    notices = _lowered(folder, record, limits or {}, cap or {})
    trials: dict[str, Planned] = {}
    environments = Environments()
    for one in record.trials:
        require(*registration.agent_class(one.spec.agent).needs)
        env = environments.of(one.spec)
        identity = one.spec.identity(env)
        planned = Planned(one.spec, identity, one.limits.with_changes(limits or {}), unwrapped(env).runs_code)
        trials[one.spec.trial_id(identity)] = planned
    if not again:
        _check_identities(folder, trials)
    made = Plan(trials, tuple(record.skipped), record.cap.with_changes(cap or {}), record.test_scores)
    jobs = record.jobs if jobs is None else jobs
    return execute(made, Path(out), jobs=jobs, progress=progress, notices=notices)


def _lowered(
    folder: RunFolder, record: RunRecord, limits: Mapping[str, float | None], cap: Mapping[str, float | None]
) -> list[str]:
    """What to say of budgets that are less than the recorded ones.

    Raises:
        ValueError: If one is less than what is spent already.
    """
    spent = [_spent(TrialFolder(path)) for path in folder.trials()]
    notices = []
    for whose, asked, before, total in (
        ("a trial", limits, [one.limits for one in record.trials], max),
        ("the whole run", cap, [record.cap], sum),
    ):
        for name, value in ((n, v) for n, v in asked.items() if v is not None):
            used = total([float(getattr(amounts, name)) for amounts in spent] or [0.0])
            if value < used:
                raise ValueError(
                    f"expected {name} of at least {used:g}, which {whose} has spent already, got {value:g}"
                )
            old = max((getattr(one, name) for one in before if getattr(one, name) is not None), default=value)
            if value < old:
                notices.append(f"the budget of {whose} is lowered from {old:g} to {value:g} {name}")
    return notices


def _spent(folder: TrialFolder) -> Amounts:
    """What a trial has spent so far; of one that was killed, up to its last oracle call."""
    record = folder.trial()
    if record is not None and record.summary is not None:
        return record.summary.spent
    steps = folder.steps()
    return msgspec.structs.replace(steps[-1].spent, oracle_calls=len(steps) - 1.0) if steps else Amounts()


def _check_identities(folder: RunFolder, trials: Mapping[str, Planned]) -> None:
    """Refuses to run trials again that are recorded under another identity: each would be paid for twice."""
    names = {planned.spec.text: trial for trial, planned in trials.items()}
    changed, rules = [], False
    for path in folder.trials():
        record = TrialFolder(path).trial()
        trial = names.get(record.spec.text) if record else None
        if record and trial is not None and trial != path.name and not folder.trial_path(trial).exists():
            changed.append(path.name)
            rules = rules or record.identity.rules != RULES
    if changed:
        why = (
            "the rules that identify a trial have changed since they were recorded"
            if rules
            else "the source of their agent or environment has changed since they were recorded"
        )
        more = ", ..." if len(changed) > 3 else ""
        raise RecordError(
            f"{folder.path} has {len(changed)} recorded trials that would run again from their beginning, at their "
            f"full cost: {', '.join(changed[:3])}{more}; {why}. Pass --again to run them again (again=True in Python); "
            "`opto-gym report` and `opto-gym replay` read them as they are"
        )


def execute(plan: Plan, out: Path, *, jobs: int, progress: bool, notices: Sequence[str] = ()) -> RunResult:
    """Runs a plan in its folder.

    Args:
        plan: What to run.
        out: The folder.
        jobs: Trials at a time.
        progress: Show progress.
        notices: What to say first.

    Raises:
        ValueError: If there is no job.
        RecordError: If the folder holds files that no run has made, or can't be used.
        SandboxError: If this machine's sandbox is less than was asked for, and a task runs an optimizer's code.
    """
    if jobs < 1:
        raise ValueError(f"expected at least 1 job, got {jobs}")
    if any(planned.runs_code for planned in plan.trials.values()):
        shared().check()
    folder = RunFolder(out)
    _check_folder(folder)
    folder.lock()
    try:
        wanted = {planned.spec.text for planned in plan.trials.values()}
        before = folder.plan.trials if folder.has_plan else []
        folder.write_plan(
            RunRecord(
                version=VERSION,
                trials=[
                    *(one for one in before if one.spec.text not in wanted),
                    *(PlannedTrial(spec=planned.spec, limits=planned.limits) for planned in plan.trials.values()),
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


def _check_folder(folder: RunFolder) -> None:
    """Refuses a folder with files in it that is no run's: a run would lie between them, and a report over them."""
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
    """The trials of a plan at work."""

    def __init__(self, plan: Plan, folder: RunFolder, jobs: int, show: bool) -> None:
        self.plan, self.folder, self.jobs, self.show = plan, folder, jobs, show
        self.whole = Budget(plan.cap.to_dict())
        self.stop = threading.Event()
        self.shared_scores: dict[str, ScoreRecord] = {}
        self.done: list[Outcome] = []
        self.todo: dict[str, Planned] = {}

    def run(self, notices: Sequence[str]) -> RunResult:
        """Runs what is not finished, `jobs` trials at a time."""
        for name, planned in self.plan.trials.items():
            finished = _finished(self.folder.trial_path(name), planned, self.plan)
            if finished is None:
                self.todo[name] = planned
                continue
            assert finished.summary is not None
            path = self.folder.trial_path(name)
            self.done.append(Outcome(name, path, "done", steps=finished.summary.oracle_calls))
            Reservation(self.whole, _paid(finished)).settle()
        specs = [planned.spec for planned in self.todo.values()]
        if any("local" in (spec.optimizer_model, spec.task_model) for spec in specs):
            local.server()  # before any trial: its start stops all threads for a second, which a time limit would feel
        person = any(registration.agent_class(spec.agent).in_terminal for spec in specs)
        if person:
            check_terminal()
            if self.jobs > 1:
                raise ValueError(f"a person does one trial at a time: expected 1 job, got {self.jobs}")
        calls = {trial: planned.limits.oracle_calls for trial, planned in self.plan.trials.items()}
        with Progress(len(calls), len(self.done), calls, self.show, bar=not person) as progress:
            for notice in notices:
                progress.say(notice)
            for env, agent, why in self.plan.skipped:
                progress.say(f"skipped {agent} on {env}: {why}")
            self._run_trials(progress, person)
        order = list(self.plan.trials)
        trials = sorted(self.done, key=lambda outcome: order.index(outcome.trial))
        return RunResult(self.folder.path, tuple(trials), self.plan.skipped)

    def _run_trials(self, progress: Progress, person: bool) -> None:
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
                self.whole.stop()  # stops agents too that make no oracle call for a long time
                for future in futures:
                    future.cancel()
                progress.say(
                    "stopping: leave the prompt with Ctrl-D" if person else "stopping after the calls in flight"
                )
                raise

    def _runner(self, name: str, planned: Planned, progress: Progress) -> TrialRunner:
        return TrialRunner(
            planned.spec,
            self.folder.trial_path(name),
            limits=planned.limits,
            test_scores=self.plan.test_scores,
            parent=self.whole,
            cap=self.plan.cap,
            identity=planned.identity,
            shared_scores=self.shared_scores,
            progress=progress.step,
            stop=self.stop,
        )


def _finished(path: Path, planned: Planned, plan: Plan) -> TrialRecord | None:
    """The record of a trial that is done under the same budget; None if there is something left to do."""
    record = TrialFolder(path).trial() if (path / "trial.json").exists() else None
    if record is None or record.summary is None or record.status != "done" or record.test_scores != plan.test_scores:
        return None
    done = record.ended == "solved" or _same_budget(record, planned.limits, plan.cap, planned.spec)
    return record if done else None


def _same_budget(record: TrialRecord, limits: Limits, cap: Limits, spec: TrialSpec) -> bool:
    """Whether no limit has changed that could make the trial longer.

    A trial that would begin again does so only for what it lacked.
    """
    names = LIMITS if spec.resumable else ((record.ended or "").removeprefix("budget: "),)
    pairs = ((record.limits.to_dict(), limits.to_dict()), (record.cap.to_dict(), cap.to_dict()))
    return all(old.get(name) == new.get(name) for old, new in pairs for name in names)


def _paid(record: TrialRecord) -> dict[str, float]:
    """What a finished trial took of the whole run's budget, scoring too; time is each session's own."""
    assert record.summary is not None
    test = record.summary.ledger.test
    spent = msgspec.structs.asdict(record.summary.spent)
    del spent["seconds"]
    spent["llm_calls"] += test.calls
    spent["tokens"] += test.tokens
    spent["usd"] += test.usd or 0.0
    return spent
