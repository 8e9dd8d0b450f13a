"""Estimates what a run will spend: calls, tokens and money of each role, and time."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..llm import Price
from ..llm.limiter import START
from .amounts import Limits
from .ranges import NOTHING, Range, at_most, times, total
from .rehearsal import Rehearsal, Rehearser, Use
from .scored_sets import scored_sets
from .spec import TrialSpec

if TYPE_CHECKING:
    from .planning import Plan, Planned

ROLES = ("optimizer", "task", "scoring")
"""What model calls are for, in an estimate and in a report."""

FIRST_TOKEN, TOKENS_PER_SECOND = 1.0, 60.0
"""Seconds until a hosted model's answer begins, and the tokens of an answer that it writes in a second."""
LOCAL_READS, LOCAL_WRITES = 250.0, 30.0
"""Tokens that the embedded model reads and writes in a second, on two cores."""

SHORT_PROMPTS, LONG_PROMPTS = 0.75, 1.3
"""How many of the counted tokens prompts may have. The count of a text is off by 0.79 to 1.28 in the first prompts of
docs/agents.md, and the values that will be proposed may be shorter or longer than the made-up ones."""

RangeOfUse = tuple[Use, Use, Use]
"""What a role's calls use: at least, with prompts and answers of middle length, and at most."""


