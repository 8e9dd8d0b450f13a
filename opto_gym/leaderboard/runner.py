"""Running a set of trials: the grid, the threads, resuming, replaying."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from .. import registration
from ..agents.human import check_terminal
from ..errors import RecordError
from ..llm import LIMITS, Budget, Reservation, local
from ..sandbox import shared
from ..utils.extras import require
from ..wrappers.observations import unwrapped
from .identity import RULES
from .planning import Named, Plan, plan
from .progress import Progress
from .records import RunFolder, TrialFolder
from .spec import Spec
from .trial import Outcome, Trial


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


def run(
    envs: Iterable[Named],
    agents: Iterable[Named],
    *,
    out: str | Path,
    seeds: int | Sequence[int] = 5,
    oracle_calls: int | None = None,
    evaluations: int | None = None,
    llm_calls: int | None = None,
    tokens: int | None = None,
    usd: float | None = None,
    seconds: float | None = None,
    cap: Mapping[str, float | None] | None = None,
    model: str | None = None,
    optimizer_model: str | None = None,
    task_model: str | None = None,
    base_url: str | None = None,
    mask: Sequence[str] = (),
    feedback: Sequence[str] | None = None,
    wrappers: Sequence[Named] = (),
    test_scores: str = "each",
    jobs: int = 1,
    progress: bool = True,
) -> RunResult:
    """Runs every agent on every environment with every seed, and records all of it.

    Trials that are done are not run again; interrupted ones go on from their record; with a larger budget, done ones go
    on too.

    Args:
        envs: Ids or ``module:Class``, or (id, arguments).
        agents: Names or ``module:Class``, or (name, settings).
        out: The run's folder.
        seeds: How many, or which.
        oracle_calls: Budget of a trial: oracle calls.
        evaluations: Budget of a trial: example evaluations.
        llm_calls: Budget of a trial: calls of the model.
        tokens: Budget of a trial: tokens in and out.
        usd: Budget of a trial: money.
        seconds: Budget of a trial: wall time.
        cap: Budget of the whole run, by the same names.
        model: For both roles; ``"local"`` is the embedded one.
        optimizer_model: The agents' model.
        task_model: The model inside environments.
        base_url: Their endpoint.
        mask: Parts of the graph to hide.
        feedback: Kinds of feedback to keep.
        wrappers: More wrappers, the innermost first: names in `opto_gym.wrappers`, or (name, arguments).
        test_scores: ``each``, ``end`` or ``never``.
        jobs: Trials at a time.
        progress: Show progress.

    Raises:
        ValueError: For an impossible grid or budget.
        MissingExtra: If an extra that one of them needs is not installed; nothing is run.
        RecordError: If the folder can't be used.
        KeyboardInterrupt: After Ctrl-C; the run can be resumed.
    """
    limits = {
        "oracle_calls": oracle_calls,
        "evaluations": evaluations,
        "llm_calls": llm_calls,
        "tokens": tokens,
        "usd": usd,
        "seconds": seconds,
    }
    made = plan(
        envs,
        agents,
        seeds=seeds,
        limits={k: v for k, v in limits.items() if v is not None},
        cap=cap,
        model=model,
        optimizer_model=optimizer_model,
        task_model=task_model,
        base_url=base_url,
        mask=mask,
        feedback=feedback,
        wrappers=wrappers,
        test_scores=test_scores,
    )
    return execute(made, Path(out), jobs=jobs, progress=progress)


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
        limits: Budgets of a trial that replace those of the same name.
        cap: Budgets of the whole run, likewise.
        jobs: Trials at a time; None for as many as before.
        progress: Show progress.
        again: Run trials again, from their beginning, whose identity has changed since they were recorded.

    Raises:
        RecordError: If the identity of a recorded trial has changed, unless `again` is set; nothing is run.
    """
    folder = RunFolder(Path(out))
    asked = folder.plan
    specs: dict[str, Spec] = {}
    budgets: dict[str, dict[str, float | None]] = {}
    new = {k: v for k, v in (limits or {}).items() if v is not None}
    for data, own in zip(asked["specs"], asked["limits"], strict=True):
        spec = Spec.from_dict(data)
        require(*registration.agent_class(spec.agent).needs)
        trial = spec.trial_id()
        specs[trial], budgets[trial] = spec, {**own, **new}
    if not again:
        _check_identities(folder, specs)
    skipped = tuple((env, agent, why) for env, agent, why in asked["skipped"])
    made = Plan(specs, skipped, budgets, {**asked["cap"], **(cap or {})}, asked["test_scores"])
    Budget(made.cap)
    return execute(made, Path(out), jobs=asked["jobs"] if jobs is None else jobs, progress=progress)


def _check_identities(folder: RunFolder, specs: Mapping[str, Spec]) -> None:
    """Refuses to run trials again that are recorded under another identity: each would be paid for twice."""
    names = {spec: trial for trial, spec in ((t, _frozen(s.to_dict())) for t, s in specs.items())}
    changed, rules = [], False
    for path in folder.trials():
        summary = TrialFolder(path).summary() or {}
        trial = names.get(_frozen(summary["spec"]))
        if trial is not None and trial != path.name and not folder.trial_path(trial).exists():
            changed.append(path.name)
            rules = rules or summary["identity"].get("rules", 1) != RULES
    if changed:
        why = (
            "the rules that identify a trial have changed since they were recorded"
            if rules
            else "the source of their agent or environment has changed since they were recorded"
        )
        raise RecordError(
            f"{folder.path} has {len(changed)} recorded trials that would run again from their beginning, at their "
            f"full cost: {', '.join(changed[:3])}{', ...' if len(changed) > 3 else ''}; {why}. Pass --again to run "
            "them again (again=True in Python); `opto-gym report` and `opto-gym replay` read them as they are"
        )


