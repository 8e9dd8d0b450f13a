"""Serves the calls of a candidate's functions, in the candidate's process."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
from collections.abc import Callable
from typing import Any

from .protocol import OVERHEAD, plain, receive, write

Explain = Callable[[BaseException], str]
_REFUSED = (errno.EPERM, errno.EACCES)
_UNAVAILABLE = {  # what is refused, by the module in which the error was raised
    "socket": "network is",
    "subprocess": "other processes are",
    "multiprocessing": "other processes are",
}


class OutputLimit(Exception):
    """The answer of a candidate's function is too large."""


class Driver:
    """Answers the supervisor's calls of the functions that a candidate's sources define.

    Args:
        channel: The descriptor of the channel to the supervisor.
        first: The supervisor's first message: the sources, the names of host functions, the most bytes of an answer.
        explain: What is to be added to the message of an exception in the candidate's code, or "".
    """

    def __init__(self, channel: int, first: dict[str, Any], explain: Explain) -> None:
        self.explain = explain
        self.channel, self.sources, self.hosts, self.output = channel, first["sources"], first["hosts"], first["output"]
        self.namespaces: dict[str, dict[str, Any]] = {}
        self.reserve: bytes | None = bytes(4 << 20)  # freed when memory runs out, so that the error can be reported

    def function(self, name: str) -> Any:
        """A function of the candidate. Its source is loaded at the first call, whose error a syntax error is."""
        if name not in self.namespaces:
            namespace: dict[str, Any] = {"__name__": name, "__builtins__": __builtins__}
            for host in self.hosts:
                namespace[host] = functools.partial(self.call_host, host)
            exec(compile(self.sources[name], f"<{name}>", "exec", dont_inherit=True), namespace)
            self.namespaces[name] = namespace
        found = self.namespaces[name].get(name)
        if not callable(found):
            raise NameError(f"the code defines no function {name!r}")
        return found

    def call_host(self, name: str, /, *args: Any, **keywords: Any) -> Any:
        """Calls a host function in the supervisor's process and returns its value."""
        if keywords:
            raise TypeError(f"{name} takes its arguments by position")
        write(self.channel, self.encode({"host": name, "args": plain(list(args), f"a call of {name}")}))
        answer = receive(self.channel)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def answer(self, call: dict[str, Any]) -> None:
        """Runs one call and sends the reply, which has the number of the call."""
        name, number = call["call"], call["n"]
        try:
            value = plain(self.function(name)(*call["args"]), "the answer")
            body = self.encode({"n": number, "value": value})
        except BaseException as e:
            self.reserve = None
            body = self.encode({"n": number} | self.failure(e, name))
        write(self.channel, body)

    def encode(self, message: dict[str, Any]) -> bytes:
        """A message as JSON.

        Raises:
            OutputLimit: If it is too large.
        """
        try:
            body = json.dumps(message).encode()
        except ValueError:
            raise OutputLimit("stopped: the answer holds an integer of over 4300 digits") from None
        if len(body) > self.output + OVERHEAD:
            raise OutputLimit(f"stopped: the answer is over {self.output} bytes")
        return body

    def failure(self, e: BaseException, name: str) -> dict[str, Any]:
        """The reply for an exception in the candidate's code, with the line of the source that raised it."""
        line, step = e.lineno if isinstance(e, SyntaxError) else None, e.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == f"<{name}>":
                line = step.tb_lineno
            step = step.tb_next
        line = line if isinstance(line, int) else None
        try:
            message = refusal(e) or str(e.msg if isinstance(e, SyntaxError) else e)[:2000]
            explanation = self.explain(e)
            message += f" ({explanation})" if explanation else ""
        except BaseException:
            message = "(its message can't be shown)"
        if isinstance(e, MemoryError):  # NumPy raises a private class of it
            return {"error": "MemoryError", "message": message or "stopped: memory limit", "line": line}
        return {"error": type(e).__name__, "message": message, "line": line}

    def serve(self) -> None:
        """Answers calls until the supervisor closes the channel."""
        while call := receive(self.channel):
            self.answer(call)
            if self.reserve is None:
                with contextlib.suppress(MemoryError):
                    self.reserve = bytes(4 << 20)


def refusal(e: BaseException | None) -> str:
    """A message that tells the author of the code what the sandbox refused; "" for errors of other kinds."""
    if isinstance(e, RuntimeError) and "start new thread" in str(e):
        return "threads are not available to candidate code"
    if type(e).__name__ == "gaierror":  # without a network no host name is found
        return "socket: network is not available to candidate code"
    if not isinstance(e, OSError):
        return ""
    if e.errno not in _REFUSED:
        return refusal(getattr(e, "reason", None))  # urllib wraps the error of the socket
    if e.filename is not None:
        return f"{e.filename!r:.200}: files are not available to candidate code"
    module, step = "", e.__traceback__
    while step is not None:
        module = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        step = step.tb_next
    if module in _UNAVAILABLE:
        return f"{module}: {_UNAVAILABLE[module]} not available to candidate code"
    return "refused: candidate code may compute, and nothing else"
