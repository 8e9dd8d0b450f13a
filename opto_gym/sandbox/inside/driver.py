"""Serves the calls of one candidate in its own process."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
from typing import Any

from .protocol import ROOM, plain, receive, write

_REFUSED = (errno.EPERM, errno.EACCES)
_OUT_OF_REACH = {  # by the module that met the refusal; whatever else asks the system for more than computing
    "socket": "network is",
    "subprocess": "other processes are",
    "multiprocessing": "other processes are",
}


class OutputLimit(Exception):
    """An answer that is too large."""


class Driver:
    """Answers calls of the functions that a candidate's sources define.

    Args:
        channel: The descriptor to talk over.
        first: The supervisor's first message: sources, names of host functions, most bytes of an answer.
    """

    def __init__(self, channel: int, first: dict[str, Any]) -> None:
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

    def call_host(self, name: str, /, *args: Any, **keywords: Any) -> Any:
        """Calls a function of the supervisor."""
        if keywords:
            raise TypeError(f"{name} takes its arguments by position")
        write(self.channel, self.encode({"host": name, "args": plain(list(args), f"a call of {name}")}))
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
        write(self.channel, body)

    def encode(self, message: dict[str, Any]) -> bytes:
        """A message as it goes over the channel."""
        try:
            body = json.dumps(message).encode()
        except ValueError:
            raise OutputLimit("stopped: the answer holds an integer of over 4300 digits") from None
        if len(body) > self.output + ROOM:
            raise OutputLimit(f"stopped: the answer is over {self.output} bytes")
        return body

    def failure(self, e: BaseException, name: str) -> dict[str, Any]:
        """The reply where the candidate's code raised, with the line of its source."""
        line, step = e.lineno if isinstance(e, SyntaxError) else None, e.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == f"<{name}>":
                line = step.tb_lineno
            step = step.tb_next
        line = line if isinstance(line, int) else None
        try:
            message = refusal(e) or str(e.msg if isinstance(e, SyntaxError) else e)[:2000]
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


def refusal(e: BaseException | None) -> str:
    """What the sandbox refused, in words that help whoever wrote the code; "" for errors of other kinds."""
    if isinstance(e, RuntimeError) and "start new thread" in str(e):
        return "threads are not available to candidate code"
    if type(e).__name__ == "gaierror":  # no name was found, there being no network to ask
        return "socket: network is not available to candidate code"
    if not isinstance(e, OSError):
        return ""
    if e.errno not in _REFUSED:
        return refusal(getattr(e, "reason", None))  # urllib wraps what it met
    if e.filename is not None:
        return f"{e.filename!r:.200}: files are not available to candidate code"
    where, step = "", e.__traceback__
    while step is not None:
        where = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        step = step.tb_next
    if where in _OUT_OF_REACH:
        return f"{where}: {_OUT_OF_REACH[where]} not available to candidate code"
    return "refused: candidate code may compute, and nothing else"
