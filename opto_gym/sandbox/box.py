"""The trusted side of the sandbox: programs, calls, limits.

Supervisor (keys, results, test examples) -> zygote (clean, empty environment) -> one forked process a program. The
channel is a socketpair made for the program; both sides exchange JSON only.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import OptoGymError, SandboxError
from .channel import Ended, died, receive, send, unasked
from .results import CandidateError, Limits, Result, candidate_error
from .zygote import CONTROL, plain

LEVELS = ("L0",)
# The zygote's whole environment; an interpreter from an environment module does not start without the loader's path.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_PATIENCE = 20.0  # seconds for a process to start; a machine under load needs a hundredth of it


class _Zygote:
    """The process that candidates' processes are forked from."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_PATIENCE)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-s", "-P", str(Path(__file__).with_name("zygote.py")), str(theirs.fileno())],
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

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def dies(self, seconds: float) -> bool:
        """Waits: a process closes its channels a moment before it is seen dead."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def spawn(self) -> socket.socket:
        """Our end of a channel to a new process; raises OSError if the zygote is dead."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [CONTROL.pack(b"f", 0)], [theirs.fileno()])  # so few bytes go at once
            except OSError:
                ours.close()
                raise
        return ours

    def end(self, pid: int) -> None:
        """Kills a program's process and its group. The zygote reaps it only when told, so the number is still its."""
        if os.getpid() != self.owner or not self.alive():
            return
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
                kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._control.sendall(CONTROL.pack(b"e", pid))

    def close(self) -> None:
        """Hangs up: the zygote kills its programs and ends. In a forked process, only lets go of it."""
        self._control.close()
        if os.getpid() != self.owner:
            self._process.poll()  # finds that it is no child of ours, and leaves it alone
        elif not self.dies(2):
            self._process.kill()
            self._process.wait()


class Sandbox:
    """Runs candidates' code, each program in a process of its own. Safe to use from several threads, and after a fork.

    Args:
        limits: What a program may use.
        level: At least this level; None takes the best that this machine offers.
        host: Functions of this process that candidates may call by name, with plain data; their time is not counted.
            What they raise is a RuntimeError in the candidate; an OptoGymError or BudgetSpent ends the program and
            leaves `Program.call`.

    Raises:
        SandboxError: If the level can't be had.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        level: str | None = None,
        host: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        if level is not None and level not in LEVELS:
            raise SandboxError(f"expected a sandbox level of {list(LEVELS)}, got {level!r}: no other is built yet")
        if not hasattr(os, "fork"):
            raise SandboxError("code parameters need a system with fork(): Linux, macOS, or WSL on Windows")
        self.limits, self.host, self.level = limits or Limits(), dict(host or {}), "L0"
        self._lock, self._closed = threading.Lock(), False
        self._zygote: _Zygote | None = None
        _sandboxes.add(self)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def load(self, sources: Mapping[str, str]) -> Program:
        """A process for one example.

        Args:
            sources: Python source by the name of the function that it defines; each has a namespace of its own.

        Raises:
            SandboxError: If no process can be started. A source that does not compile is a `Result` of its calls.
        """
        return Program(self, dict(sources))

    def call(self, source: str, name: str, args: list[Any]) -> Result:
        """One call of the function `name` of the source, in a process of its own."""
        with self.load({name: source}) as program:
            return program.call(name, args)

    def in_force(self) -> dict[str, Any]:
        """What protects this machine from the code, as plain data for the record.

        Starts a process to see. ``missing`` names what belongs to the level and is not granted here.
        """
        with self.load({}) as program:
            return {
                "level": self.level,
                "landlock_abi": None,
                "seccomp": False,
                "namespaces": [],
                "uid_dropped": False,
                "missing": program.missing,
                "platform": sys.platform,
            }

    def close(self) -> None:
        """Ends the zygote, and with it every program."""
        with self._lock:
            self._closed = True
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None

    def _living(self, broken: _Zygote | None) -> _Zygote:
        """The zygote; a new one if there is none or it is the one found broken."""
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed; make a new one")
            if self._zygote is not None and self._zygote is broken:
                self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = _Zygote()
            return self._zygote

    def _after_fork(self) -> None:
        """In a forked process: the zygote is the parent's, and another thread may have held the lock."""
        self._lock = threading.Lock()
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None


