"""Runs the code parameters of one proposal, each example in a process of its own."""

from __future__ import annotations

import builtins
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .box import shared
from .process import CandidateProcess
from .results import CandidateError, Limits


def describe_runtime(host: Mapping[str, Callable[..., Any]]) -> str:
    """How code parameters run, in words for an optimizer: the limits, and the functions that the code may call.

    Args:
        host: Functions of this process that the code may call, by name.
    """
    limits = Limits()
    text = (
        f"Code runs in Python with NumPy, without network and files; a call may take {limits.seconds:g} seconds, all"
        f" calls of one example {limits.example:g} seconds, and {limits.memory / (1 << 30):g} GiB of memory."
    )
    functions = [f"{name}{_signature(f)}: {inspect.getdoc(f) or ''}".rstrip(": ") for name, f in host.items()]
    return "\n".join([text, *(["The code may call:"] if functions else []), *functions])


def _signature(function: Callable[..., Any]) -> str:
    return f"({', '.join(inspect.signature(function).parameters)})"


class Candidate:
    """The code parameters of one proposal in the shared sandbox, for several examples at a time. A context manager.

    Args:
        sources: The proposal's values of code parameters, by the name of the function that each defines. Values that
            are not text are left out: an environment refuses them before it calls them.
        host: Returns the functions of this process that the code may call by name; called once for each example.
    """

    def __init__(self, sources: Mapping[str, Any], host: Callable[[], Mapping[str, Callable[..., Any]]]) -> None:
        self._host = host
        self._sources = {name: source for name, source in sources.items() if isinstance(source, str)}
        self._processes: dict[int, CandidateProcess] = {}  # by the thread that runs the example

    def __enter__(self) -> Candidate:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def restart(self) -> None:
        """Ends this thread's process and starts one for its next example, which gets ready in the background."""
        last = self._processes.pop(threading.get_ident(), None)
        if last is not None:
            last.close()
        if self._sources:
            self._processes[threading.get_ident()] = shared().load(self._sources, host=self._host())

    def close(self) -> None:
        """Ends all processes."""
        while self._processes:
            self._processes.popitem()[1].close()

    def _process(self) -> CandidateProcess:
        """The process of this thread's example; the only one for a thread that an environment has started itself."""
        processes = self._processes
        return processes[threading.get_ident()] if len(processes) > 1 else next(iter(processes.values()))

    def executor(self, function: str) -> Callable[..., Any]:
        """How a `trace.CodeParameter` calls a function of the proposal.

        Args:
            function: The name of the function.

        Returns:
            A function of (source, arguments), which raises the errors of the code as `as_exception` makes them. It
            ignores the source, which the process has loaded already.
        """

        def run(source: str, args: tuple[Any, ...]) -> Any:
            result = self._process().call(function, list(args))
            if result.error is not None:
                raise as_exception(result.error)
            return result.value

        return run


_LIMITS = {"TimeLimit": TimeoutError, "MemoryLimit": MemoryError}


def as_exception(error: CandidateError) -> Exception:
    """An error of a candidate as an exception of the same built-in type, or a RuntimeError for other types.

    Its attributes ``candidate_type``, ``candidate_line`` and ``candidate_text`` are those of the error.
    """
    kind = getattr(builtins, error.type, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = _LIMITS.get(error.type, RuntimeError)
    try:
        e: Exception = kind(error.message)
    except TypeError:  # some types need more than a message, such as UnicodeDecodeError
        e = RuntimeError(error.message)
    vars(e).update(candidate_type=error.type, candidate_line=error.line, candidate_text=error.text)
    return e
