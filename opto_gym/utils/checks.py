"""Checks of arguments. Their errors say what was expected and what was given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .suggestions import did_you_mean


def at_least(least: int, **settings: Any) -> None:
    """Checks that settings are whole numbers of at least a given size.

    Args:
        least: The smallest number that is accepted.
        settings: Numbers by name.

    Raises:
        ValueError: If one is something else.
    """
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"expected {name} to be a whole number of {least} or more, got {value!r}")


def number_in(interval: str, **settings: Any) -> None:
    """Checks that settings are numbers in an interval.

    Args:
        interval: For example ``"(0, 1]"``; a bound at a round bracket is not in the interval.
        settings: Numbers by name.

    Raises:
        ValueError: If one is something else.
    """
    low, high = map(float, interval[1:-1].split(","))
    ends = {bound for bound, bracket in ((low, interval[0]), (high, interval[-1])) if bracket in "[]"}
    for name, value in settings.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (low < value < high or value in ends):
            raise ValueError(f"expected {name} to be a number in {interval}, got {value!r}")


def one_of(known: Iterable[str], **settings: Any) -> None:
    """Checks settings that are chosen from a list.

    Args:
        known: What can be chosen.
        settings: What was chosen, by the setting's name.

    Raises:
        ValueError: If one is not in the list; the message has the list and the closest entry.
    """
    known = list(known)
    for name, value in settings.items():
        if value not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(f"expected {name} to be one of {listed}, got {value!r}{did_you_mean(value, known)}")


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """The seeds of a run.

    Args:
        seeds: How many (0, 1, 2, ... are taken), or which.

    Raises:
        ValueError: If there is none, one is no whole number of at least 0, or one is there twice.
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise ValueError(f"expected at least one seed, got {seeds}")
        return list(range(seeds))
    if isinstance(seeds, bool | float | str) or not isinstance(seeds, Iterable):
        raise ValueError(f"expected a number of seeds, or a list of seeds, got {seeds!r}")
    listed = list(seeds)
    if not listed:
        raise ValueError("expected at least one seed, got an empty list")
    for seed in listed:
        at_least(0, seed=seed)
    twice = sorted({seed for seed in listed if listed.count(seed) > 1})
    if twice:
        raise ValueError(f"expected seeds that differ, got {', '.join(map(str, twice))} more than once")
    return listed


COUNTS = {"oracle_calls": 1, "evaluations": 1, "llm_calls": 0, "tokens": 0}
"""The limits of a budget that are whole numbers, with the least that each can be: a trial without an oracle call would
measure nothing, while one without a language model's may."""

AMOUNTS = ("usd", "seconds")
"""The limits of a budget that are numbers, of at least 0."""


def budget_limits(limits: Mapping[str, float | None]) -> dict[str, float]:
    """The limits of a budget that are set, checked.

    Args:
        limits: Amounts by name; None is unlimited.

    Raises:
        ValueError: For an unknown name, an amount that is too small or no finite number, or a count that is not whole.
    """
    checked: dict[str, float] = {}
    for name, value in limits.items():
        known = (*COUNTS, *AMOUNTS)
        if name not in known:
            raise ValueError(f"expected limits of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ValueError(f"expected {name} to be a number, got {value!r}")
        if name in COUNTS and value != int(value):
            raise ValueError(f"expected {name} to be a whole number, got {value!r}")
        least = COUNTS.get(name, 0)
        if value < least:
            raise ValueError(f"expected {name} of at least {least}, got {value!r}")
        checked[name] = int(value) if name in COUNTS else value
    return checked
