"""The trusted side's handle on the zygote, the process that candidates' processes are forked from.

`inside.zygote` is what runs in that process.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import marshal
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import CodeType

from ..errors import SandboxError, SandboxKilled
from ..utils import missing_keys
from .channel import Deadline, ProcessEnded, receive
from .inside.protocol import CONTROL, ENDED

START_TIMEOUT = 60.0
"""Seconds for a process to start; a machine that is not under load needs a tenth of a second."""

PACKAGES = ("numpy",)
"""The packages that candidates may import, beside the standard library."""

_MAIN = """
import marshal, os, sys, types
data, size = b"", 8
while len(data) < size:
    if not (chunk := os.read(int(sys.argv[1]), 1 << 20)):
        os._exit(1)
    data += chunk
    size = 8 + int.from_bytes(data[:8], "big")
codes, most, packages = marshal.loads(data[8:])
for name, code in codes:
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = name.partition(".")[0]
    if name == module.__package__:
        module.__path__ = []
    else:
        setattr(sys.modules[module.__package__], name.partition(".")[2], module)
    exec(code, vars(module))
del data
sys.modules["inside.zygote"].main(int(sys.argv[1]), most, packages, sys.modules.pop("missing_keys").explain)
"""
_MODULES = ("kernel", "protocol", "filters", "driver", "view", "walls", "zygote")  # each needs those before it
ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
# Inherited in addition: an interpreter from an environment module does not start without the loader's path.
LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Zygote:
    """A running zygote. Making one starts the process and waits for its report.

    Args:
        most: The highest level of walls that it may raise.

    Attributes:
        owner: The id of the process that started it.
        report: What protects this machine from the candidates, see `Sandbox.in_force`.

    Raises:
        SandboxError: If the process can't be started.
        SandboxKilled: If it ends at its start.
    """

    def __init__(self, most: str) -> None:
        self.owner, self._numbers, self._asking = os.getpid(), itertools.count(1), threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-S", "-s", "-P", "-c", _MAIN, str(theirs.fileno())],
                    env=ENVIRONMENT | {name: os.environ[name] for name in LOADER if name in os.environ},
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
            self._control.settimeout(START_TIMEOUT)
            self._control.sendall(_first_message(most))
            self.report = receive(self._control, Deadline(START_TIMEOUT), 1 << 16)
        except TimeoutError as e:
            self.close()
            raise SandboxKilled(f"the sandbox's process has not started in {START_TIMEOUT:g} s") from e
        except (ProcessEnded, OSError) as e:
            self.close()
            code = self._process.poll()
            raise SandboxKilled(f"the sandbox's process ended at its start (exit code {code})") from e
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

    def how_ended(self, number: int) -> tuple[int, int]:
        """How a forked process has ended: `RUNS`, `EXITED` or `KILLED`, and its exit status or the signal.

        Raises:
            OSError: If the zygote is dead or does not answer.
        """
        with self._asking:
            self._control.sendall(CONTROL.pack(b"w", number))
            try:
                answer = self._control.recv(ENDED.size)
            except TimeoutError:
                self.close()  # its answer would be taken for that to the next question
                raise
        if len(answer) != ENDED.size:
            raise ConnectionError("the zygote is dead")
        how, status = ENDED.unpack(answer)
        return how, status

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


def _first_message(most: str) -> bytes:
    """What `_MAIN` reads: the modules of the untrusted side, the highest level, and the folders of packages."""
    body = marshal.dumps((_codes(), most, _package_folders()))
    return len(body).to_bytes(8, "big") + body


@functools.cache
def _codes() -> list[tuple[str, CodeType]]:
    """The compiled modules of the untrusted side, without their paths, which a candidate would see in its frames."""
    inside = Path(__file__).with_name("inside")
    files = {"inside": inside / "__init__.py"} | {f"inside.{name}": inside / f"{name}.py" for name in _MODULES}
    files["missing_keys"] = Path(missing_keys.__file__)
    return [
        (name, compile(file.read_bytes(), f"/sandbox/{file.name}", "exec", dont_inherit=True))
        for name, file in files.items()
    ]


def _package_folders() -> list[str]:
    """The folders of `PACKAGES`, and of the shared libraries that their wheels bring (``numpy.libs``)."""
    found = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        for folder in (spec and spec.submodule_search_locations) or ():
            found += [path for path in (folder, f"{folder}.libs") if os.path.isdir(path)]
    return found
