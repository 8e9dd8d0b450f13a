"""What model calls cost, by role, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..llm import Ledger
from ..llm.ledger import sum_of_known
from .amounts import NO_CALLS, LedgerTotals, Totals

LEDGER_ROLES: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("optimizer",),
    "task": ("task", "judge"),
    "scoring": ("test",),
}
"""The roles of a report, each with those of the ledger."""


def money(usd: float | None) -> str:
    """An amount in US dollars: to the cent, but never 0.00 where something was paid; None is unknown."""
    if usd is None:
        return "unknown"
    return "<0.01" if 0 < usd < 0.01 else f"{usd:,.2f}"


def ledger_totals(ledger: Ledger, *, lost: bool = False) -> LedgerTotals:
    """The sums over a trial's model calls, by role.

    Args:
        ledger: The trial's ledger.
        lost: Counts only the calls of lost attempts.
    """
    roles = LedgerTotals.__struct_fields__
    return LedgerTotals(**{r: msgspec.convert(ledger.totals(r, lost=lost), Totals) for r in roles})


def by_role(ledger: LedgerTotals) -> dict[str, Totals]:
    """The totals of each role of `LEDGER_ROLES`."""
    return {name: added(*(getattr(ledger, role) for role in roles)) for name, roles in LEDGER_ROLES.items()}


def added(*totals: Totals) -> Totals:
    """The sums of totals; USD are None if they are for one of them."""
    sums: dict[str, Any] = {
        name: sum(getattr(t, name) for t in totals)
        for name in ("calls", "attempts", "errors", "tokens_in", "tokens_out", "seconds")
    }
    usd = None if any(t.usd is None for t in totals) else sum(t.usd or 0.0 for t in totals)
    for name in ("cached_tokens", "reasoning_tokens"):
        sums[name] = sum_of_known(getattr(t, name) for t in totals)
    return Totals(usd=usd, **sums)


def described(roles: Mapping[str, Totals]) -> str:
    """Calls, tokens and USD of each role that made calls, and the total, in one line; "" if there were no calls.

    Args:
        roles: The totals by role, see `by_role`.
    """
    used = {name: totals for name, totals in roles.items() if totals.attempts or totals.calls}
    if len(used) > 1:
        used["total"] = added(*used.values())
    return "; ".join(
        f"{name} {totals.calls:,} calls, {totals.tokens:,} tokens, {money(totals.usd)} USD"
        for name, totals in used.items()
    )


def summed(ledgers: list[LedgerTotals]) -> dict[str, Totals]:
    """The totals of each role of `LEDGER_ROLES` over several trials."""
    found = [by_role(ledger) for ledger in ledgers]
    return {name: added(NO_CALLS, *(roles[name] for roles in found)) for name in LEDGER_ROLES}
