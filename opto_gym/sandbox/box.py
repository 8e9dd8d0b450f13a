"""The trusted side of the sandbox: programs, calls, limits.

Supervisor (keys, results, test examples) -> zygote (clean, empty environment) -> one forked process a program. The
channel is a socketpair made for the program; both sides exchange JSON only.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import SandboxError
from .results import CandidateError, Limits, Result, candidate_error

LEVELS = ("L0",)
_DEPTH = 120


class Sandbox:
    """Runs candidates' code, each program in a process of its own. Safe to use from several threads.

    Args:
        limits: What a program may use.
        level: At least this level; None takes the best that this machine offers.
        host: Functions of this process that candidates may call by name, with plain data; their time is not counted.

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
        self._lock = threading.Lock()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def load(self, sources: Mapping[str, str]) -> Program:
        """A process for one example.

        Args:
            sources: Python source by the name of the function that it defines; each has a namespace of its own.
        """
        return Program(self, dict(sources))

    def call(self, source: str, name: str, args: list[Any]) -> Result:
        """One call in a process of its own."""
        with self.load({name: source}) as program:
            return program.call(name, args)

    def in_force(self) -> dict[str, Any]:
        """What protects this machine from the code, as plain data for the record."""
        return {
            "level": self.level,
            "rlimits": True,
            "no_new_privs": sys.platform == "linux",
            "seccomp": False,
            "landlock_abi": None,
            "namespaces": [],
            "uid_dropped": False,
            "platform": sys.platform,
        }

    def close(self) -> None:
        """Ends the zygote, and with it every program."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._zygote is not None:
            try:
                self._zygote.wait(2)
            except subprocess.TimeoutExpired:
                self._zygote.kill()
                self._zygote.wait()
            self._zygote = None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            self._zygote = subprocess.Popen(
                [sys.executable, "-s", "-P", str(Path(__file__).with_name("zygote.py")), str(theirs.fileno())],
                env={"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as e:
            ours.close()
            raise SandboxError(f"the sandbox's process can't be started: {e}") from e
        finally:
            theirs.close()
        self._control = ours
        return ours

    def spawn(self) -> socket.socket:
        """The parent's end of a channel to a new process."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            for attempt in (1, 2):
                try:
                    socket.send_fds(self._control or self._start(), [b"f"], [theirs.fileno()])
                    return ours
                except OSError:  # the zygote died: a new one, once
                    self._stop()
                    if attempt == 2:
                        ours.close()
                        raise SandboxError("the sandbox's process does not stay alive") from None
        raise AssertionError("spawn returns or raises")


class _Ended(Exception):
    """The candidate's process is to be taken for dead."""

    def __init__(self, kind: str, message: str) -> None:
        self.error = CandidateError(kind, message)


