"""Errors about a class's unknown or missing arguments, which list the arguments that it has."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def naming_arguments(target: Any, given: Mapping[str, Any]) -> Iterator[None]:
    """Replaces Python's error for an unknown or missing argument of a class by one that lists the class's arguments.

    Python's message names the class in which the argument is missing, which may be a base class, and no arguments. A
    check before the call would not do: it would refuse arguments that a class takes out of its ``**keywords``.

    Args:
        target: The class, or the function that makes an instance, which the block calls.
        given: The keyword arguments that it is called with.

    Raises:
        TypeError: In place of Python's error.
    """
    try:
        yield
    except TypeError as e:
        wrong = re.match(r"(\S+)\.__init__\(\) (got an unexpected|missing \d+ required) [^']*'(\w+)'", str(e))
        if wrong is None or not inspect.isclass(target) or wrong[1] not in {c.__qualname__ for c in target.__mro__}:
            raise
        known, name, unknown = _arguments(target), wrong[3], wrong[2].startswith("got")
        if (name in given, name in known) != (unknown, not unknown):
            raise  # a mistake inside the class, not the caller's
        problem = f"has no argument {name!r}" if unknown else f"needs the argument {name!r}"
        raise TypeError(f"{target.__name__} {problem}; it has: {', '.join(known)}") from e


def _arguments(target: type) -> list[str]:
    """The keyword arguments of a class: its own and, where it passes ``**keywords`` on, those of its base classes."""
    names: set[str] = set()
    for cls in target.__mro__:
        if "__init__" in vars(cls):
            parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
            names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return sorted(names - {"env"})  # a wrapper's first argument, which is positional
