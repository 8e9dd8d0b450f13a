"""What each command of the command line does, once `cli` has read its options. Imports what it needs when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .downloads import manage_data, manage_models, manage_packages
from .listing import show_machine, show_names
from .prompts import play_game, show_prompt, show_tokens
from .trials import compare_agents, replay_trials, reproduce_figures, run_trials, write_report

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
