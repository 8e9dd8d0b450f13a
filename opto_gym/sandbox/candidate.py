"""Runs the code parameters of a proposal: one sandboxed process for each example."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any

from .. import sandbox


class Candidate:
    """The program made of a proposal's code parameters.

    Its process starts with the example, and what it remembers ends with it.

    Args:
        sources: Python source by the name of the function that it defines.
        host: Gives the functions of this process that the sources may call by name, anew for each example.
    """

    def __init__(self, sources: Mapping[str, Any], host: Callable[[], Mapping[str, Callable[..., Any]]]) -> None:
        self._host = host
        self._sources = {name: source for name, source in sources.items() if isinstance(source, str)}
        self._program: sandbox.Program | None = None

    def __enter__(self) -> Candidate:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def restart(self) -> None:
        """Ends the process and begins a new one, which gets ready while the environment does."""
        self.close()
        if self._sources:
            self._program = sandbox.shared().load(self._sources, host=self._host())

    def close(self) -> None:
        """Ends the process."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def executor(self, function: str) -> Callable[..., Any]:
        """Calls the function in the candidate's process; raises what it raises, as far as Python knows the type."""

        def run(source: str, args: tuple[Any, ...]) -> Any:
            assert self._program is not None
            result = self._program.call(function, list(args))
            if result.error is not None:
                raise as_exception(result.error)
            return result.value

        return run


_LIMITS = {"TimeLimit": TimeoutError, "MemoryLimit": MemoryError}


def as_exception(error: sandbox.CandidateError) -> Exception:
    """The error of another process as an exception of its own type, with the line of the candidate's source."""
    kind = getattr(builtins, error.type, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = _LIMITS.get(error.type, RuntimeError)
    try:
        e: Exception = kind(error.message)
    except TypeError:  # some want more than a message, UnicodeDecodeError for one
        e = RuntimeError(error.message)
    vars(e).update(candidate_type=error.type, candidate_line=error.line, candidate_text=error.text)
    return e
