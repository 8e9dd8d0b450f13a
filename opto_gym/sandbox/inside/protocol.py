"""What both ends of a program's channel agree on: sizes, framing, plain data.

Control channel: first a report of what is in force; then, from the supervisor, `CONTROL` structs: (b"f", n) with a
descriptor forks program n, which talks over that descriptor, (b"e", n) ends program n. Channel of a program:
length-framed JSON in ASCII.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Any

LEVELS = ("L0", "L1", "L2", "L3")
CONTROL = struct.Struct(">cI")
LENGTH = struct.Struct(">I")
CHUNK = 1 << 16  # bytes to read at once
DEPTH = 100  # of nested lists and dicts in one value
ROOM = 32768  # bytes of a message besides the value: an error's text, escaped

_SCALARS = frozenset({type(None), bool, int, float, str})
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (  # an enum's member or a numpy.float64 as its bare value
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
)


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """Values as JSON's own types; tuples and arrays become lists.

    Args:
        value: None, bool, int, float, str, lists and tuples, dicts with text keys, NumPy's scalars and arrays.
        what: What the value is, for the error.
        depth: How deep it is nested already.

    Raises:
        TypeError: If it holds anything else, or more than `DEPTH` levels; the message names the type.
    """
    t = type(value)
    if t in _SCALARS:
        return value
    if depth > DEPTH:
        raise TypeError(f"{what} is nested more than {DEPTH} deep")
    if isinstance(value, list | tuple):
        return [x if type(x) in _SCALARS else plain(x, what, depth + 1) for x in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{what} has a dictionary key of type {type(key).__name__}; keys must be text")
        return {str.__str__(key): plain(x, what, depth + 1) for key, x in value.items()}
    for base, bare in _BASES:
        if isinstance(value, base):
            return bare(value)
    if t.__module__.partition(".")[0] == "numpy" and hasattr(t, "tolist"):
        return plain(value.tolist(), what, depth + 1)
    raise TypeError(f"{what} holds a value of type {t.__name__}, which is not plain data (numbers, text, lists, dicts)")


def receive(fd: int) -> Any:
    """The supervisor's next message, or None at the end; it sends one at a time."""
    data, wanted = bytearray(), LENGTH.size
    while len(data) < wanted:
        chunk = os.read(fd, CHUNK)
        if not chunk:
            return None
        data += chunk
        if len(data) >= LENGTH.size:
            wanted = LENGTH.size + LENGTH.unpack_from(data)[0]
    return json.loads(data[LENGTH.size : wanted])


def write(fd: int, body: bytes) -> None:
    """One message: its length and itself."""
    left = memoryview(LENGTH.pack(len(body)) + body)
    while left:
        left = left[os.write(fd, left) :]
