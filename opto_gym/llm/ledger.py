"""The ledger: every HTTP request, with its role and its cost."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from typing import Any

ROLES = ("optimizer", "task", "judge", "test")
"""What a call is for: the optimizer, the model inside a task, a judge of outputs, or scoring on the test split."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request.

    Attributes:
        role: Of `ROLES`.
        model: The model's name.
        endpoint: The endpoint's URL without credentials, or ``"local"``.
        call: The number of the logical call that it belongs to.
        tokens_in: Tokens of the prompt; 0 where the request was refused.
        tokens_out: Tokens of the answer.
        counted: Who counted the tokens: ``usage`` (the endpoint), ``estimate`` (the endpoint did not tell), ``bound``
            (the answer did not arrive: the most that it can have cost), ``none`` (the request was refused).
        seconds: Latency.
        usd: Price, or None where it is unknown.
        time: When it ended, in seconds since 1970.
        error: Why it failed, or None.
        replayed: Whether it came from a record and was not paid again.
        lost: Whether it belongs to an abandoned try of the trial.
        cached_tokens: The part of `tokens_in` that the endpoint had cached; None if it does not tell.
        reasoning_tokens: The part of `tokens_out` that is reasoning; None if the endpoint does not tell.
    """

    role: str
    model: str
    endpoint: str
    call: int
    tokens_in: int
    tokens_out: int
    counted: str
    seconds: float
    usd: float | None
    time: float
    error: str | None = None
    replayed: bool = False
    lost: bool = False
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Ledger:
    """All HTTP requests of a trial; thread-safe."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self._calls = 0
        self._lock = threading.Lock()

    def next_call(self) -> int:
        """The number of a new logical call, counted from 1."""
        with self._lock:
            self._calls += 1
            return self._calls

    def add(self, attempt: Attempt) -> None:
        """Adds a request."""
        with self._lock:
            self.attempts.append(attempt)

    def totals(self, role: str | None = None, *, lost: bool = False) -> dict[str, Any]:
        """Sums of calls, attempts, errors, tokens, seconds and USD (None if a price is unknown).

        Cached tokens and those of reasoning are None if no endpoint tells them.

        Args:
            role: Counts only this role, of `ROLES`; None counts all.
            lost: Counts only abandoned tries.
        """
        with self._lock:
            chosen = [a for a in self.attempts if role in (None, a.role) and a.lost >= lost]
        prices = [a.usd for a in chosen]
        return {
            "calls": len({a.call for a in chosen}),
            "attempts": len(chosen),
            "errors": sum(a.error is not None for a in chosen),
            "tokens_in": sum(a.tokens_in for a in chosen),
            "tokens_out": sum(a.tokens_out for a in chosen),
            "seconds": sum(a.seconds for a in chosen),
            "usd": None if any(p is None for p in prices) else sum(p for p in prices if p is not None),
            "cached_tokens": sum_of_known(a.cached_tokens for a in chosen),
            "reasoning_tokens": sum_of_known(a.reasoning_tokens for a in chosen),
        }


def sum_of_known(numbers: Iterable[int | None]) -> int | None:
    """The sum of the numbers that are known; None if none is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
