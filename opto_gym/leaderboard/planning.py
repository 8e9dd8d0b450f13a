"""The plan of a run: its trials, and what they may cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import gymnasium as gym

from .. import registration
from ..llm import LIMITS, price_of
from ..utils.checks import seed_list
from ..wrappers.observations import unwrapped
from .config import Named, RunConfig, as_argument, named
from .identity import Identity
from .schema import Limits
from .spec import TrialSpec

DEFAULT_SEEDS = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """A trial of a plan.

    Attributes:
        spec: What it runs.
        identity: What decides its results.
        limits: Its budget.
        runs_code: Whether an optimizer's code runs in it, which needs the sandbox.
    """

    spec: TrialSpec
    identity: Identity
    limits: Limits
    runs_code: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do, before it does it.

    Attributes:
        trials: The trials by id.
        skipped: (environment, agent, why they can't work together).
        cap: The budget of the whole run.
        test_scores: When parameters are scored on test, of `scoring.SCORING`.
    """

    trials: Mapping[str, Planned]
    skipped: tuple[tuple[str, str, str], ...]
    cap: Limits
    test_scores: str

    @property
    def specs(self) -> Mapping[str, TrialSpec]:
        """What the trials run, by id."""
        return {trial: planned.spec for trial, planned in self.trials.items()}

    @property
    def limits(self) -> Mapping[str, Limits]:
        """The budgets of the trials, by id."""
        return {trial: planned.limits for trial, planned in self.trials.items()}

    def only(self, trials: Iterable[str]) -> Plan:
        """The same with these trials alone."""
        kept = set(trials)
        return dataclasses.replace(self, trials={t: p for t, p in self.trials.items() if t in kept})

    def outline(self) -> Iterator[str]:
        """The tasks, a line each: agents, number of seeds, budget of a trial."""
        tasks: dict[tuple[str, str], tuple[dict[str, None], set[int]]] = {}
        for planned in self.trials.values():
            spec = planned.spec
            budget = ", ".join(f"{k}={v:g}" for k, v in planned.limits.to_dict().items())
            agents, seeds = tasks.setdefault((as_argument((spec.env, spec.env_arguments)), budget), ({}, set()))
            agents[as_argument((spec.agent, spec.settings))] = None
            seeds.add(spec.seed)
        for (env, budget), (agents, seeds) in tasks.items():
            yield f"{env}: {', '.join(agents)}; {len(seeds)} seed{'s' if len(seeds) > 1 else ''}; budget {budget}"

    def estimate(self) -> dict[str, Any]:
        """What the whole run may take, None where nothing bounds it; usd is None where a price is unknown.

        Supposes one call of the model an oracle call, of 4,000 tokens in and 1,024 out.
        """
        llm_calls, tokens, usd = [], [], []
        for planned in self.trials.values():
            if not registration.agent_class(planned.spec.agent).uses_model:
                continue
            limits, price = planned.limits, price_of(str(planned.spec.optimizer_model))
            calls = _least(limits.oracle_calls, limits.llm_calls)
            llm_calls.append(calls)
            tokens.append(_least(None if calls is None else calls * (4000 + 1024), limits.tokens))
            usd.append(None if price is None or calls is None else calls * price.of(4000, 1024))
        return {
            "trials": len(self.trials),
            "oracle_calls": _total(planned.limits.oracle_calls for planned in self.trials.values()),
            "llm_calls": _total(llm_calls),
            "tokens": _total(tokens),
            "usd": _total(usd),
        }


class Environments:
    """Environments for planning, one for all trials on the same task: to plan takes no more than their problem."""

    def __init__(self) -> None:
        self._made: dict[str, gym.Env[Any, Any]] = {}

    def of(self, spec: TrialSpec) -> gym.Env[Any, Any]:
        """The environment of a trial, with its wrappers."""
        if spec.env_key not in self._made:
            self._made[spec.env_key] = spec.make_env()
        return self._made[spec.env_key]


def grid(config: RunConfig) -> Plan:
    """The plan of every agent on every environment with every seed. Each environment is made once.

    Raises:
        ValueError: For an impossible budget or argument, or if nothing can run.
        MissingExtra: If an extra that one of them needs is not installed.
    """
    limits = Limits.of(config.budget)
    if not config.budget:
        raise ValueError(f"a run needs a budget: give at least one of {', '.join(LIMITS)}")
    trials: dict[str, Planned] = {}
    skipped = []
    environments = Environments()
    for env, agent in ((e, a) for e in config.envs for a in config.agents):
        for seed in seed_list(DEFAULT_SEEDS if config.seeds is None else config.seeds):
            spec = asked_spec(config, env, agent, seed)
            made = environments.of(spec)
            inner = unwrapped(made)
            spec = spec.resolved(inner)
            registration.make_agent(spec.agent, **spec.settings)  # says at once if a setting is unknown
            reason = registration.agent_class(spec.agent).unsupported_reason(inner.problem)
            if reason is not None:
                skipped.append((spec.env, spec.agent, reason))
                break
            identity = spec.identity(made)
            trials[spec.trial_id(identity)] = Planned(spec, identity, limits, inner.runs_code)
    if not trials:
        raise ValueError("there is nothing to run: " + "; ".join(f"{a} on {e}: {why}" for e, a, why in skipped))
    return Plan(trials, tuple(skipped), Limits.of(config.cap), config.test_scores or "each")


def asked_spec(config: RunConfig, env: Named, agent: Named, seed: int) -> TrialSpec:
    """What a trial of a configuration runs, before its models are resolved."""
    env_name, env_arguments = named(env)
    agent_name, settings = named(agent)
    return TrialSpec(
        env_name,
        env_arguments,
        config.mask,
        config.feedback,
        agent_name,
        settings,
        seed,
        config.optimizer_model or config.model,
        config.task_model or config.model,
        config.base_url,
        tuple(map(named, config.wrappers)),
    )


def _least(*amounts: float | None) -> float | None:
    return min((a for a in amounts if a is not None), default=None)


def _total(amounts: Iterable[float | None]) -> float | None:
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
