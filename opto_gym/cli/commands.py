"""Which function runs each command. Its module is imported only when the command runs, so that help is quick."""

from __future__ import annotations

import argparse
import importlib

COMMANDS = {
    "envs": "listing:list_envs",
    "agents": "listing:list_agents",
    "doctor": "doctor:show_machine",
    "play": "play:play_game",
    "prompt": "prompt:show_prompt",
    "tokens": "prompt:show_tokens",
    "read": "read:show_reading",
    "run": "trials:run_trials",
    "report": "trials:write_report",
    "replay": "trials:replay_trials",
    "compare": "trials:compare_agents",
    "reproduce": "trials:reproduce_figures",
    "models": "downloads:manage_models",
    "data": "downloads:manage_data",
    "external": "downloads:manage_packages",
}
"""``"module:function"`` by command; the function takes the parsed options and returns the exit status."""


def run_command(options: argparse.Namespace) -> int:
    """Runs the command that the options name.

    Returns:
        The exit status.
    """
    module, _, function = COMMANDS[options.command].partition(":")
    status: int = getattr(importlib.import_module(f"{__package__}.{module}"), function)(options)
    return status
