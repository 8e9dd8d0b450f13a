"""``opto-gym read``: how an agent reads an answer of its model, and why it refuses it. Nothing is sent."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import registration
from ..agents.base import Agent
from ..agents.opro import OPRO
from ..agents.opro_trace import OPROTrace
from ..agents.optoprime import OptoPrime
from ..agents.textgrad import TextGrad
from ..errors import OptoGymError
from ..problems import Parameter, Problem
from ..reading.no_change import says_no_change
from ..reading.proposals import Unusable
from ..reading.reasoning import without_reasoning
from ..utils.text import visible
from ..wrappers.observations import unwrapped
from .arguments import UsageError, parse_agent, parse_env


def show_reading(options: argparse.Namespace) -> int:
    """Runs ``opto-gym read AGENT ENV FILE``; the exit status is 1 where the answer is refused."""
    (agent, settings), (env, arguments) = parse_agent(options.agent, "AGENT"), parse_env(options.env, "ENV")
    text = answer_in(options.file)
    problem = unwrapped(registration.make(env, disable_env_checker=True, **arguments)).problem
    made = registration.make_agent(agent, **settings)
    made.reset(problem, seed=0)
    kept = without_reasoning(text, cut=options.cut, keep=[p.name for p in problem.parameters])
    print(f"{len(text):,} characters, of which {len(text) - len(kept):,} are reasoning or around it.")
    usable = False
    for asked, change, reason in readings(made, problem, text, cut=options.cut):
        usable = usable or reason is None
        if len(asked) == 1 and len(problem.parameters) > 1:
            print(f"\nAs the answer about {asked[0].name}:")
        if reason is not None:
            print(visible(f"Refused: {reason}"))
        elif not change:
            print(f"{'No change is needed' if says_no_change(kept) else 'Nothing changes'}: it proposes what it had.")
        else:
            Console().print(values_table(asked, change, problem.start))
    return 0 if usable else 1


def answer_in(file: str) -> str:
    """The text of a file, or of the standard input for ``-``.

    Raises:
        UsageError: If it can't be read.
    """
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode()  # line ends stay as they are
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"can't read the answer from {file!r}: {e}") from e


def readings(
    agent: Agent, problem: Problem, text: str, *, cut: bool = False
) -> Iterator[tuple[tuple[Parameter, ...], Mapping[str, Any], str | None]]:
    """How an agent at the start values of a problem reads an answer.

    Args:
        agent: The agent, after `reset`.
        problem: The problem.
        text: The answer.
        cut: Whether the answer ended by length.

    Yields:
        (the parameters that were asked for, the values that change by name, why it is refused or None): once, or for
        TextGrad, which asks for one parameter at a time, once for each.

    Raises:
        OptoGymError: If the agent does not read answers itself.
    """
    alone = [dataclasses.replace(problem, parameters=(p,)) for p in problem.parameters]
    for asked in alone if isinstance(agent, TextGrad) else [problem]:
        change: Mapping[str, Any] = {}
        reason = None
        try:
            if isinstance(agent, TextGrad):
                read = agent.read_change(text, asked, cut=cut)
                change = {name: value for name, value in read.items() if value != problem.start[name]}
            elif isinstance(agent, OptoPrime | OPRO | OPROTrace):
                change = agent.read_change(text, cut=cut)
            else:
                raise OptoGymError(f"{type(agent).__name__} reads no answers of a model, or its package does")
        except Unusable as e:
            reason = str(e)
        yield asked.parameters, change, reason


def values_table(asked: tuple[Parameter, ...], change: Mapping[str, Any], start: Mapping[str, Any]) -> Table:
    """A row for each parameter: what it is read as, and whether that is in its space."""
    table = Table("parameter", "read as", "", box=None)
    for p in asked:
        if p.name not in change:
            table.add_row(p.name, "", "not in the answer: stays")
            continue
        value = change[p.name]
        shown = value if isinstance(value, str) else json.dumps(value)
        wrong = p.space.invalid_reason(value)
        verdict = f"refused when it is evaluated: {wrong}" if wrong else "the same" if value == start[p.name] else ""
        table.add_row(p.name, Text(shown), Text(verdict))
    return table
