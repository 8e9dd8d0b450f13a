"""The trusted side of the sandbox: programs, calls, limits.

Supervisor (keys, results, test examples) -> zygote (clean, empty environment) -> one forked process a program. The
channel is a socketpair made for the program; both sides exchange JSON only.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import inspect
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import OptoGymError, SandboxError
from .channel import Deadline, Ended, died, receive, send, unasked
from .inside import kernel
from .inside.protocol import CONTROL, LEVELS, plain
from .results import CandidateError, Limits, Result, candidate_error

SAFE = "L2"  # the least that a model's code is run at unless somebody says otherwise
_BELOW = {  # what one gives up by a level less than this one
    "L3": "a candidate may learn which paths exist and how large they are",
    "L2": "a candidate may read every file that its user can read: keys, results, test examples",
    "L1": "a candidate may also change files, open sockets, and start and signal processes",
}
_START = """
import sys
sys.path.insert(0, sys.argv[1])
from inside.zygote import main
del sys.path[0]
main(int(sys.argv[2]), sys.argv[3])
"""
# The zygote's whole environment; an interpreter from an environment module does not start without the loader's path.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_CREDENTIALS = struct.Struct("3i")  # <sys/socket.h>'s ucred: pid, uid, gid
_PATIENCE = 20.0  # seconds for a process to start; a machine under load needs a hundredth of it


class _Zygote:
    """The process that candidates' processes are forked from.

    Attributes:
        report: What is in force around them, see `Sandbox.in_force`.
    """

    def __init__(self, most: str) -> None:
        self.owner, self._programs = os.getpid(), itertools.count(1)
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-s", "-P", "-c", _START, str(Path(__file__).parent), str(theirs.fileno()), most],
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
            self.report = receive(self._control, Deadline(_PATIENCE), 1 << 16)
        except (Ended, OSError) as e:
            self.close()
            raise SandboxError(f"the sandbox's process ended at its start (exit code {self._process.poll()})") from e
        self._control.settimeout(_PATIENCE)

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

    def spawn(self) -> tuple[int, socket.socket]:
        """A number for a new process and our end of a channel to it; raises OSError if the zygote is dead."""
        ours, theirs = socket.socketpair()
        number = next(self._programs)
        with theirs:
            try:
                if sys.platform == "linux":
                    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                socket.send_fds(
                    self._control, [CONTROL.pack(b"f", number)], [theirs.fileno()]
                )  # so few bytes go at once
            except OSError:
                ours.close()
                raise
        return number, ours

    def end(self, number: int, pid: int) -> None:
        """Kills a program's process and its group. The zygote reaps it only when told, so the pid is still its.

        From here, too: a candidate at a low level may have stopped the zygote.
        """
        if os.getpid() != self.owner or not self.alive():
            return
        for kill in (os.killpg, os.kill) if pid else ():
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
                kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._control.sendall(CONTROL.pack(b"e", number))

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
        level: At least this level, ``"L0"`` to ``"L3"``; None for L2. The best that this machine grants is in force.
        most: No more than this level, for measuring and for tests.
        host: Python functions of this process that candidates may call by name, with plain data given by position;
            their time is not counted.
            What they raise is a RuntimeError in the candidate; an OptoGymError or BudgetSpent ends the program and
            leaves `Program.call`.

    This process is made undumpable, so that no other of the same user can read its memory.

    Raises:
        SandboxError: If there is no such level, or this system can't fork.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        level: str | None = None,
        most: str = LEVELS[-1],
        host: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        for name in (level or SAFE, most):
            if name not in LEVELS:
                raise SandboxError(f"expected a sandbox level of {list(LEVELS)}, got {name!r}")
        if not hasattr(os, "fork"):
            raise SandboxError("code parameters need a system with fork(): Linux, macOS, or WSL on Windows")
        self.limits, self.host, self.least, self._most = limits or Limits(), dict(host or {}), level or SAFE, most
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        self._lock, self._closed = threading.Lock(), False
        self._zygote: _Zygote | None = None
        _sandboxes.add(self)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def load(self, sources: Mapping[str, str], *, host: Mapping[str, Callable[..., Any]] | None = None) -> Program:
        """A process for one example.

        Args:
            sources: Python source by the name of the function that it defines; each has a namespace of its own.
            host: Functions for this program alone, beside the sandbox's own.

        Raises:
            SandboxError: If the level can't be had. A source that does not compile is a `Result` of its calls.
        """
        self.check()
        return Program(self, dict(sources), {**self.host, **(host or {})})

    @property
    def level(self) -> str:
        """The level that is in force."""
        return str(self._living(None).report["level"])

    def check(self) -> None:
        """Raises SandboxError if this machine does not grant the level asked for; the message says how to go on."""
        report = self._living(None).report
        level = str(report["level"])
        if level < self.least:
            given_up = "; ".join(_BELOW[name] for name in LEVELS if level < name <= self.least)
            raise SandboxError(
                f"expected a sandbox of level {self.least} or better for code parameters, this machine grants {level}"
                f" ({'; '.join(report['missing']) or f'no more than {self._most} was asked for'})."
                f" `opto-gym doctor` says what to install or allow. To run with less: --sandbox {level},"
                f" OPTO_GYM_SANDBOX={level} or Sandbox(level={level!r}), which gives up that much: {given_up}"
            )

    def call(self, source: str, name: str, args: list[Any]) -> Result:
        """One call of the function `name` of the source, in a process of its own."""
        with self.load({name: source}) as program:
            return program.call(name, args)

    def in_force(self) -> dict[str, Any]:
        """What protects this machine from the code, as plain data for the record. Starts a process to see.

        Returns:
            ``level`` in force and ``least`` asked for, ``landlock_abi``, ``seccomp``, ``namespaces``, ``uid_dropped``,
            ``platform``, and ``missing``: what this machine does not grant, and why.
        """
        with Program(self, {}, {}) as program:
            program._meet()
            report = self._living(None).report
            return report | {
                "least": self.least,
                "missing": report["missing"] + program.missing,
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
        """The zygote; a new one if there is none, it is dead, or it is the one found broken."""
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed; make a new one")
            if self._zygote is not None and (self._zygote is broken or not self._zygote.alive()):
                self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = _Zygote(self._most)
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

    def __init__(self, box: Sandbox, sources: dict[str, str], host: dict[str, Callable[..., Any]]) -> None:
        self._box, self._limits, self._host, self._sources = box, box.limits, host, sources
        self._calls, self._host_calls, self._host_seconds, self._seconds = 0, 0, 0.0, 0.0
        self._number, self._pid, self._waits, self.missing = 0, 0, -1, list[str]()
        self._dead: CandidateError | None = None
        self._zygote = box._living(None)
        with contextlib.suppress(OSError):  # `_meet` tries again
            self._start()

    def _start(self) -> None:
        """Has the process forked. It locks itself in while the caller goes on; `_meet` waits for it."""
        first = {
            "sources": self._sources,
            "hosts": list(self._host),
            "output": self._limits.output,
            "limits": {"memory": self._limits.memory, "cpu": self._limits.cpu},
        }
        self._number, self._channel = self._zygote.spawn()
        send(self._channel, first, Deadline(_PATIENCE))

    def _meet(self) -> None:
        """Waits for the process, with two more attempts where the zygote has died or does not answer."""
        for last in (False, False, True):  # a program of a dead zygote may meet the next one as it dies
            try:
                if not self._number:
                    self._start()
                deadline = Deadline(_PATIENCE)
                self._channel.settimeout(_PATIENCE)
                pid = self._sender()
                hello = receive(self._channel, deadline, 1000)
            except (Ended, OSError) as e:
                self._let_go()
                if last:
                    raise SandboxError(f"no process can be started for a candidate's code: {e}") from e
                broken = self._zygote if isinstance(e, TimeoutError) or self._zygote.dies(0.1) else None
                self._zygote = self._box._living(broken)
                continue
            if "failed" in hello:
                self._let_go()
                raise SandboxError(f"a candidate's process can't be locked in, so it does not run: {hello['failed']}")
            self._pid, self.missing = pid or hello["pid"], hello["missing"]
            with contextlib.suppress(OSError):
                self._waits = os.open(f"/proc/{self._pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            return

    def _sender(self) -> int:
        """The number, as this process knows it, of the process that sent the bytes that come next; 0 if unknown."""
        if sys.platform != "linux":
            return 0
        _, told, _, _ = self._channel.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_PEEK)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        return int(_CREDENTIALS.unpack(told[0][2])[0]) if told else 0

    def _waited(self) -> float:
        """Seconds that the process has waited for a processor, where this can be known."""
        if self._waits < 0:
            return 0.0
        try:
            return int(os.pread(self._waits, 100, 0).split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

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
            SandboxError: If no process can be started.
        """
        if name not in self._sources:
            raise KeyError(f"expected one of {sorted(self._sources)}, got {name!r}")
        if self._dead is not None:
            return Result(None, self._dead, 0.0)
        if self._zygote.owner != os.getpid():
            raise SandboxError("a program belongs to the process that loaded it; load one after the fork")
        args = plain(list(args), f"the arguments of {name}")
        if not self._pid:
            self._meet()
        begin, self._host_seconds = time.monotonic(), 0.0
        try:
            try:
                answer = self._ask(name, args)
            except Ended:
                # The zygote took its programs along. Nothing is lost before the first answer; else the state is.
                if self._calls > 1 or self._host_calls or self._zygote.alive():
                    raise
                self._let_go()
                self._zygote = self._box._living(self._zygote)
                self._meet()
                answer = self._ask(name, args)
            value, error = answer.get("value"), None
            if "error" in answer:
                error = candidate_error(answer, self._sources[name])
        except Ended as e:
            value, error, self._dead = None, e.error, e.error
            self.close()
        except BaseException:
            self.close()
            raise
        seconds = time.monotonic() - begin - self._host_seconds
        self._seconds += seconds
        return Result(value, error, seconds)

    def _ask(self, name: str, args: list[Any]) -> dict[str, Any]:
        """Sends one call and waits for the one message that answers it."""
        self._calls += 1
        self._expect_silence()
        left = self._limits.example - self._seconds
        try:
            deadline = Deadline(min(self._limits.seconds, left), self._waited)
            send(self._channel, {"call": name, "args": args, "n": self._calls}, deadline)
            while True:
                answer = receive(self._channel, deadline, self._limits.output)
                if "host" not in answer:
                    break
                paused = time.monotonic()
                reply = self._serve(answer)
                paused = time.monotonic() - paused
                self._host_seconds += paused
                deadline.put_off(paused)
                send(self._channel, reply, deadline)
        except TimeoutError:
            if left < self._limits.seconds:
                raise Ended(
                    "TimeLimit", f"stopped: time limit {float(self._limits.example)} s of one example"
                ) from None
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
        signature = inspect.signature(function)
        try:
            signature.bind(*args)
        except TypeError:
            expected = ", ".join(signature.parameters)
            return {"error": f"{request['host']}: expected arguments ({expected}), got {len(args)}"}
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
        self._let_go()

    def _let_go(self) -> None:
        if self._number:
            self._zygote.end(self._number, self._pid)
            self._channel.close()
            self._number = self._pid = 0
        if self._waits >= 0:
            os.close(self._waits)
            self._waits = -1


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _after_fork() -> None:
    for box in list(_sandboxes):
        box._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def shared() -> Sandbox:
    """The default sandbox of this process, closed at its end; a forked process gets a zygote of its own.

    The environment's ``OPTO_GYM_SANDBOX`` is the level that it has at least.
    """
    return _shared(os.environ.get("OPTO_GYM_SANDBOX") or None)


@functools.cache
def _shared(level: str | None) -> Sandbox:
    box = Sandbox(level=level)
    atexit.register(box.close)
    return box
