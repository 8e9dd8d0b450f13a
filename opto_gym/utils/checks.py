"""Checks of arguments, with errors that say what was expected and what came."""

from __future__ import annotations

from typing import Any


def at_least(least: int, **settings: Any) -> None:
    """Checks settings that a programmer gives.

    Raises:
        ValueError: If one is no whole number of `least` or more.
    """
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"expected {name} to be a whole number of {least} or more, got {value!r}")


def number_in(interval: str, **settings: Any) -> None:
    """Checks settings that a programmer gives.

    Args:
        interval: Such as ``"(0, 1]"``; a round bracket leaves its bound out.
        settings: Numbers by name.

    Raises:
        ValueError: If one is no number in the interval.
    """
    low, high = map(float, interval[1:-1].split(","))
    ends = {bound for bound, bracket in ((low, interval[0]), (high, interval[-1])) if bracket in "[]"}
    for name, value in settings.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (low < value < high or value in ends):
            raise ValueError(f"expected {name} to be a number in {interval}, got {value!r}")
