"""Ranges of amounts that are not known exactly before a run."""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[float, float, float]
"""The least, a middle, and the largest amount."""

NOTHING: Range = (0.0, 0.0, 0.0)


def total(ranges: Iterable[Range]) -> Range:
    """The sum of ranges: the least amounts together, the middle ones, and the largest ones."""
    low, middle, high = NOTHING
    for few, some, most in ranges:
        low, middle, high = low + few, middle + some, high + most
    return low, middle, high


def times(amounts: Range, factor: float) -> Range:
    """A range with each amount multiplied by a factor."""
    low, middle, high = amounts
    return low * factor, middle * factor, high * factor


def at_most(amounts: Range, limit: float | None) -> Range:
    """A range with no amount above a limit; None is no limit."""
    if limit is None:
        return amounts
    low, middle, high = amounts
    return min(low, limit), min(middle, limit), min(high, limit)