class Program:
    """The process of one example; its namespaces and what it remembers last as long as it does."""

    def __init__(self, box: Sandbox, sources: dict[str, str]) -> None:
        self._box, self._sources = box, sources
        self._pid, self._host_calls = 0, 0
        self._dead: CandidateError | None = None
        self._channel = self._begin()

    def _begin(self) -> socket.socket:
        limits = self._box.limits
        first = {
            "sources": self._sources,
            "hosts": list(self._box.host),
            "output": limits.output,
            "limits": {"memory": limits.memory, "cpu": limits.cpu},
        }
        for attempt in (1, 2):
            channel = self._box.spawn()
            try:
                _send(channel, first)
                self._pid = _receive(channel, time.monotonic() + 20, 1000)["pid"]
                return channel
            except (_Ended, OSError) as e:
                channel.close()
                if attempt == 2:
                    raise SandboxError(f"a candidate's process can't be started: {e}") from e
                with self._box._lock:
                    self._box._stop()
        raise AssertionError("_begin returns or raises")

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def call(self, name: str, args: list[Any]) -> Result:
        """Calls the function `name` of the source loaded under that name. Never raises for what the candidate did.

        Args:
            name: One of the names given to `Sandbox.load`.
            args: Plain data.
        """
        if name not in self._sources:
            raise KeyError(f"expected one of {sorted(self._sources)}, got {name!r}")
        begin = time.monotonic()
        if self._dead is not None:
            return Result(None, self._dead, 0.0)
        try:
            answer = self._ask({"call": name, "args": args})
            if "error" in answer:
                return Result(None, candidate_error(answer, self._sources[name]), time.monotonic() - begin)
            if "value" not in answer:
                raise _Ended("ProcessDied", "the program sent something that was not asked for")
            return Result(answer["value"], None, time.monotonic() - begin)
        except _Ended as e:
            self._dead = e.error
            self.close()
            return Result(None, e.error, time.monotonic() - begin)
        except BaseException:
            self.close()
            raise

    def _ask(self, call: dict[str, Any]) -> dict[str, Any]:
        limits = self._box.limits
        end = time.monotonic() + limits.seconds
        too_long = _Ended("TimeLimit", f"stopped: time limit {limits.seconds:g} s")
        if select.select([self._channel], [], [], 0)[0] and self._channel.recv(1, socket.MSG_PEEK):
            raise _Ended("ProcessDied", "the program sent something that was not asked for")
        try:
            _send(self._channel, call)
            while True:
                answer = _receive(self._channel, end, limits.output + 1000)
                if "host" not in answer:
                    return answer
                paused = time.monotonic()
                _send(self._channel, self._serve(answer))
                end += time.monotonic() - paused
        except TimeoutError:
            raise too_long from None
        except OSError:
            raise _Ended("ProcessDied", "the program ended its process") from None

    def _serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runs a host function for the candidate."""
        self._host_calls += 1
        function, args = self._box.host.get(str(request["host"])), request.get("args")
        if function is None or not isinstance(args, list):
            return {"error": "there is no such function"}
        if self._host_calls > self._box.limits.host_calls:
            return {"error": f"more than {self._box.limits.host_calls} calls"}
        try:
            return {"value": function(*args)}
        except (TypeError, ValueError, LookupError, ArithmeticError) as e:
            return {"error": f"{type(e).__name__}: {e}"[:500]}

    def close(self) -> None:
        """Kills the process and all that it started."""
        if self._dead is None:
            self._dead = CandidateError("ProcessDied", "the program is closed")
        if self._pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGKILL)
                for _ in range(100):  # until nothing of the group is left, for it may be forking
                    os.killpg(self._pid, signal.SIGKILL)
                    time.sleep(0.001)
            self._pid = 0
            self._channel.close()


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.settimeout(20)
    body = json.dumps(message, default=_numpy).encode("utf-8", "surrogatepass")
    channel.sendall(struct.pack(">I", len(body)) + body)


def _numpy(x: Any) -> Any:
    if type(x).__module__ == "numpy":
        return x.tolist()
    raise TypeError(f"the sandbox takes plain data, got {type(x).__name__}")


def _receive(channel: socket.socket, end: float, most: int) -> dict[str, Any]:
    """One message of an untrusted process, bounded in time, size and depth."""
    size = struct.unpack(">I", _exactly(channel, 4, end))[0]
    if size > most:
        raise _Ended("OutputLimit", f"stopped: the answer is over {most - 1000} bytes")
    body = _exactly(channel, size, end)
    try:
        message = json.loads(body)
        if not isinstance(message, dict) or not _shallow(message, 0):
            raise ValueError
    except (ValueError, RecursionError):
        raise _Ended("OutputLimit", "the answer can't be read") from None
    return message


def _exactly(channel: socket.socket, n: int, end: float) -> bytes:
    data = bytearray()
    while len(data) < n:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        chunk = channel.recv(min(n - len(data), 1 << 20))
        if not chunk:
            raise _Ended("ProcessDied", "the program ended its process")
        data += chunk
    return bytes(data)


def _shallow(x: Any, depth: int) -> bool:
    if depth > _DEPTH:
        return False
    if isinstance(x, list):
        return all(_shallow(i, depth + 1) for i in x if isinstance(i, list | dict))
    if isinstance(x, dict):
        return all(_shallow(i, depth + 1) for i in x.values() if isinstance(i, list | dict))
    return True


_shared: dict[int, Sandbox] = {}
_shared_lock = threading.Lock()


def shared() -> Sandbox:
    """The default sandbox of this process; a forked process gets its own."""
    with _shared_lock:
        pid = os.getpid()
        if pid not in _shared:
            _shared.clear()
            _shared[pid] = Sandbox()
            atexit.register(_shared[pid].close)
        return _shared[pid]
