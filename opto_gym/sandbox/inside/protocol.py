"""The protocol between the supervisor, the zygote and candidates' processes: sizes, framing, plain data.

On the control channel the zygote first sends a report of what is in force. Then the supervisor sends `CONTROL` structs:
(b"f", n) with a descriptor forks process n, which uses that descriptor as its channel; (b"e", n) ends process n;
(b"w", n) asks how process n has ended, which an `ENDED` struct answers. The channel of a process carries length-framed
JSON in ASCII.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Any

LEVELS = ("L0", "L1", "L2", "L3")
CONTROL = struct.Struct(">cI")
ENDED = struct.Struct(">BB")
"""How a process has ended: one of `RUNS`, `EXITED`, `KILLED`; and its exit status or the number of the signal."""
RUNS, EXITED, KILLED = range(3)
LENGTH = struct.Struct(">I")
CHUNK = 1 << 16  # bytes per read
DEPTH = 100  # the deepest nesting of lists and dicts in a value
OVERHEAD = 32768  # the most bytes of a message besides the value, such as the escaped text of an error

_SCALARS = frozenset({type(None), bool, int, float, str})
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (  # for members of enums, numpy.float64 and other subclasses
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
)


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """Converts a value to JSON's own types; tuples and arrays become lists.

    Args:
        value: None, bool, int, float, str, lists and tuples, dicts with text keys, NumPy's scalars and arrays.
        what: What the value is, for the message of an error.
        depth: The depth at which the value is nested.

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
    for base, convert in _BASES:
        if isinstance(value, base):
            return convert(value)
    if t.__module__.partition(".")[0] == "numpy" and hasattr(t, "tolist"):
        return plain(value.tolist(), what, depth + 1)
    raise TypeError(f"{what} holds a value of type {t.__name__}, which is not plain data (numbers, text, lists, dicts)")


def receive(fd: int) -> Any:
    """Waits for the supervisor's next message; None when it has closed the channel.

    The supervisor sends nothing more before the message is answered, so that there is never more than one to read.
    """
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
    """Writes one message: its length and its body."""
    left = memoryview(LENGTH.pack(len(body)) + body)
    while left:
        left = left[os.write(fd, left) :]
