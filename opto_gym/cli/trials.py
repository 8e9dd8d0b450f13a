"""``opto-gym run``, ``report``, ``replay``, ``compare`` and ``reproduce``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..utils.text import visible
from .arguments import (
    FIXED_BY_FOLDER,
    parse_agent,
    parse_cap,
    parse_env,
    parse_seeds,
    plan_settings,
    run_config,
    trial_limits,
)
from .models import moved

if TYPE_CHECKING:
    from ..leaderboard import Outcome

_SHOWN = 10  # differences of a trial


def run_trials(options: argparse.Namespace) -> int:
    """Runs ``opto-gym run``: new trials, or those that a run's folder lacks."""
    from .. import leaderboard
    from ..leaderboard.runner import execute
    from ..sandbox import start_ahead
    from . import estimates

    if options.sandbox:
        os.environ["OPTO_GYM_SANDBOX"] = options.sandbox
    if options.resume:
        return _resume_run(options)
    if options.again:
        raise ValueError("--again belongs to --resume: it runs trials again whose identity has changed")
    config = run_config(options)
    if options.print_config:
        print(config.to_toml(), end="")
        return 0
    if config.suite is None and not (config.envs and config.agents):
        raise ValueError(
            "expected at least one --env and one --agent (see opto-gym envs, opto-gym agents), or a --suite"
        )
    if not options.dry_run:
        start_ahead()
    plan = leaderboard.plan(config, trust=options.trust)
    if options.dry_run:
        estimates.show_outline(plan, out=config.out, jobs=config.jobs)
        return 0
    if config.out is None:
        raise ValueError("expected --out, the folder to record the run in")
    if not (options.yes or estimates.confirmed(plan, out=config.out, jobs=config.jobs)):
        print("nothing was run")
        return 1
    return show_end(execute(plan, Path(config.out), jobs=config.jobs, progress=not options.quiet))


def _resume_run(options: argparse.Namespace) -> int:
    from .. import leaderboard

    given = (getattr(options, name) for name in FIXED_BY_FOLDER)
    if any(value is not None and value is not False and value != [] for value in given):
        raise ValueError(
            "--resume takes everything from the run's folder; only budgets, prices, addresses, --timeout, "
            "--attempts, --concurrency, --jobs and --sandbox may change"
        )
    resumed = leaderboard.resume(
        options.resume,
        limits=trial_limits(options),
        cap=parse_cap(options.cap),
        jobs=options.jobs,
        progress=not options.quiet,
        again=options.again,
        trust=options.trust,
        **moved(options),
    )
    return show_end(resumed)


def compare_agents(options: argparse.Namespace) -> int:
    """Runs ``opto-gym compare``."""
    from ..leaderboard import comparison
    from ..leaderboard.reporting import comparison_page
    from . import estimates

    if options.sandbox:
        os.environ["OPTO_GYM_SANDBOX"] = options.sandbox
    settings = plan_settings(options)
    what: dict[str, Any] = {
        "envs": [parse_env(e) for e in options.env],
        "suite": options.suite,
        "seeds": parse_seeds(options.seeds) if options.seeds else None,
        "out": options.out,
        "test_scores": options.test_scores,
        "trust": options.trust,
        **settings,
        "cap": settings["cap"] or None,
    }
    agent, against = parse_agent(options.agent), parse_agent(options.against, "--against")
    jobs = 1 if options.jobs is None else options.jobs
    if options.dry_run:
        estimates.show_outline(comparison.comparison_plan(agent, against, **what), out=options.out, jobs=jobs)
        return 0
    found = comparison.compare(agent, against, jobs=jobs, progress=not options.quiet, **what)
    comparison_page.show(found)
    print(visible(f"\n{found.page}"))
    return 1 if any(t.record.status == "failed" for r in found.rows for t in (*r.ours, *r.theirs)) else 0


