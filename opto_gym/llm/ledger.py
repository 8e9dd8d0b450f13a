"""The ledger: every HTTP attempt, in its role, with what it cost."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

ROLES = ("optimizer", "task", "judge", "test")


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request.

    Attributes:
        role: Of `ROLES`.
        model: Its name.
        endpoint: Its URL without credentials, or ``"local"``.
        call: The number of the logical call that it belongs to.
        tokens_in: Tokens of the prompt; 0 where the attempt was refused.
        tokens_out: Tokens of the answer.
        counted: Who counted them: ``usage`` (the endpoint), ``estimate`` (it said nothing), ``bound`` (the answer was
            lost on its way: all that it may have cost), ``none`` (refused).
        seconds: Latency.
        usd: Price, or None where it is unknown.
        time: Of its end, seconds since 1970.
        error: Why it failed, or None.
        replayed: Whether it came from a record and was not paid again.
        lost: Whether it was made for a try of the trial that was not gone on with.
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


class Ledger:
    """All attempts of a trial; thread-safe."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self._calls = 0
        self._lock = threading.Lock()

    def next_call(self) -> int:
        """A number for a logical call."""
        with self._lock:
            self._calls += 1
            return self._calls

    def add(self, attempt: Attempt) -> None:
        """Enters an attempt."""
        with self._lock:
            self.attempts.append(attempt)

    def totals(self, role: str | None = None, *, lost: bool = False) -> dict[str, Any]:
        """Sums over a role, or over all: calls, attempts, errors, tokens, seconds, usd (None if a price is unknown).

        Args:
            role: Of `ROLES`.
            lost: Only what is lost.
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
        }
