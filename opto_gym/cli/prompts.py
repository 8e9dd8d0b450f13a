"""``opto-gym play``, ``prompt``, ``tokens``."""

from __future__ import annotations

import argparse
import json

from .arguments import parse_named


def play_game(options: argparse.Namespace) -> int:
    """``opto-gym play``."""
    from .play import play

    name, arguments = parse_named(options.env)
    play(name, arguments, seed=options.seed)
    return 0


def show_prompt(options: argparse.Namespace) -> int:
    """``opto-gym prompt``."""
    from rich.console import Console
    from rich.table import Table

    from ..errors import MissingExtra
    from . import prompt as prompts

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
    """``opto-gym tokens``."""
    from rich.console import Console
    from rich.table import Table

    from . import prompt as prompts

    table = Table("environment", "agent", "system", "user", "tokens", box=None)
    for row in prompts.token_table():
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
    Console().print(table)
    return 0
