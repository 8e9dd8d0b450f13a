"""The plan of a run: a grid of trials, and what it may cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import registration
from ..llm import LIMITS, Budget, price_of
from ..wrappers.observations import unwrapped
from .spec import Spec
from .trial import SCORING

Named = str | tuple[str, Mapping[str, Any]]
"""An environment or agent: its name, or (name, keyword arguments)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do, before it does it.

    Attributes:
        specs: The trials by id.
        skipped: (environment, agent, why not).
        limits: The budgets of the trials by id.
        cap: The budget of the whole run.
        test_scores: See `Trial`.
    """

    specs: Mapping[str, Spec]
    skipped: tuple[tuple[str, str, str], ...]
    limits: Mapping[str, Mapping[str, float | None]]
    cap: Mapping[str, float | None]
    test_scores: str

    def outline(self) -> Iterator[str]:
        """The tasks, a line each: agents, number of seeds, budget of a trial."""
        tasks: dict[tuple[str, str], tuple[dict[str, None], set[int]]] = {}
        for trial, spec in self.specs.items():
            budget = ", ".join(f"{k}={v}" for k, v in self.limits[trial].items() if v is not None)
            agents, seeds = tasks.setdefault((_typed(spec.env, spec.env_arguments), budget), ({}, set()))
            agents[_typed(spec.agent, spec.settings)] = None
            seeds.add(spec.seed)
        for (env, budget), (agents, seeds) in tasks.items():
            yield f"{env}: {', '.join(agents)}; {len(seeds)} seed{'s' if len(seeds) > 1 else ''}; budget {budget}"

    def estimate(self) -> dict[str, Any]:
        """What the whole run may take, None where nothing bounds it; usd is None where a price is unknown.

        Supposes one call of the model an oracle call, of 4,000 tokens in and 1,024 out.
        """
        llm_calls, tokens, usd = [], [], []
        for trial, spec in self.specs.items():
            if not registration.agent_class(spec.agent).uses_model:
                continue
            limits, price = self.limits[trial], price_of(str(spec.optimizer_model))
            calls = _least(limits.get("oracle_calls"), limits.get("llm_calls"))
            llm_calls.append(calls)
            tokens.append(_least(None if calls is None else calls * (4000 + 1024), limits.get("tokens")))
            usd.append(None if price is None or calls is None else calls * price.of(4000, 1024))
        return {
            "trials": len(self.specs),
            "oracle_calls": _total(self.limits[trial].get("oracle_calls") for trial in self.specs),
            "llm_calls": _total(llm_calls),
            "tokens": _total(tokens),
            "usd": _total(usd),
        }


def _typed(name: str, arguments: Mapping[str, Any]) -> str:
    """An environment or agent as the command line takes it."""
    return f"{name}:{','.join(f'{k}={v}' for k, v in arguments.items())}" if arguments else name


def _least(*amounts: float | None) -> float | None:
    return min((a for a in amounts if a is not None), default=None)


def _total(amounts: Iterable[float | None]) -> float | None:
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def plan(
    envs: Iterable[Named],
    agents: Iterable[Named],
    *,
    seeds: int | Sequence[int] = 5,
    limits: Mapping[str, float | None] | None = None,
    cap: Mapping[str, float | None] | None = None,
    model: str | None = None,
    optimizer_model: str | None = None,
    task_model: str | None = None,
    base_url: str | None = None,
    mask: Sequence[str] = (),
    feedback: Sequence[str] | None = None,
    wrappers: Sequence[Named] = (),
    test_scores: str = "each",
) -> Plan:
    """The grid of trials (see `run` for the arguments). Makes each environment once, which tests its arguments."""
    if test_scores not in SCORING:
        raise ValueError(f"expected test_scores of {SCORING}, got {test_scores!r}")
    limits, cap = dict(limits or {}), dict(cap or {})
    Budget(limits)
    Budget(cap)
    if not any(v is not None for v in limits.values()):
        raise ValueError(f"a run needs a budget: give at least one of {', '.join(LIMITS)}")
    numbers = range(seeds) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise ValueError(f"expected at least one seed, got {seeds!r}")
    specs: dict[str, Spec] = {}
    skipped = []
    optimizers = [named(a) for a in agents]
    for env, env_arguments in map(named, envs):
        for agent, settings in optimizers:
            cls = registration.agent_class(agent)
            for seed in numbers:
                spec = Spec(
                    env,
                    env_arguments,
                    tuple(mask),
                    None if feedback is None else tuple(feedback),
                    agent,
                    settings,
                    seed,
                    optimizer_model or model,
                    task_model or model,
                    base_url,
                    tuple(map(named, wrappers)),
                ).resolved()
                problem = unwrapped(spec.make_env()).problem
                registration.make_agent(agent, **settings)  # says at once if a setting is unknown
                reason = cls.unsupported_reason(problem)
                if reason is not None:
                    skipped.append((env, agent, reason))
                    break
                specs[spec.trial_id()] = spec
    if not specs:
        raise ValueError("there is nothing to run: " + "; ".join(f"{a} on {e}: {why}" for e, a, why in skipped))
    return Plan(specs, tuple(skipped), dict.fromkeys(specs, limits), cap, test_scores)


def named(x: Named) -> tuple[str, dict[str, Any]]:
    """A name with its arguments."""
    return (x, {}) if isinstance(x, str) else (x[0], dict(x[1]))
