"""Explains a KeyError whose key is of another type than the dict's keys, such as ``stock["3"]`` in ``{3: "nails"}``.

The sandbox loads this module by itself in its own processes, so it imports nothing of opto_gym.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

MOST_VALUES, MOST_KEYS = 10_000, 10_000
"""How many values are searched for dicts, the outer ones first, and how many keys a dict among them may have."""

_NAMES = {int: ("the integer", "integers"), float: ("the number", "numbers"), str: ("the text", "texts")}
_NAMES[tuple] = ("the tuple", "tuples")
_MARKS = re.compile(r"[\s()'\"]|,(?=\)?$)")


def explain(error: BaseException, values: Iterable[Any] = ()) -> str:
    """Says which type the keys of the dict have where a key of another type was missing.

    Args:
        error: Any exception.
        values: Where the dict may be, beside the variables of the function that raised the exception.

    Returns:
        A sentence such as ``"the keys are integers, such as 3; got the text '3'"``; "" for other errors, and where it
        is not clear which dict was meant.
    """
    if type(error) is not KeyError or len(error.args) != 1 or type(error.args[0]) not in _NAMES:
        return ""
    key = error.args[0]
    lacking = [d for d in _dicts([*values, *_variables(error)]) if 0 < len(d) <= MOST_KEYS and _lacks(d, key)]
    for d in lacking:
        twin = next((k for k in d if type(k) in _NAMES and _form(k) == _form(key)), None)
        if twin is not None:
            return _sentence(d, twin, key)
    if len(lacking) == 1:
        return _sentence(lacking[0], next(iter(lacking[0])), key)
    return ""


def _lacks(d: dict[Any, Any], key: Any) -> bool:
    """Whether no key of the dict is of the key's type, and all are of types that have a name here."""
    kinds = set(map(type, d))
    return type(key) not in kinds and kinds <= set(_NAMES)


def _sentence(d: dict[Any, Any], example: Any, key: Any) -> str:
    got = f"got {_NAMES[type(key)][0]} {key!r:.60}"
    if len(set(map(type, d))) > 1:
        return f"there is {_NAMES[type(example)][0]} {example!r:.60}; {got}"
    return f"the keys are {_NAMES[type(example)][1]}, such as {example!r:.60}; {got}"


def _form(key: Any) -> str:
    """What a key looks like without the marks of its type: ``(1, 2)`` and ``"1,2"`` are alike."""
    return _MARKS.sub("", str(key)[:1000])


def _variables(error: BaseException) -> Iterator[Any]:
    """The variables that the code which raised the exception could read: its own, and those of the module it names."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is not None:
        frame = step.tb_frame
        yield from list(frame.f_locals.values())
        yield from [frame.f_globals[name] for name in frame.f_code.co_names if name in frame.f_globals]


def _dicts(values: list[Any]) -> list[dict[Any, Any]]:
    """The dicts among values and inside them, each once: in Python's own containers alone, which run no code."""
    found: dict[int, dict[Any, Any]] = {}
    for value in values:  # which grows meanwhile
        inside: Iterable[Any] = ()
        if type(value) is dict and id(value) not in found:
            found[id(value)] = value
            inside = value.values()
        elif type(value) in (list, tuple):
            inside = value
        values.extend(itertools.islice(inside, max(0, MOST_VALUES - len(values))))
    return list(found.values())