def _frozen(spec: Mapping[str, Any]) -> str:
    return json.dumps(spec, sort_keys=True)


def execute(plan: Plan, out: Path, *, jobs: int, progress: bool) -> RunResult:
    """Runs a plan in its folder.

    Raises:
        SandboxError: If this machine's sandbox is less than was asked for, and a task runs an optimizer's code.
    """
    if jobs < 1:
        raise ValueError(f"expected at least 1 job, got {jobs}")
    if any(unwrapped(spec.make_env()).runs_code for spec in plan.specs.values()):
        shared().check()
    folder = RunFolder(out)
    folder.lock()
    try:
        before = folder.plan if (out / "run.json").exists() else {"specs": [], "limits": []}
        asked = list(zip(map(Spec.from_dict, before["specs"]), before["limits"], strict=True))
        wanted = list(plan.specs.values())
        asked = [(s, own) for s, own in asked if s not in wanted]
        folder.write_plan(
            {
                "specs": [s.to_dict() for s in (*(s for s, _ in asked), *wanted)],
                "skipped": plan.skipped,
                "limits": [*(own for _, own in asked), *(plan.limits[trial] for trial in plan.specs)],
                "cap": plan.cap,
                "test_scores": plan.test_scores,
                "jobs": jobs,
            }
        )
        return _execute(plan, folder, jobs, progress)
    finally:
        folder.unlock()


def _execute(plan: Plan, folder: RunFolder, jobs: int, show: bool) -> RunResult:
    whole = Budget(plan.cap)
    known: dict[str, dict[str, Any]] = {}
    stop = threading.Event()
    done, todo = [], {}
    for name, spec in plan.specs.items():
        finished = _finished(folder.trial_path(name), plan)
        if finished is not None:
            done.append(finished)
            Reservation(whole, _paid(finished.path)).settle()
        else:
            todo[name] = spec
    if any("local" in (spec.optimizer_model, spec.task_model) for spec in todo.values()):
        local.server()  # before any trial: its start stops all threads for a second, which a time limit would feel
    person = any(registration.agent_class(spec.agent).in_terminal for spec in todo.values())
    if person:
        check_terminal()
        if jobs > 1:
            raise ValueError(f"a person does one trial at a time: expected 1 job, got {jobs}")
    calls = {trial: plan.limits[trial].get("oracle_calls") for trial in plan.specs}
    with Progress(len(plan.specs), len(done), calls, show, bar=not person) as progress:
        for env, agent, why in plan.skipped:
            progress.say(f"skipped {agent} on {env}: {why}")
        trials = {
            name: Trial(
                spec,
                folder.trial_path(name),
                limits=plan.limits[name],
                test_scores=plan.test_scores,
                parent=whole,
                cap=plan.cap,
                known=known,
                progress=progress.step,
                stop=stop,
            )
            for name, spec in todo.items()
        }
        with ThreadPoolExecutor(jobs) as pool:
            futures: dict[Future[Outcome], str] = {pool.submit(t.run): name for name, t in trials.items()}
            try:
                pending = set(futures)
                while pending:
                    ready, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in ready:
                        outcome = future.result()
                        done.append(outcome)
                        progress.trial(outcome)
            except BaseException:
                stop.set()
                whole.stop()  # heard by those too that make no oracle call for a long time
                for future in futures:
                    future.cancel()
                progress.say(
                    "stopping: leave the prompt with Ctrl-D" if person else "stopping after the calls in flight"
                )
                raise
    order = list(plan.specs)
    return RunResult(folder.path, tuple(sorted(done, key=lambda o: order.index(o.trial))), plan.skipped)


def _finished(path: Path, plan: Plan) -> Outcome | None:
    """The outcome of a trial that is done under the same budget, so that there is nothing left to do."""
    if not (path / "trial.json").exists():
        return None
    summary = TrialFolder(path).summary() or {}
    if summary.get("status") != "done" or summary["test_scores"] != plan.test_scores:
        return None
    ended, resumable = summary["ended"], plan.specs[path.name].resumable
    names = LIMITS if resumable else (ended.removeprefix("budget: "),)  # it would start again: only for what it lacked
    budgets = (summary["limits"], plan.limits[path.name]), (summary["cap"], plan.cap)
    if ended != "solved" and any(old.get(name) != new.get(name) for old, new in budgets for name in names):
        return None
    return Outcome(path.name, path, "done", steps=summary["summary"]["oracle_calls"])


def _paid(path: Path) -> dict[str, float]:
    """What a finished trial took of the whole run's budget, scoring too; time is each session's own."""
    summary = (TrialFolder(path).summary() or {})["summary"]
    paid, test = {k: v for k, v in summary["spent"].items() if k != "seconds"}, summary["ledger"]["test"]
    paid["llm_calls"] += test["calls"]
    paid["tokens"] += test["tokens_in"] + test["tokens_out"]
    paid["usd"] += test["usd"] or 0.0
    return paid
