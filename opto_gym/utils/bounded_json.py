"""JSON text of strangers: its depth and its number of values are bounded before it is parsed.

Python's parser calls itself for each level. Text that is nested deeply ends in a `RecursionError`, and so does whatever
else runs at that depth, such as the destructors of other objects.
"""

from __future__ import annotations

import json
import re
from typing import Any

MOST_DEPTH = 200
"""The deepest nesting of a text."""
MOST_VALUES = 10**6
"""The largest number of values in a text."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[{]+|[\]}]+")


def loads(text: bytes | str) -> Any:
    """The value of a JSON text.

    Args:
        text: The text, or its bytes in UTF-8.

    Raises:
        ValueError: If it is no JSON, nested deeper than `MOST_DEPTH`, or has more than `MOST_VALUES` values.
    """
    problem = excess(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    if problem is not None:
        raise ValueError(problem)
    return json.loads(text)


def excess(text: bytes) -> str | None:
    """Which bound a JSON text exceeds, in words; None if it exceeds none."""
    if text.count(b"[") + text.count(b"{") <= MOST_DEPTH and text.count(b",") <= MOST_VALUES:
        return None  # no text in quotes can make it more
    bare = _STRING.sub(b"", text)
    values = bare.count(b",") + bare.count(b"[") + bare.count(b"{")
    if values > MOST_VALUES:
        return f"it has {values:,} values, expected {MOST_VALUES:,} at most"
    depth = 0
    for brackets in _BRACKETS.findall(bare):
        depth += len(brackets) if brackets[0] in b"[{" else -len(brackets)
        if depth > MOST_DEPTH:
            return f"it is nested more than {MOST_DEPTH} levels deep"
    return None
