"""A person as the optimizer, in the terminal: ``opto-gym play ENV``."""

from __future__ import annotations

import ast
import contextlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import registration
from .core import OptoEnv, Parameter, TraceFeedback, normalized
from .spaces import Code, Prompt
from .wrappers.observations import unwrapped

HELP = """\
NAME = VALUE   set a parameter: a number, a choice, a list, a short text
edit [NAME]    write a parameter in your editor ($VISUAL or $EDITOR), or line by line where there is none
run            try the parameters as they stand: one oracle call
show           the parameters as they stand
graph          the trace of the last call, longer
best, start    go back to the best parameters so far, or to the first
finish         score the best parameters on test, and end
quit           end"""

SHORT, LONG = 3_000, 30_000
"""Characters of a trace after each call, and of one that is asked for."""


def play(name: str, arguments: Mapping[str, Any], *, seed: int = 0) -> None:
    """Lets a person optimize, by commands read from the standard input.

    Args:
        name: The environment.
        arguments: Its keyword arguments; `oracle_calls` among them is the budget.
        seed: The episode's.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives the prompt a history and its keys)
    env = registration.make(name, disable_env_checker=True, **arguments)
    if "ansi" in env.metadata["render_modes"] and "render_mode" not in arguments:
        env = registration.make(name, disable_env_checker=True, render_mode="ansi", **arguments)
    Game(unwrapped(env), seed).run()


class Game:
    """One episode.

    Args:
        env: The environment.
        seed: The episode's.
    """

    def __init__(self, env: OptoEnv, seed: int) -> None:
        from rich.console import Console

        self.env, self.seed, self.problem = env, seed, env.problem
        self.console = Console(soft_wrap=True, highlight=False, markup=False)
        self.parameters = {p.name: p for p in self.problem.parameters}
        self.values = self.problem.start
        self.drafts: dict[str, str] = {}  # texts that were refused, to be mended
        self.over = False

    def run(self) -> None:
        """Plays until the problem is solved, the budget spent, or the person has had enough."""
        self.title(f"{self.problem.id}: {self.problem.objective}")
        for p in self.parameters.values():
            self.say(f"  {p.name}: {p.space.describe()}{f' ({p.description})' if p.description else ''}")
        observation, info = self.env.reset(seed=self.seed)
        self.best = observation.feedback.reward, self.values
        self.shown(observation, info)
        self.say("\nCommands: NAME = VALUE, edit, run, show, graph, best, start, finish, quit; help explains them.")
        while not self.over:
            limit = f" of {self.env.oracle_calls}" if self.env.oracle_calls is not None else ""
            try:
                line = input(f"\n[{info['call']}{limit} calls] > ").strip()
            except EOFError:
                self.say("")
                return
            if line == "run":
                observation, _, terminated, truncated, info = self.env.step(dict(self.values))
                if observation.feedback.reward >= self.best[0]:
                    self.best = observation.feedback.reward, dict(self.values)
                self.shown(observation, info)
                if terminated or truncated:
                    self.title("Solved." if terminated else "All oracle calls are spent.")
                    self.finish()
            elif line == "graph":
                self.say(observation.graph.to_pseudocode(LONG))
            else:
                self.obey(line)

    def obey(self, line: str) -> None:
        """A command that is no oracle call; it costs nothing."""
        name, equals, value = (part.strip() for part in line.partition("="))
        command, _, rest = line.partition(" ")
        if equals and name.isidentifier():
            if self.known(name):
                self.set(name, value)
        elif command == "edit" and (rest or len(self.parameters) == 1):
            name = rest.strip() or next(iter(self.parameters))
            if self.known(name):
                self.edit(self.parameters[name])
        elif line == "show":
            self.show(self.values)
        elif line in ("best", "start"):
            self.values = dict(self.best[1]) if line == "best" else self.problem.start
            self.drafts.clear()
            self.show(self.values)
        elif line == "finish":
            self.finish()
        elif line == "quit":
            self.over = True
        elif line == "help":
            self.say(HELP)
        elif line == "edit":
            self.say(f"Which one? edit NAME, of {', '.join(self.parameters)}.")
        elif line:
            self.say(f"There is no command {line!r}; help lists them.")

    def known(self, name: str) -> bool:
        """Whether there is such a parameter; says so if not."""
        if name not in self.parameters:
            self.say(f"There is no parameter {name!r}: expected one of {', '.join(self.parameters)}.")
        return name in self.parameters

    def set(self, name: str, text: str) -> bool:
        """Sets a parameter from text, as Python's literal or as it stands; says what is wrong with it, if anything."""
        space = self.parameters[name].space
        candidates: list[Any] = [text]
        try:
            candidates.insert(0, ast.literal_eval(text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
        if isinstance(space, Code):
            candidates = [text]
        fitting = [c for c in candidates if space.why_not(c) is None]
        why = _why_no_code(space, text) if fitting and isinstance(space, Code) else None
        if not fitting:
            why = space.why_not(candidates[0])
        if why is not None:
            self.say(f"{name} stays as it was: {why}.")
            return False
        self.values = {**self.values, name: fitting[0]}
        return True

    def edit(self, p: Parameter) -> None:
        """Sets a parameter from what the person writes."""
        value = self.values[p.name]
        old = value if isinstance(value, str) else repr(value)
        text = self.written(p, self.drafts.get(p.name, old))
        if text is None:
            return
        self.drafts.pop(p.name, None)
        if text == old:
            self.say(f"{p.name} is unchanged.")
        elif self.set(p.name, text):
            self.say(f"{p.name} is set; run tries it.")
        else:
            self.drafts[p.name] = text
            self.say(f"edit {p.name} goes on with what you wrote.")

    def written(self, p: Parameter, text: str) -> str | None:
        """What comes back from the editor, or from the lines typed; None if nothing does."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not editor:
            self.say(
                f"{text}\n\nNew {p.name}, line by line; a line with nothing but a dot ends it (Ctrl-D: as it was):"
            )
            lines: list[str] = []
            try:
                while (line := input()) != ".":
                    lines.append(line)
            except EOFError:
                return None
            return "\n".join(lines) + ("\n" if isinstance(p.space, Code) else "")
        with tempfile.TemporaryDirectory(prefix="opto-gym-") as folder:
            path = Path(folder) / f"{p.name}{'.py' if isinstance(p.space, Code) else '.txt'}"
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            try:
                done = subprocess.run([*shlex.split(editor), str(path)], check=False)
                new = path.read_text(encoding="utf-8")
            except (OSError, ValueError) as e:
                self.say(f"{p.name} stays as it was: the editor {editor!r} gave nothing back ({e}).")
                return None
        if done.returncode:
            self.say(f"{p.name} stays as it was: the editor {editor!r} ended with status {done.returncode}.")
            return None
        return new if text.endswith("\n") else new.removesuffix("\n")  # editors add one

    # ---------------------------------------------------------------- what the person sees
    def title(self, text: str) -> None:
        """A line that stands out."""
        self.console.print(f"\n{text}", style="bold")

    def say(self, text: str) -> None:
        """Text as it is."""
        self.console.print(text)

    def show(self, values: Mapping[str, Any]) -> None:
        """Parameters with their values."""
        for name, value in values.items():
            text = isinstance(self.parameters[name].space, Prompt)  # code is text, too
            self.say(f"{name} =\n{value}" if text else f"{name} = {value!r}")

    def shown(self, observation: TraceFeedback, info: Mapping[str, Any]) -> None:
        """A call's trace, picture, feedback and score."""
        call = info["call"]
        self.title(f"Call {call}" if call else "The start values")
        self.say(observation.graph.to_pseudocode(SHORT))
        if self.env.render_mode == "ansi":
            self.say(f"\n{str(self.env.render()).rstrip()}")
        self.title("Feedback")
        self.say(str(observation.feedback) or "(none)")
        worst, best = self.problem.scores
        top = self.env.reward(self.best[0])  # turning it twice gives the score back
        self.say(f"Score: {info['score']:.6g}, best so far {top:.6g} (worst {worst:g}, best {best:g})")

    def finish(self) -> None:
        """The best parameters on test, and the end."""
        self.over = True
        self.say("Scoring the best parameters on test ... (Ctrl-C leaves it)")
        score = self.env.evaluate(self.best[1], split="test").score
        anchors = self.env.anchors
        known = None if anchors is None else anchors.start
        floor = self.env.evaluate(self.problem.start, split="test").score if known is None else known
        said = f"Score on test: {score:.6g}; the start values' is {floor:.6g}"
        if anchors is not None:
            scaled = normalized(score, floor, anchors.best, self.env.scale)
            said += f", the best known {anchors.best:.6g}: {scaled:.3f} of the way"
        self.title(f"{said}.")


def _why_no_code(space: Code, source: str) -> str | None:
    """Why a source can't define the function, before it costs a call."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as e:
        line = getattr(e, "lineno", None)
        return f"{getattr(e, 'msg', e)}{f' in line {line}' if line else ''}"
    if not any(isinstance(x, ast.FunctionDef) and x.name == space.function for x in tree.body):
        return f"expected {space.describe()}, and found no function {space.function}"
    return None
