"""One purse for all that an optimizer spends. An amount is reserved before it is spent and settled after it.

So calls that run in parallel can't overspend together, and what would be over the budget is refused beforehand.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import Self

from ..errors import BudgetSpent

LIMITS = ("oracle_calls", "evaluations", "llm_calls", "tokens", "usd", "seconds")
"""What a budget counts: oracle calls, example evaluations, calls of the model, its tokens in and out, money, time."""


class Budget:
    """Limits on what may be spent; thread-safe.

    Args:
        limits: Amounts by name (of `LIMITS`); missing or None is unlimited.
        parent: A budget that has to hold every amount too, such as the whole run's.
        seconds_before: Wall time that earlier sessions of the same trial took.
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
        self._spent, self._held = dict.fromkeys(LIMITS, 0.0), dict.fromkeys(LIMITS, 0.0)
        self._begin = time.monotonic() - seconds_before

    @property
    def spent(self) -> dict[str, float]:
        """What is settled so far; seconds are wall time."""
        with self._lock:
            return {**self._spent, "seconds": time.monotonic() - self._begin}

    def left(self, name: str) -> float:
        """What can still be reserved here and in the parents; infinite where there is no limit."""
        with self._lock:
            here = self.limits.get(name, math.inf) - self._used(name)
            return max(0.0, min(here, self.parent.left(name) if self.parent else math.inf))

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Limits and what is spent, as plain data."""
        return {"limits": dict(self.limits), "spent": self.spent}

    def stop(self) -> None:
        """Refuses all that would be reserved from now on, as if the time were over."""
        self.limits["seconds"] = 0.0

    def limited(self, name: str) -> bool:
        """Whether there is such a limit, here or in a parent."""
        return name in self.limits or (self.parent is not None and self.parent.limited(name))

    def reserve(self, **amounts: float) -> Reservation:
        """Holds the amounts until they are settled.

        Raises:
            BudgetSpent: If one of them, or the time, is over the limit here or in a parent. Nothing is held then.
        """
        for name, amount in amounts.items():
            if name not in LIMITS or not amount >= 0:
                raise ValueError(f"Budget.reserve: expected amounts of at least 0 of {LIMITS}, got {name}={amount!r}")
        with self._lock:
            budget: Budget | None = self
            while budget is not None:
                budget._test(amounts)
                budget = budget.parent
            return Reservation(self, amounts)

    def _used(self, name: str) -> float:
        return time.monotonic() - self._begin if name == "seconds" else self._spent[name] + self._held[name]

    def _test(self, amounts: Mapping[str, float]) -> None:
        for name in (*amounts, "seconds"):
            limit, used, asked = self.limits.get(name, math.inf), self._used(name), amounts.get(name, 0.0)
            # a sum of prices may pass its limit by rounding only
            if used + asked > limit * (1 + 1e-12) or (name == "seconds" and used >= limit):
                raise BudgetSpent(
                    name, f"the budget of {limit:g} {name} can't hold {asked:g} more: {used:g} are spent or reserved"
                )

    def _change(self, held: Mapping[str, float], spent: Mapping[str, float]) -> None:
        budget: Budget | None = self
        while budget is not None:
            for name, amount in held.items():
                budget._held[name] += amount
            for name, amount in spent.items():
                budget._spent[name] += amount
            budget = budget.parent


class Reservation:
    """Amounts that are held. As a context manager it settles as reserved, or cancels if the block raises."""

    def __init__(self, budget: Budget, amounts: Mapping[str, float]) -> None:
        self._budget, self._amounts, self._open = budget, dict(amounts), True
        budget._change(self._amounts, {})

    def settle(self, **actual: float) -> None:
        """Books what was really spent; amounts that are not given count as reserved."""
        self._end({**self._amounts, **actual})

    def cancel(self) -> None:
        """Books nothing."""
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
