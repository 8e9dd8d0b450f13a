"""A person as the optimizer, by commands in the terminal."""

from __future__ import annotations

import ast
import contextlib
import itertools
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import OptoGymError
from ..problems import Parameter, Problem, TraceFeedback
from ..spaces import Code, Prompt
from ..utils.moved import moved_names
from .base import Agent, Oracle
from .toolkit.prompt_budget import shorten

HELP = """\
NAME = VALUE   set a parameter: a number, a choice, a list, a short text
edit [NAME]    write a parameter in your editor ($VISUAL or $EDITOR), or line by line where there is none
run            try the parameters as they stand: one oracle call
show           the parameters as they stand
graph          the trace of the last call, longer
best, start    go back to the best parameters so far, or to the first
quit           end"""

TRACE_CHARACTERS = 3_000
"""The length of the trace that is shown after each call."""
LONG_TRACE_CHARACTERS = 30_000
"""The length of the trace that the command ``graph`` shows."""
FEEDBACK_TOKENS = 2_000
"""The length of the feedback that is shown."""


class Human(Agent):
    """A person who sees what the other optimizers see, and sets the parameters by commands in the terminal.

    After each oracle call its trace, feedback and score are shown. ``run`` makes the next call, and ``help`` lists the
    commands. ``quit`` and the end of the input (Ctrl-D) end the trial, whose calls so far count. An interrupted trial
    resumes after its last call, and a replay does not ask. `opto-gym play` tries out a task without a record.
    """

    in_terminal: ClassVar[bool] = True

    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """Asks for parameters until no further oracle call is possible, or until the person quits.

        Raises:
            OptoGymError: If the standard input is not a terminal.
        """
        console = ParameterConsole(problem, oracle.start)
        for call in itertools.count():
            if oracle.over:
                return
            if call < len(oracle.recorded):
                console.values = dict(oracle.recorded[call])
            else:
                check_terminal()
                if not console.ask(call):
                    return
            console.take(oracle(dict(console.values)))


