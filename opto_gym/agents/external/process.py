"""A program's process: it is started, watched, and ended with all processes that it started."""

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
OUTPUT_TAIL = 2_000
"""The bytes at the end of a program's output that are kept."""
TERMINATION_TIMEOUT = 10.0
"""The seconds that ending all its processes may take."""


class Process:
    """A program and the processes that it starts. A context manager, at whose end all of them end.

    They also end when opto_gym itself is killed; the supervisor sees to it.

    Args:
        command: The command's words.
        home: The program's working folder.
        environment: All environment variables of the program.
    """

    def __init__(self, command: Sequence[str], home: str, environment: Mapping[str, str]) -> None:
        modules = Path(need("psutil").__file__).parents[1]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), str(modules), *command],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,  # its end tells the supervisor that opto_gym has ended
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # a Ctrl-C in the terminal reaches opto_gym alone
        )
        self._output = bytearray()
        assert self._supervisor.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._supervisor.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._supervisor.stdin is not None
        # not by closing the pipe alone: a process forked from this one may hold its other end open
        self._supervisor.terminate()
        self._supervisor.stdin.close()
        try:
            self._supervisor.wait(TERMINATION_TIMEOUT)
        except subprocess.TimeoutExpired:  # one of its processes can't be killed
            self._supervisor.kill()
            self._supervisor.wait()
        self._reader.join(1.0)

    def wait(self, seconds: float) -> int | None:
        """Waits for the program's end.

        Returns:
            Its status, as a shell gives it; None if it is still running after so many seconds.
        """
        try:
            return self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def describe_end(self, status: int) -> str:
        """How the program ended, in words."""
        killed = status - 128 in list(signal.Signals)
        return f"was killed by {signal.Signals(status - 128).name}" if killed else f"ended with status {status}"

    def output_tail(self) -> str:
        """The end of its standard output and standard error."""
        self._reader.join(1.0)  # if it has ended, until all its output is read
        return self._output.decode("utf-8", "replace").strip() or "it had no output"

    def memory(self) -> int:
        """The resident bytes of the program and its descendants; shared memory counts for each of them."""
        psutil = need("psutil")
        total = 0
        try:
            for one in psutil.Process(self._supervisor.pid).children(recursive=True):
                try:
                    total += one.memory_info().rss
                except psutil.Error:  # it has ended
                    pass
        except psutil.NoSuchProcess:
            pass
        return total

    def _read(self, output: IO[bytes]) -> None:
        """Reads all output, so that the program never blocks on a full pipe, and keeps its end."""
        with output:
            while part := output.read1(2**16):  # type: ignore[attr-defined]
                self._output = (self._output + part)[-OUTPUT_TAIL:]
