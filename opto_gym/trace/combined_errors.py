"""Exceptions of two classes: what the traced program raised, and `ExecutionError`.

A program handles its own errors by their type, and goes on doing so when it is traced. A loop around the program wants
every error of a run, whatever its type, with the node where the trace broke off. So what an operator raises must be
caught by both::

    try:
        shot = p.act(map)           # raises IndexError inside
    except IndexError:              # the program's own handler
        shot = [0, 0]

    try:
        output = program(example)
    except ExecutionError as e:     # the loop's
        output = e.exception_node

For each exception class that is met, one class is made that derives from both and has the original's name: from
IndexError ``class IndexError(ExecutionError, IndexError)``. An object of it gets the arguments, attributes and fields
of the original exception, which is its ``__cause__``.

>>> error = execution_error(IndexError("list index out of range"))
>>> isinstance(error, IndexError), isinstance(error, ExecutionError), error.type, error.message
(True, True, 'IndexError', 'list index out of range')
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import re
import types
from collections.abc import Iterable
from typing import Any

from ..errors import OptoGymError
from ..utils.missing_keys import explain
from .failures import ExecutionError


def execution_error(e: Exception, values: Iterable[Any] = ()) -> ExecutionError | None:
    """An exception as an `ExecutionError` of its own type too.

    Args:
        e: The exception.
        values: What the operation that raised it worked on: a KeyError's message says which keys a dict among them has.

    Returns:
        The exception itself if it is an ExecutionError; None for an `OptoGymError`, which no proposal causes. A class
        that allows no subclasses gives a plain ExecutionError with its name in `ExecutionError.type`.
    """
    if isinstance(e, ExecutionError):
        return e
    if isinstance(e, OptoGymError):
        return None
    try:
        original: Any = type(e)  # mypy takes a type[Exception] for unhashable
        error = _new(_combined_class(original), e.args)
        _copy_fields(e, error)
    except Exception:  # a class that allows no subclasses, or whose own methods fail
        error = ExecutionError(*e.args)
    notes = vars(e)
    error.__dict__.update(notes)
    error.type = notes.get("candidate_type", type(e).__name__)
    error.message = _ADDRESS.sub("", _message(e, values))
    error.line, error.text = notes.get("candidate_line"), notes.get("candidate_text", "")
    return error


def _message(e: Exception, values: Iterable[Any]) -> str:
    """The text of an exception, with an explanation where a KeyError looked for a key of another type."""
    try:
        if "candidate_type" in vars(e):  # it has both already; str() of a KeyError would put its message in quotes
            return str(e.args[0] if type(e) is KeyError else e)[:2000]
        if type(e).__str__ in _SHOW_ARGUMENTS and not _is_short(e.args):
            return "(its message is too long to be shown)"
        text = str(e.msg if isinstance(e, SyntaxError) else e)[:2000]
        explanation = explain(e, values)
    except Exception:  # of the exception's own __str__, or of one of its arguments
        return "(its message can't be shown)"
    return f"{text} ({explanation})" if explanation else text


def _is_short(values: Iterable[Any]) -> bool:
    """Whether the text of some values takes a moment: Python makes it whole, be it gigabytes, before it can be cut."""
    waiting, left = list(values), _MOST_ITEMS
    while waiting and left > 0:
        value = waiting.pop()
        # no method of the value is called, which may be of any class
        kind: Any = next((k for k in _SIZED if issubclass(type(value), k)), None)
        if kind in (str, bytes, bytearray):
            left -= kind.__len__(value) // _TEXT_OF_ITEM
        elif kind is not None:
            left -= kind.__len__(value)
            if left > 0:
                waiting += [*kind.__iter__(value), *(dict.values(value) if kind is dict else ())]
    return left > 0


_SHOW_ARGUMENTS = (BaseException.__str__, KeyError.__str__)  # others, as UnicodeError's, may show none of theirs
_SIZED = (str, bytes, bytearray, list, tuple, set, frozenset, dict)
_MOST_ITEMS = 10_000  # of all containers in a message's arguments
_TEXT_OF_ITEM = 1000  # characters that count as one item
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,}")  # differs from process to process


class _Combined(ExecutionError):
    """The base of the combined classes, which pickle cannot find by their names."""

    original: type[Exception]

    def __reduce__(self) -> Any:
        return _restored, (self.original, self.args), self.__dict__


@functools.cache
def _combined_class(original: type[Exception]) -> type[ExecutionError]:
    """The class that derives from `ExecutionError` and from the original class, under the latter's name."""
    names = {"__module__": original.__module__, "__doc__": original.__doc__, "original": original}
    return type(original.__name__, (_Combined, original), names)


def _restored(original: Any, arguments: tuple[Any, ...]) -> ExecutionError:
    """What a pickled exception is rebuilt from, before its attributes."""
    return _new(_combined_class(original), arguments)


def _new(cls: type[ExecutionError], arguments: tuple[Any, ...]) -> ExecutionError:
    """An exception of a combined class, without a call of the original class's own ``__init__``.

    That may want other arguments than those it passed on to Exception, which are all that is known. So only the part
    of the exception that Python's own classes make up is built.
    """
    # Python's __new__ has to be that of the class which decides on the object's layout in memory: the first of Python's
    # own on the line of __base__. Its __init__ is that of the first of Python's own among all bases.
    layout: Any = cls
    while not _is_builtin(layout):
        layout = layout.__base__
    error: ExecutionError = layout.__new__(cls, *arguments)
    builtin: Any = next(filter(_is_builtin, cls.__mro__))
    builtin.__init__(error, *arguments)
    error.args = arguments
    return error


def _is_builtin(cls: type) -> bool:
    return getattr(builtins, cls.__name__, None) is cls


def _copy_fields(source: Exception, target: ExecutionError) -> None:
    """Copies what stands in an exception beside its ``__dict__``: fields of C classes, and ``__slots__``."""
    for cls in type(source).__mro__[:-2]:  # without BaseException and object
        for name, attribute in vars(cls).items():
            if isinstance(attribute, types.MemberDescriptorType):
                value = getattr(source, name, None)
                if value is not None and getattr(target, name, None) is not value:
                    with contextlib.suppress(AttributeError):  # read-only: __init__ has set it
                        setattr(target, name, value)