class Program:
    """The process of one example; its namespaces and what it remembers last as long as it does.

    Made by `Sandbox.load`. One thread at a time.
    """

    def __init__(self, box: Sandbox, sources: dict[str, str]) -> None:
        self._box, self._limits, self._host, self._sources = box, box.limits, box.host, sources
        self._calls, self._host_calls, self._host_seconds = 0, 0, 0.0
        self._pid = 0
        self._dead: CandidateError | None = None
        self._begin(None)

    def _begin(self, broken: _Zygote | None) -> None:
        """Starts the process, with one more attempt where the zygote has died or does not answer."""
        limits = self._limits
        first = {
            "sources": self._sources,
            "hosts": list(self._host),
            "output": limits.output,
            "limits": {"memory": limits.memory, "cpu": limits.cpu},
        }
        for last in (False, True):
            zygote = self._box._living(broken)
            try:
                with contextlib.ExitStack() as unless_it_starts:
                    channel = unless_it_starts.enter_context(zygote.spawn())
                    end = time.monotonic() + _PATIENCE
                    send(channel, first, end)
                    hello = receive(channel, end, 1000)
                    unless_it_starts.pop_all()
                self._pid, self.missing, self._zygote, self._channel = hello["pid"], hello["missing"], zygote, channel
                return
            except (Ended, OSError) as e:
                if last:
                    raise SandboxError(f"no process can be started for a candidate's code: {e}") from e
                broken = zygote if isinstance(e, TimeoutError) or zygote.dies(0.1) else None

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def call(self, name: str, args: list[Any]) -> Result:
        """Calls the function `name` of the source loaded under that name. Never raises for what the candidate did.

        Args:
            name: One of the names given to `Sandbox.load`.
            args: Plain data: None, numbers, text, lists, dicts with text keys; tuples and arrays arrive as lists.

        Raises:
            KeyError: If no source has that name.
            TypeError: If the arguments are not plain data.
            OptoGymError, BudgetSpent: What a host function raised.
        """
        if name not in self._sources:
            raise KeyError(f"expected one of {sorted(self._sources)}, got {name!r}")
        if self._dead is not None:
            return Result(None, self._dead, 0.0)
        if self._zygote.owner != os.getpid():
            raise SandboxError("a program belongs to the process that loaded it; load one after the fork")
        args = plain(list(args), f"the arguments of {name}")
        begin, self._host_seconds = time.monotonic(), 0.0
        try:
            try:
                answer = self._ask(name, args)
            except Ended:
                # The zygote took its programs along. Nothing is lost before the first answer; else the state is.
                if self._calls > 1 or self._host_calls or self._zygote.alive():
                    raise
                self._channel.close()
                self._begin(self._zygote)
                answer = self._ask(name, args)
            error = candidate_error(answer, self._sources[name]) if "error" in answer else None
            return Result(answer.get("value"), error, time.monotonic() - begin - self._host_seconds)
        except Ended as e:
            self._dead = e.error
            self.close()
            return Result(None, e.error, time.monotonic() - begin - self._host_seconds)
        except BaseException:
            self.close()
            raise

    def _ask(self, name: str, args: list[Any]) -> dict[str, Any]:
        """Sends one call and waits for the one message that answers it."""
        self._calls += 1
        self._expect_silence()
        end = time.monotonic() + self._limits.seconds
        try:
            send(self._channel, {"call": name, "args": args, "n": self._calls}, end)
            while True:
                answer = receive(self._channel, end, self._limits.output)
                if "host" not in answer:
                    break
                paused = time.monotonic()
                reply = self._serve(answer)
                self._host_seconds += time.monotonic() - paused
                end += time.monotonic() - paused
                send(self._channel, reply, end)
        except TimeoutError:
            raise Ended("TimeLimit", f"stopped: time limit {float(self._limits.seconds)} s") from None
        except OSError:
            raise died() from None
        if answer.get("n") != self._calls or ("error" in answer) == ("value" in answer):
            raise unasked()
        return answer

    def _expect_silence(self) -> None:
        """Between calls a program has nothing to say."""
        self._channel.settimeout(0)
        try:
            ahead = self._channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            raise died() from None
        raise unasked() if ahead else died()

    def _serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runs a host function for the candidate."""
        self._host_calls += 1
        function, args = self._host.get(str(request["host"])), request.get("args")
        if function is None or not isinstance(args, list):
            raise unasked()
        if self._host_calls > self._limits.host_calls:
            return {"error": f"stopped: more than {self._limits.host_calls} calls of the host's functions"}
        try:
            value = function(*args)
        except OptoGymError:
            raise
        except Exception as e:
            return {"error": f"{type(e).__name__}: {e}"[:500]}
        return {"value": plain(value, f"what {request['host']} returned")}

    def close(self) -> None:
        """Kills the process and all that it started."""
        if self._dead is None:
            self._dead = CandidateError("ProcessDied", "the program is closed")
        if self._pid:
            self._zygote.end(self._pid)
            self._pid = 0
            self._channel.close()


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _after_fork() -> None:
    for box in list(_sandboxes):
        box._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def shared() -> Sandbox:
    """The default sandbox of this process, closed at its end; a forked process gets a zygote of its own."""
    box = Sandbox()
    atexit.register(box.close)
    return box
