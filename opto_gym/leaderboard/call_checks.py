"""Checks the model calls in a trial's record: their keys, models and numbers, and the sums of what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from ..llm import Budget, Ledger
from ..llm.calls import CallLine
from ..llm.ledger import ROLES
from ..llm.record import CallRecord, has_key, read_call_lines
from .amounts import Amounts, LedgerTotals, Totals
from .consistency import is_close
from .records import TrialFolder
from .schema import StepRecord, TrialRecord, TrialSummary
from .spec import TrialSpec
from .spending import ledger_totals

_AMOUNTS = ("llm_calls", "tokens", "usd")
_LIMITS_THAT_REFUSE = (*_AMOUNTS, "seconds")


class Booked(NamedTuple):
    """What the recorded model calls of a trial cost, booked again from their lines.

    Attributes:
        ledger: The sums by role, with those of lost attempts.
        lost: The sums of lost attempts.
        spent: What they took from the trial's budget.
    """

    ledger: LedgerTotals
    lost: LedgerTotals
    spent: Amounts


def call_contradictions(folder: TrialFolder, record: TrialRecord, steps: Sequence[StepRecord]) -> list[str]:
    """What contradicts itself in the model calls of a trial, as lines of text.

    Args:
        folder: The trial's folder.
        record: Its ``trial.json``.
        steps: Its oracle calls.

    Raises:
        RecordError: If a record is damaged.
    """
    found = _lines("llm.jsonl", read_call_lines(folder.llm), record)
    for attempt in folder.attempts():
        name = f"lost/{attempt.name}/llm.jsonl"
        found += _lines(name, read_call_lines(attempt / folder.llm.name), record)
    calls = CallRecord(folder.llm, trial=record.trial, mode="replay")
    if record.status == "done":
        found += _numbers(calls)
        found += _keys(record, steps, {line.key for line in calls.lines})
    if record.summary is not None:
        sums = list(_sums(record.summary, booked_again(folder, record.spec, record.summary, calls)))
        unscored = given_up_scorings(folder, calls) if sums and record.status == "done" else []
        if unscored:
            sums = list(_sums(record.summary, booked_again(folder, record.spec, record.summary, calls, unscored)))
        found += sums
    return found


def given_up_scorings(folder: TrialFolder, calls: CallRecord) -> list[CallLine]:
    """The calls of scorings that a kill ended and that were not begun again, since the budget was raised before.

    Calls of measurements after the scorings are among them, too, which no scoring names.
    """
    scored = {calls.current_key(key) for scoring in folder.tests() for key in scoring.task_calls}
    return [line for line in calls.lines if line.role == "test" and calls.current_key(line.key) not in scored]


def booked_again(
    folder: TrialFolder,
    spec: TrialSpec,
    summary: TrialSummary,
    calls: CallRecord,
    without: Sequence[CallLine] = (),
) -> Booked:
    """Books the recorded model calls of a trial as resuming it would, at the prices in its record.

    Args:
        folder: The trial's folder.
        spec: What it ran.
        summary: Its summary, which has the prices.
        calls: Its model calls.
        without: Those to leave out.
    """
    budget, ledger = Budget(), Ledger()
    lost, booked = folder.lost_calls(), [line for line in calls.lines if line not in without]
    for role in ROLES:
        model = spec.optimizer_model if role == "optimizer" else spec.task_model
        lines = [line for line in booked if line.role == role]
        if model is None or not (lines or any(line.role == role for line in lost)):
            continue
        price = recorded_price(summary, role)
        # scoring is not charged to the trial's budget
        own = Budget() if role == "test" else budget
        client = spec.client(model, role=role, budget=own, ledger=ledger, record=calls, price=price or (0.0, 0.0))
        client.book_lost(line for line in lost if line.role == role)
        client.book_recorded(line.key for line in lines)
    unpriced = {role for role in ROLES if recorded_price(summary, role) is None}
    return Booked(
        _without_unknown(ledger_totals(ledger), [*booked, *lost], unpriced),
        _without_unknown(ledger_totals(ledger, lost=True), lost, unpriced),
        msgspec.convert(budget.spent, Amounts),
    )


def recorded_price(summary: TrialSummary, role: str) -> tuple[float, ...] | None:
    """The recorded price of a role's model in USD per million tokens, as `Client` takes it; None if it was unknown."""
    model = summary.models.optimizer if role == "optimizer" else summary.models.task
    price = (model or {}).get("usd_per_token")
    if not isinstance(price, dict):
        return None
    values = [price.get(name) for name in ("tokens_in", "tokens_out", "cached")]
    numbers = tuple(1e6 * float(value) for value in values if isinstance(value, int | float))
    return numbers if len(numbers) >= 2 and min(numbers) >= 0 else None