def check_terminal() -> None:
    """Checks that a person can be asked.

    Raises:
        OptoGymError: If the standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise OptoGymError("Human asks a person in the terminal, but the standard input is no terminal")


class ParameterConsole:
    """Shows a person a problem and its observations, and executes the commands that set its parameters.

    Args:
        problem: The problem.
        start: The observation of its start values.

    Attributes:
        values: The current parameters.
        best: The best feedback so far, and its parameters.
        over: Whether the person has quit.
    """

    help = HELP

    def __init__(self, problem: Problem, start: TraceFeedback) -> None:
        from rich.console import Console

        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (gives the prompt a history and its keys)
        self.problem, self.observation = problem, start
        self.console = Console(soft_wrap=True, highlight=False, markup=False)
        self.parameters = {p.name: p for p in problem.parameters}
        self.values = problem.start
        self.drafts: dict[str, str] = {}  # texts that were refused, for the person to correct
        self.best = start.feedback, problem.start
        self.over = False
        self._introduced = False

    def take(self, observation: TraceFeedback) -> None:
        """Takes the observation of the current parameters."""
        self.observation = observation
        if observation.feedback.reward >= self.best[0].reward:
            self.best = observation.feedback, dict(self.values)

    def ask(self, call: int) -> bool:
        """Shows the last observation, and executes commands until the person asks for an oracle call or quits.

        Args:
            call: The number of the last oracle call; 0 for the start values.

        Returns:
            Whether the person asks for an oracle call.
        """
        if not self._introduced:
            self.title(f"{self.problem.id}: {self.problem.objective}")
            for p in self.parameters.values():
                self.say(f"  {p.name}: {p.space.describe()}{f' ({p.description})' if p.description else ''}")
        self.shown(call)
        if not self._introduced:
            names = ", ".join(line.split("  ")[0] for line in self.help.splitlines())
            self.say(f"\nCommands: {names}; help explains them.")
        self._introduced = True
        calls = self.problem.oracle_calls
        limit = f" of {calls}" if calls is not None else ""
        while not self.over:
            try:
                line = input(f"\n[{call}{limit} calls] > ").strip()
            except EOFError:
                self.say("")
                self.over = True
                break
            if line == "run":
                return True
            self.obey(line)
        return False

    def obey(self, line: str) -> None:
        """Executes a command other than ``run``; it costs no oracle call."""
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
        elif line == "graph":
            self.say(self.observation.graph.to_pseudocode(LONG_TRACE_CHARACTERS))
        elif line in ("best", "start"):
            self.values = dict(self.best[1]) if line == "best" else self.problem.start
            self.drafts.clear()
            self.show(self.values)
        elif line == "quit":
            self.over = True
        elif line == "help":
            self.say(self.help)
        elif line == "edit":
            self.say(f"Which one? edit NAME, of {', '.join(self.parameters)}.")
        elif line:
            self.say(f"There is no command {line!r}; help lists them.")

    def known(self, name: str) -> bool:
        """Whether there is a parameter of this name; if not, shows the names."""
        if name not in self.parameters:
            self.say(f"There is no parameter {name!r}: expected one of {', '.join(self.parameters)}.")
        return name in self.parameters

    def set(self, name: str, text: str) -> bool:
        """Sets a parameter from a text, read as a Python literal or taken as it is; if it does not fit, shows why.

        Returns:
            Whether the parameter is set.
        """
        space = self.parameters[name].space
        candidates: list[Any] = [text]
        try:
            candidates.insert(0, ast.literal_eval(text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
        if isinstance(space, Code):
            candidates = [text]
        fitting = [c for c in candidates if space.invalid_reason(c) is None]
        reason = _invalid_code_reason(space, text) if fitting and isinstance(space, Code) else None
        if not fitting:
            reason = space.invalid_reason(candidates[0])
        if reason is not None:
            self.say(f"{name} stays as it was: {reason}.")
            return False
        self.values = {**self.values, name: fitting[0]}
        return True

    def edit(self, p: Parameter) -> None:
        """Sets a parameter from a text that the person writes in the editor or line by line."""
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
        """The text that the person writes, from the editor or from the lines typed; None if there is none.

        Args:
            p: The parameter.
            text: The text to start from.
        """
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
        """Prints a line in bold."""
        self.console.print(f"\n{text}", style="bold")

    def say(self, text: str) -> None:
        """Prints a text as it is."""
        self.console.print(text)

    def show(self, values: Mapping[str, Any]) -> None:
        """Prints parameters with their values."""
        for name, value in values.items():
            text = isinstance(self.parameters[name].space, Prompt)  # code is text, too
            self.say(f"{name} =\n{value}" if text else f"{name} = {value!r}")

    def shown(self, call: int) -> None:
        """Prints the trace, the picture, the feedback and the score of an oracle call."""
        graph, feedback = self.observation
        self.title(f"Call {call}" if call else "The start values")
        self.say(graph.to_pseudocode(TRACE_CHARACTERS))
        if picture := self.picture():
            self.say(f"\n{picture}")
        self.title("Feedback")
        self.say(shorten(str(feedback), FEEDBACK_TOKENS) or "(none)")
        worst, best = self.problem.scores
        top = self.best[0].score
        self.say(f"Score: {feedback.score:.6g}, best so far {top:.6g} (worst {worst:g}, best {best:g})")

    def picture(self) -> str:
        """A picture of the problem in letters, if there is one."""
        return ""


def _invalid_code_reason(space: Code, source: str) -> str | None:
    """Why a source does not define the function, checked before it costs an oracle call; else None."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as e:
        line = getattr(e, "lineno", None)
        return f"{getattr(e, 'msg', e)}{f' in line {line}' if line else ''}"
    if not any(isinstance(x, ast.FunctionDef) and x.name == space.function for x in tree.body):
        return f"expected {space.describe()}, and found no function {space.function}"
    return None


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"Desk": "agents.human:ParameterConsole"})
