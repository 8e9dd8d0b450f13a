"""Exceptions of traced code: they keep their Python type and carry the node where the trace broke off."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..errors import OptoGymError

if TYPE_CHECKING:
    from .nodes import Node


class ExecutionError(Exception):
    """An exception inside traced code. What is raised is of this class *and* of the original one, so that
    ``except IndexError`` goes on working.

    Attributes:
        exception_node: The error node, an output to give to `backward`; its value is ``"(IndexError) message"``, with
            the line of the parameter's source where one is known.
        type: The original exception's name.
        message: Its text.
        line: The line in the code parameter's source, counted from 1, or None.
        text: That line itself, or "".
    """

    exception_node: Node
    type: str = ""
    message: str = ""
    line: int | None = None
    text: str = ""

    @property
    def where(self) -> str:
        """`` at line 3: x = map[9]``, or nothing."""
        return f" at line {self.line}{f': {self.text}' if self.text else ''}" if self.line else ""

    @property
    def args_text(self) -> str:
        """The error node's value."""
        return f"({self.type}) {self.message}{f' [line {self.line}: {self.text}]' if self.line else ''}"


def execution_error(e: Exception, operator: str) -> ExecutionError | None:
    """The exception as an `ExecutionError`; itself if it is one; None if no proposal did it (`OptoGymError`)."""
    if isinstance(e, ExecutionError):
        return e
    if isinstance(e, OptoGymError):
        return None
    kind: Any = type(e)
    error: ExecutionError
    try:
        error = _both(kind)(*e.args)
    except Exception:  # its __init__ wants other arguments, or the two classes can't be combined
        try:
            error = _both(kind).__new__(_both(kind))
        except Exception:
            error = ExecutionError()
        error.args = e.args
    error.__dict__.update(e.__dict__)
    error.type = getattr(e, "candidate_type", kind.__name__)
    error.message = str(e.msg if isinstance(e, SyntaxError) else e)[:2000]
    error.line, error.text = getattr(e, "candidate_line", None), getattr(e, "candidate_text", "")
    return error


@functools.cache
def _both(kind: type[Any]) -> type[ExecutionError]:
    """A class that is an ExecutionError and an IndexError, say, and bears the latter's name."""
    return type(kind.__name__, (ExecutionError, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
