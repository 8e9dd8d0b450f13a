"""Plans, runs and resumes sets of trials. Trials run in parallel threads and are recorded in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .. import registration
from ..errors import DamagedRecord, RecordError
from ..llm import Budget
from ..sandbox import shared, start_ahead
from ..utils.extras import require
from ..wrappers.observations import unwrapped
from .amounts import Amounts
from .config import ENDPOINT_FIELDS, Named, RunConfig
from .endpoints import TRIAL_ROLES
from .execution import Execution, RunResult, finished_record
from .identity import RULES
from .planning import Environments, Plan, Planned, check_budget, grid
from .records import RunFolder, TrialFolder, read_trial
from .schema import VERSION, PlannedTrial, RunRecord
from .suites import suite_plan
from .trust import check as check_trust
from .trust import mark, of_config, of_specs


def plan(
    envs: Iterable[Named] | RunConfig, agents: Iterable[Named] = (), *, trust: bool = False, **keywords: Any
) -> Plan:
    """Plans a run without running it. `Plan.estimate` says what it may cost.

    Args:
        envs: Environments, as for `run`; or a complete `RunConfig`.
        agents: Agents, as for `run`.
        trust: As for `run`.
        keywords: Further arguments of `RunConfig.of`: ``seeds``, ``limits`` (a trial's budget), ``cap``, models, ...

    Raises:
        ValueError: If an argument or the budget is invalid, or if no agent can run on any of the environments.
        MissingExtra: If an extra that an environment or agent needs is not installed.
        TrustError: As for `run`.
    """
    config = envs if isinstance(envs, RunConfig) else RunConfig.of(envs, agents, **keywords)
    if config.suite is None:
        return grid(config)
    names = ("cap", "model", "optimizer_model", "task_model", *ENDPOINT_FIELDS)
    names += ("mask", "feedback", "wrappers", "test_scores", "test_seed")
    settings = {name: getattr(config, name) for name in names}
    settings |= {"agents": config.agents or None, "trust": trust}
    return suite_plan(config.suite, seeds=config.seeds, limits=config.budget, **settings)


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
    trust: bool = False,
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
        trust: Whether to run what a suite's file names and is not registered, if this user has not trusted it before;
            see `leaderboard.trust`. What the caller names needs no trust.
        keywords: Further fields of `RunConfig`: ``seeds``, ``cap``, ``model``, ``mask``, ``test_scores``, ...

    Raises:
        ValueError: If an argument or the budget is invalid, or if no agent can run on any of the environments.
        TypeError: If both a `RunConfig` and other settings are given.
        MissingExtra: If an extra that an environment or agent needs is not installed; then no trial runs.
        RecordError: If the folder can't be used, or a record in it is damaged.
        TrustError: If a suite's file names what is not registered, and `trust` is not set; then nothing runs.
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
    start_ahead()
    return execute(plan(config, trust=trust), Path(out), jobs=config.jobs if jobs is None else jobs, progress=progress)


def resume(
    out: str | Path,
    *,
    limits: Mapping[str, float | None] | None = None,
    cap: Mapping[str, float | None] | None = None,
    jobs: int | None = None,
    progress: bool = True,
    again: bool = False,
    trust: bool = False,
    **endpoints: Any,
) -> RunResult:
    """Continues a run from its folder alone.

    Args:
        out: The run's folder.
        limits: New limits of each trial's budget, by name. The other limits stay.
        cap: New limits of the whole run's budget, by name. The other limits stay.
        jobs: Number of trials that run at a time; None takes the number of the last session.
        progress: Whether to show progress.
        again: Whether to run recorded trials whose identity has changed again, from the beginning.
        trust: Whether to run what the folder names and is not registered, if this user has neither made nor trusted it;
            see `leaderboard.trust`.
        endpoints: New values of those fields of `RunConfig` that say how the models are asked, and that no result
            depends on: ``base_url`` and ``api_key_env``, also with ``optimizer_`` or ``task_`` before them;
            ``timeout``, ``attempts`` and ``prices``.

    Raises:
        ValueError: If a new limit is invalid, or less than what has been spent already; or if a trial has no limit.
        TrustError: If the folder names what is not registered, this user has not made it, and `trust` is not set. Then
            nothing runs.
        RecordError: If the folder holds no run, or if the identity of a recorded trial has changed and `again` is not
            set. Then no trial runs.
    """
    folder = RunFolder(Path(out))
    record = folder.plan
    Budget(limits)
    Budget(cap)
    moved = RunConfig.of(**endpoints)
    specs = [trial.spec.moved(moved.base_url, {r: moved.endpoint(r) for r in TRIAL_ROLES}) for trial in record.trials]
    given = of_config(moved)  # the caller names these addresses
    check_trust(tuple(code for code in of_specs(specs) if code not in given), out, trust=trust)
    notices = _check_new_limits(folder, record, limits or {}, cap or {})
    calls, new_cap = record.calls.with_changes(moved.calls), record.cap.with_changes(cap or {})
    trials: dict[str, Planned] = {}
    environments = Environments()
    for trial, spec in zip(record.trials, specs, strict=True):
        require(*registration.agent_class(spec.agent).needs)
        env = environments.of(spec)
        identity = spec.identity(env)
        new_limits = trial.limits.with_changes(limits or {})
        check_budget(new_limits.to_dict())
        if new_limits.usd is not None or new_cap.usd is not None:
            calls.check_prices(spec.optimizer_model, spec.task_model)
        planned = Planned(spec, identity, new_limits, unwrapped(env).runs_code, trial.test_scores)
        trials[spec.trial_id(identity)] = planned
    if not again:
        _check_identities(folder, trials)
    resumed = Plan(trials, tuple(record.skipped), new_cap, record.test_scores, calls)
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
    spent = [_spent_so_far(path) for path in folder.trials()]
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


def _spent_so_far(path: Path) -> Amounts:
    """What a trial has spent. If it was killed, this is known up to its last oracle call; if it is damaged, not."""
    try:
        folder = TrialFolder(path)
        record = folder.trial()
        if record is not None and record.summary is not None:
            return record.summary.spent
        steps = folder.steps()
    except DamagedRecord:
        return Amounts()
    return replace(steps[-1].spent, oracle_calls=len(steps) - 1.0) if steps else Amounts()


def _check_identities(folder: RunFolder, trials: Mapping[str, Planned]) -> None:
    """Checks that no recorded trial would run again because its identity has changed: it would be paid for twice.

    Raises:
        RecordError: If one would.
    """
    current_ids = {planned.spec.text: trial for trial, planned in trials.items()}
    changed, rules_changed = [], False
    for path in folder.trials():
        try:
            record = read_trial(path)
        except DamagedRecord:
            if path.name not in trials:
                raise
            continue  # its outcome will say so
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
        unmarked = mark(of_specs(plan.specs.values()), out)
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
                calls=plan.calls,
            )
        )
        return Execution(plan, folder, jobs, progress).run([*notices, unmarked] if unmarked else notices)
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


def left_to_do(plan: Plan, out: Path) -> Plan:
    """The plan without the trials that are finished in a folder. Those that are not finished are whole in it."""
    path = RunFolder(out).trial_path
    return plan.only(t for t, planned in plan.trials.items() if finished_record(path(t), planned, plan) is None)
