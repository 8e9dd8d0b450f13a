"""The other side of the sandbox: a clean process that forks one candidate process an example.

It is run as a script by a fresh interpreter with an empty environment and imports nothing of opto_gym, so that a
candidate's process never held a key, a result or a test example. `box` imports the protocol's two halves from here:
`plain` and the sizes of messages.

Control channel, from the supervisor: `CONTROL` structs, (b"f", 0) with a descriptor forks a program that talks over it,
(b"e", pid) says that a program was killed. Channel of a program: length-framed JSON in ASCII.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

CONTROL = struct.Struct(">cI")
LENGTH = struct.Struct(">I")
DEPTH = 100  # of nested lists and dicts in one value
ROOM = 32768  # bytes of a message besides the value: an error's text, escaped
PRELOADED = (  # what candidates may use, and the driver itself
    "bisect collections copy dataclasses datetime enum functools heapq itertools math operator random re resource "
    "statistics string traceback typing numpy numpy.random"
)
_SCALARS = frozenset({type(None), bool, int, float, str})
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (  # an enum's member or a numpy.float64 as its bare value
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
)

# Linux's <linux/prctl.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """Values as JSON's own types; tuples and arrays become lists.

    Args:
        value: None, bool, int, float, str, lists and tuples, dicts with text keys, NumPy's scalars and arrays.
        what: What the value is, for the error.
        depth: How deep it is nested already.

    Raises:
        TypeError: If it holds anything else, or more than `DEPTH` levels; the message names the type.
    """
    t = type(value)
    if t in _SCALARS:
        return value
    if depth > DEPTH:
        raise TypeError(f"{what} is nested more than {DEPTH} deep")
    if isinstance(value, list | tuple):
        return [x if type(x) in _SCALARS else plain(x, what, depth + 1) for x in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{what} has a dictionary key of type {type(key).__name__}; keys must be text")
        return {str.__str__(key): plain(x, what, depth + 1) for key, x in value.items()}
    for base, bare in _BASES:
        if isinstance(value, base):
            return bare(value)
    if t.__module__.partition(".")[0] == "numpy" and hasattr(t, "tolist"):
        return plain(value.tolist(), what, depth + 1)
    raise TypeError(f"{what} holds a value of type {t.__name__}, which is not plain data (numbers, text, lists, dicts)")


class OutputLimit(Exception):
    """An answer that is too large."""


def receive(channel: socket.socket) -> Any:
    """The supervisor's next message, or None at the end."""
    head = _receive_bytes(channel, LENGTH.size)
    return json.loads(_receive_bytes(channel, LENGTH.unpack(head)[0]) or b"null") if head else None


def _receive_bytes(channel: socket.socket, n: int) -> bytes:
    """Exactly n bytes, or none at the end."""
    data = bytearray()
    while len(data) < n:
        chunk = channel.recv(min(n - len(data), 1 << 20))
        if not chunk:
            return b""
        data += chunk
    return bytes(data)


