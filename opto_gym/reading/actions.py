"""A reader of actions in a game, which are JSON objects in a model's answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .cuts import stands
from .lenient_json import find_objects
from .reasoning import without_reasoning

Action = dict[str, Any]
"""An action's name under ``action``, with its arguments ``give``, ``get`` and ``quantity`` where they are given."""

_ARGUMENTS = ("give", "get", "quantity")


def read_action(text: str, *, cut: bool = False) -> Action:
    """The action in the last JSON object of an answer that names one; an empty dictionary if there is none.

    The model's reasoning is ignored. The action may be an object inside of another one, and so may its arguments. Where
    the last object can't be read, there is no action.

    Args:
        text: The answer.
        cut: Whether the answer ended by length. Then only an object that had closed before counts, if nothing may
            replace it.
    """
    answer = without_reasoning(text, cut=cut)
    for found in reversed(find_objects(answer, ["action", *_ARGUMENTS], cut=cut)):
        if found.data is None:
            return {}
        named = next((o for o in _nested(found.data) if isinstance(o.get("action"), str)), None)
        if named is not None:
            arguments = {name: o[name] for o in _nested(named) for name in _ARGUMENTS if name in o}
            action = {"action": named["action"].strip(), **arguments}
            return action if not cut or stands(answer, found.start, found.end) else {}
    return {}


def _nested(data: Any) -> Iterator[dict[str, Any]]:
    """An object, and the objects in it, the outer ones first."""
    if isinstance(data, dict):
        yield data
        for value in data.values():
            yield from _nested(value)
    elif isinstance(data, list):
        for value in data:
            yield from _nested(value)
