"""Prints what a plan would run and cost, and asks before a run that is expensive or long."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..leaderboard.estimate import Estimate, RoleEstimate, estimate
from ..leaderboard.ranges import Range
from ..leaderboard.runner import left_to_do
from ..utils.text import visible

if TYPE_CHECKING:
    from ..leaderboard.planning import Plan

MOST_USD, MOST_SECONDS = 1.0, 3600.0
"""A run whose estimate is above one of these is asked about in a terminal, see `confirmed`."""

WHY_RANGES = "by the length of prompts and answers, and by how many different sets of parameters are scored on test"
"""Why an estimate has ranges."""


def show_outline(plan: Plan, *, out: str | Path | None = None, jobs: int = 1) -> None:
    """Prints what a plan would run, and what it may cost.

    Args:
        plan: The plan.
        out: The folder of the run, whose finished trials are left out; None if there is none.
        jobs: Number of trials that run at a time.
    """
    left = plan if out is None else left_to_do(plan, Path(out))
    for line in left.outline():
        print(visible(line))
    if len(left.trials) < len(plan.trials):
        print(f"done already   {len(plan.trials) - len(left.trials)} of {len(plan.trials)} trials, not counted below")
    for line in lines(estimate(left, jobs=jobs)):
        print(line)
    for env, agent, why in plan.skipped:
        print(visible(f"skipped        {agent} on {env}: {why}"))


def lines(found: Estimate) -> list[str]:
    """An estimate as lines of text."""
    calls, tokens, usd, seconds = found.llm_calls, found.tokens, found.usd, found.seconds
    rows = [
        ("trials", f"{found.trials}"),
        ("oracle calls", "not bounded" if found.oracle_calls is None else f"at most {found.oracle_calls:,.0f}"),
        *((name, _role(role)) for name, role in found.roles.items() if role is None or role.calls[2]),
        ("llm calls", "unknown" if calls is None else _about(_whole(calls))),
        ("tokens", "unknown" if tokens is None else _about(_whole(tokens))),
        ("usd", "unknown" if usd is None else _about(_dollars(usd))),
        ("time", "unknown" if seconds is None else _about([duration(s) for s in seconds])),
    ]
    if any(amounts is not None and amounts[0] < amounts[2] for amounts in (calls, tokens, usd, seconds)):
        rows.append(("ranges", WHY_RANGES))
    described = [f"{name:14} {text}" for name, text in rows]
    described += [f"unknown        what {agent} asks on {env}: {why}" for env, agent, why in found.unknown]
    return described


def _role(role: RoleEstimate | None) -> str:
    if role is None:
        return "unknown"
    calls, tokens_in, tokens_out = (_between(_whole(x)) for x in (role.calls, role.tokens_in, role.tokens_out))
    usd = "unknown" if role.usd is None else _between(_dollars(role.usd))
    return f"{calls} calls, {tokens_in} tokens in, {tokens_out} out, USD {usd}"


def _whole(amounts: Range) -> list[str]:
    return [f"{amount:,.0f}" for amount in amounts]


def _dollars(usd: Range) -> list[str]:
    return [f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}" for amount in usd]


def _between(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[2] else f"{texts[0]} to {texts[2]}"


def _about(texts: list[str]) -> str:
    if texts[2] == "0":
        return "0"
    return f"about {texts[1]}" + ("" if texts[0] == texts[2] else f" ({_between(texts)})")


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"


def confirmed(plan: Plan, *, out: str | Path, jobs: int) -> bool:
    """Whether a run may start: it is asked in a terminal where it may be above `MOST_USD` or `MOST_SECONDS`.

    What counts is the upper end of the money, which is gone when it is spent, and the middle of the time, whose upper
    end supposes answers as long as they may be. Without a terminal nothing is asked, and so where a person proposes.

    Args:
        plan: The plan.
        out: The folder of the run.
        jobs: Number of trials that run at a time.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    found = estimate(left_to_do(plan, Path(out)), jobs=jobs)
    usd, seconds = found.usd, found.seconds
    reasons = []
    if usd is not None and usd[2] > MOST_USD:
        reasons.append(f"cost {_about(_dollars(usd))} USD")
    if seconds is not None and seconds[1] > MOST_SECONDS:
        reasons.append(f"take {_about([duration(s) for s in seconds])}")
    if not reasons:
        return True
    print("\n".join(lines(found)), file=sys.stderr)
    print(f"This run may {' and '.join(reasons)}. Start it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
