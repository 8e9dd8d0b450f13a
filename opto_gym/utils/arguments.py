"""Errors about the arguments of a class, which name the arguments that it has."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def naming_arguments(made: Any, given: Mapping[str, Any]) -> Iterator[None]:
    """Where a class is called with an argument that it does not have, or without one that it needs, says what it has.

    Python's own message names neither the class that was asked for nor its arguments. It is mended where it comes up;
    a check beforehand would refuse what a class with ``**keywords`` takes out of them for itself.

    Args:
        made: What is called.
        given: The arguments that it is called with by name.

    Raises:
        TypeError: In place of Python's.
    """
    try:
        yield
    except TypeError as e:
        wrong = re.match(r"(\S+)\.__init__\(\) (got an unexpected|missing \d+ required) [^']*'(\w+)'", str(e))
        if wrong is None or not inspect.isclass(made) or wrong[1] not in {c.__qualname__ for c in made.__mro__}:
            raise
        known, name, unknown = _arguments(made), wrong[3], wrong[2].startswith("got")
        if (name in given, name in known) != (unknown, not unknown):
            raise  # the class's own mistake
        said = f"has no argument {name!r}" if unknown else f"needs the argument {name!r}"
        raise TypeError(f"{made.__name__} {said}; it has: {', '.join(known)}") from e


def _arguments(made: type) -> list[str]:
    """The arguments that a class takes by name: its own, and those of its bases where it passes others on."""
    names: set[str] = set()
    for cls in made.__mro__:
        if "__init__" in vars(cls):
            parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
            names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return sorted(names - {"env"})  # a wrapper's first, which is not given by name
