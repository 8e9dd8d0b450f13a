"""A reader of actions in a game, which are JSON objects in a model's answer."""

from __future__ import annotations

import json
import re
from typing import Any

Action = dict[str, Any]
"""An action's name under ``action``, with its arguments ``give``, ``get`` and ``quantity`` where they are given."""


def read_action(text: str) -> Action:
    """The first JSON object in an answer that names an action; an empty dictionary if there is none."""
    for found in re.findall(r"\{[^{}]*\}", text):
        try:
            action = json.loads(found)
        except (ValueError, RecursionError):
            continue
        if isinstance(action.get("action"), str):
            return {k: action[k] for k in ("action", "give", "get", "quantity") if k in action}
    return {}
