"""A task's examples: that its splits have none in common, and which of them an evaluation runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import combinations, islice
from typing import Any

import numpy as np

COMPARED = 10_000
"""The examples of a split that are compared with those of another; ranges are compared whole."""


def check_disjoint(task: str, splits: Mapping[str, Sequence[Any]]) -> None:
    """Checks that no example is in two splits, as far as that can be told at little cost.

    Args:
        task: The environment's name, for the message.
        splits: Examples by split.

    Raises:
        ValueError: If two splits share an example; the message names it.
    """
    for (one, first), (other, second) in combinations(splits.items(), 2):
        shared = shared_example(first, second)
        if shared is not None:
            raise ValueError(
                f"{task}: expected splits without common examples, but {one} and {other} share {shared[:200]}. Give "
                "each split its own examples; or set instance = True if the task has one case, or "
                "overlapping_splits = True if the splits overlap on purpose"
            )


def shared_example(one: Sequence[Any], other: Sequence[Any]) -> str | None:
    """An example that two splits share, as JSON; None if there is none among those that are compared.

    Ranges are compared by arithmetic. Of other sequences the first `COMPARED` examples are compared, by their JSON
    form; an example that JSON can't hold counts as equal to no other.
    """
    if isinstance(one, range) and isinstance(other, range):
        common = _common_number(one, other)
        return None if common is None else str(common)
    for numbers, examples in ((one, other), (other, one)):
        if isinstance(numbers, range):
            found = (e for e in islice(examples, COMPARED) if type(e) is int and e in numbers)
            return next((str(e) for e in found), None)
    known = {text for e in islice(one, COMPARED) if (text := _canonical(e)) is not None}
    return next((text for e in islice(other, COMPARED) if (text := _canonical(e)) in known), None)


def _common_number(one: range, other: range) -> int | None:
    """The smallest number in both ranges, or None."""
    if not one or not other:
        return None
    a, b = (r if r.step > 0 else r[::-1] for r in (one, other))
    divisor = math.gcd(a.step, b.step)
    if (b.start - a.start) % divisor:
        return None
    # a.start + k * a.step is in b's arithmetic progression for one k of each `period` (Chinese remainder theorem)
    period = b.step // divisor
    k = (b.start - a.start) // divisor * pow(a.step // divisor, -1, period) % period
    number, every = a.start + k * a.step, a.step * period
    if number < b.start:
        number += -((number - b.start) // every) * every
    return number if number in a and number in b else None


def _canonical(example: Any) -> str | None:
    """An example as JSON with sorted keys; None if JSON can't hold it."""
    try:
        return json.dumps(example, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None


def drawn_seeds(count: int, seed: int) -> list[int]:
    """Different numbers from 2^30 to 2^31 - 1, in which no split of opto_gym's own tasks has examples.

    They are too many for a proposal to try them all, and small enough for generators that take 32 bits.

    Args:
        count: How many.
        seed: Of the draw.
    """
    drawn = np.random.default_rng([20261130, seed]).choice(2**30, size=count, replace=False)
    return [2**30 + int(k) for k in drawn]


def chosen_examples(task: str, split: str, size: int, examples: Sequence[Any]) -> list[Any]:
    """The examples of an evaluation: indices as Python's int, anything else as it is.

    Args:
        task: The environment's name, for messages.
        split: The split that indices point into.
        size: The number of its examples.
        examples: Indices, which may be negative and NumPy's, or examples themselves.

    Raises:
        ValueError: If there is none, or a boolean among them.
        IndexError: For an index that the split does not have.
    """
    chosen = [int(e) if isinstance(e, np.integer) else e for e in examples]
    if not chosen or any(isinstance(e, bool | np.bool_) for e in chosen):
        raise ValueError(f"evaluate() expected at least one example, an index or an example, got {chosen!r}")
    for index in chosen:
        if type(index) is int and not -size <= index < size:
            raise IndexError(
                f"{task}: the split {split!r} has {size} example{'s' * (size != 1)}, so that an index is from "
                f"{-size} to {size - 1}; got {index}"
            )
    return chosen