def prctl(option: int, value: int) -> bool:
    """Sets one of Linux's process attributes; False where there is no such thing."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


def lock_down(limits: dict[str, int], parent: int) -> list[str]:
    """Level L0: limits, no new privileges, not dumpable, dead with the zygote.

    Returns:
        The names of what this machine does not grant.
    """
    import resource  # no such module on Windows, where `box` says what to do

    missing = []
    for name, value in (
        ("AS", limits["memory"]),
        ("CPU", limits["cpu"]),
        ("FSIZE", 0),
        ("NOFILE", 64),
        ("NPROC", 0),
        ("CORE", 0),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
    ):
        try:  # the processor's soft limit is a signal that can be caught, the hard one is not
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value + 1 if name == "CPU" else value))
        except (AttributeError, ValueError, OSError):
            missing.append(f"RLIMIT_{name}")
    if os.geteuid() == 0:
        missing.append("RLIMIT_NPROC")  # the kernel does not count root's processes
    for what, option, value in (
        ("parent-death signal", PR_SET_PDEATHSIG, signal.SIGKILL),
        ("no_new_privs", PR_SET_NO_NEW_PRIVS, 1),
        ("not dumpable", PR_SET_DUMPABLE, 0),
    ):
        if not prctl(option, value):
            missing.append(what)
    if os.getppid() != parent:  # it died before the signal was asked for
        os._exit(1)
    return missing


class Driver:
    """Serves the calls of one candidate in its own process."""

    def __init__(self, channel: socket.socket, first: dict[str, Any]) -> None:
        self.channel, self.sources, self.hosts, self.output = channel, first["sources"], first["hosts"], first["output"]
        self.spaces: dict[str, dict[str, Any]] = {}
        self.reserve: bytes | None = bytes(4 << 20)  # given back when memory is out, so that this can be said

    def function(self, name: str) -> Any:
        """The candidate's function, loaded at its first call so that a syntax error is an error of the call."""
        if name not in self.spaces:
            space: dict[str, Any] = {"__name__": name, "__builtins__": __builtins__}
            for host in self.hosts:
                space[host] = functools.partial(self.call_host, host)
            exec(compile(self.sources[name], f"<{name}>", "exec", dont_inherit=True), space)
            self.spaces[name] = space
        found = self.spaces[name].get(name)
        if not callable(found):
            raise NameError(f"the code defines no function {name!r}")
        return found

    def call_host(self, name: str, *args: Any) -> Any:
        """Calls a function of the supervisor."""
        self.channel.sendall(self.encode({"host": name, "args": plain(list(args), f"a call of {name}")}))
        answer = receive(self.channel)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def answer(self, call: dict[str, Any]) -> None:
        """Runs one call and sends its reply, which bears the call's number."""
        name, number = call["call"], call["n"]
        try:
            value = plain(self.function(name)(*call["args"]), "the answer")
            body = self.encode({"n": number, "value": value})
        except BaseException as e:
            self.reserve = None
            body = self.encode({"n": number} | self.failure(e, name))
        self.channel.sendall(body)

    def encode(self, message: dict[str, Any]) -> bytes:
        """A message as it goes over the channel."""
        try:
            body = json.dumps(message).encode()
        except ValueError:
            raise OutputLimit("stopped: the answer holds an integer of over 4300 digits") from None
        if len(body) > self.output + ROOM:
            raise OutputLimit(f"stopped: the answer is over {self.output} bytes")
        return LENGTH.pack(len(body)) + body

    def failure(self, e: BaseException, name: str) -> dict[str, Any]:
        """The reply where the candidate's code raised, with the line of its source."""
        line, step = e.lineno if isinstance(e, SyntaxError) else None, e.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == f"<{name}>":
                line = step.tb_lineno
            step = step.tb_next
        line = line if isinstance(line, int) else None
        try:
            message = str(e.msg if isinstance(e, SyntaxError) else e)[:2000]
        except BaseException:
            message = "(its message can't be shown)"
        if isinstance(e, MemoryError):  # NumPy raises a private class of it
            return {"error": "MemoryError", "message": message or "stopped: memory limit", "line": line}
        return {"error": type(e).__name__, "message": message, "line": line}

    def serve(self) -> None:
        """Answers calls until the supervisor hangs up."""
        while call := receive(self.channel):
            self.answer(call)
            if self.reserve is None:
                with contextlib.suppress(MemoryError):
                    self.reserve = bytes(4 << 20)


def child(channel: socket.socket, parent: int) -> None:
    """The life of a candidate's process."""
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    os.dup2(channel.detach(), 3)
    os.closerange(4, 4096)
    channel = socket.socket(fileno=3)
    first = receive(channel)
    missing = lock_down(first["limits"], parent)
    # Equal arguments give equal answers, also to a candidate that draws at random without a seed of its own.
    for name in ("random", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].seed(0)
    driver = Driver(channel, first)
    channel.sendall(driver.encode({"pid": os.getpid(), "missing": missing}))
    gc.enable()
    driver.serve()


def children() -> set[int]:
    """The processes whose parent is this one; on Linux also those that a program's process left behind."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as f:
            return {int(pid) for pid in f.read().split()}
    except OSError:
        return set()


def bury(programs: set[int], ended: set[int]) -> None:
    """Reaps the programs that ended, and kills what they left behind: children of ours that are no program."""
    for pid in list(ended):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        ended.discard(pid)
    for pid in children() - programs - ended:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        ended.add(pid)


def preload() -> None:
    """Imports what candidates may use, once."""
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            __import__(name)


def main() -> None:
    """Forks a process for every descriptor that arrives, until the supervisor hangs up."""
    preload()
    control = socket.socket(fileno=int(sys.argv[1]))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    programs: set[int] = set()
    ended: set[int] = set()
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    gc.collect()
    gc.disable()
    gc.freeze()  # forks share these pages
    me = os.getpid()
    while True:
        if ended:
            bury(programs, ended)
        if not waiting.poll(5 if ended else None):
            continue
        message, fds, _, _ = socket.recv_fds(control, CONTROL.size, 1)
        if not message:
            break
        command, pid = CONTROL.unpack(message)
        if command == b"e":  # killed by the supervisor; not reaped before, so that its number was nobody else's
            programs.discard(pid)
            ended.add(pid)
            continue
        channel = socket.socket(fileno=fds[0])
        try:
            pid = os.fork()
        except OSError:  # no process or memory to be had: the supervisor sees the channel closed
            channel.close()
            continue
        if pid == 0:
            try:
                control.close()
                child(channel, me)
            finally:
                os._exit(0)
        programs.add(pid)
        channel.close()
    programs |= ended
    for pid in programs:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.killpg(pid, signal.SIGKILL)
    end = time.monotonic() + 1
    bury(set(), programs)
    while programs and time.monotonic() < end:
        time.sleep(0.001)
        bury(set(), programs)


if __name__ == "__main__":
    main()