def total_differences(what: str, recorded: LedgerTotals, found: LedgerTotals) -> list[str]:
    """The fields in which the sums of model calls differ, a line each.

    Args:
        what: What the sums are of.
        recorded: The sums in the record. What it has as not recorded is not compared.
        found: The sums of the recorded calls.
    """
    lines: list[str] = []
    for role in LedgerTotals.__struct_fields__:
        was, now = getattr(recorded, role), getattr(found, role)
        for name in Totals.__struct_fields__:
            a, b = getattr(was, name), getattr(now, name)
            is_recorded = a is not None or name == "usd"
            if is_recorded and not is_close(a, b):
                lines.append(f"{what}: {role} {name} is {a}, that of the recorded calls {b}")
    return lines


def _lines(name: str, lines: Sequence[CallLine], record: TrialRecord) -> list[str]:
    """Contradictions in the lines of a file."""
    found: list[str] = []
    spec = record.spec
    answered: Counter[Any] = Counter((line.key, line.n, line.part) for line in lines if line.error is None)
    whole = {(line.key, line.n) for line in lines if line.part is None}
    for number, line in enumerate(lines, 1):
        what = f"{name}, line {number}"
        model = spec.optimizer_model if line.role == "optimizer" else spec.task_model
        if line.role not in ROLES:
            found.append(f"{what}: there is no role {line.role!r:.50}")
        elif not line.model == line.request.get("model") == model:
            asked = line.request.get("model")
            found.append(f"{what}: model is {line.model!r:.80}, the request's {asked!r:.80}, the trial's {model!r}")
        elif line.part is None and not has_key(line, record.trial, spec.endpoint(line.role).label):
            found.append(f"{what}: key is not the hash of the request, its role and its place")
        elif line.part is not None and record.status == "done" and (line.key, line.n) not in whole:
            found.append(f"{what}: it is a part of a call that is not recorded")
        elif answered[line.key, line.n, line.part] > 1:
            found.append(f"{what}: another line has the same key and n")
    return found


def _numbers(calls: CallRecord) -> Iterator[str]:
    """Calls whose number is not one of those that their key was asked for."""
    counts = Counter(calls.current_key(line.key) for line in calls.lines)
    for line in calls.lines:
        if not 0 <= line.n < counts[calls.current_key(line.key)]:
            yield f"llm.jsonl: n is {line.n}, but {counts[calls.current_key(line.key)]} calls have the key {line.key}"


def _keys(record: TrialRecord, steps: Sequence[StepRecord], keys: set[str]) -> Iterator[str]:
    """Keys of model calls in steps that no line has. Calls that a budget refused have none."""
    if any(getattr(limits, name) is not None for limits in (record.limits, record.cap) for name in _LIMITS_THAT_REFUSE):
        return
    for step in steps:
        read = [reading.call for reading in step.answers or () if reading.call]
        for name, used in (("optimizer_calls", step.optimizer_calls), ("answers", read)):
            if not keys.issuperset(used or ()):
                yield f"call {step.call}: {name} has the key of a call that is not in llm.jsonl"


def _sums(summary: TrialSummary, booked: Booked) -> Iterator[str]:
    """Differences between the sums in a summary and those of the recorded calls."""
    yield from total_differences("summary: ledger", summary.ledger, booked.ledger)
    if summary.lost is not None:
        yield from total_differences("summary: ledger of lost attempts", summary.lost.ledger, booked.lost)
    for name in _AMOUNTS:
        was, now = getattr(summary.spent, name), getattr(booked.spent, name)
        if not is_close(was, now):
            yield f"summary: spent {name} is {was}, that of the recorded calls {now}"


def _without_unknown(totals: LedgerTotals, lines: Sequence[CallLine], unpriced: set[str]) -> LedgerTotals:
    """The totals with None as the price of roles where that of a call is unknown."""
    unknown = {
        line.role
        for line in lines
        if (line.error is None and line.usd is None and line.counted != "none")
        or any(failed.lost for failed in line.failed_attempts)
    }
    changed = {role: msgspec.structs.replace(getattr(totals, role), usd=None) for role in unknown & unpriced}
    return msgspec.structs.replace(totals, **changed)
