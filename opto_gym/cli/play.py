"""``opto-gym play``: a person is the optimizer, in the terminal. Nothing is recorded."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .. import registration
from ..agents.human import HELP, ParameterConsole
from ..core import OptoEnv
from ..problems import normalized
from ..wrappers.observations import unwrapped
from .arguments import parse_env


def play_game(options: argparse.Namespace) -> int:
    """Runs ``opto-gym play ENV``."""
    name, arguments = parse_env(options.env, "ENV")
    play(name, arguments, seed=options.seed)
    return 0


def play(name: str, arguments: Mapping[str, Any], *, seed: int = 0) -> None:
    """Lets a person optimize an environment, by commands that are read from the standard input.

    Args:
        name: The environment's id or ``module:Class``.
        arguments: The environment's keyword arguments; `oracle_calls` among them is the budget.
        seed: The seed of the episode.
    """
    env = registration.make(name, disable_env_checker=True, **arguments)
    if "ansi" in env.metadata["render_modes"] and "render_mode" not in arguments:
        env = registration.make(name, disable_env_checker=True, render_mode="ansi", **arguments)
    Game(unwrapped(env), seed).run()


class Game(ParameterConsole):
    """One episode.

    Args:
        env: The environment.
        seed: The seed of the episode.
    """

    help = HELP.replace("quit ", "finish         score the best parameters on test, and end\nquit ")

    def __init__(self, env: OptoEnv, seed: int) -> None:
        self.env = env
        observation, self.info = env.reset(seed=seed)
        super().__init__(env.problem, observation)

    def run(self) -> None:
        """Plays until the problem is solved, the budget is spent, or the person ends the game."""
        while self.ask(self.info["call"]):
            observation, _, terminated, truncated, self.info = self.env.step(dict(self.values))
            self.take(observation)
            if terminated or truncated:
                self.shown(self.info["call"])
                self.title("Solved." if terminated else "All oracle calls are spent.")
                return self.finish()
        return None

    def obey(self, line: str) -> None:
        """Runs a command that is not an oracle call and costs nothing."""
        if line == "finish":
            self.finish()
        else:
            super().obey(line)

    def picture(self) -> str:
        """The state of the environment as text, or an empty text if it can't draw itself."""
        return str(self.env.render()).rstrip() if self.env.render_mode == "ansi" else ""

    def finish(self) -> None:
        """Scores the best parameters on test, and ends the game."""
        self.over = True
        self.say("Scoring the best parameters on test ... (Ctrl-C leaves it)")
        score = self.env.evaluate(self.best[1], split="test").score
        anchors = self.env.anchors
        known = None if anchors is None else anchors.start
        floor = self.env.evaluate(self.problem.start, split="test").score if known is None else known
        message = f"Score on test: {score:.6g}; the start values' is {floor:.6g}"
        if anchors is not None:
            scaled = normalized(score, floor, anchors.best, self.env.scale)
            message += f", the best known {anchors.best:.6g}: {scaled:.3f} of the way"
        self.title(f"{message}.")
