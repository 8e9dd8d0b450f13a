"""Actions in a game, as JSON objects in a model's answer."""

from __future__ import annotations

import json
import re
from typing import Any

Action = dict[str, Any]
"""``action``, ``give``, ``get``, ``quantity``."""


def read_action(text: str) -> Action:
    """The action in a model's answer: its first JSON object that names one, else none (an empty action)."""
    for found in re.findall(r"\{[^{}]*\}", text):
        try:
            action = json.loads(found)
        except (ValueError, RecursionError):
            continue
        if isinstance(action.get("action"), str):
            return {k: action[k] for k in ("action", "give", "get", "quantity") if k in action}
    return {}
