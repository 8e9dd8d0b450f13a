"""What a trial may spend, and what it has spent, as typed data of its records."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..llm import LIMITS
from .base_record import Record


class Limits(Record, frozen=True, kw_only=True):
    """A budget: the largest amount that may be spent, by the names of `opto_gym.llm.LIMITS`; None means unlimited."""

    oracle_calls: float | None = None
    evaluations: float | None = None
    llm_calls: float | None = None
    tokens: float | None = None
    usd: float | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, limits: Mapping[str, float | None] | Limits | None) -> Limits:
        """Limits from a mapping by name, in which None means unlimited; limits are returned as they are."""
        return limits if isinstance(limits, cls) else cls(**dict(limits or {}))

    def to_dict(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name in LIMITS if (value := getattr(self, name)) is not None}

    def with_changes(self, limits: Mapping[str, float | None]) -> Limits:
        """A copy with some limits replaced; a value of None leaves that limit as it is."""
        return msgspec.structs.replace(self, **{k: v for k, v in limits.items() if v is not None})

    def __str__(self) -> str:
        return ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in self.to_dict().items())


class Amounts(Record, frozen=True, kw_only=True):
    """The amounts that were spent, with the same fields as `Limits`."""

    oracle_calls: float = 0.0
    evaluations: float = 0.0
    llm_calls: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0
    seconds: float = 0.0


class Totals(Record, frozen=True, kw_only=True):
    """Sums over the model calls of one role.

    Attributes:
        calls: Number of calls.
        attempts: Number of requests, repeated ones included.
        errors: Number of failed requests.
        tokens_in: Tokens of the prompts.
        tokens_out: Tokens of the answers.
        seconds: Duration of the calls.
        usd: Cost in US dollars; None if a price is unknown.
        cached_tokens: The part of `tokens_in` that the endpoint read from its cache; None if not recorded.
        reasoning_tokens: The part of `tokens_out` that the model used for reasoning; None if not recorded.
    """

    calls: int = 0
    attempts: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    usd: float | None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.tokens_in + self.tokens_out


NO_CALLS = Totals(usd=0.0)


class LedgerTotals(Record, frozen=True, kw_only=True):
    """The sums over the model calls of each role."""

    optimizer: Totals = NO_CALLS
    task: Totals = NO_CALLS
    judge: Totals = NO_CALLS
    test: Totals = NO_CALLS

    def values(self) -> tuple[Totals, ...]:
        """The sums of all roles, in the order of the fields."""
        return self.optimizer, self.task, self.judge, self.test
