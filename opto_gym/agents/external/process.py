"""A program's process: begun, looked at, and ended with all that it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from ...utils.extras import need

SUPERVISOR = Path(__file__).with_name("supervisor.py")
TAIL = 2_000
"""Bytes of a program's output that are kept: the last ones."""
PATIENCE = 10.0
"""Seconds that the end of all its processes may take."""


class Process:
    """A program and all that it starts. A context manager: after it nothing of that is left, nor if we are killed.

    Args:
        command: The command's words.
        home: Its working folder.
        environment: Its whole environment.
    """

    def __init__(self, command: Sequence[str], home: str, environment: Mapping[str, str]) -> None:
        modules = Path(need("psutil").__file__).parents[1]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), str(modules), *command],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,  # at whose end the keeper knows that we are gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # a Ctrl-C in the terminal is ours
        )
        self._said = bytearray()
        assert self._supervisor.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._supervisor.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._supervisor.stdin is not None
        # a process forked from this one may hold the pipe's other end, and then its end is never seen
        self._supervisor.terminate()
        self._supervisor.stdin.close()
        try:
            self._supervisor.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # one of them can't be killed
            self._supervisor.kill()
            self._supervisor.wait()
        self._reader.join(1.0)

    def wait(self, seconds: float) -> int | None:
        """The program's status, once it has ended; None after the seconds."""
        try:
            return self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def how(self, status: int) -> str:
        """How it ended, in words."""
        killed = status - 128 in list(signal.Signals)
        return f"was killed by {signal.Signals(status - 128).name}" if killed else f"ended with status {status}"

    def last_words(self) -> str:
        """The end of what it said on standard output and standard error."""
        self._reader.join(1.0)  # after its end there is nothing more to read
        return self._said.decode("utf-8", "replace").strip() or "it said nothing"

    def memory(self) -> int:
        """Bytes that the program and its descendants hold; what they share counts for each."""
        psutil = need("psutil")
        total = 0
        try:
            for one in psutil.Process(self._supervisor.pid).children(recursive=True):
                try:
                    total += one.memory_info().rss
                except psutil.Error:  # ended meanwhile
                    pass
        except psutil.NoSuchProcess:
            pass
        return total

    def _read(self, output: IO[bytes]) -> None:
        """Reads all that is said, so that nobody waits for us and no disk fills, and keeps the end."""
        with output:
            while part := output.read1(2**16):  # type: ignore[attr-defined]
                self._said = (self._said + part)[-TAIL:]
