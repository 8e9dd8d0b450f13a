"""Checks of arguments. Their errors say what was expected and what was given."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .suggestions import did_you_mean

LONGEST_NAME = 200
"""The characters that the name of an environment, an agent or a wrapper may have."""


def shown(value: Any) -> str:
    """A value as an error shows it: its `repr`, cut."""
    try:
        return f"{value!r:.80}"
    except (ValueError, RecursionError):  # a number of over 4,300 digits, or one that is nested too deeply
        return f"a {type(value).__name__} that is too large to be shown"


def check_name(name: str) -> None:
    """Checks that a name can be shown, in a terminal and on a page.

    Raises:
        ValueError: If it is empty, longer than `LONGEST_NAME`, or has characters that are not shown.
    """
    try:
        seen = name.encode("utf-8", "surrogateescape").decode("utf-8")  # as the user typed it, whatever the locale
    except UnicodeError:
        seen = ""
    if not seen.isprintable() or not 0 < len(seen) <= LONGEST_NAME:
        raise ValueError(f"expected a name of 1 to {LONGEST_NAME} visible characters, got {shown(name)}")


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


MOST_SEEDS = 10_000
"""The most seeds of a run."""


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """The seeds of a run.

    Args:
        seeds: How many (0, 1, 2, ... are taken), or which.

    Raises:
        ValueError: If there is none or more than `MOST_SEEDS`, one is no whole number of at least 0, or one is there
            twice.
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise ValueError(f"expected at least one seed, got {shown(seeds)}")
        _check_number_of_seeds(seeds)
        return list(range(seeds))
    if isinstance(seeds, bool | float | str) or not isinstance(seeds, Iterable):
        raise ValueError(f"expected a number of seeds, or a list of seeds, got {seeds!r}")
    listed = list(itertools.islice(seeds, MOST_SEEDS + 1))
    if not listed:
        raise ValueError("expected at least one seed, got an empty list")
    _check_number_of_seeds(len(listed))
    for seed in listed:
        at_least(0, seed=seed)
    twice = sorted(seed for seed, times in Counter(listed).items() if times > 1)
    if twice:
        raise ValueError(f"expected seeds that differ, got {', '.join(map(str, twice))} more than once")
    return listed


def _check_number_of_seeds(number: int) -> None:
    if number > MOST_SEEDS:
        raise ValueError(f"expected at most {MOST_SEEDS:,} seeds, got more")


COUNTS = {"oracle_calls": 1, "evaluations": 1, "llm_calls": 0, "tokens": 0}
"""The limits of a budget that are whole numbers, with the least that each can be: a trial without an oracle call would
measure nothing, while one without a language model's may."""

AMOUNTS = ("usd", "seconds")
"""The limits of a budget that are numbers, of at least 0."""


MOST_AMOUNT = 1e15
"""The largest limit of a budget; larger counts are not exact."""


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
            raise ValueError(f"expected limits of {', '.join(known)}, got {shown(name)}{did_you_mean(name, known)}")
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < math.inf:
            raise ValueError(f"expected {name} to be a number, got {shown(value)}")
        if value > MOST_AMOUNT:
            raise ValueError(f"expected {name} of at most {MOST_AMOUNT:g}, got {shown(value)}")
        if name in COUNTS and value != int(value):
            raise ValueError(f"expected {name} to be a whole number, got {value!r}")
        least = COUNTS.get(name, 0)
        if value < least:
            raise ValueError(f"expected {name} of at least {least}, got {value!r}")
        checked[name] = int(value) if name in COUNTS else value
    return checked
