"""Budgets: limits on what an optimizer may spend.

An amount is reserved before it is spent and settled afterwards, so that calls that run in parallel can't overspend
together, and a call that would exceed the budget is refused before it is made.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import Self

from ..errors import BudgetSpent

LIMITS = ("oracle_calls", "evaluations", "llm_calls", "tokens", "usd", "seconds")
"""The names of limits: oracle calls, example evaluations, model calls, tokens in and out, USD, seconds of wall time."""


class Budget:
    """Limits on what may be spent; thread-safe.

    Args:
        limits: Amounts by name, of `LIMITS`; those that are missing or None are unlimited.
        parent: A budget that has to hold every amount too, such as that of the whole run.
        seconds_before: Wall time in seconds that earlier sessions of the same trial took.

    Raises:
        ValueError: For an unknown name, or a limit below 0.
    """

    def __init__(
        self,
        limits: Mapping[str, float | None] | None = None,
        *,
        parent: Budget | None = None,
        seconds_before: float = 0.0,
    ) -> None:
        for name, value in (limits or {}).items():
            if name not in LIMITS:
                raise ValueError(f"Budget: expected limits of {LIMITS}, got {name!r}")
            if value is not None and not value >= 0:  # NaN is refused too
                raise ValueError(f"Budget: expected {name} of at least 0, got {value!r}")
        self.limits = {name: float(v) for name, v in (limits or {}).items() if v is not None}
        self.parent = parent
        self._lock: threading.RLock = parent._lock if parent else threading.RLock()
        self._spent, self._reserved = dict.fromkeys(LIMITS, 0.0), dict.fromkeys(LIMITS, 0.0)
        self._begin = time.monotonic() - seconds_before

    @property
    def spent(self) -> dict[str, float]:
        """The settled amounts by name; seconds are wall time."""
        with self._lock:
            return {**self._spent, "seconds": time.monotonic() - self._begin}

    def left(self, name: str) -> float:
        """The amount that can still be reserved, here and in the parents; infinite where there is no limit."""
        with self._lock:
            here = self.limits.get(name, math.inf) - self._used(name)
            return max(0.0, min(here, self.parent.left(name) if self.parent else math.inf))

    def to_dict(self) -> dict[str, dict[str, float]]:
        """The limits and the settled amounts as plain data."""
        return {"limits": dict(self.limits), "spent": self.spent}

    def stop(self) -> None:
        """Refuses all further reservations, as a time limit does that is over."""
        self.limits["seconds"] = 0.0

    def limited(self, name: str) -> bool:
        """Whether there is a limit of this name, here or in a parent."""
        return name in self.limits or (self.parent is not None and self.parent.limited(name))

    def reserve(self, **amounts: float) -> Reservation:
        """Reserves amounts until they are settled or cancelled.

        Raises:
            ValueError: For an unknown name, or an amount below 0.
            BudgetSpent: If one of the amounts, or the time, is over a limit here or in a parent. Nothing is reserved
                then.
        """
        for name, amount in amounts.items():
            if name not in LIMITS or not amount >= 0:
                raise ValueError(f"Budget.reserve: expected amounts of at least 0 of {LIMITS}, got {name}={amount!r}")
        with self._lock:
            budget: Budget | None = self
            while budget is not None:
                budget._check(amounts)
                budget = budget.parent
            return Reservation(self, amounts)

    def _used(self, name: str) -> float:
        return time.monotonic() - self._begin if name == "seconds" else self._spent[name] + self._reserved[name]

    def _check(self, amounts: Mapping[str, float]) -> None:
        for name in (*amounts, "seconds"):
            limit, used, amount = self.limits.get(name, math.inf), self._used(name), amounts.get(name, 0.0)
            # The tolerance is for the rounding error of a sum of prices.
            if used + amount > limit * (1 + 1e-12) or (name == "seconds" and used >= limit):
                raise BudgetSpent(
                    name, f"the budget of {limit:g} {name} can't hold {amount:g} more: {used:g} are spent or reserved"
                )

    def _change(self, reserved: Mapping[str, float], spent: Mapping[str, float]) -> None:
        """Adds to the reserved and the settled amounts, here and in the parents."""
        budget: Budget | None = self
        while budget is not None:
            for name, amount in reserved.items():
                budget._reserved[name] += amount
            for name, amount in spent.items():
                budget._spent[name] += amount
            budget = budget.parent


class Reservation:
    """Reserved amounts. Only the first call of `settle` or `cancel` has an effect.

    As a context manager it settles what is reserved, or cancels if the block raises.
    """

    def __init__(self, budget: Budget, amounts: Mapping[str, float]) -> None:
        self._budget, self._amounts, self._open = budget, dict(amounts), True
        budget._change(self._amounts, {})

    def settle(self, **actual: float) -> None:
        """Books what was actually spent; an amount that is not given is the reserved one."""
        self._end({**self._amounts, **actual})

    def cancel(self) -> None:
        """Releases the amounts and books nothing."""
        self._end({})

    def _end(self, spent: Mapping[str, float]) -> None:
        with self._budget._lock:
            if self._open:
                self._open = False
                self._budget._change({name: -amount for name, amount in self._amounts.items()}, spent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.settle()
        else:
            self.cancel()
