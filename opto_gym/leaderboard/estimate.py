"""Estimates what a run will spend: calls, tokens and money of each role, and time."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..llm import Price
from ..llm.limiter import START
from .amounts import Limits
from .rehearsal import Rehearsal, Rehearser, Use
from .spec import TrialSpec

if TYPE_CHECKING:
    from .planning import Plan, Planned

ROLES = ("optimizer", "task", "scoring")
"""What model calls are for, in an estimate and in a report."""

FIRST_TOKEN, TOKENS_PER_SECOND = 1.0, 60.0
"""Seconds until a hosted model's answer begins, and the tokens of an answer that it writes in a second."""
LOCAL_READS, LOCAL_WRITES = 250.0, 30.0
"""Tokens that the embedded model reads and writes in a second, on two cores."""

SCORED_AT_END = 2.4
"""Sets of parameters that are scored at the end of a trial of several oracle calls: the start values, the last ones,
and the recommended ones, which are often one of the two. The number is at most a fifth off both from 2 and from 3."""

Range = tuple[float, float, float]
"""(the fewest, a middle number, the most): the length of answers is not known before."""


@dataclasses.dataclass(frozen=True, slots=True)
class RoleEstimate:
    """What the model calls of one role will spend.

    Attributes:
        calls: Number of calls.
        tokens_in: Tokens of the prompts.
        tokens_out: Tokens of the answers.
        usd: The price in US dollars; None if a price is unknown.
    """

    calls: float
    tokens_in: float
    tokens_out: Range
    usd: Range | None

    def to_dict(self) -> dict[str, Any]:
        """The estimate as plain data, with whole numbers of calls and tokens."""
        low, middle, high = map(round, self.tokens_out)
        usd = None if self.usd is None else list(self.usd)
        return {
            "calls": round(self.calls),
            "tokens_in": round(self.tokens_in),
            "tokens_out": [low, middle, high],
            "usd": usd,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """What the trials of a plan will spend, if each proposal is new and usable, and none solves the problem.

    Attributes:
        trials: Number of trials.
        oracle_calls: The most oracle calls; None if no limit bounds them.
        roles: The estimates by role, of `ROLES`; None for a role that can't be estimated.
        seconds: Wall time in seconds; None if it can't be estimated.
        unknown: (environment, agent, reason why it isn't known what the agent asks).
        cap: The budget of the whole run.
    """

    trials: int
    oracle_calls: float | None
    roles: Mapping[str, RoleEstimate | None]
    seconds: Range | None
    unknown: tuple[tuple[str, str, str], ...]
    cap: Limits

    @property
    def llm_calls(self) -> float | None:
        """The number of model calls; None if it can't be estimated."""
        known = self._known()
        return None if known is None else _capped(sum(role.calls for role in known), self.cap.llm_calls)

    @property
    def tokens(self) -> float | None:
        """Tokens in and out, with answers of middle length; None if they can't be estimated."""
        known = self._known()
        if known is None:
            return None
        return _capped(sum(role.tokens_in + role.tokens_out[1] for role in known), self.cap.tokens)

    @property
    def usd(self) -> Range | None:
        """The price; None if a price is unknown, or the calls can't be estimated."""
        known = self._known()
        if known is None or any(role.usd is None for role in known):
            return None
        low, middle, high = (sum(role.usd[k] for role in known if role.usd) for k in range(3))
        return _capped(low, self.cap.usd), _capped(middle, self.cap.usd), _capped(high, self.cap.usd)

    def _known(self) -> list[RoleEstimate] | None:
        """The estimates of all roles; None if one of them can't be estimated."""
        known = [role for role in self.roles.values() if role is not None]
        return known if len(known) == len(self.roles) else None

    def to_dict(self) -> dict[str, Any]:
        """The estimate as plain data, see `Plan.estimate`."""
        usd = self.usd
        return {
            "trials": self.trials,
            "oracle_calls": self.oracle_calls,
            "llm_calls": self.llm_calls,
            "tokens": self.tokens,
            "usd": None if usd is None else usd[1],
            "usd_range": None if usd is None else (usd[0], usd[2]),
            "seconds": None if self.seconds is None else self.seconds[1],
            "seconds_range": None if self.seconds is None else (self.seconds[0], self.seconds[2]),
            "roles": {name: None if role is None else role.to_dict() for name, role in self.roles.items()},
            "unknown": list(self.unknown),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class _Trial:
    """The estimate of one trial.

    Attributes:
        uses: What the calls use, by role of `ROLES`; None where that isn't known.
        prices: The price by role; None if it is unknown.
        seconds: Wall time; None if that isn't known.
        busy: The seconds in which the endpoint works on the calls, one after the other.
    """

    uses: Mapping[str, Use | None]
    prices: Mapping[str, Range | None]
    seconds: Range | None
    busy: Range


def estimate(plan: Plan, *, jobs: int = 1) -> Estimate:
    """Estimates what the trials of a plan will spend.

    Each agent is rehearsed on each environment, see `rehearsal`. Its first steps are counted as they are, for two
    seconds, and the rest of the trial is taken to be like them.

    Args:
        plan: The plan.
        jobs: Number of trials that run at a time.
    """
    rehearsed: dict[str, Rehearsal | str] = {}
    trials, unknown = list[_Trial](), dict[tuple[str, str, str], None]()
    for planned in plan.trials.values():
        scores = planned.test_scores or plan.test_scores
        found = _rehearsed(planned, scores != "never", rehearsed)
        reason = found if isinstance(found, str) else found.unknown
        if reason is not None:
            unknown[planned.spec.env, planned.spec.agent, reason] = None
        trials.append(_trial(planned, found, scores, plan.calls.price))
    calls = [planned.limits.oracle_calls for planned in plan.trials.values()]
    return Estimate(
        trials=len(trials),
        oracle_calls=None if None in calls else sum(c for c in calls if c is not None),
        roles={role: _sum_of_role(role, trials) for role in ROLES},
        seconds=_wall_time(trials, max(1, min(jobs, len(trials)))),
        unknown=tuple(unknown),
        cap=plan.cap,
    )


def _rehearsed(planned: Planned, scores: bool, cache: dict[str, Rehearsal | str]) -> Rehearsal | str:
    """The rehearsal of a trial, which trials share that differ in their seeds only; or why there is none."""
    spec = planned.spec
    what = [spec.env_key, spec.agent, spec.settings, spec.model_settings, spec.optimizer_model, spec.task_model]
    key = json.dumps([*what, planned.limits.to_dict(), scores], sort_keys=True, default=str)
    if key not in cache:
        try:
            cache[key] = Rehearser(spec, planned.limits, scores=scores).run()
        except Exception as e:  # of any kind, since it is a bug of the environment's; the run itself will tell it
            logging.getLogger(__name__).debug("no rehearsal of %s on %s", spec.agent, spec.env, exc_info=True)
            cache[key] = f"{type(e).__name__}: {e}".splitlines()[0][:200]
    return cache[key]


def _trial(planned: Planned, found: Rehearsal | str, scores: str, price_of: Callable[[str], Price | None]) -> _Trial:
    """The estimate of one trial.

    Args:
        planned: The trial.
        found: Its rehearsal, or why there is none.
        scores: When parameters are scored on test, of `scoring.SCORING`.
        price_of: The price of a model by its name.
    """
    spec = planned.spec
    nothing: Range = (0.0, 0.0, 0.0)
    if isinstance(found, str):
        return _Trial(dict.fromkeys(ROLES), dict.fromkeys(ROLES), None, nothing)
    calls = _oracle_calls(planned, found)
    if calls is None:
        return _Trial(dict.fromkeys(ROLES), dict.fromkeys(ROLES), None, nothing)
    uses = found.uses(calls)
    scorings = 0.0 if scores == "never" else 1 + calls if scores == "each" else min(SCORED_AT_END, 1 + calls)
    by_role: dict[str, Use | None] = {
        "optimizer": None if found.unknown is not None and spec.optimizer_model else uses.get("optimizer", Use()),
        "task": uses.get("task", Use()),
        "scoring": found.scoring[0] + found.scoring[1] * (scorings - 1) + found.measuring if scorings else Use(),
    }
    prices = {
        role: None if use is None else _price(price_of(str(_model(spec, role))), use) for role, use in by_role.items()
    }
    prices = _limited(prices, planned.limits.usd)
    own = found.seconds[0] * (1 + calls) + found.seconds[1] * scorings
    seconds, busy = _seconds(spec, by_role, found.examples, own, planned.limits.seconds)
    return _Trial(by_role, prices, None if found.unknown is not None else seconds, busy)


def _model(spec: TrialSpec, role: str) -> str | None:
    return spec.optimizer_model if role == "optimizer" else spec.task_model


def _price(price: Price | None, use: Use) -> Range | None:
    if not use.calls:
        return 0.0, 0.0, 0.0
    if price is None:
        return None
    low, middle, high = (price.of(use.tokens_in, tokens) for tokens in use.tokens_out)
    return low, middle, high


def _at_most(amounts: Range, most: float) -> Range:
    low, middle, high = (min(amount, most) for amount in amounts)
    return low, middle, high


def _limited(prices: Mapping[str, Range | None], limit: float | None) -> dict[str, Range | None]:
    """The prices of a trial's roles; the limit on USD bounds all but those of scoring."""
    spent = sum(price[2] for role, price in prices.items() if price is not None and role != "scoring")
    if limit is None or spent <= limit:
        return dict(prices)
    share = limit / spent
    return {
        role: price if price is None or role == "scoring" else _at_most(price, price[2] * share)
        for role, price in prices.items()
    }


def _latencies(model: str | None, use: Use) -> Range:
    """The seconds of all calls, one after the other."""
    if not use.calls:
        return 0.0, 0.0, 0.0
    begin = use.tokens_in / LOCAL_READS if model == "local" else FIRST_TOKEN * use.calls
    rate = LOCAL_WRITES if model == "local" else TOKENS_PER_SECOND
    low, middle, high = (begin + tokens / rate for tokens in use.tokens_out)
    return low, middle, high


def _seconds(
    spec: TrialSpec, uses: Mapping[str, Use | None], examples: tuple[int, int], own: float, limit: float | None
) -> tuple[Range, Range]:
    """(wall time of a trial that runs alone, seconds in which the endpoint is busy with its calls one by one).

    Args:
        spec: What the trial runs.
        uses: What the calls use by role.
        examples: The examples of an oracle call, and of a scoring, which are asked side by side.
        own: The seconds of the environment itself.
        limit: The limit on seconds, which scoring is not in; None if there is none.
    """
    side_by_side = {"optimizer": 1, "task": examples[0], "scoring": examples[1]}
    alone = {}
    busy = [0.0, 0.0, 0.0]
    for role, use in uses.items():
        model = _model(spec, role)
        latencies = (0.0, 0.0, 0.0) if use is None else _latencies(model, use)
        width = 1 if model == "local" else max(1, min(START, side_by_side[role]))
        alone[role] = [seconds / width for seconds in latencies]
        busy = [b + s / (1 if model == "local" else START) for b, s in zip(busy, latencies, strict=True)]
    limit = math.inf if limit is None else limit
    low, middle, high = (min(limit, own + sum(alone[role][k] for role in alone if role != "scoring")) for k in range(3))
    scoring = alone.get("scoring", [0.0] * 3)
    return (low + scoring[0], middle + scoring[1], high + scoring[2]), (busy[0], busy[1], busy[2])


def _oracle_calls(planned: Planned, found: Rehearsal) -> float | None:
    """The number of oracle calls of a trial; None if nothing bounds it."""
    calls, seconds = found.oracle_calls, planned.limits.seconds
    if seconds is None:
        return calls
    done = max(1, len(found.history) - 1)
    uses: dict[str, Use | None] = {role: use * (1 / done) for role, use in found.uses(done).items()}
    (_, alone, _), _ = _seconds(planned.spec, uses, found.examples, found.seconds[0], None)
    in_time = seconds // alone if alone > 0 else None
    return min((c for c in (calls, in_time) if c is not None), default=None)


def _sum_of_role(role: str, trials: Iterable[_Trial]) -> RoleEstimate | None:
    """The sum over trials; None if it isn't known for one of them."""
    total = Use()
    usd: Range | None = (0.0, 0.0, 0.0)
    for trial in trials:
        use, price = trial.uses[role], trial.prices[role]
        if use is None:
            return None
        total = total + use
        usd = None if usd is None or price is None else (usd[0] + price[0], usd[1] + price[1], usd[2] + price[2])
    return RoleEstimate(total.calls, total.tokens_in, total.tokens_out, usd)


def _wall_time(trials: Iterable[_Trial], jobs: int) -> Range | None:
    """The wall time of a run: that of its trials, or of the endpoint where that has no more capacity."""
    total, busy = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    for trial in trials:
        if trial.seconds is None:
            return None
        total = [a + b for a, b in zip(total, trial.seconds, strict=True)]
        busy = [a + b for a, b in zip(busy, trial.busy, strict=True)]
    low, middle, high = (max(t / jobs, b) for t, b in zip(total, busy, strict=True))
    return low, middle, high


def _capped(amount: float, cap: float | None) -> float:
    return amount if cap is None else min(amount, cap)
