"""How values are written for a reader: boards as rows of text, floats with as many digits as tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .values import LARGEST, Cut, cut, describe

DIGITS = 6
"""The significant digits of a float, where they are enough."""

MOST_NUMBERS = 20_000
"""With more numbers than this, floats are written exactly: comparing them all would take longer than it saves."""

GRID_FORMAT = "grid(ab/cd) is the list of lists of characters [['a', 'b'], ['c', 'd']]"
"""What a reader has to know to read a board."""


def write(value: Any, floats: Mapping[float, str] = {}) -> str:
    """A value as Python would write it, apart from boards (see `GRID_FORMAT`) and floats.

    Args:
        value: Any value; `Cut` stands for a part that the trace did not keep.
        floats: The texts of floats; others are written exactly.
    """
    if is_grid(value):
        return f"grid({'/'.join(map(''.join, value))})"
    return _write(value, floats)


def is_grid(value: Any) -> bool:
    """Whether a value is a list of lists of single characters that `write` writes as rows."""
    return (
        type(value) is list
        and bool(value)
        and all(type(row) is list and row and all(_is_square(c) for c in row) for row in value)
    )


def _is_square(c: Any) -> bool:
    return type(c) is str and len(c) == 1 and c not in "/()\n\r"


def _write(v: Any, floats: Mapping[float, str]) -> str:
    t = type(v)
    if t is float:
        return floats.get(v) or repr(v)
    if t is list:
        return f"[{', '.join(_write(x, floats) for x in v)}]"
    if t is tuple:
        return f"({', '.join(_write(x, floats) for x in v)}{',' if len(v) == 1 else ''})"
    if t is dict:
        return f"{{{', '.join(f'{_write(k, {})}: {_write(x, floats)}' for k, x in v.items())}}}"
    if t is np.ndarray:
        dtype = "" if str(v.dtype) in ("float64", "int64", "bool") else f", dtype={v.dtype}"
        return f"array({_write(v.tolist(), floats)}{dtype})"
    if t is slice:
        ends = [v.start, v.stop] if v.step is None else [v.start, v.stop, v.step]
        return ":".join("" if e is None else _write(e, {}) for e in ends)
    if t in (set, frozenset):  # in an order of its own, since Python's differs between processes
        members = ", ".join(sorted(_write(x, {}) for x in v))
        return f"{{{members}}}" if v and t is set else f"{t.__name__}({f'{{{members}}}' if v else ''})"
    if isinstance(v, Cut):
        return str(v)
    if isinstance(v, np.generic):
        v = v.item()
        if type(v) is float:
            return _write(v, floats)
    try:
        return repr(v)
    except ValueError:  # Python writes no int of more than 4,300 digits
        return hex(v) if isinstance(v, int) else describe(v)


def short(value: Any, limit: int) -> str:
    """A value in at most `limit` characters; of a longer one the two ends are shown."""
    return cut(write(value), limit)


def numbers_in(value: Any) -> Iterator[int | float]:
    """The finite numbers that a value holds, at any depth."""
    waiting = [value]
    while waiting:
        v = waiting.pop()
        if type(v) is float or type(v) is int:
            if -LARGEST <= v <= LARGEST:
                yield v
        elif type(v) in (list, tuple):
            waiting.extend(v)
        elif type(v) is dict:
            waiting.extend(v.values())
        elif isinstance(v, np.ndarray | np.generic) and v.dtype.kind in "fiu":
            waiting.append(v.tolist())


def float_texts(rounded: Iterable[float], exact: Iterable[int | float]) -> dict[float, str]:
    """The text of each float: six digits, and more where rounding would change how two numbers compare.

    Args:
        rounded: The floats that may be rounded.
        exact: The numbers that are shown as they are beside them; a float that equals one of them is not rounded.

    Returns:
        The texts of the floats whose text is not the exact one.
    """
    fixed = set(exact)
    free = {v for v in rounded if v not in fixed}
    if len(fixed) + len(free) > MOST_NUMBERS:
        return {}
    digits = dict.fromkeys(free, DIGITS)
    shown: dict[int | float, int | float] = {v: v for v in fixed} | {v: _rounded(v, DIGITS) for v in free}
    order = sorted(shown)
    suspects = [k for k in range(len(order) - 1) if not shown[order[k]] < shown[order[k + 1]]]
    while suspects:
        touched = set()
        for k in suspects:
            for v in (order[k], order[k + 1]):
                if v in digits and digits[v] < 17:
                    digits[v] += 1
                    shown[v] = _rounded(v, digits[v])
            touched |= {k - 1, k, k + 1}
        pairs = (k for k in touched if 0 <= k < len(order) - 1)
        suspects = [k for k in pairs if not shown[order[k]] < shown[order[k + 1]]]
    return {v: repr(shown[v]) for v in free if shown[v] != v}


def _rounded(v: float, digits: int) -> float:
    shown = float(f"{v:.{digits}g}") if digits < 17 else v
    return shown if -LARGEST <= shown <= LARGEST else v
