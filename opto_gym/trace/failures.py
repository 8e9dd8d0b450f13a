"""Exceptions of traced code: they keep their Python type and carry the node where the trace broke off."""

from __future__ import annotations

import builtins
import contextlib
import functools
import re
import types
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


def where(e: ExecutionError) -> str:
    """`` at line 3: x = map[9]``, or nothing."""
    return f" at line {e.line}{f': {e.text}' if e.text else ''}" if e.line else ""


def told(e: ExecutionError) -> str:
    """The error node's value."""
    return f"({e.type}) {e.message}{f' [line {e.line}: {e.text}]' if e.line else ''}"


def execution_error(e: Exception, operator: str) -> ExecutionError | None:
    """The exception as an `ExecutionError`; itself if it is one; None if no proposal did it (`OptoGymError`)."""
    if isinstance(e, ExecutionError):
        return e
    if isinstance(e, OptoGymError):
        return None
    kind: Any = type(e)
    try:
        both = _both(kind)
    except TypeError:  # a class that allows no subclasses
        both = ExecutionError
    # Its own __init__ may want other arguments than it passed on, so only Python's part of it is built and the rest
    # copied. Memory is laid out by the line of __base__, set up by the first of Python's classes in all bases.
    layout: Any = both
    while not _of_python(layout):
        layout = layout.__base__
    error: ExecutionError = layout.__new__(both, *e.args)
    python: Any = next(filter(_of_python, both.__mro__))
    python.__init__(error, *e.args)
    error.args = e.args
    for cls in kind.__mro__[:-2]:  # without BaseException and object
        for name, attribute in vars(cls).items():
            if isinstance(attribute, types.MemberDescriptorType):  # C's fields and __slots__
                value = getattr(e, name, None)
                if value is not None and getattr(error, name, None) is not value:
                    with contextlib.suppress(AttributeError):  # read-only: __init__ has set it
                        setattr(error, name, value)
    error.__dict__.update(e.__dict__)
    error.type = getattr(e, "candidate_type", kind.__name__)
    error.message = _ADDRESS.sub("", str(e.msg if isinstance(e, SyntaxError) else e)[:2000])
    error.line, error.text = getattr(e, "candidate_line", None), getattr(e, "candidate_text", "")
    return error


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,}")  # differs in each process


def _of_python(cls: type) -> bool:
    return getattr(builtins, cls.__name__, None) is cls


@functools.cache
def _both(kind: type[Any]) -> type[ExecutionError]:
    """A class that is an ExecutionError and an IndexError, say, and bears the latter's name."""
    return type(kind.__name__, (ExecutionError, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