def show_end(result: Any) -> int:
    """Prints how a run ended, and what it spent; returns the exit status."""
    from ..leaderboard.spending import described, summed

    failed = [t for t in result.trials if t.status != "done"]
    for t in failed:
        where = f" (the traceback is in {t.path / 'trial.json'})" if t.status == "failed" else ""
        print(visible(f"{t.status}: {t.trial}: {t.error}{where}"), file=sys.stderr)
    roles = summed([t.ledger for t in result.trials if t.ledger is not None])
    spent = described(roles)
    if spent:
        hint = " (scoring is not in the budget of a trial, only in --cap)" if roles["scoring"].calls else ""
        print(f"spent: {spent}{hint}")
    without = sum(bool(t.caveats) for t in result.trials)
    meaning = f", {without} of those done without meaning" if without else ""
    done = f"{len(result.trials) - len(failed)} trials done, {len(failed)} failed{meaning}"
    print(visible(f"{done}. See: opto-gym report {result.path}"))
    return 1 if failed else 0


def write_report(options: argparse.Namespace) -> int:
    """Runs ``opto-gym report``."""
    from ..leaderboard import report

    damaged: dict[str, str] = {}
    print(visible(f"\n{report(options.run, damaged)}"))
    return 1 if damaged else 0


def replay_trials(options: argparse.Namespace) -> int:
    """Runs ``opto-gym replay``; the exit status is 0 only if every record verifies a result and agrees."""
    from ..errors import OptoGymError
    from ..leaderboard import replay
    from ..leaderboard.unverifiable import REASONS

    outcomes, failed = [], False
    for path in options.trial:
        try:
            outcome = replay(path, trust=options.trust)
        except OptoGymError as e:  # the other trials are replayed all the same
            failed = True
            print(visible(f"opto-gym: {e}"), file=sys.stderr)
            continue
        outcomes.append(outcome)
        for line in _verdict(outcome):
            print(visible(line))
    listed = {name: [outcome.trial for outcome in outcomes if name in outcome.unverifiable] for name in REASONS}
    if any(listed.values()):
        print("not verifiable:")
    for name, trials in listed.items():
        if trials:
            of = "" if len(trials) == len(outcomes) else f" ({', '.join(trials)})"
            print(visible(f"  {name}: {REASONS[name]}{of}"))
    return 1 if failed or any(outcome.differences or outcome.incomplete for outcome in outcomes) else 0


def _verdict(outcome: Outcome) -> Iterator[str]:
    """What a replay found, as lines."""
    for notice in outcome.notices:
        yield f"{outcome.trial}: {notice}"
    number = len(outcome.differences)
    if number:
        yield f"{outcome.trial}: {number} {'difference' if number == 1 else 'differences'}"
        for difference in outcome.differences[:_SHOWN]:
            yield f"  {difference}"
        if number > _SHOWN:
            yield f"  and {number - _SHOWN} more"
    elif outcome.incomplete:
        yield f"{outcome.trial}: {outcome.incomplete}: nothing is verified"
    else:
        yield f"{outcome.trial}: all {outcome.steps} calls agree with the record"


def reproduce_figures(options: argparse.Namespace) -> int:
    """Runs ``opto-gym reproduce``: lists recipes, runs them, or writes the documentation's page."""
    from ..baselines import recipes
    from ..errors import OptoGymError
    from ..leaderboard import reproduction as reproduce
    from ..leaderboard.reporting import reproduction_page as figures

    out, complete = Path(options.out), True
    if options.docs:
        try:
            figures.docs(out, Path(options.docs))
        except OSError as e:
            raise OptoGymError(f"{options.docs} can't be written: {e}") from e
        print(options.docs)
    elif [name.lower() for name in options.name] in ([], ["list"]):
        for name in recipes.names():
            print(f"{name:12} {recipes.load(name).title}")
    else:
        for recipe in [recipes.load(name) for name in options.name]:
            settings = {"curves": options.curve, "model": options.model, "base_url": options.base_url}
            jobs = reproduce.jobs(recipe, options.size, out, **settings)
            for line in reproduce.estimates(jobs):
                print(f"{recipe.name}: {line}", flush=True)
            if not options.dry_run:
                complete &= reproduce.run(jobs, workers=options.jobs, progress=not options.quiet)
                written = figures.report(recipe, options.size, out)
                complete &= bool(written)
                print("\n".join(map(str, written)) or f"{recipe.name}: nothing was measured, so no figure is written")
    return 0 if complete else 1
