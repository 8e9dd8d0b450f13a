"""Records for tests."""

from __future__ import annotations

from typing import Any

from opto_gym.leaderboard.amounts import Amounts
from opto_gym.leaderboard.schema import StepRecord


def a_step(**fields: Any) -> StepRecord:
    """A step with these fields, and others that don't matter."""
    text = dict.fromkeys(("key", "parameters_hash", "split", "graph"), "x")
    numbers = dict.fromkeys(("call", "n", "score", "reward", "seconds", "time"), 0)
    made: dict[str, Any] = {"parameters": {}, "examples": [1], "success": False, "error": None, "feedback": {}}
    made |= {"metrics": {}, "task_calls": [], "invalid_answers": [], "spent": Amounts(tokens=3.0)}
    return StepRecord(**{**text, **numbers, **made, **fields})
