"""Runs the commands and the code of a page of the docs in order, and compares what they print with what it shows."""

from __future__ import annotations

import contextlib
import glob
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opto_gym.cli import main

BLOCK = re.compile(r'^```(python|console|text)(?: title="(\S+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^(\[\d+ (?:of \d+ )?calls\] > )(.*)$", re.MULTILINE)
NOT_RUN = ("pip install",)  # changes the machine; tests/test_extras.py and `make setup` install the package


class Transcript:
    """Runs blocks of Markdown in the working folder.

    A block of Python with a title is written to that file; any other runs, all in one namespace, and the block of text
    after it is what it prints. A block of the console has commands after ``$ ``, each with its output. In an expected
    output ``...`` stands for any text, a line of its own for any lines; runs of blanks are equal; the hexadecimal
    digits of a trial's id are not compared, since they change with every source that a trial's identity covers.

    Args:
        exact: Whether numbers have to be equal; a language model's differ between machines.
    """

    def __init__(self, *, exact: bool = True) -> None:
        self.exact = exact
        self.namespace: dict[str, object] = {"__name__": "page"}
        self.printed: str | None = None

    def run(self, markdown: str) -> int:
        """Runs all blocks; gives how many commands and pieces of code ran."""
        ran = 0
        for kind, title, source in BLOCK.findall(markdown):
            if kind == "text":
                assert self.printed is not None, f"nothing was printed that this block could show:\n{source}"
                self._compare(source, self.printed)
                self.printed = None
            elif title:
                Path(title).write_text(source)
            elif kind == "python":
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(source, "page", "exec"), self.namespace)
                self.printed, ran = out.getvalue(), ran + 1
            else:
                for command in re.split(r"^\$ ", source, flags=re.MULTILINE)[1:]:
                    ran += self._command(*command.split("\n", 1))
        return ran

    def _command(self, line: str, shown: str) -> int:
        if line.startswith(NOT_RUN):
            return 0
        program, *arguments = [w for word in shlex.split(line) for w in (sorted(glob.glob(word)) or [word])]
        assert program == "opto-gym", line
        typed = "".join(f"{said}\n" for _, said in PROMPT.findall(shown))
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
            patch.setenv("COLUMNS", "120")
            patch.setattr(sys, "stdin", io.StringIO(typed))
            status = main(arguments)
        assert status == 0, f"{line}: status {status}\n{out.getvalue()}"
        # what a person types is on the screen, and not in the output
        self._compare(PROMPT.sub(r"\1", shown), out.getvalue().replace(" > ", " > \n"))
        return 1

    def _compare(self, shown: str, printed: str) -> None:
        pattern = "".join(self._line(line) for line in shown.rstrip("\n").split("\n"))
        text = "".join(f"{' '.join(line.split())}\n" for line in printed.rstrip("\n").split("\n"))
        assert re.fullmatch(pattern, text), f"the page shows\n{shown}\nbut this is printed:\n{printed}"

    def _line(self, line: str) -> str:
        if line.strip() == "...":
            return r"(?:.*\n)*?"
        pattern = re.escape(" ".join(line.split())).replace(r"\.\.\.", ".*")
        pattern = re.sub(r"(?<=-)[0-9a-f]{12}\b", "[0-9a-f]{12}", pattern)
        return (pattern if self.exact else re.sub(r"\d+(?:\\\.\d+)?(?:,\d+)?", r"[\\d.,e-]+", pattern)) + r"\n"


@contextlib.contextmanager
def working_folder(path: Path) -> Iterator[None]:
    """Makes a folder the working one, and forgets the modules that are imported from it."""
    known = set(sys.modules)
    with contextlib.chdir(path):
        try:
            yield
        finally:
            for name in set(sys.modules) - known:
                if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(path)):
                    del sys.modules[name]