@dataclasses.dataclass(frozen=True, slots=True)
class RoleEstimate:
    """What the model calls of one role will spend.

    The length of answers is not known before, nor how many of the parameters that are scored at the end are different.

    Attributes:
        calls: Number of calls.
        tokens_in: Tokens of the prompts.
        tokens_out: Tokens of the answers.
        usd: The price in US dollars; None if a price is unknown.
    """

    calls: Range
    tokens_in: Range
    tokens_out: Range
    usd: Range | None

    def to_dict(self) -> dict[str, Any]:
        """The estimate as plain data, with whole numbers of calls and tokens."""
        return {
            "calls": round(self.calls[1]),
            "calls_range": (round(self.calls[0]), round(self.calls[2])),
            "tokens_in": round(self.tokens_in[1]),
            "tokens_in_range": (round(self.tokens_in[0]), round(self.tokens_in[2])),
            "tokens_out": list(map(round, self.tokens_out)),
            "usd": None if self.usd is None else list(self.usd),
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
    def llm_calls(self) -> Range | None:
        """The number of model calls; None if it can't be estimated."""
        known = self._known()
        return None if known is None else at_most(total(role.calls for role in known), self.cap.llm_calls)

    @property
    def tokens(self) -> Range | None:
        """Tokens in and out; None if they can't be estimated."""
        known = self._known()
        if known is None:
            return None
        return at_most(total(tokens for role in known for tokens in (role.tokens_in, role.tokens_out)), self.cap.tokens)

    @property
    def usd(self) -> Range | None:
        """The price; None if a price is unknown, or the calls can't be estimated."""
        known = self._known()
        if known is None or any(role.usd is None for role in known):
            return None
        return at_most(total(role.usd for role in known if role.usd is not None), self.cap.usd)

    def _known(self) -> list[RoleEstimate] | None:
        """The estimates of all roles; None if one of them can't be estimated."""
        known = [role for role in self.roles.values() if role is not None]
        return known if len(known) == len(self.roles) else None

    def to_dict(self) -> dict[str, Any]:
        """The estimate as plain data, see `Plan.estimate`."""
        amounts = {"llm_calls": self.llm_calls, "tokens": self.tokens, "usd": self.usd, "seconds": self.seconds}
        return {
            "trials": self.trials,
            "oracle_calls": self.oracle_calls,
            **{name: None if found is None else found[1] for name, found in amounts.items()},
            **{f"{name}_range": None if found is None else (found[0], found[2]) for name, found in amounts.items()},
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

    uses: Mapping[str, RangeOfUse | None]
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
    spec, limits = planned.spec, planned.limits
    calls = None if isinstance(found, str) else _oracle_calls(planned, found)
    if calls is None or isinstance(found, str):
        return _Trial(dict.fromkeys(ROLES), dict.fromkeys(ROLES), None, NOTHING)
    sets, known = scored_sets(scores, calls, found.recommendation), found.uses(calls)
    optimizer, task = known.get("optimizer", Use()), known.get("task", Use())
    asked = {"task": _between(_with_start_prompts(task, found), task, task)}
    if found.unknown is None or not spec.optimizer_model:
        asked["optimizer"] = _between(optimizer, optimizer, optimizer)
    by_role: dict[str, RangeOfUse | None] = {"optimizer": None, **_limit_tokens(asked, limits.tokens)}
    by_role["scoring"] = _between(*(_scoring(found, number) for number in sets))
    prices = {
        role: None if use is None else _price(price_of(str(_model(spec, role))), use) for role, use in by_role.items()
    }
    known_prices = {role: price for role, price in prices.items() if price is not None and role != "scoring"}
    prices |= _limit_prices(known_prices, limits.usd)
    own = total([(found.seconds[0] * (1 + calls),) * 3, times(sets, found.seconds[1])])
    seconds, busy = _seconds(spec, by_role, found.examples, own, limits.seconds)
    return _Trial(by_role, prices, None if found.unknown is not None else seconds, busy)


def _with_start_prompts(task: Use, found: Rehearsal) -> Use:
    """The task's calls with the prompts of the start values, which it gets where no proposal is usable."""
    start = found.history[0].get("task", Use())
    return dataclasses.replace(task, tokens_in=start.tokens_in / start.calls * task.calls) if start.calls else task


def _between(few: Use, middle: Use, most: Use) -> RangeOfUse:
    """A range from short prompts to long ones."""
    short, long = few.tokens_in * SHORT_PROMPTS, most.tokens_in * LONG_PROMPTS
    return dataclasses.replace(few, tokens_in=short), middle, dataclasses.replace(most, tokens_in=long)


def _scoring(found: Rehearsal, sets: float) -> Use:
    """What it uses to score so many sets of parameters, the first of which are the start values."""
    return found.scoring[0] + found.scoring[1] * (sets - 1) + found.measuring if sets else Use()


def _model(spec: TrialSpec, role: str) -> str | None:
    return spec.optimizer_model if role == "optimizer" else spec.task_model


def _price(price: Price | None, uses: RangeOfUse) -> Range | None:
    if not uses[2].calls:
        return NOTHING
    if price is None:
        return None
    low, middle, high = (price.of(use.tokens_in, use.tokens_out[k]) for k, use in enumerate(uses))
    return low, middle, high


def _limit_tokens(uses: Mapping[str, RangeOfUse], limit: float | None) -> dict[str, RangeOfUse]:
    """The uses of a trial's roles, reduced in proportion where all together have more tokens than a limit."""
    few, middle, most = (sum(use[k].tokens_in + use[k].tokens_out[k] for use in uses.values()) for k in range(3))
    shares = _shares((few, middle, most), limit)

    def reduced(use: Use, share: float) -> Use:
        return dataclasses.replace(use, tokens_in=use.tokens_in * share, tokens_out=times(use.tokens_out, share))

    return {
        role: (reduced(a, shares[0]), reduced(b, shares[1]), reduced(c, shares[2])) for role, (a, b, c) in uses.items()
    }


def _limit_prices(prices: Mapping[str, Range], limit: float | None) -> dict[str, Range]:
    """The prices of a trial's roles, reduced in proportion where they are above a limit together."""
    shares = _shares(total(prices.values()), limit)
    return {role: (a * shares[0], b * shares[1], c * shares[2]) for role, (a, b, c) in prices.items()}


def _shares(amounts: Range, limit: float | None) -> Range:
    """The part of each amount that is within a limit; None is no limit."""
    low, middle, high = (1.0 if limit is None or amount <= limit else limit / amount for amount in amounts)
    return low, middle, high


def _latencies(model: str | None, uses: RangeOfUse) -> Range:
    """The seconds of all calls, one after the other."""
    rate = LOCAL_WRITES if model == "local" else TOKENS_PER_SECOND
    begin = (use.tokens_in / LOCAL_READS if model == "local" else FIRST_TOKEN * use.calls for use in uses)
    low, middle, high = (b + use.tokens_out[k] / rate for k, (b, use) in enumerate(zip(begin, uses, strict=True)))
    return low, middle, high


def _seconds(
    spec: TrialSpec,
    uses: Mapping[str, RangeOfUse | None],
    examples: tuple[int, int],
    own: Range,
    limit: float | None,
) -> tuple[Range, Range]:
    """(wall time of a trial that runs alone, seconds in which the endpoint is busy with its calls one by one).

    Args:
        spec: What the trial runs.
        uses: What the calls use by role.
        examples: The examples of an oracle call, and of a scoring, which are asked side by side.
        own: The seconds of the environment itself.
        limit: The limit on seconds, which the model calls of scoring are not in; None if there is none.
    """
    side_by_side = {"optimizer": 1, "task": examples[0], "scoring": examples[1]}
    alone, busy = dict.fromkeys(ROLES, NOTHING), NOTHING
    for role, use in uses.items():
        if use is not None:
            model = _model(spec, role)
            latencies = _latencies(model, use)
            width = 1 if model == "local" else max(1, min(START, side_by_side[role]))
            alone[role] = times(latencies, 1 / width)
            busy = total([busy, times(latencies, 1 if model == "local" else 1 / START)])
    limited = at_most(total([own, alone["optimizer"], alone["task"]]), limit)
    return total([limited, alone["scoring"]]), busy


def _oracle_calls(planned: Planned, found: Rehearsal) -> float | None:
    """The number of oracle calls of a trial; None if nothing bounds it."""
    calls, seconds = found.oracle_calls, planned.limits.seconds
    if seconds is None:
        return calls
    done = max(1, len(found.history) - 1)
    uses: dict[str, RangeOfUse | None] = {role: (use * (1 / done),) * 3 for role, use in found.uses(done).items()}
    (_, alone, _), _ = _seconds(planned.spec, uses, found.examples, (found.seconds[0],) * 3, None)
    in_time = seconds // alone if alone > 0 else None
    return min((c for c in (calls, in_time) if c is not None), default=None)


def _sum_of_role(role: str, trials: Sequence[_Trial]) -> RoleEstimate | None:
    """The sum over trials; None if it isn't known for one of them."""
    uses = [use for trial in trials if (use := trial.uses[role]) is not None]
    prices = [price for trial in trials if (price := trial.prices[role]) is not None]
    if len(uses) < len(trials):
        return None
    return RoleEstimate(
        calls=total((few.calls, middle.calls, most.calls) for few, middle, most in uses),
        tokens_in=total((few.tokens_in, middle.tokens_in, most.tokens_in) for few, middle, most in uses),
        tokens_out=total((few.tokens_out[0], middle.tokens_out[1], most.tokens_out[2]) for few, middle, most in uses),
        usd=total(prices) if len(prices) == len(trials) else None,
    )


def _wall_time(trials: Sequence[_Trial], jobs: int) -> Range | None:
    """The wall time of a run: that of its trials, or of the endpoint where that has no more capacity."""
    known = [trial.seconds for trial in trials if trial.seconds is not None]
    if len(known) < len(trials):
        return None
    side_by_side, busy = times(total(known), 1 / jobs), total(trial.busy for trial in trials)
    low, middle, high = map(max, side_by_side, busy)
    return low, middle, high
