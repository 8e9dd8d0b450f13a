"""The trusted side's handle on the zygote, the process that candidates' processes are forked from.

`inside.zygote` is what runs in that process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from ..errors import SandboxError
from ..utils import missing_keys
from .channel import Deadline, ProcessEnded, receive
from .inside.protocol import CONTROL

START_TIMEOUT = 20.0
"""Seconds for a process to start; a machine under load needs a hundredth of it."""

_MAIN = """
import sys
sys.path[:0] = sys.argv[1:3]
from inside.zygote import main
from missing_keys import explain
del sys.path[:2], sys.modules["missing_keys"]
main(int(sys.argv[3]), sys.argv[4], explain)
"""
_FOLDERS = (str(Path(__file__).parent), str(Path(missing_keys.__file__).parent))
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
# Inherited in addition: an interpreter from an environment module does not start without the loader's path.
_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Zygote:
    """A running zygote. Making one starts the process and waits for its report.

    Args:
        most: The highest level of walls that it may raise.

    Attributes:
        owner: The id of the process that started it.
        report: What protects this machine from the candidates, see `Sandbox.in_force`.

    Raises:
        SandboxError: If the process can't be started, or ends at its start.
    """

    def __init__(self, most: str) -> None:
        self.owner, self._numbers = os.getpid(), itertools.count(1)
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-s", "-P", "-c", _MAIN, *_FOLDERS, str(theirs.fileno()), most],
                    env=_ENVIRONMENT | {name: os.environ[name] for name in _LOADER if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError as e:
                self._control.close()
                raise SandboxError(f"the sandbox's process can't be started: {e}") from e
        try:
            self.report = receive(self._control, Deadline(START_TIMEOUT), 1 << 16)
        except (ProcessEnded, OSError) as e:
            self.close()
            raise SandboxError(f"the sandbox's process ended at its start (exit code {self._process.poll()})") from e
        self._control.settimeout(START_TIMEOUT)

    @property
    def pid(self) -> int:
        """The id of the zygote's process."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def dies_within(self, seconds: float) -> bool:
        """Waits up to `seconds` for the process to end: its channels close a moment before it is seen as dead."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def spawn(self) -> tuple[int, socket.socket]:
        """Has a process forked.

        Returns:
            The number of the new process, by which `kill` knows it, and this side's end of a channel to it.

        Raises:
            OSError: If the zygote is dead.
        """
        ours, theirs = socket.socketpair()
        number = next(self._numbers)
        with theirs:
            try:
                if sys.platform == "linux":
                    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                # The message is short enough that the kernel takes all of it or nothing.
                socket.send_fds(self._control, [CONTROL.pack(b"f", number)], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return number, ours

    def kill(self, number: int, pid: int) -> None:
        """Kills a forked process and its group.

        The signals are sent from here and not by the zygote alone, which a candidate at a low level may have stopped.
        The zygote reaps the process only when told, so that until then `pid` is no other process's.

        Args:
            number: As `spawn` returned it.
            pid: Its process id, or 0 if that is not known yet.
        """
        if os.getpid() != self.owner or not self.alive():
            return
        for send_signal in (os.killpg, os.kill) if pid else ():
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
                send_signal(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._control.sendall(CONTROL.pack(b"e", number))

    def close(self) -> None:
        """Closes the control channel, whereupon the zygote kills its processes and ends.

        In a process that was forked from the owner, only this side's resources are released.
        """
        self._control.close()
        if os.getpid() != self.owner:
            self._process.poll()  # Popen notices that the process is not a child of this one
        elif not self.dies_within(2):
            self._process.kill()
            self._process.wait()
