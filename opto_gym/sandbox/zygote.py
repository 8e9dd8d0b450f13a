"""The other side of the sandbox: a clean process that forks one candidate process an example.

It is run as a script by a fresh interpreter with an empty environment and imports nothing of opto_gym, so that a
candidate's process never held a key, a result or a test example. Messages are length-framed JSON.
"""

import contextlib
import ctypes
import functools
import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
from typing import Any

for _name in ("bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "random", "re", "statistics",
              "string", "traceback", "numpy"):  # fmt: skip
    with contextlib.suppress(ImportError):
        __import__(_name)  # what candidates may use, loaded once

DEPTH = 100
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38


def receive(channel: socket.socket) -> Any:
    """The next message, or None at the end."""
    head = receive_bytes(channel, 4)
    return json.loads(receive_bytes(channel, struct.unpack(">I", head)[0]) or b"null") if head else None


def receive_bytes(channel: socket.socket, n: int) -> bytes:
    """Exactly n bytes, or none at the end."""
    chunks = []
    while n:
        chunk = channel.recv(min(n, 1 << 20))
        if not chunk:
            return b""
        chunks.append(chunk)
        n -= len(chunk)
    return b"".join(chunks)


def lock_down(limits: dict[str, int]) -> None:
    """Level L0: limits, no new privileges, not dumpable, dead with the zygote."""
    for name, value in (("AS", limits["memory"]), ("CPU", limits["cpu"]), ("FSIZE", 0), ("CORE", 0), ("NOFILE", 64),
                        ("NPROC", 0), ("MEMLOCK", 0)):  # fmt: skip
        with contextlib.suppress(AttributeError, ValueError, OSError):
            which = getattr(resource, "RLIMIT_" + name)
            resource.setrlimit(which, (value, value + 1 if name == "CPU" else value))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        for option, value in ((PR_SET_PDEATHSIG, signal.SIGKILL), (PR_SET_NO_NEW_PRIVS, 1), (PR_SET_DUMPABLE, 0)):
            prctl(option, value, 0, 0, 0)


def plain(value: Any, depth: int = 0) -> Any:
    """A candidate's answer as JSON's own types, or a TypeError that names what is not."""
    t = type(value)
    if value is None or t is bool or t is int or t is float or t is str:
        return value
    if depth > DEPTH:
        raise TypeError(f"the answer is nested more than {DEPTH} deep")
    if t is list or t is tuple:
        return [plain(x, depth + 1) for x in value]
    if t is dict:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"the answer has a dictionary key of type {type(key).__name__}; keys must be text")
        return {key: plain(x, depth + 1) for key, x in value.items()}
    if t.__module__ == "numpy" and hasattr(t, "tolist"):
        return plain(value.tolist(), depth + 1)
    raise TypeError(f"the answer holds a {t.__name__}, which is no plain data")


class Driver:
    """Serves the calls of one candidate in its own process."""

    def __init__(self, channel: socket.socket, first: dict[str, Any]) -> None:
        self.channel, self.sources, self.hosts = channel, first["sources"], first["hosts"]
        self.output = first["output"]
        self.spaces: dict[str, dict[str, Any]] = {}
        self.dumps, self.pack = json.dumps, struct.pack

    def send(self, message: dict[str, Any]) -> None:
        """Sends one message."""
        body = self.dumps(message).encode("utf-8", "surrogatepass")
        self.channel.sendall(self.pack(">I", len(body)) + body)

    def function(self, name: str) -> Any:
        """The candidate's function, loaded at its first call so that a syntax error is an error of the call."""
        if name not in self.spaces:
            space: dict[str, Any] = {"__name__": name, "__builtins__": __builtins__}
            for host in self.hosts:
                space[host] = functools.partial(self.call_host, host)
            exec(compile(self.sources[name], f"<{name}>", "exec"), space)
            self.spaces[name] = space
        found = self.spaces[name].get(name)
        if not callable(found):
            raise NameError(f"the code defines no function {name!r}")
        return found

    def call_host(self, name: str, *args: Any) -> Any:
        """Calls a function of the supervisor."""
        self.send({"host": name, "args": plain(list(args))})
        answer = receive(self.channel)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """The reply to one call."""
        name = call["call"]
        try:
            reply = {"value": plain(self.function(name)(*call["args"]))}
        except BaseException as e:
            return self.failure(e, name)
        try:
            if len(self.dumps(reply)) > self.output:
                return {"error": "OutputLimit", "message": f"stopped: the answer is over {self.output} bytes"}
        except (ValueError, RecursionError) as e:
            return {"error": "OutputLimit", "message": str(e)}
        return reply

    def failure(self, e: BaseException, name: str) -> dict[str, Any]:
        """The reply where the candidate's code raised, with the line of its source."""
        line, step = getattr(e, "lineno", None) if isinstance(e, SyntaxError) else None, e.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == f"<{name}>":
                line = step.tb_lineno
            step = step.tb_next
        try:
            message = str(e.msg if isinstance(e, SyntaxError) else e)[:2000]
        except BaseException:
            message = "(its message can't be shown)"
        if isinstance(e, MemoryError) and not message:
            message = "stopped: memory limit"
        return {"error": type(e).__name__, "message": message, "line": line}

    def serve(self) -> None:
        """Answers calls until the supervisor hangs up."""
        while True:
            call = receive(self.channel)
            if not call:
                return
            self.send(self.answer(call))


def child(channel: socket.socket, first: dict[str, Any]) -> None:
    """The life of a candidate's process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    os.dup2(channel.fileno(), 3)
    channel.detach()
    os.closerange(4, 4096)
    lock_down(first["limits"])
    driver = Driver(socket.socket(fileno=3), first)
    driver.send({"pid": os.getpid()})
    gc.enable()
    driver.serve()


def main() -> None:
    """Forks a process for every descriptor that arrives, until the supervisor hangs up."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    os.chdir("/")
    gc.disable()
    gc.collect()
    gc.freeze()  # forks share these pages
    while True:
        _, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not fds:
            return
        channel = socket.socket(fileno=fds[0])
        if os.fork() == 0:
            try:
                control.close()
                first = receive(channel)
                if first:
                    child(channel, first)
            finally:
                os._exit(0)
        channel.close()


if __name__ == "__main__":
    main()
